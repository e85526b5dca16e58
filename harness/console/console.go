// Package console owns a serial port of the DUT from power-on to the end: it
// stamps and keeps every byte, waits for patterns from a cursor, and speaks the
// dialects of logins, shells and boot loaders.
//
// Nothing is lost between an act and a wait, because a wait begins at a cursor:
// take one with Mark before the act (Send gives one), and Expect from there.
//
// A Console is safe for concurrent use. Any number may wait at once; sending is
// one at a time. No call holds a lock while it waits, and each ends with its
// context or with the port.
package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"rigor/harness/console/expect"
	"rigor/harness/escape"
	"rigor/harness/wire"
)

const (
	// DefaultWindow is how much of a transcript is kept in memory.
	DefaultWindow = 8 << 20
	// DefaultSettle is the silence that stands for the end of the text where a
	// pattern does not say.
	DefaultSettle = 100 * time.Millisecond

	closeWait = 5 * time.Second
)

// Options say how a console is recorded and spoken to. The zero value records
// nothing.
type Options struct {
	Part    wire.Part     // names the console in errors
	Newline Newline       // what Enter sends; CR where it is not said
	Pace    time.Duration // between bytes that are sent; 0 for none
	Echo    time.Duration // waited for the echo of each byte, at most; 0 for not at all
	Settle  time.Duration // DefaultSettle where it is not positive
	Window  int           // bytes kept in memory; DefaultWindow where it is not positive

	// Raw gets exactly the bytes that the DUT sent, Sent exactly those that we
	// sent, secrets included: both are private. Where Raw is an io.ReaderAt
	// over the same bytes, it serves what has left the window.
	Raw, Sent io.Writer
	// Cast gets an asciicast v2 of both directions, one line per Write.
	// Secrets that were sent as such are left out.
	Cast  io.Writer
	Title string // of the cast
	// Redact takes secrets out of what the DUT sent before the cast cuts it into
	// events, and a TimeoutError shows the last of it. Whoever does so behind them does
	// not see one that was cut.
	Redact *escape.Redactor

	// Phases are the rates of a start, in their order; Rate is the one that holds
	// behind the last of them.
	Phases []Phase
	Rate   int
}

// Reader is a console that can be watched and not spoken to.
type Reader interface {
	// Part names the console.
	Part() wire.Part
	// Mark gives the cursor behind everything that has come.
	Mark() Cursor
	// Excerpt gives the raw bytes in [from, to), as far as they have come. It
	// gives ErrForgotten for what is kept no more.
	Excerpt(from, to Cursor) ([]byte, error)
	// Since gives the raw bytes from a cursor on.
	Since(from Cursor) ([]byte, error)
	// Read gives what has come from a cursor on, and waits where nothing has.
	Read(ctx context.Context, from Cursor, p []byte) (int, error)
	// Expect waits for the first of the patterns from a cursor on.
	Expect(ctx context.Context, from Cursor, patterns ...expect.Pattern) (Match, error)
	// Quiet waits until nothing has come for d.
	Quiet(ctx context.Context, d time.Duration) (Cursor, error)
}

// Talker is a console that can be watched and spoken to. A Console is one, and
// so is a gate in front of it.
type Talker interface {
	Reader
	// Send sends p and gives the cursor from before it.
	Send(ctx context.Context, p []byte, how ...How) (Cursor, error)
	// SendLine sends a line and Enter.
	SendLine(ctx context.Context, line string, how ...How) (Cursor, error)
	// Break holds the line low.
	Break(ctx context.Context, d time.Duration) error
	// SetRate changes the baud rate.
	SetRate(ctx context.Context, baud int) error
}

// Console owns a port. It is made by Open.
type Console struct {
	port wire.Port
	opts Options
	text *transcript
	tx   chan struct{} // holds one token: the leave to write to the port
	done chan struct{}
	stop func() bool

	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error

	phases phases
	typed  lines

	recMu  sync.Mutex
	cast   *cast
	recErr error
}

var _ Talker = (*Console)(nil)

// Open takes the port over: nobody else may read it from now on. The console
// lives until Close, the end of ctx, or a fault of the port.
func Open(ctx context.Context, port wire.Port, opts Options) *Console {
	if opts.Window <= 0 {
		opts.Window = DefaultWindow
	}
	if opts.Settle <= 0 {
		opts.Settle = DefaultSettle
	}
	spill, _ := opts.Raw.(io.ReaderAt)
	c := &Console{
		port: port, opts: opts, text: newTranscript(opts.Window, spill),
		tx: make(chan struct{}, 1), done: make(chan struct{}), closing: make(chan struct{}),
	}
	if opts.Cast != nil {
		c.cast = newCast(opts.Cast, opts.Title, c.text.began, opts.Redact)
	}
	c.tx <- struct{}{}
	c.stop = context.AfterFunc(ctx, c.shut)
	go c.pump()
	return c
}

// Gaps says how often the port was away so far, so that what came meanwhile is not
// in the transcript, and why the last time.
func (c *Console) Gaps() (n int, last error) {
	if g, ok := c.port.(wire.Gapped); ok {
		return g.Gaps()
	}
	return 0, nil
}

// pump reads the port until it ends.
func (c *Console) pump() {
	defer close(c.done)
	buf := make([]byte, 32<<10)
	for {
		n, err := c.port.Read(buf)
		if n > 0 {
			c.take(buf[:n])
		}
		if err == nil && n == 0 {
			err = io.ErrNoProgress // against the contract of a port; going on would spin
		}
		if err != nil {
			c.flush()
			c.text.finish(c.why(err))
			return
		}
	}
}

// why says how the pump ended.
func (c *Console) why(err error) error {
	select {
	case <-c.closing:
		return fmt.Errorf("%s: %w", c.opts.Part, ErrClosed)
	default:
	}
	if f, ok := wire.AsFault(err); ok {
		return f
	}
	return &wire.Fault{Part: c.opts.Part, Op: "read the console", Err: err}
}

// empty gives when nothing of what the port gave last had come.
func (c *Console) empty() time.Time {
	if d, ok := c.port.(wire.Dated); ok {
		return d.Empty()
	}
	return time.Time{}
}

// take keeps what came. A recording that fails never keeps the console from
// being read.
func (c *Console) take(p []byte) {
	// Held over both, so that no answer to these bytes is recorded before them.
	c.recMu.Lock()
	defer c.recMu.Unlock()
	at := c.text.add(p, c.empty())
	c.keep(c.opts.Raw, p, "record the console's bytes")
	if c.cast != nil {
		c.cast.output(p, at)
	}
}

// flush writes what the cast still holds.
func (c *Console) flush() {
	c.recMu.Lock()
	defer c.recMu.Unlock()
	if c.cast != nil {
		c.cast.end()
	}
}

func (c *Console) keep(w io.Writer, p []byte, what string) {
	if w == nil || c.recErr != nil {
		return
	}
	if _, err := w.Write(p); err != nil {
		c.recErr = fmt.Errorf("%s: %s: %w", c.opts.Part, what, err)
	}
}

// RecordErr gives the first error of a recording, such as a full disk: what was
// recorded before it is whole, the rest is missing.
func (c *Console) RecordErr() error {
	c.recMu.Lock()
	defer c.recMu.Unlock()
	if c.recErr == nil && c.cast != nil {
		return c.cast.err
	}
	return c.recErr
}

// Marker puts a marker into the cast, such as the name of a step.
func (c *Console) Marker(text string) {
	c.recMu.Lock()
	defer c.recMu.Unlock()
	if c.cast != nil {
		c.cast.mark("m", []byte(text), time.Now())
	}
}

// Part names the console.
func (c *Console) Part() wire.Part { return c.opts.Part }

// Began is when the console was opened: the zero of the cast's times.
func (c *Console) Began() time.Time { return c.text.began }

// Mark gives the cursor behind everything that has come.
func (c *Console) Mark() Cursor { return c.text.here() }

// Excerpt gives the raw bytes in [from, to), as far as they have come. It gives
// ErrForgotten for what is kept no more.
func (c *Console) Excerpt(from, to Cursor) ([]byte, error) {
	p, err := c.text.excerpt(from, to)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.opts.Part, err)
	}
	return p, nil
}

// Since gives the raw bytes from a cursor on.
func (c *Console) Since(from Cursor) ([]byte, error) { return c.Excerpt(from, c.Mark()) }

// NotBefore gives a time at which the byte at a cursor had not come: what its coming
// shows began no earlier than what led to it, however late it was read. It is the zero
// time where the port knows of none.
func (c *Console) NotBefore(at Cursor) time.Time { return c.text.notBefore(at) }

// When gives the time at which the byte at a cursor was read, to within 5 ms, and
// the zero time where it has not come.
func (c *Console) When(at Cursor) time.Time { return c.text.when(at) }

// Done is closed when nothing more can come.
func (c *Console) Done() <-chan struct{} { return c.done }

// Err says why nothing more can come: ErrClosed, or a *wire.Fault. It is nil
// while the console lives.
func (c *Console) Err() error {
	c.text.mu.Lock()
	defer c.text.mu.Unlock()
	return c.text.over
}

// shut closes the port once.
func (c *Console) shut() {
	c.closeOnce.Do(func() {
		close(c.closing)
		c.closeErr = c.port.Close()
	})
}

// Close closes the port, waits for its last byte, and writes what the
// recordings still hold. It gives the first error of closing and recording, and
// a *wire.Fault where a port goes on reading for 5 s after it was closed.
func (c *Console) Close() error {
	c.stop()
	c.shut()
	t := time.NewTimer(closeWait)
	defer t.Stop()
	select {
	case <-c.done:
	case <-t.C:
		err := &wire.Fault{Part: c.opts.Part, Op: "close the console", Err: fmt.Errorf("a read does not end within %s", closeWait)}
		c.text.finish(err)
		return err
	}
	return errors.Join(c.closeErr, c.RecordErr())
}
