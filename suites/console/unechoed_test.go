package console

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	hc "rigor/harness/console"
)

// TestUnechoed: the echo of a line is what comes first behind it. The same words once more,
// or behind other words, are not taken for it.
func TestUnechoed(t *testing.T) {
	t.Parallel()
	const key = "AT+KEY=4f6a"
	for name, c := range map[string]struct {
		text       string
		said, rest bool // whether the key stands in them
	}{
		"an echo":                          {key + "\r\nOK\r\n", false, false},
		"none":                             {"\r\nOK\r\n", false, false},
		"one over the edge":                {"AT+KEY \r=4f\r\n6a\r\nOK", false, false},
		"a coloured one":                   {"\x1b[1mAT\x1b[0m+KEY=4f6a\r\nOK", false, false},
		"an echo, and it says so":          {key + "\r\nkey=4f6a\r\n", true, true},
		"an echo, and it is logged":        {key + "\r\ncmd: " + key + "\r\n", true, true},
		"no echo, and it says so":          {"\r\nkey=4f6a\r\n", true, true},
		"an echo behind a line, or a log":  {"[  1.0] usb\r\n> " + key + "\r\nOK", true, false},
		"the same, and it says so besides": {"[  1.0] usb\r\n> " + key + "\r\nkey=4f6a", true, true},
		"a log long after":                 {"\r\nOK" + strings.Repeat(".", echoWithin) + key, true, true},
	} {
		shown := func(text []byte) bool { return strings.Contains(string(text), "4f6a") }
		said, rest := unechoed([]byte("> "+c.text), 100, []hc.Typed{{At: 102, Line: []byte(key)}})
		assert.Equal(t, c.said, shown(said), "%s: %q", name, said)
		assert.Equal(t, c.rest, shown(rest), "%s: %q", name, rest)
	}
	// Two lines ahead of their echoes.
	said, _ := unechoed([]byte("first\r\nsecond\r\n"), 0, []hc.Typed{{At: 0, Line: []byte("first")}, {At: 0, Line: []byte("second")}, {At: 900, Line: []byte("third")}})
	assert.Equal(t, "\n\r\n", string(said))
}
