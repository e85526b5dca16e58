package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"rigor/harness/wire"

	"github.com/stretchr/testify/require"
)

// fakePort is a port in memory. Time in it is synctest's.
type fakePort struct {
	in     chan []byte
	closed chan struct{}
	once   sync.Once
	fault  chan error
	rest   []byte

	mu      sync.Mutex
	wrote   bytes.Buffer
	at      []time.Time // of each write
	breaks  []time.Duration
	rates   []int
	onWrite func(p []byte) // called for each write
	broken  error          // what Write gives
}

func newFakePort() *fakePort {
	return &fakePort{in: make(chan []byte, 4096), closed: make(chan struct{}), fault: make(chan error, 1)}
}

func (f *fakePort) say(s string) {
	if s != "" {
		f.in <- []byte(s)
	}
}

func (f *fakePort) Read(p []byte) (int, error) {
	if len(f.rest) == 0 {
		select {
		case f.rest = <-f.in:
		case err := <-f.fault:
			return 0, err
		case <-f.closed:
			return 0, io.EOF
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

func (f *fakePort) Write(ctx context.Context, p []byte) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return f.broken
	}
	f.wrote.Write(p)
	f.at = append(f.at, time.Now())
	if f.onWrite != nil {
		f.onWrite(append([]byte(nil), p...))
	}
	return nil
}

func (f *fakePort) written() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wrote.String()
}

func (f *fakePort) Break(_ context.Context, d time.Duration) error {
	f.breaks = append(f.breaks, d)
	return nil
}

func (f *fakePort) SetRate(_ context.Context, baud int) error {
	if baud == 1 {
		return wire.ErrUnsupported
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rates = append(f.rates, baud)
	return nil
}

func (f *fakePort) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

// onLine calls answer with each line that was sent, without its Enter.
func (f *fakePort) onLine(answer func(line string)) {
	var line []byte
	f.onWrite = func(p []byte) {
		for _, b := range p {
			if b == '\r' {
				answer(string(line))
				line = nil
				continue
			}
			line = append(line, b)
		}
	}
}

var errUnplugged = errors.New("unplugged")

func open(t *testing.T, opts Options) (*Console, *fakePort) {
	t.Helper()
	port := newFakePort()
	opts.Part = "console.main"
	c := Open(t.Context(), port, opts)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c, port
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
