package console

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzCast checks that a cast is valid whatever the DUT sends, and says the
// same however reads cut it.
func FuzzCast(f *testing.F) {
	f.Add([]byte("U-Boot\r\ncaf\xc3\xa9 \xff\xe2\x82"), uint8(3), uint8(0))
	f.Add([]byte("\x00\x1b]0;x\a\"\\]\n\xf0\x9f\x98\x80"), uint8(1), uint8(1))
	f.Add(bytes.Repeat([]byte("\xf0\x9f\x98\x80"), 3000), uint8(255), uint8(7))
	f.Fuzz(func(t *testing.T, text []byte, step, pauses uint8) {
		text = text[:min(len(text), 20<<10)]
		var out bytes.Buffer
		began := time.Unix(1e9, 0)
		c := newCast(&out, "fuzz", began)
		at := began
		for i := 0; i < len(text); i += int(step) + 1 {
			at = at.Add(time.Duration(pauses) * 100 * time.Millisecond)
			c.output(text[i:min(len(text), i+int(step)+1)], at)
			if i%7 == 3 {
				c.mark("i", []byte("\xff\r"), at)
			}
		}
		c.flush(true)
		require.NoError(t, c.err)
		var said strings.Builder
		last := -1.0
		for i, line := range bytes.Split(bytes.TrimSuffix(out.Bytes(), []byte("\n")), []byte("\n")) {
			if i == 0 {
				require.True(t, json.Valid(line))
				continue
			}
			var e []any
			require.NoError(t, json.Unmarshal(line, &e))
			require.GreaterOrEqual(t, e[0].(float64), last)
			last = e[0].(float64)
			if e[1] == "o" {
				said.WriteString(e[2].(string))
			}
		}
		require.Equal(t, string([]rune(string(text))), said.String())
	})
}
