package dut

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"runtime/pprof"
	"slices"
	"sync"
	"time"

	"rigor/harness/wire"
)

// ErrRevoked says that the session was taken back: the budget is spent, the
// check was given up, or the run is ending.
var ErrRevoked = errors.New("the session was taken back")

// Session is the gate in front of every instrument. It is safe for concurrent
// use.
type Session struct {
	ctx    context.Context // ends with the session
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	revoked bool
	inside  map[wire.Part]int
	total   int
	idle    chan struct{} // closed while total is 0
	conns   map[net.Conn]struct{}
	fault   func(*wire.Fault)
}

// NewSession opens a session under ctx. Fault, which may be nil, hears of
// every fault that an instrument reports through it.
func NewSession(ctx context.Context, fault func(*wire.Fault)) *Session {
	s := &Session{inside: map[wire.Part]int{}, conns: map[net.Conn]struct{}{}, idle: make(chan struct{}), fault: fault}
	close(s.idle)
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	return s
}

// Revoke takes the session back: later calls fail with ErrRevoked, calls that
// are inside a driver have their context ended, connections are closed.
func (s *Session) Revoke() {
	s.mu.Lock()
	s.revoked = true
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	s.cancel(ErrRevoked)
	for _, c := range conns {
		_ = c.Close() // a connection of the check; nobody is left to hear of it
	}
}

// Quiesce waits until nobody is inside a driver. When ctx ends first it gives
// the parts in which somebody still is: those are broken.
func (s *Session) Quiesce(ctx context.Context) ([]wire.Part, error) {
	s.mu.Lock()
	idle := s.idle
	s.mu.Unlock()
	select {
	case <-idle:
		return nil, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total == 0 {
		return nil, nil
	}
	parts := slices.Sorted(maps.Keys(s.inside))
	return parts, fmt.Errorf("a driver does not come back: still inside %v", parts)
}

// enter begins an operation on a part. The context ends with the caller's, the
// session's, or when leave is called. The error is ErrRevoked.
func (s *Session) enter(ctx context.Context, part wire.Part) (context.Context, func(error) error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.revoked {
		return nil, nil, fmt.Errorf("%s: %w", part, ErrRevoked)
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", part, context.Cause(ctx))
	}
	if s.total == 0 {
		s.idle = make(chan struct{})
	}
	s.total++
	s.inside[part]++
	opCtx, cancel := context.WithCancelCause(ctx)
	// What a driver starts is the rig's, and may outlive the case: it does not
	// carry the case's label, by which routines that a check left are found.
	pprof.SetGoroutineLabels(s.ctx)
	stop := context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })
	return opCtx, func(err error) error {
		stop()
		cancel(nil)
		pprof.SetGoroutineLabels(ctx)
		s.leave(part)
		if f, ok := wire.AsFault(err); ok && s.fault != nil && !s.Revoked() {
			s.fault(f)
		}
		return err
	}, nil
}

func (s *Session) leave(part wire.Part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.inside[part]--; s.inside[part] == 0 {
		delete(s.inside, part)
	}
	if s.total == 0 {
		close(s.idle)
	}
}

// Revoked says whether the session was taken back.
func (s *Session) Revoked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revoked
}

// Do runs one operation of an instrument inside the session.
func (s *Session) Do(ctx context.Context, part wire.Part, op func(context.Context) error) error {
	ctx, leave, err := s.enter(ctx, part)
	if err != nil {
		return err
	}
	left := false
	defer func() {
		if !left { // a panic, or the end of the goroutine, inside the driver
			_ = leave(nil) // gives its argument back
		}
	}()
	err = op(ctx)
	left = true
	return leave(err)
}

// Dialer gives a dialer whose connections belong to the session.
func (s *Session) Dialer(d wire.Dialer, part wire.Part) wire.Dialer {
	return &sessionDialer{s: s, d: d, part: part}
}

type sessionDialer struct {
	s    *Session
	d    wire.Dialer
	part wire.Part
}

// DialContext dials through the session's link.
func (d *sessionDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var c net.Conn
	err := d.s.Do(ctx, d.part, func(ctx context.Context) (err error) {
		c, err = d.d.DialContext(ctx, network, address)
		return err
	})
	if err != nil {
		return nil, err
	}
	sc := &sessionConn{Conn: c, s: d.s}
	d.s.mu.Lock()
	revoked := d.s.revoked
	if !revoked {
		d.s.conns[c] = struct{}{}
	}
	d.s.mu.Unlock()
	if revoked {
		_ = c.Close()
		return nil, fmt.Errorf("%s: dial %s: %w", d.part, address, ErrRevoked)
	}
	return sc, nil
}

// sessionConn is a connection that the session can close.
type sessionConn struct {
	net.Conn
	s *Session
}

// Close closes the connection and forgets it.
func (c *sessionConn) Close() error {
	c.s.mu.Lock()
	delete(c.s.conns, c.Conn)
	c.s.mu.Unlock()
	return c.Conn.Close()
}

// Line gives l behind the session.
func (s *Session) Line(l wire.Line, part wire.Part) wire.Line { return &sessionLine{s, l, part} }

type sessionLine struct {
	s    *Session
	l    wire.Line
	part wire.Part
}

func (l *sessionLine) Assert(ctx context.Context) error  { return l.s.Do(ctx, l.part, l.l.Assert) }
func (l *sessionLine) Release(ctx context.Context) error { return l.s.Do(ctx, l.part, l.l.Release) }

func (l *sessionLine) Asserted(ctx context.Context) (on bool, err error) {
	err = l.s.Do(ctx, l.part, func(ctx context.Context) error {
		on, err = l.l.Asserted(ctx)
		return err
	})
	return on, err
}

func (l *sessionLine) Wait(ctx context.Context, want bool) (at time.Time, err error) {
	err = l.s.Do(ctx, l.part, func(ctx context.Context) error {
		at, err = l.l.Wait(ctx, want)
		return err
	})
	return at, err
}

// Close does nothing: the line belongs to the rig.
func (l *sessionLine) Close() error { return nil }

// Power gives p behind the session.
func (s *Session) Power(p wire.Power) wire.Power { return &sessionPower{s, p} }

type sessionPower struct {
	s *Session
	p wire.Power
}

// PartPower names the power switch in faults and results.
const PartPower wire.Part = "power"

func (p *sessionPower) On(ctx context.Context) error  { return p.s.Do(ctx, PartPower, p.p.On) }
func (p *sessionPower) Off(ctx context.Context) error { return p.s.Do(ctx, PartPower, p.p.Off) }

func (p *sessionPower) State(ctx context.Context) (st wire.PowerState, err error) {
	err = p.s.Do(ctx, PartPower, func(ctx context.Context) error {
		st, err = p.p.State(ctx)
		return err
	})
	return st, err
}

// Close does nothing: the switch belongs to the rig.
func (p *sessionPower) Close() error { return nil }
