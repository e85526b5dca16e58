package esp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/console"
	"rigor/harness/verdict"
)

// wire is a loader that is written down: what it says to each command.
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

// answer makes a loader's frame.
func answer(c byte, value uint32, body ...byte) []byte {
	p := []byte{1, c}
	p = binary.LittleEndian.AppendUint16(p, uint16(len(body)))
	p = binary.LittleEndian.AppendUint32(p, value)
	return slip(append(p, body...))
}

// script answers by command.
func script(m map[command][]byte) func([]byte) []byte {
	return func(sent []byte) []byte { return m[command(sent[2])] }
}

func loader() map[command][]byte {
	info := append(make([]byte, 12), 5, 0, 0, 0, 1, 0, 0, 0)
	info[0], info[4] = SecureBoot, 7
	flash := bytes.Repeat([]byte{0xC0, 0xDB, 0xE9}, 22)[:64]
	return map[command][]byte{
		syncUp:       append([]byte("waiting for download\r\n"), bytes.Repeat(answer(0x08, 0x20120707, 0, 0, 0, 0), 8)...),
		securityInfo: answer(0x14, 0, append(info, 0, 0, 0, 0)...),
		readReg:      answer(0x0A, 0x1B31506F, 0, 0, 0, 0),
		spiAttach:    answer(0x0D, 0, 0, 0),
		readFlash:    answer(0x0E, 0, append(flash, 0, 0, 0, 0)...),
		flashMD5:     answer(0x13, 0, append([]byte("0123456789abcdef0123456789abcdef"), 0, 0, 0, 0)...),
	}
}

func TestLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{says: script(loader())}
		r, err := New(w, Options{}).Look(t.Context())
		require.NoError(t, err)
		require.True(t, r.Answers())
		require.NotNil(t, r.Security)
		assert.Equal(t, Security{Flags: SecureBoot, CryptCount: 7, HasChip: true, ChipID: 5, ECO: 1}, *r.Security)
		assert.False(t, r.Secure())
		assert.Equal(t, uint32(0x1B31506F), r.Magic)
		require.Len(t, r.Read(), 3)
		assert.Equal(t, []byte{0xC0, 0xDB, 0xE9}, r.Read()[1].Data[:3])
		assert.Len(t, r.Read()[1].Data, 64)
		assert.Len(t, r.Read()[2].Data, 32)
		for _, p := range w.sent {
			assert.Equal(t, byte(slipEnd), p[0])
			assert.Equal(t, byte(slipEnd), p[len(p)-1])
		}
	})
}

func TestSecureDownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := loader()
		info := make([]byte, 16)
		info[0] = SecureBoot | SecureDownload
		m[securityInfo] = answer(0x14, 0, info...) // the short form of ESP32-S2
		for _, c := range []command{readReg, readFlash, flashMD5, spiAttach} {
			m[c] = answer(byte(c), 0, 1, 5, 0, 0)
		}
		r, err := New(&wire{says: script(m)}, Options{}).Look(t.Context())
		require.NoError(t, err)
		assert.True(t, r.Secure())
		assert.False(t, r.Security.HasChip)
		assert.Empty(t, r.Read())
		for _, try := range r.Tries[1:] {
			assert.Equal(t, verdict.Refused, try.Kind)
			assert.Equal(t, 5, try.Code)
		}
		assert.True(t, r.Refused())
		for _, c := range []command{readReg, spiAttach, flashMD5} {
			was := m[c]
			m[c] = nil
			r, err = New(&wire{says: script(m)}, Options{}).Look(t.Context())
			require.NoError(t, err)
			assert.Empty(t, r.Read())
			assert.False(t, r.Refused(), "%s had no answer", c)
			m[c] = was
		}
	})
}

func TestNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := New(&wire{says: script(nil)}, Options{}).Look(t.Context())
		require.NoError(t, err)
		assert.Equal(t, verdict.Silent, r.Sync.Kind)
		// An answer to something else is none.
		r, err = New(&wire{says: script(map[command][]byte{syncUp: answer(0x0A, 0, 0, 0)})}, Options{}).Look(t.Context())
		require.NoError(t, err)
		assert.Equal(t, verdict.Garbled, r.Sync.Kind)
		// A length that is not so is none either.
		bad := slip([]byte{1, 8, 9, 0, 0, 0, 0, 0, 0, 0})
		r, err = New(&wire{says: script(map[command][]byte{syncUp: bad})}, Options{}).Look(t.Context())
		require.NoError(t, err)
		assert.Equal(t, verdict.Garbled, r.Sync.Kind)
		gone := errors.New("gone")
		_, err = New(&wire{says: script(nil), err: gone}, Options{}).Look(t.Context())
		assert.ErrorIs(t, err, gone)
		_, err = New(&wire{}, Options{}).ReadFlash(t.Context(), 0, 65)
		assert.Error(t, err)
		// Done without the data that it is about: not shown.
		m := loader()
		m[readFlash] = answer(0x0E, 0, 0, 0, 0, 0)
		try, err := New(&wire{says: script(m)}, Options{}).ReadFlash(t.Context(), 0, 64)
		require.NoError(t, err)
		assert.Equal(t, verdict.Garbled, try.Kind)
	})
}

// FuzzLook: whatever a loader says, a look ends, and no other command goes out.
func FuzzLook(f *testing.F) {
	f.Add(answer(0x08, 0, 0, 0, 0, 0), answer(0x14, 0, make([]byte, 24)...))
	f.Add([]byte{0xC0, 0xDB, 0xC0}, []byte{0xDB, 0xDB, 0xDC})
	f.Fuzz(func(t *testing.T, first, rest []byte) {
		w := &wire{}
		w.says = func([]byte) []byte {
			if len(w.sent) == 1 {
				return first
			}
			return rest
		}
		synctest.Test(t, func(t *testing.T) {
			_, err := New(w, Options{}).Look(t.Context())
			require.NoError(t, err)
		})
		for _, p := range w.sent {
			assert.Contains(t, []command{syncUp, readReg, spiAttach, readFlash, flashMD5, securityInfo}, command(p[2]))
			assert.Zero(t, p[1])
		}
	})
}
