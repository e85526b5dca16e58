package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"rigor/harness/wire"
)

// gate stands before each instrument: what goes in and out is metered, and an
// error that a driver did not dress as a fault becomes one.
type gate struct {
	part   wire.Part
	meter  *Meter
	closed atomic.Bool
}

func (g *gate) do(ctx context.Context, op string, f func() error) error {
	if g.closed.Load() {
		return &wire.Fault{Part: g.part, Op: op, Err: ErrClosed}
	}
	leave := g.meter.Enter(g.part, op)
	var err error
	// A driver that panics must not leave a call inside for ever.
	defer func() { leave(err) }()
	err = g.dress(ctx, op, f())
	return err
}

// dress makes what a driver reports a Fault of its part. What the caller
// caused is none: its context ended, or the instrument cannot do it.
func (g *gate) dress(ctx context.Context, op string, err error) error {
	if err == nil || errors.Is(err, wire.ErrUnsupported) || errors.Is(err, wire.ErrRuns) {
		return err
	}
	if end := ctx.Err(); end != nil && errors.Is(err, end) {
		return err
	}
	if _, ok := wire.AsFault(err); ok {
		return err
	}
	return &wire.Fault{Part: g.part, Op: op, Err: err}
}

// shut closes the instrument once; a driver whose Close hangs is left behind
// after closeWithin.
func (g *gate) shut(f func() error) error {
	if g.closed.Swap(true) {
		return nil
	}
	leave := g.meter.Enter(g.part, "close")
	done := make(chan error, 1)
	go func() {
		err := f()
		leave(err)
		done <- err
	}()
	timer := time.NewTimer(closeWithin)
	defer timer.Stop()
	select {
	case err := <-done:
		if _, ok := wire.AsFault(err); err != nil && !ok {
			err = &wire.Fault{Part: g.part, Op: "close", Err: err}
		}
		return err
	case <-timer.C:
		return &wire.Fault{Part: g.part, Op: "close", Err: fmt.Errorf("the driver did not come back within %v", closeWithin)}
	}
}

const closeWithin = 2 * time.Second

type gatedPower struct {
	gate
	raw   wire.Power
	limit *limiter
	on    atomic.Bool
	off   atomic.Bool // told so, and it did
}

// On spends a power cycle unless the supply was told to be on. After an error
// it may be on or off; it counts as on, since the wear may have happened.
func (p *gatedPower) On(ctx context.Context) error {
	p.off.Store(false)
	if !p.on.Swap(true) {
		if err := p.limit.spend(LimitPowerCycles); err != nil {
			p.on.Store(false)
			return err
		}
	}
	return p.do(ctx, "on", func() error { return p.raw.On(ctx) })
}

// Off is refused where no power cycle is left: what is off then stays off, and
// every case after it would find no DUT.
func (p *gatedPower) Off(ctx context.Context) error {
	if err := p.limit.left(LimitPowerCycles); err != nil {
		return err
	}
	defer p.on.Store(false)
	err := p.do(ctx, "off", func() error { return p.raw.Off(ctx) })
	p.off.Store(err == nil)
	return err
}

func (p *gatedPower) State(ctx context.Context) (s wire.PowerState, err error) {
	err = p.do(ctx, "state", func() (err error) { s, err = p.raw.State(ctx); return err })
	if s < wire.PowerUnknown || s > wire.PowerOn {
		s = wire.PowerUnknown
	}
	return s, err
}

func (p *gatedPower) Close() error { return p.shut(p.raw.Close) }

type gatedLine struct {
	gate
	raw wire.Line
}

func (l *gatedLine) Assert(ctx context.Context) error {
	return l.do(ctx, "assert", func() error { return l.raw.Assert(ctx) })
}

func (l *gatedLine) Release(ctx context.Context) error {
	return l.do(ctx, "release", func() error { return l.raw.Release(ctx) })
}

func (l *gatedLine) Asserted(ctx context.Context) (is bool, err error) {
	err = l.do(ctx, "read", func() (err error) { is, err = l.raw.Asserted(ctx); return err })
	return is, err
}

func (l *gatedLine) Wait(ctx context.Context, want bool) (at time.Time, err error) {
	op := "wait for release"
	if want {
		op = "wait for assertion"
	}
	err = l.do(ctx, op, func() (err error) { at, err = l.raw.Wait(ctx, want); return err })
	return at, err
}

func (l *gatedLine) Close() error { return l.shut(l.raw.Close) }

type gatedPort struct {
	gate
	raw wire.Port
}

// Read is not metered: the console's owner stands in it for the whole run.
func (p *gatedPort) Read(b []byte) (int, error) { return p.raw.Read(b) }

func (p *gatedPort) Write(ctx context.Context, b []byte) error {
	return p.do(ctx, "write", func() error { return p.raw.Write(ctx, b) })
}

func (p *gatedPort) Break(ctx context.Context, d time.Duration) error {
	return p.do(ctx, "break", func() error { return p.raw.Break(ctx, d) })
}

func (p *gatedPort) SetRate(ctx context.Context, baud int) error {
	return p.do(ctx, "set rate", func() error { return p.raw.SetRate(ctx, baud) })
}

// SetFrame asks the port, where it can.
func (p *gatedPort) SetFrame(ctx context.Context, frame string) error {
	f, ok := p.raw.(wire.Framer)
	if !ok {
		return fmt.Errorf("%s: set frame %s: %w", p.part, frame, wire.ErrUnsupported)
	}
	return p.do(ctx, "set frame", func() error { return f.SetFrame(ctx, frame) })
}

// Gaps asks the port, where it can have any.
func (p *gatedPort) Gaps() (n int, last error) {
	if g, ok := p.raw.(wire.Gapped); ok {
		return g.Gaps()
	}
	return 0, nil
}

// Empty asks the port, where it knows.
func (p *gatedPort) Empty() time.Time {
	if d, ok := p.raw.(wire.Dated); ok {
		return d.Empty()
	}
	return time.Time{}
}

func (p *gatedPort) Close() error { return p.shut(p.raw.Close) }

type gatedLink struct {
	gate
	raw wire.Link
}

// DialContext meters the dial and gives a connection that meters the DUT's
// answers. What the DUT did (refused, reset, silent) stays as it is.
func (l *gatedLink) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	op := "dial " + network + " " + address
	if l.closed.Load() {
		return nil, &wire.Fault{Part: l.part, Op: op, Err: ErrClosed}
	}
	leave := l.meter.Enter(l.part, op)
	var err error
	defer func() { leave(err) }()
	var c net.Conn
	if c, err = l.raw.DialContext(ctx, network, address); err != nil {
		return nil, err
	}
	return &gatedConn{Conn: c, meter: l.meter, peer: address}, nil
}

func (l *gatedLink) Check(ctx context.Context) error {
	return l.do(ctx, "check", func() error { return l.raw.Check(ctx) })
}

// Find meters the search. That the DUT is not found is no fault.
func (l *gatedLink) Find(ctx context.Context, mac net.HardwareAddr) (addr netip.Addr, err error) {
	err = l.finder("find "+mac.String(), func(f wire.Finder) error { addr, err = f.Find(ctx, mac); return err })
	return addr, err
}

// Neighbour meters the look-up.
func (l *gatedLink) Neighbour(ctx context.Context, addr netip.Addr) (mac net.HardwareAddr, err error) {
	err = l.finder("look up "+addr.String(), func(f wire.Finder) error { mac, err = f.Neighbour(ctx, addr); return err })
	return mac, err
}

// Hear meters the start: what is heard is the wire's time, not the driver's.
func (l *gatedLink) Hear(ctx context.Context, mac net.HardwareAddr) (ear wire.Ear, err error) {
	hearer, ok := l.raw.(wire.Hearer)
	if !ok {
		return nil, fmt.Errorf("%s: hear %v: %w", l.part, mac, wire.ErrUnsupported)
	}
	err = l.do(ctx, "hear "+mac.String(), func() error { ear, err = hearer.Hear(ctx, mac); return err })
	return ear, err
}

// Listen meters the start alone: when the DUT comes is the DUT's time.
func (l *gatedLink) Listen(ctx context.Context, toward string) (on net.Listener, err error) {
	listener, ok := l.raw.(wire.Listener)
	if !ok {
		return nil, fmt.Errorf("%s: listen for the DUT: %w", l.part, wire.ErrUnsupported)
	}
	err = l.do(ctx, "listen for the DUT", func() error { on, err = listener.Listen(ctx, toward); return err })
	return on, err
}

func (l *gatedLink) finder(op string, f func(wire.Finder) error) (err error) {
	if l.closed.Load() {
		return &wire.Fault{Part: l.part, Op: op, Err: ErrClosed}
	}
	finder, ok := l.raw.(wire.Finder)
	if !ok {
		return fmt.Errorf("%s: %s: %w", l.part, op, wire.ErrUnsupported)
	}
	leave := l.meter.Enter(l.part, op)
	defer func() { leave(err) }()
	return f(finder)
}

func (l *gatedLink) Close() error { return l.shut(l.raw.Close) }

// gatedConn counts the time from something sent to the next thing received as
// the DUT's. Counting each Read would be wrong: clients of SSH and HTTP keep
// one standing in the background.
type gatedConn struct {
	net.Conn
	meter *Meter
	peer  string // as it was dialled: a connection that is over may not know it any more
	mu    sync.Mutex
	due   func()
}

func (c *gatedConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	if c.due == nil {
		c.due = c.meter.Waiting("an answer from " + c.peer)
	}
	c.mu.Unlock()
	n, err := c.Conn.Write(b)
	if err != nil {
		c.answered()
	}
	return n, err
}

func (c *gatedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.answered()
	return n, err
}

func (c *gatedConn) Close() error {
	err := c.Conn.Close()
	c.answered()
	return err
}

// CloseWrite ends our half where the connection has halves.
func (c *gatedConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return wire.ErrUnsupported
	}
	return half.CloseWrite()
}

func (c *gatedConn) answered() {
	c.mu.Lock()
	due := c.due
	c.due = nil
	c.mu.Unlock()
	if due != nil {
		due()
	}
}

// Names of what wears and is limited by the rig file.
const (
	LimitPowerCycles = "power-cycles"
	LimitFlashWrites = "flash-writes"
)

// LimitError says that the rig file allows no more of something. It is no
// fault of an instrument: the rig lacks the leave.
type LimitError struct {
	What  string // LimitPowerCycles, LimitFlashWrites
	Limit int
	Kept  int // that have to be left for what follows
}

// Error names the limit and its place in the rig file.
func (e *LimitError) Error() string {
	if e.Kept > 0 {
		return fmt.Sprintf("limits.%s: of the %d that the rig file allows in a run too few are left to have %d more behind this one", e.What, e.Limit, e.Kept)
	}
	return fmt.Sprintf("limits.%s: all %d that the rig file allows in a run are used", e.What, e.Limit)
}

// Is makes it a wire.ErrLimit.
func (e *LimitError) Is(target error) bool { return target == wire.ErrLimit }

type limiter struct {
	mu    sync.Mutex
	limit map[string]int // absent or zero: not limited
	used  map[string]int
}

func newLimiter(l Limits) *limiter {
	return &limiter{
		limit: map[string]int{LimitPowerCycles: l.PowerCycles, LimitFlashWrites: l.FlashWrites},
		used:  map[string]int{},
	}
}

func (l *limiter) spend(what string) error { return l.spendKeeping(what, 0) }

// spendKeeping is spend where so many more have to be left behind it.
func (l *limiter) spendKeeping(what string, keep int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if max := l.limit[what]; max > 0 && l.used[what]+keep >= max {
		return &LimitError{What: what, Limit: max, Kept: keep}
	}
	l.used[what]++
	return nil
}

// left gives an error where spend would.
func (l *limiter) left(what string) error { return l.leaves(what, 1) }

// leaves gives an error where less than so many are left.
func (l *limiter) leaves(what string, n int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if max := l.limit[what]; max > 0 && l.used[what]+n > max {
		return &LimitError{What: what, Limit: max, Kept: n - 1}
	}
	return nil
}

func (l *limiter) spent(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used[what]
}
