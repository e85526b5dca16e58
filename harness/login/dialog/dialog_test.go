package dialog

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		s := New(r, nil)
		go func() {
			for _, part := range []string{"Last login: ", "never\r\n", "# "} {
				_, _ = io.WriteString(w, part)
				time.Sleep(50 * time.Millisecond)
			}
			time.Sleep(time.Second)
			_, _ = io.WriteString(w, "more")
			_ = w.Close()
		}()
		begun := time.Now()
		text, err := s.Settle(t.Context(), 100*time.Millisecond, 0)
		require.NoError(t, err)
		assert.Equal(t, "Last login: never\r\n# ", string(text))
		assert.Equal(t, 200*time.Millisecond, time.Since(begun), "quiet is counted from the last byte")

		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		again, err := s.Settle(ctx, 100*time.Millisecond, len(text))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, text, again, "what is there is not lost")
		assert.False(t, Ended(err))
		assert.Equal(t, text, s.Take())

		text, err = s.Settle(t.Context(), 100*time.Millisecond, 0)
		require.ErrorIs(t, err, io.EOF)
		assert.True(t, Ended(err))
		assert.Equal(t, "more", string(text))
		assert.Equal(t, "Last login: never\r\n# more", string(s.All()))
		s.Wait()
	})
}

func TestWindow(t *testing.T) {
	s := New(strings.NewReader(strings.Repeat("a", Window)+"end"), nil)
	s.Wait()
	all := s.All()
	assert.Len(t, all, Window)
	assert.True(t, bytes.HasSuffix(all, []byte("end")))
	assert.Len(t, s.Take(), Window)
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"a\r\nb":                           "a\nb",
		"a\r\r\nb":                         "a\nb",
		"a\rb":                             "a\nb",
		"\x1b[1;32mroot\x1b[0m# ":          "root# ",
		"\x1b]0;title\x07x\x1b]0;t\x1b\\y": "xy",
		"\x1b[?2004h$ ":                    "$ ",
		"\x1b(Bx\x0f":                      "x",
		"\x1b[6n":                          "",
		"broken \x1b[":                     "broken \x1b[",
	} {
		assert.Equal(t, want, string(Plain([]byte(in))), "%q", in)
	}
}

func TestMarker(t *testing.T) {
	m := NewMarker()
	cmd := m.Command("ls")
	_, _, ok := m.Find([]byte(cmd + "\n"))
	assert.False(t, ok, "an echo is no output")
	word := m.left + m.right
	out, status, ok := m.Find([]byte(cmd + "\n" + word + "b\nfile\n" + word + "e127\n# "))
	assert.True(t, ok)
	assert.Equal(t, 127, status)
	assert.Equal(t, "file\n", string(out))
	_, _, ok = m.Find([]byte(word + "b\n" + word + "e12"))
	assert.False(t, ok, "a status may go on until its line ends")
	assert.NotEqual(t, m, NewMarker())
	assert.Equal(t, " x", string(AfterEcho([]byte("# id x"), "id")))
	assert.Equal(t, "x", string(AfterEcho([]byte("x"), "id")))
}

func FuzzPlain(f *testing.F) {
	f.Add([]byte("\x1b[1mx\r\n\x1b]0;a"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if out := Plain(in); bytes.ContainsAny(out, "\r\x07\x00") || len(out) > len(in) {
			t.Fatalf("%q", out)
		}
	})
}
