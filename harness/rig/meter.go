package rig

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"rigor/harness/wire"
)

// Op is one operation on an instrument, as it was when it ended.
type Op struct {
	Part  wire.Part
	Name  string // "assert", "on", "dial tcp 192.0.2.1:22"
	Start time.Time
	Took  time.Duration
	Err   error
}

// Inside is a call that has entered a driver and has not come back.
type Inside struct {
	Part  wire.Part
	Op    string
	Since time.Time
}

// Meter knows who is inside a driver, and for how long anybody was. Times in
// which several calls overlap count once, so that wall time minus Total is the
// harness's own share.
type Meter struct {
	observe func(Op)

	mu     sync.Mutex
	next   uint64
	inside map[uint64]Inside
	waits  map[uint64]Wait
	busy   int       // calls and declared waits under way
	since  time.Time // when busy left zero
	total  time.Duration
	idle   chan struct{} // closed when nobody is inside
}

func newMeter(observe func(Op)) *Meter {
	idle := make(chan struct{})
	close(idle)
	return &Meter{observe: observe, inside: map[uint64]Inside{}, waits: map[uint64]Wait{}, idle: idle}
}

// Enter notes that a call goes into a driver. The function that it gives must
// be called, once, when the call has come back.
func (m *Meter) Enter(part wire.Part, op string) (leave func(error)) {
	start := time.Now()
	m.mu.Lock()
	m.next++
	id := m.next
	if len(m.inside) == 0 {
		m.idle = make(chan struct{})
	}
	m.inside[id] = Inside{Part: part, Op: op, Since: start}
	m.begin(start)
	m.mu.Unlock()
	return func(err error) {
		end := time.Now()
		m.mu.Lock()
		delete(m.inside, id)
		if len(m.inside) == 0 {
			close(m.idle)
		}
		m.end(end)
		m.mu.Unlock()
		done := Op{Part: part, Name: op, Start: start, Took: end.Sub(start), Err: err}
		slog.Debug("wire", "part", string(part), "op", op, "took", done.Took, "failed", err != nil)
		if m.observe != nil {
			m.observe(done)
		}
	}
}

// Waiting notes a declared wait for the DUT, such as a hold time or an answer
// that is due. It counts as time that is not the harness's, but nobody is
// inside a driver. The function that it gives ends the wait; calling it again
// does nothing.
func (m *Meter) Waiting(what string) (done func()) {
	now := time.Now()
	m.mu.Lock()
	m.next++
	id := m.next
	m.waits[id] = Wait{What: what, Since: now}
	m.begin(now)
	m.mu.Unlock()
	var once sync.Once
	return func() {
		once.Do(func() {
			end := time.Now()
			m.mu.Lock()
			delete(m.waits, id)
			m.end(end)
			m.mu.Unlock()
			slog.Debug("waited", "for", what, "took", end.Sub(now))
		})
	}
}

// Wait is something that is waited for.
type Wait struct {
	What  string
	Since time.Time
}

// Doing gives what is waited for longest: a declared wait, or else a call that has
// not come back from its driver. The zero Wait says that there is none.
func (m *Meter) Doing() (out Wait) {
	m.mu.Lock()
	for _, w := range m.waits {
		if w.What != "" && (out.What == "" || w.Since.Before(out.Since)) {
			out = w
		}
	}
	m.mu.Unlock()
	if out.What != "" {
		return out
	}
	if in := m.Inside(); len(in) > 0 {
		return Wait{What: fmt.Sprintf("%s: %s", in[0].Part, in[0].Op), Since: in[0].Since}
	}
	return out
}

func (m *Meter) begin(now time.Time) {
	if m.busy == 0 {
		m.since = now
	}
	m.busy++
}

func (m *Meter) end(now time.Time) {
	m.busy--
	if m.busy == 0 {
		m.total += now.Sub(m.since)
	}
}

// Total gives the time during which somebody was inside a driver or in a
// declared wait, up to now.
func (m *Meter) Total() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy > 0 {
		return m.total + time.Since(m.since)
	}
	return m.total
}

// Inside lists the calls that have not come back, oldest first. The standing
// Read of a console's owner is not among them: it blocks by design.
func (m *Meter) Inside() []Inside {
	m.mu.Lock()
	defer m.mu.Unlock()
	in := make([]Inside, 0, len(m.inside))
	for _, i := range m.inside {
		in = append(in, i)
	}
	slices.SortFunc(in, func(a, b Inside) int { return a.Since.Compare(b.Since) })
	return in
}

// Idle waits until nobody is inside a driver. When ctx ends first it gives a
// *Stuck that lists who still is.
func (m *Meter) Idle(ctx context.Context) error {
	for {
		m.mu.Lock()
		idle, n := m.idle, len(m.inside)
		m.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			if in := m.Inside(); len(in) > 0 {
				return &Stuck{Calls: in, Err: ctx.Err()}
			}
			return nil
		}
	}
}

// Stuck says which calls do not come back from their drivers. Their parts are
// broken.
type Stuck struct {
	Calls []Inside
	Err   error
}

// Error names each call and how long it has been inside.
func (s *Stuck) Error() string {
	calls := make([]string, len(s.Calls))
	for i, c := range s.Calls {
		calls[i] = fmt.Sprintf("%s: %s for %v", c.Part, c.Op, time.Since(c.Since).Round(time.Millisecond))
	}
	return "calls that do not come back from their driver: " + strings.Join(calls, "; ")
}

// Unwrap gives why the waiting for them ended.
func (s *Stuck) Unwrap() error { return s.Err }

// ErrClosed says that an instrument was used after its bench was closed.
var ErrClosed = errors.New("the bench is closed")
