package stm32

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/console"
	"rigor/harness/debugport/rom"
	"rigor/harness/verdict"
)

// wire is a loader that is written down: what it says to each thing that is sent.
type wire struct {
	said []byte
	sent [][]byte
	says func(sent []byte) []byte
	err  error
}

func (w *wire) Mark() console.Cursor { return console.Cursor(len(w.said)) }

func (w *wire) Send(_ context.Context, p []byte, _ ...console.How) (console.Cursor, error) {
	at := w.Mark()
	w.sent = append(w.sent, bytes.Clone(p))
	w.said = append(w.said, w.says(p)...)
	return at, w.err
}

func (w *wire) Read(ctx context.Context, from console.Cursor, p []byte) (int, error) {
	if n := copy(p, w.said[from:]); n > 0 {
		return n, nil
	}
	<-ctx.Done()
	return 0, ctx.Err()
}

// script answers what is sent by what is written down for it, by AN3155's own examples.
func script(m map[string]string) func([]byte) []byte {
	return func(sent []byte) []byte { return []byte(m[string(sent)]) }
}

var open = map[string]string{
	"\x7f":                 "\x79",
	"\x00\xff":             "\x79\x0b\x31\x00\x01\x02\x11\x21\x31\x44\x63\x73\x82\x92\x79",
	"\x01\xfe":             "\x79\x31\x00\x00\x79",
	"\x02\xfd":             "\x79\x01\x04\x13\x79",
	"\x11\xee":             "\x79",
	"\x08\x00\x00\x00\x08": "\x79",
	"\x03\xfc":             "\x79abcd",
}

func TestLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{says: script(open)}
		r, err := New(w, Options{}).Look(t.Context(), Piece{0x08000000, 4}, Piece{0x08000004, 4})
		require.NoError(t, err)
		assert.True(t, r.Answers())
		assert.Equal(t, byte(0x31), r.Version)
		assert.Equal(t, uint16(0x413), r.PID)
		assert.Len(t, r.Commands, 11)
		require.Len(t, r.Read(), 1)
		assert.Equal(t, "abcd", string(r.Read()[0].Data))
		assert.False(t, r.Refused())
		assert.Equal(t, verdict.Silent, r.Tries[4].Kind, "the second address is in no script")
	})
}

func TestLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := map[string]string{}
		for k, v := range open {
			m[k] = v
		}
		m["\x11\xee"] = "\x1f"
		r, err := New(&wire{says: script(m)}, Options{}).Look(t.Context(), Piece{0x08000000, 4})
		require.NoError(t, err)
		assert.True(t, r.Refused())
		assert.Empty(t, r.Read())
		assert.Equal(t, "Read Memory 0x8000000, 4 bytes: refused (0x1f), the command itself", r.Tries[3].String())

		m["\x11\xee"], m["\x08\x00\x00\x00\x08"] = "\x79", "\x1f"
		r, err = New(&wire{says: script(m)}, Options{}).Look(t.Context(), Piece{0x08000000, 4})
		require.NoError(t, err)
		assert.False(t, r.Refused(), "no memory there is no lock")

		no := &wire{says: func([]byte) []byte { return []byte{nack} }}
		r, err = New(no, Options{}).Look(t.Context(), Piece{0x08000000, 4})
		require.NoError(t, err)
		assert.True(t, r.Answers())
		assert.False(t, r.Refused(), "what says no to all is no loader")
	})
}

func TestSilentAwakeAndGarbled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := New(&wire{says: script(nil)}, Options{}).Look(t.Context())
		require.NoError(t, err)
		assert.False(t, r.Answers())
		assert.Equal(t, verdict.Silent, r.Sync.Kind)
		s, err := New(&wire{says: script(map[string]string{"\x7f": "\x1f"})}, Options{}).Sync(t.Context())
		require.NoError(t, err)
		assert.Equal(t, verdict.Accepted, s.Kind)
		assert.Equal(t, "it was awake", s.Detail)
		s, err = New(&wire{says: script(map[string]string{"\x7f": "boot"})}, Options{}).Sync(t.Context())
		require.NoError(t, err)
		assert.Equal(t, verdict.Garbled, s.Kind)

		gone := errors.New("gone")
		_, err = New(&wire{says: script(nil), err: gone}, Options{}).Sync(t.Context())
		assert.ErrorIs(t, err, gone)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err = New(&wire{says: script(nil)}, Options{}).Sync(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = New(&wire{}, Options{}).Read(t.Context(), 0, 257)
		assert.Error(t, err)
	})
}

// FuzzLook: whatever a loader says, a look ends, and nothing goes out but the sync, the
// four commands, addresses and lengths.
func FuzzLook(f *testing.F) {
	f.Add([]byte("\x79\x79\x0b1234567890ab\x79"))
	f.Add([]byte("\x1f\x79\x79\x79\x79\xff"))
	f.Fuzz(func(t *testing.T, said []byte) {
		at := 0
		w := &wire{says: func(p []byte) []byte {
			n := min(len(said)-at, 1+len(p)*3)
			at += n
			return said[at-n : at]
		}}
		synctest.Test(t, func(t *testing.T) {
			_, err := New(w, Options{}).Look(t.Context(), Piece{0x08000000, 256}, Piece{0x1FFF7800, 1})
			require.NoError(t, err)
		})
		for _, p := range w.sent {
			switch {
			case len(p) == 1:
				assert.Equal(t, byte(sync), p[0])
			case len(p) == 5:
				assert.Equal(t, p[4], p[0]^p[1]^p[2]^p[3])
			default:
				require.Len(t, p, 2)
				assert.Equal(t, byte(0xFF), p[0]^p[1])
				assert.Contains(t, []byte{0x00, 0x01, 0x02, 0x11, 0xFF}, p[0], "a command that is none of the four, or a length")
			}
		}
	})
}

var _ rom.Wire = (*wire)(nil)
