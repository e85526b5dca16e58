package suites

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the page for authors quotes as good stands in the code.
func TestReadmeQuotesTheCode(t *testing.T) {
	page, err := os.ReadFile("README.md")
	require.NoError(t, err)
	quotes := regexp.MustCompile("(?s)```go\n// suites/([a-z_/]+\\.go)\n(.*?)\n```").FindAllStringSubmatch(string(page), -1)
	assert.Len(t, quotes, strings.Count(string(page), "```go\n"), "a quote does not say where it is from")
	require.NotEmpty(t, quotes)
	for _, q := range quotes {
		code, err := os.ReadFile(filepath.FromSlash(q[1]))
		require.NoError(t, err)
		assert.Contains(t, string(code), q[2], "suites/%s does not say this; the page has to follow it", q[1])
	}
}

// Every reason, type and function that the page names is spelled as it is in
// the package for authors.
func TestReadmeNamesAreTrue(t *testing.T) {
	page, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var code strings.Builder
	for _, dir := range []string{"check", "verdict"} {
		files, err := filepath.Glob(filepath.Join("..", "harness", dir, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, f := range files {
			text, err := os.ReadFile(f)
			require.NoError(t, err)
			code.Write(text)
		}
	}
	names := regexp.MustCompile(`\b(?:check|verdict)\.([A-Z]\w+)`).FindAllStringSubmatch(string(page), -1)
	require.NotEmpty(t, names)
	for _, n := range names {
		assert.Regexp(t, `\b`+n[1]+`\b`, code.String())
	}
}
