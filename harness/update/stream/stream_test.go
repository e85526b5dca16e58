package stream

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/console"
	"rigor/harness/wire"
)

// port is a port in memory.
type port struct {
	in     chan []byte
	closed chan struct{}
	once   sync.Once
	rest   []byte
	out    strings.Builder
	writes int
}

func (p *port) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		select {
		case p.rest = <-p.in:
		case <-p.closed:
			return 0, io.EOF
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *port) Write(_ context.Context, b []byte) error {
	p.out.Write(b)
	p.writes++
	return nil
}
func (p *port) Break(context.Context, time.Duration) error { return wire.ErrUnsupported }
func (p *port) SetRate(context.Context, int) error         { return wire.ErrUnsupported }
func (p *port) Close() error                               { p.once.Do(func() { close(p.closed) }); return nil }

// TestOver: bytes go through the console as they are, and the cursor follows.
func TestOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var raw, sent strings.Builder
		p := &port{in: make(chan []byte, 16), closed: make(chan struct{})}
		c := console.Open(t.Context(), p, console.Options{Part: "console.main", Echo: time.Second, Raw: &raw, Sent: &sent})
		p.in <- []byte("=> ")
		synctest.Wait()
		s := Over(c, c.Mark())

		require.NoError(t, s.Write(t.Context(), []byte("\x01ab\x00")))
		assert.Equal(t, "\x01ab\x00", p.out.String(), "no echo is waited for")
		assert.Equal(t, 1, p.writes)

		began := time.Now()
		_, err := Within(t.Context(), s, time.Second, make([]byte, 8))
		assert.ErrorIs(t, err, ErrSilent)
		assert.Equal(t, time.Second, time.Since(began))

		p.in <- []byte("\x06\x00C")
		buf := make([]byte, 2)
		n, err := Within(t.Context(), s, time.Second, buf)
		require.NoError(t, err)
		assert.Equal(t, "\x06\x00", string(buf[:n]))
		n, err = Within(t.Context(), s, 0, buf)
		require.NoError(t, err, "what has come is read without a wait")
		assert.Equal(t, "C", string(buf[:n]))
		assert.Equal(t, c.Mark(), s.Cursor())
		_, err = Within(t.Context(), s, 0, buf)
		assert.ErrorIs(t, err, ErrSilent)

		over, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("the case is over"))
		_, err = Within(over, s, time.Second, buf)
		assert.NotErrorIs(t, err, ErrSilent)
		assert.ErrorContains(t, err, "the case is over")
		late, stop := context.WithTimeout(t.Context(), time.Millisecond)
		defer stop()
		_, err = Within(late, s, time.Second, buf)
		assert.NotErrorIs(t, err, ErrSilent, "the caller's deadline is not ours")
		assert.ErrorIs(t, err, context.DeadlineExceeded)

		require.NoError(t, c.Close())
		_, err = Within(t.Context(), s, time.Second, buf)
		assert.ErrorIs(t, err, console.ErrClosed)
		assert.Equal(t, "=> \x06\x00C", raw.String(), "each byte is in the transcript")
		assert.Equal(t, "\x01ab\x00", sent.String())
	})
}

func TestTail(t *testing.T) {
	last := Tail(nil, []byte("abc"))
	assert.Equal(t, "abc", string(last))
	last = Tail(last, []byte(strings.Repeat("x", Shown-1)))
	assert.Equal(t, "c"+strings.Repeat("x", Shown-1), string(last))
}

// TestCRC16: the check value of CRC-16/XMODEM in the catalogue of CRCs.
func TestCRC16(t *testing.T) { assert.Equal(t, uint16(0x31c3), CRC16([]byte("123456789"))) }
