package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/console/expect"
	"rigor/harness/escape"
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
		c := newCast(&out, "fuzz", began, nil)
		at := began
		for i := 0; i < len(text); i += int(step) + 1 {
			at = at.Add(time.Duration(pauses) * 100 * time.Millisecond)
			c.output(text[i:min(len(text), i+int(step)+1)], at)
			if i%7 == 3 {
				c.mark("i", []byte("\xff\r"), at)
			}
		}
		c.end()
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

// TestCastSecrets: what the DUT says of a secret stays out of a cast, wherever what we
// send, a marker, a pause or a bound cuts it.
func TestCastSecrets(t *testing.T) {
	const secret = "hunter2secret"
	for name, cut := range map[string]func(t *testing.T, c *Console){
		"by what is sent": func(t *testing.T, c *Console) {
			_, err := c.Send(t.Context(), []byte("\r"))
			require.NoError(t, err)
		},
		"by a marker": func(_ *testing.T, c *Console) { c.Marker("the next step") },
		"by a pause":  func(*testing.T, *Console) { time.Sleep(10 * castPause) },
		"by nothing":  func(*testing.T, *Console) {},
	} {
		for _, before := range []int{0, castLine - len("key=hunter2")} { // the bound falls into the secret
			t.Run(fmt.Sprintf("%s behind %d bytes", name, before), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					red := escape.NewRedactor()
					red.Add("key", secret)
					var file bytes.Buffer
					public := red.Writer(&file)
					port := newFakePort()
					c := Open(t.Context(), port, Options{Part: "console.main", Cast: public, Redact: red})
					for i, p := range []string{strings.Repeat("x", before) + "key=hunter2", "secret\r\n", "login: hun"} {
						port.say(p)
						synctest.Wait()
						if i == 0 {
							cut(t, c)
						}
					}
					require.NoError(t, c.Close())
					require.NoError(t, public.Close())
					_, events, _ := strings.Cut(file.String(), "\n")
					assert.NotContains(t, events, "hunter2")
					assert.NotContains(t, events, `"secret\r`)
					assert.NotContains(t, events, `secret\r\n`)
					assert.Contains(t, events, "key=")
					assert.Contains(t, events, "‹secret:key›")
					assert.Contains(t, events, "hun\"", "what only begins like it is there in the end")
					last := -1.0
					for line := range strings.Lines(events) {
						var e []any
						require.NoError(t, json.Unmarshal([]byte(line), &e))
						require.GreaterOrEqual(t, e[0].(float64), last)
						last = e[0].(float64)
					}
				})
			})
		}
	}
}

// TestTimeoutShowsNoHalfSecret: the last bytes that an error shows may begin in the midst
// of a secret, or behind a cursor that does.
func TestTimeoutShowsNoHalfSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		red := escape.NewRedactor()
		red.Add("key", "hunter2secret")
		port := newFakePort()
		c := Open(t.Context(), port, Options{Part: "console.main", Redact: red})
		defer func() { require.NoError(t, c.Close()) }()
		never, err := expect.Text("never")
		require.NoError(t, err)
		last := func(from Cursor) string {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := c.Expect(ctx, from, never)
			var e *TimeoutError
			require.ErrorAs(t, err, &e)
			return string(e.Last)
		}
		port.say("key=hunter2")
		synctest.Wait()
		middle := c.Mark()
		port.say("secret" + strings.Repeat("x", tail-6))
		synctest.Wait()
		for _, from := range []Cursor{0, middle} {
			got := last(from)
			assert.NotContains(t, got, "secretx")
			assert.True(t, strings.HasSuffix(got, "xxx"))
			assert.LessOrEqual(t, len(got), tail)
		}
		port.say(strings.Repeat("y", 2*tail))
		synctest.Wait()
		assert.Equal(t, strings.Repeat("y", tail), last(0))
		assert.Equal(t, "yy", last(c.Mark()-2), "no more than was waited for")
	})
}
