package shown_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/escape"
	"rigor/harness/report/shown"
)

func TestProse(t *testing.T) {
	for in, want := range map[string]string{
		`C:\temp`:      `C:\temp`,
		"a\x1b[0m":     `a\x1b[0m`,
		`"\x1b"`:       `"\x1b"`,
		"\\\x1b":       `\\x1b`,
		`'it'\''s'`:    `'it'\''s'`,
		"tab\tand\nnl": "tab\tand\nnl",
	} {
		assert.Equal(t, want, shown.Prose(escape.Terminal(in)))
	}
	assert.Equal(t, `C\:\\temp \\x1b`, shown.Markdown("C:\\temp \x1b"))
}

func TestExcerptIsMadeVisibleOnce(t *testing.T) {
	for _, raw := range []string{"plain", "\x1b[0m\x00", `C:\temp`, "\xff\xfe", "é\u202e"} {
		assert.Equal(t, raw, shown.Excerpt(escape.Visible(raw)))
	}
	assert.Equal(t, `C:\Users`, shown.Excerpt(`C:\Users`), "what is in no visible form is left alone")
}
