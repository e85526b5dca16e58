package survey

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

// board is a device on a wire: at another rate than its own it is heard as a
// receiver hears it.
type board struct {
	rate   int
	text   string
	answer string
	refuse []int

	mu     sync.Mutex
	set    int
	sent   string
	out    chan []byte
	closed chan struct{}
}

func newBoard(rate int, text string) *board {
	return &board{rate: rate, text: text, out: make(chan []byte, 1024), closed: make(chan struct{})}
}

func (b *board) Read(p []byte) (int, error) {
	select {
	case c := <-b.out:
		b.mu.Lock()
		defer b.mu.Unlock()
		return copy(p, heardAt(string(c), b.rate, b.set)), nil
	case <-b.closed:
		return 0, io.EOF
	}
}

func (b *board) SetRate(_ context.Context, baud int) error {
	for _, r := range b.refuse {
		if r == baud {
			return errors.New("not this one")
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set = baud
	return nil
}

func (b *board) Write(_ context.Context, p []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent += string(p)
	if b.answer != "" {
		b.out <- []byte(b.answer)
	}
	return nil
}

func (b *board) Break(context.Context, time.Duration) error { return wire.ErrUnsupported }
func (b *board) Close() error                               { close(b.closed); return nil }

// cycle starts a boot that is as long as a device's, in pieces.
func (b *board) cycle(context.Context) error {
	go func() {
		text := b.text
		for len(text) > 0 {
			n := min(len(text), 40)
			select {
			case b.out <- []byte(text[:n]):
			case <-b.closed:
				return
			}
			text = text[n:]
			timer := time.NewTimer(15 * time.Millisecond)
			select {
			case <-timer.C:
			case <-b.closed:
				timer.Stop()
				return
			}
		}
	}()
	return nil
}

func quick() Listening {
	return Listening{Quiet: 300 * time.Millisecond, Await: 500 * time.Millisecond, Boot: 10 * time.Second}
}

// Whatever the device's rate, a whole boot is taken down at it.
func TestFind(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{115200, 9600, 38400, 1500000} {
		t.Run(strconv.Itoa(rate), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBoard(rate, boot)
				b.refuse = []int{57600}
				e := Listen(b)
				h, err := e.Find(t.Context(), quick(), b.cycle)
				require.NoError(t, err)
				require.NoError(t, e.Close())
				assert.Equal(t, rate, h.Baud)
				assert.Equal(t, "acme login: ", Recognise(h.Boot).Login, "%q", h.Boot)
				assert.Contains(t, Recognise(h.Boot).Banner, "U-Boot SPL 2023.01", "%q", h.Boot)
				if rate != 115200 {
					assert.Greater(t, h.Cycles, 1, "the beginning of the first boot went by at other rates")
				}
				assert.Empty(t, b.sent)
			})
		})
	}
}

// A console that says nothing is given up after one boot, one that says nothing
// that can be read after some; neither is given a rate.
func TestFindNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for what does not come, in real time")
	}
	t.Parallel()
	silent := newBoard(9600, "")
	e := Listen(silent)
	h, err := e.Find(t.Context(), quick(), silent.cycle)
	require.NoError(t, err)
	require.NoError(t, e.Close())
	assert.Zero(t, h.Baud)
	assert.Equal(t, 1, h.Cycles)
	assert.Empty(t, h.Tried)

	noise := newBoard(115200, "\x00\xff\x01\x80\x00\x00\x12\xfe\x00\x00\x00\xff\x01\x80\x00\x00\x12\xfe\x00\x00\x00\xff\x01\x80\x00\x00\x12\xfe\x00\x00")
	e = Listen(noise)
	l := quick()
	l.Tries = 2
	h, err = e.Find(t.Context(), l, noise.cycle)
	require.NoError(t, err)
	require.NoError(t, e.Close())
	assert.Zero(t, h.Baud)
	assert.Equal(t, 2, h.Cycles)
	assert.NotEmpty(t, h.Tried)
}

// A port that breaks, and a power cycle that does not work, are errors.
func TestFindTrouble(t *testing.T) {
	t.Parallel()
	b := newBoard(9600, boot)
	e := Listen(b)
	_, err := e.Find(t.Context(), quick(), func(context.Context) error { return errors.New("no switch") })
	assert.ErrorContains(t, err, "power cycle the device: no switch")
	_, err = e.Find(t.Context(), quick(), func(context.Context) error { close(b.closed); return nil })
	assert.ErrorContains(t, err, "the port is closed")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	_, err = e.Find(ctx, quick(), b.cycle)
	assert.Error(t, err)
}

// A newline is sent only when it is asked for.
func TestEnter(t *testing.T) {
	t.Parallel()
	b := newBoard(115200, boot)
	b.answer = "\r\nacme login: "
	e := Listen(b)
	require.NoError(t, b.SetRate(t.Context(), 115200))
	raw, err := e.Enter(t.Context(), "\r", 200*time.Millisecond)
	require.NoError(t, err)
	require.NoError(t, e.Close())
	assert.Equal(t, "\r", b.sent)
	assert.Equal(t, "acme login: ", Recognise(raw).Login)
}
