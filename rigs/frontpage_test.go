package rigs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/rig"
)

// The rig and the profile that the front page shows are taken as they stand.
func TestFrontPageFilesAreTaken(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "README.md"))
	require.NoError(t, err)
	dir := t.TempDir()
	files := regexp.MustCompile("(?s)```yaml\n# ([a-z-]+\\.yaml)\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	require.Len(t, files, 2)
	for _, f := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, f[1]), []byte(f[2]), 0o600))
	}
	f, p, err := rig.Load(filepath.Join(dir, "bench-a.yaml"))
	require.NoError(t, err)
	assert.Equal(t, "bench-a", f.Name)
	assert.Equal(t, "acme-gateway", p.Name)
}

// What the pages point at is there.
func TestPagesPointAtWhatIsThere(t *testing.T) {
	for _, page := range []string{"../README.md", "README.md", "../suites/README.md"} {
		text, err := os.ReadFile(filepath.FromSlash(page))
		require.NoError(t, err)
		links := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`).FindAllStringSubmatch(string(text), -1)
		require.NotEmpty(t, links, page)
		for _, l := range links {
			if strings.Contains(l[1], "://") {
				continue
			}
			_, err := os.Stat(filepath.Join(filepath.Dir(filepath.FromSlash(page)), filepath.FromSlash(l[1])))
			assert.NoError(t, err, page)
		}
	}
}
