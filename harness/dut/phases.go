package dut

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"rigor/harness/beside"
	"rigor/harness/console"
	"rigor/harness/console/expect"
	"rigor/harness/powercut"
	"rigor/harness/profile"
	"rigor/harness/wire"
)

// Phases watches for what shows that the phases of a piece of work begin, on consoles
// and lines.
type Phases struct {
	d     *Device
	decl  []profile.CutPhase
	from  map[string]console.Cursor
	lines map[string]wire.Line
	gaps  map[string]int
}

// Phases begins to watch here: what a console shows from now on counts, whenever
// Watch is called.
func (d *Device) Phases(decl []profile.CutPhase) (*Phases, error) {
	w := &Phases{d: d, decl: decl, from: map[string]console.Cursor{}, lines: map[string]wire.Line{}}
	w.gaps, _ = d.Gaps()
	for _, ph := range decl {
		switch {
		case ph.Console != "":
			con, err := d.Console(ph.Console)
			if err != nil {
				return nil, err
			}
			w.from[ph.Console] = con.Mark()
		case ph.Line != "":
			l, err := d.Line(ph.Line)
			if err != nil {
				return nil, err
			}
			w.lines[ph.Line] = l
		}
	}
	return w, nil
}

// Watch tells of each marker until ctx ends, and then of those that have come by
// then. Marks of one console come in their order. The error is a fault of an
// instrument; a console whose plug was out meanwhile is one.
func (w *Phases) Watch(ctx context.Context, seen func(powercut.Mark)) error {
	var mu sync.Mutex
	tell := func(m powercut.Mark) {
		mu.Lock()
		defer mu.Unlock()
		seen(m)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var watchers []func() error
	for name := range w.from {
		watchers = append(watchers, func() error { return w.console(ctx, name, tell) })
	}
	for name := range w.lines {
		watchers = append(watchers, func() error { return w.line(ctx, name, tell) })
	}
	if len(watchers) == 0 { // time alone
		<-ctx.Done()
		return nil
	}
	var first error
	var once sync.Once
	beside.All(len(watchers), func(i int) error {
		err := beside.ErrEnded
		defer func() {
			if err != nil { // the others are of no use without it
				once.Do(func() { first = err })
				stop()
			}
		}()
		err = watchers[i]()
		return err
	})
	return first
}

// console watches one console.
func (w *Phases) console(ctx context.Context, name string, tell func(powercut.Mark)) error {
	con, err := w.d.Console(name)
	if err != nil {
		return err
	}
	var patterns []expect.Pattern
	var of []profile.CutPhase
	for _, ph := range w.decl {
		if p, ok := Pattern("phase "+ph.ID, ph.Seen); ok && ph.Console == name {
			patterns, of = append(patterns, p), append(of, ph)
		}
	}
	from := w.from[name]
	for {
		m, err := con.Expect(ctx, from, patterns...)
		if err == nil {
			from = m.To
			tell(powercut.Mark{Phase: of[m.Index].ID, At: m.At, What: fmt.Sprintf("console %s at byte %d", name, m.From)})
			continue
		}
		if IsFault(err) || errors.Is(err, ErrRevoked) || ctx.Err() == nil {
			return err
		}
		break
	}
	// What has come by now is looked through to its end.
	raw, err := con.Since(from)
	if err != nil {
		return fmt.Errorf("what console %s showed last: %w", name, err)
	}
	for {
		first, at, to := -1, 0, 0
		for i, ph := range of {
			if a, b := index(ph.Seen, raw); a >= 0 && (first < 0 || a < at) {
				first, at, to = i, a, b
			}
		}
		if first < 0 {
			return w.away(name)
		}
		tell(powercut.Mark{Phase: of[first].ID, At: con.When(from + console.Cursor(to) - 1), What: fmt.Sprintf("console %s at byte %d", name, from+console.Cursor(at))})
		raw, from = raw[to:], from+console.Cursor(to)
	}
}

// index gives where a pattern is first in a text, -1 where it is not in it.
func index(p profile.Pattern, raw []byte) (at, to int) {
	if p.Regexp != nil {
		if loc := p.Regexp.FindIndex(raw); loc != nil {
			return loc[0], loc[1]
		}
		return -1, -1
	}
	at = bytes.Index(raw, []byte(p.Literal))
	return at, at + len(p.Literal)
}

// away is the fault of a console that was not read all the time.
func (w *Phases) away(name string) error {
	now, last := w.d.Gaps()
	if now[name] == w.gaps[name] {
		return nil
	}
	if _, ok := wire.AsFault(last[name]); ok {
		return last[name]
	}
	return &wire.Fault{Part: PartConsole(name), Op: "watch the phases", Err: fmt.Errorf("its port was away meanwhile: %w", last[name])}
}

// line watches one line for edges.
func (w *Phases) line(ctx context.Context, name string, tell func(powercut.Mark)) error {
	l := w.lines[name]
	of := map[bool]string{} // level → phase
	for _, ph := range w.decl {
		if ph.Line == name {
			of[ph.Edge != "released"] = ph.ID
		}
	}
	level, err := l.Asserted(ctx)
	for err == nil {
		var at time.Time
		if at, err = l.Wait(ctx, !level); err != nil {
			break
		}
		level = !level
		if id := of[level]; id != "" {
			tell(powercut.Mark{Phase: id, At: at, What: fmt.Sprintf("line %s is %s", name, map[bool]string{true: "asserted", false: "released"}[level])})
		}
	}
	if ctx.Err() != nil && !IsFault(err) && !errors.Is(err, ErrRevoked) {
		return nil
	}
	return err
}
