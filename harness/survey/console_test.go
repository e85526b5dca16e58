package survey

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden holds a text against a file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "%s; -update writes it anew", path)
}

// What each recorded boot is recognised as.
func TestRecognise(t *testing.T) {
	t.Parallel()
	boots, err := filepath.Glob("testdata/boots/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, boots)
	for _, path := range boots {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			// Files end with a newline, prompts do not; an escape is written as one.
			text := strings.NewReplacer(`\e`, "\x1b", `\b`, "\b", `\xfe`, "\xfe", `\0`, "\x00").Replace(strings.TrimSuffix(string(raw), "\n"))
			got, err := json.MarshalIndent(Recognise([]byte(strings.ReplaceAll(text, "\n", "\r\n"))), "", "  ")
			require.NoError(t, err)
			golden(t, "boots/"+name+".json", append(got, '\n'))
		})
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]time.Duration{
		"Hit any key to stop autoboot:  3 ":          3 * time.Second,
		"Autoboot in 150 ms":                         150 * time.Millisecond,
		"autoboot in 2 seconds":                      2 * time.Second,
		"Press SPACE to abort autoboot in 5 seconds": 5 * time.Second,
		"Press any key to enter the setup":           0,
		"Hit ESC to stop: 99999":                     0,
		"Hit a key to stop: 1234567890123456789012":  0,
	} {
		assert.Regexp(t, windows(), line)
		assert.Equal(t, want, windowOf(line), line)
	}
}

func TestSign(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"U-Boot 2023.01 (Jan 10 2023 - 12:00:00 +0000) ACME": "U-Boot 2023.01",
		"[    0.204500] Run /sbin/init as init process":      "Run /sbin/init as init process",
		"\x1b\xfeROM loader ok\xff":                          "ROM loader ok",
		"mac 02:00:00:00:00:01":                              "", // a unit's own
		"....":                                               "",
		"":                                                   "",
	} {
		assert.Equal(t, want, Sign(line), line)
	}
}

// Whatever comes, a prompt is one line, and a sign can stand in a file.
func FuzzRecognise(f *testing.F) {
	f.Add([]byte(boot))
	f.Add([]byte("\x1b]0;root\x07# "))
	f.Add([]byte("Press any key to stop autoboot: 999999999999999999999999\r\nx\rlogin: "))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := Recognise(b)
		assert.Equal(t, len(b), c.Bytes)
		assert.GreaterOrEqual(t, c.WindowFor, time.Duration(0))
		for _, text := range []string{c.Banner, c.Loader, c.Window, c.System, c.Activate, c.Login, c.Password, c.InLoader, c.Shell, c.Last} {
			assert.NotContains(t, text, "\n")
			s := Sign(text)
			assert.True(t, utf8.ValidString(s) && len(s) <= 48)
			if s != "" {
				assert.Contains(t, text, s)
			}
		}
	})
}
