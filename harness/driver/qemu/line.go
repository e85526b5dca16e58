package qemu

import (
	"cmp"
	"context"
	"maps"
	"os"
	"slices"
	"time"

	"rigor/harness/wire"
)

// LineConfig describes one line.
type LineConfig struct {
	Part wire.Part
	Name string // of Spec.LineNames
	Low  bool   // asserted is the low level
	// Input says that the line is only read: an output of the device. Any other is
	// an input of the device, which we drive to its asserted or its idle level; what
	// a pull resistor would do is ours too.
	Input bool
}

// Line is one wire to a machine.
type Line struct {
	m     *Machine
	conf  LineConfig
	n     int
	reset bool
	give  func() error
}

var _ wire.Line = (*Line)(nil)

// NewLine gives a line of a machine that has no power yet; give is called by Close.
// The error says what is wrong with the rig file.
func NewLine(m *Machine, conf LineConfig, give func() error) (*Line, error) {
	if err := m.conf.Spec.Known(conf.Name); err != nil {
		return nil, err
	}
	l := &Line{m: m, conf: conf, give: give, reset: conf.Name == ResetLine}
	if l.reset {
		return l, nil
	}
	l.n = m.conf.Spec.PL061.Lines[conf.Name]
	m.mu.Lock()
	defer m.mu.Unlock()
	if conf.Input {
		m.watched = true
	} else {
		m.driven[l.n] = conf.Low
	}
	return l, nil
}

// usesChip says whether a line of the chip is used.
func (m *Machine) usesChip() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.watched || len(m.driven) > 0
}

type level struct {
	line int
	high bool
}

func sortedLevels(of map[int]bool) (out []level) {
	for n := range maps.Keys(of) {
		out = append(out, level{n, of[n]})
	}
	slices.SortFunc(out, func(a, b level) int { return cmp.Compare(a.line, b.line) })
	return out
}

// Assert drives the line. Of reset it is that the whole machine stands still, in
// its reset state, until Release.
func (l *Line) Assert(ctx context.Context) error { return l.drive(ctx, "assert", true) }

// Release drives the line to its idle level, or lets the machine begin anew.
func (l *Line) Release(ctx context.Context) error { return l.drive(ctx, "release", false) }

func (l *Line) drive(ctx context.Context, op string, on bool) error {
	if l.conf.Input {
		if !on {
			return nil // it is never driven
		}
		return &wire.Fault{Part: l.conf.Part, Op: op, Err: wire.ErrUnsupported}
	}
	if err := l.m.Alive(); err != nil {
		return fault(ctx, l.conf.Part, op, err)
	}
	if l.reset {
		return fault(ctx, l.conf.Part, op, l.m.hold(ctx, on))
	}
	return fault(ctx, l.conf.Part, op, l.m.drive(ctx, l.n, on != l.conf.Low))
}

// drive puts a level on an input of the chip. Without power it is only on the wire.
func (m *Machine) drive(ctx context.Context, n int, high bool) error {
	m.mu.Lock()
	r := m.run
	m.driven[n] = high
	m.told()
	m.mu.Unlock()
	if r == nil {
		return nil
	}
	err := r.pins.set(ctx, r.chip, n, high)
	return m.unlessOff(r, err)
}

// hold keeps the machine in reset, or lets it go.
func (m *Machine) hold(ctx context.Context, on bool) error {
	m.mu.Lock()
	r, was := m.run, m.held
	if on || r == nil {
		m.held = on
		m.told()
	}
	m.mu.Unlock()
	if r == nil || was == on {
		return nil
	}
	commands := []string{"cont"}
	if on {
		commands = []string{"stop", "system_reset"}
	}
	for _, c := range commands {
		if _, err := r.mon.execute(ctx, c, nil); err != nil {
			return m.unlessOff(r, err)
		}
	}
	m.mu.Lock()
	m.held = on
	m.told()
	m.mu.Unlock()
	return nil
}

// unlessOff drops an error that came of the supply being cut meanwhile, and says of
// a process that ended why it did.
func (m *Machine) unlessOff(r *run, err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-r.killed:
		return nil
	default:
	}
	// Our end may notice it a moment before the process is gone.
	late := time.NewTimer(100 * time.Millisecond)
	defer late.Stop()
	for {
		m.mu.Lock()
		crash, change := m.crash, m.change
		m.mu.Unlock()
		if crash != nil {
			return crash
		}
		select {
		case <-change:
		case <-late.C:
			return err
		}
	}
}

// Asserted says what is on the wire: what we drive, or what the device does. A
// device without power drives nothing.
func (l *Line) Asserted(ctx context.Context) (bool, error) {
	if err := l.m.Alive(); err != nil {
		return false, fault(ctx, l.conf.Part, "read", err)
	}
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	return l.asserted(), nil
}

// asserted is for who holds the machine's mu.
func (l *Line) asserted() bool {
	switch {
	case l.reset:
		return l.m.held
	case !l.conf.Input:
		return l.m.driven[l.n] != l.conf.Low
	case l.m.run == nil:
		return false
	}
	return l.m.outs[l.n] != l.conf.Low
}

// Wait waits for a level. The time is when the change was told to us.
func (l *Line) Wait(ctx context.Context, want bool) (time.Time, error) {
	op := "wait for release"
	if want {
		op = "wait for assertion"
	}
	for {
		if err := l.m.Alive(); err != nil {
			return time.Time{}, fault(ctx, l.conf.Part, op, err)
		}
		l.m.mu.Lock()
		is, change, closed := l.asserted(), l.m.change, l.m.closed
		l.m.mu.Unlock()
		if is == want {
			return time.Now(), nil
		}
		if closed {
			return time.Time{}, fault(ctx, l.conf.Part, op, os.ErrClosed)
		}
		select {
		case <-change:
		case <-ctx.Done():
			return time.Time{}, fault(ctx, l.conf.Part, op, ctx.Err())
		}
	}
}

// Close lets the line go, and gives the machine back.
func (l *Line) Close() error { return l.give() }
