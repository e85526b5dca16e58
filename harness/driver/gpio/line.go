package gpio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	periph "periph.io/x/conn/v3/gpio"

	"rigor/harness/wire"
)

// slice bounds one WaitForEdge. The pin is locked for that long, so it is also
// the longest that an Assert waits behind a Wait on the same line, and that a
// Wait outlives its context.
const slice = 20 * time.Millisecond

// recheck is how often a waiting line is configured anew. Read and WaitForEdge
// have no way to return an error; In has, and finds a pin that is gone.
const recheck = time.Second

// Line is one wire on a periph pin. It remembers what it drives: reading a
// driven pin back would turn it into an input on the character device, and so
// let go of a reset that must be held.
type Line struct {
	pin  periph.PinIO
	conf Config

	mu      mutex
	driving bool // the pin is an output
	driven  bool // and is driven to the asserted level
	closed  bool
	edge    periph.Edge   // what the input was configured for
	waiters int           // calls of Wait and Watch under way
	changed chan struct{} // closed and replaced when what we drive changes
	release func()        // gives the pin back to the kernel, may be nil
}

var _ wire.Line = (*Line)(nil)

// mutex is a lock held across a wait for an edge. A channel, in place of a
// sync.Mutex, lets a test's virtual clock go on while somebody queues for it.
type mutex chan struct{}

func (m mutex) Lock()   { m <- struct{}{} }
func (m mutex) Unlock() { <-m }

// NewLine takes a pin, real or virtual, and lets go of it: the pin is an input
// from here to the first Assert. An error is a *wire.Fault, or that of
// Config.Validate.
func NewLine(pin periph.PinIO, conf Config) (*Line, error) {
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	if pin == nil {
		return nil, fmt.Errorf("line %q: no pin", conf.Part)
	}
	if conf.Pull == periph.PullNoChange {
		conf.Pull = periph.Float
	}
	if conf.Poll == 0 {
		conf.Poll = defaultPoll
	}
	l := &Line{pin: pin, conf: conf, mu: make(mutex, 1), changed: make(chan struct{})}
	if err := pin.In(conf.Pull, periph.NoEdge); err != nil {
		return nil, l.fault("make the pin an input", err)
	}
	return l, nil
}

// Part is the line's name in results.
func (l *Line) Part() wire.Part { return l.conf.Part }

// String names the line, its pin and its polarity.
func (l *Line) String() string {
	return fmt.Sprintf("%s on %s, active %s, %s", l.conf.Part, l.pin.Name(), l.conf.Active, l.conf.Drive)
}

// Assert drives the line to its asserted level. It fails with a *wire.Fault
// when the pin refuses, and with ctx's error when ctx is over already.
func (l *Line) Assert(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: assert: %w", l.conf.Part, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.assert()
}

func (l *Line) assert() error {
	if l.closed {
		return l.fault("assert", os.ErrClosed)
	}
	// The first Out on the character device asks for an output without a value,
	// which the kernel puts low, and sets the level only then. That is harmless
	// here because the first Out is always to the asserted level: an active-high
	// line is low for a moment, as it is at rest, and an active-low one has to go
	// low anyhow.
	l.driving, l.driven, l.edge = true, true, periph.NoEdge
	defer l.wake()
	if err := l.pin.Out(l.conf.Active.level()); err != nil {
		// Nobody knows now what the pin does, so it is let go of.
		if in := l.pin.In(l.conf.Pull, periph.NoEdge); in == nil {
			l.driving, l.driven = false, false
		}
		return l.fault("assert", err)
	}
	return nil
}

// Release lets the line go. It ignores the end of ctx, since letting go is
// what puts a rig safe.
func (l *Line) Release(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil // Close has released it
	}
	return l.letGo(l.conf.HoldIdle)
}

// letGo makes the pin an input, or drives the idle level with hold set. A pin
// that is not driven stays an input in any case: its first Out may pulse low.
func (l *Line) letGo(hold bool) error {
	defer l.wake()
	if hold && l.driving {
		l.driven = false
		if err := l.pin.Out(!l.conf.Active.level()); err != nil {
			return l.fault("drive to idle", err)
		}
		return nil
	}
	if err := l.pin.In(l.conf.Pull, periph.NoEdge); err != nil {
		return l.fault("release", err)
	}
	l.driving, l.driven, l.edge = false, false, periph.NoEdge
	return nil
}

// Asserted reads the wire. While we drive the line it answers with what is
// driven, from memory.
func (l *Line) Asserted(ctx context.Context) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("%s: read: %w", l.conf.Part, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return false, l.fault("read", os.ErrClosed)
	case l.driving:
		return l.driven, nil
	}
	// Configured anew before each read, for its error: see recheck.
	if err := l.pin.In(l.conf.Pull, l.edge); err != nil {
		return false, l.fault("read", err)
	}
	return l.read(), nil
}

// read gives the level of a pin that is an input, in terms of asserted.
func (l *Line) read() bool { return l.pin.Read() == l.conf.Active.level() }

// Close lets go of the line, also of one that holds its idle level, and gives
// the pin back. It ends a Wait that is under way, and may be called again.
func (l *Line) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	// An input first: kernels exist that keep a given-back output driven.
	err := l.letGo(false)
	if l.release != nil {
		l.release()
	}
	return err
}

// wake tells waiting calls that what we drive has changed.
func (l *Line) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Line) fault(op string, err error) error {
	return &wire.Fault{Part: l.conf.Part, Op: fmt.Sprintf("%s (pin %s)", op, l.pin.Name()), Err: err}
}

// Press is what a pulse did, in the rig's own time.
type Press struct {
	// Asserted is when the pin had been told to assert, Released when it had
	// been told to let go. Both are on the monotonic clock.
	Asserted, Released time.Time
}

// Held is how long the line was asserted.
func (p Press) Held() time.Duration { return p.Released.Sub(p.Asserted) }

// Pulse asserts the line for d, more than zero, and releases it whatever
// happens in between. The Press is what was measured, also beside an error:
// when ctx ends in mid-press it says how long the press lasted.
func (l *Line) Pulse(ctx context.Context, d time.Duration) (p Press, err error) {
	if d <= 0 {
		return Press{}, fmt.Errorf("%s: pulse of %v: want more than zero", l.conf.Part, d)
	}
	if err := ctx.Err(); err != nil {
		return Press{}, fmt.Errorf("%s: pulse of %v: %w", l.conf.Part, d, err)
	}
	defer func() {
		err = errors.Join(err, l.Release(ctx))
		p.Released = time.Now()
	}()
	l.mu.Lock()
	err = l.assert()
	p.Asserted = time.Now()
	l.mu.Unlock()
	if err != nil {
		return p, err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return p, nil
	case <-ctx.Done():
		return p, fmt.Errorf("%s: pulse of %v cut short: %w", l.conf.Part, d, ctx.Err())
	}
}
