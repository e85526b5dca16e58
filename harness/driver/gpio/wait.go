package gpio

import (
	"context"
	"fmt"
	"os"
	"time"

	periph "periph.io/x/conn/v3/gpio"
)

// Edge is a change of a line as it was noticed.
type Edge struct {
	Asserted bool
	At       time.Time // on the monotonic clock
}

// Wait blocks until the line is asserted, or released with want false. It
// returns at once when that holds already. A pulse so short that the level is
// back before it is read, some 0.2 ms on a Raspberry Pi, goes unnoticed. When
// ctx ends the error wraps ctx's and is no fault: it is the DUT that did not
// move the line.
func (l *Line) Wait(ctx context.Context, want bool) (time.Time, error) {
	start := time.Now()
	w := l.watch()
	defer w.end()
	for {
		got, err := w.next(ctx)
		if err == nil && got.Asserted == want {
			return got.At, nil
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return time.Time{}, fmt.Errorf("%s: still %s after %v: %w", l.conf.Part, word(!want),
				time.Since(start).Round(time.Millisecond), err)
		}
		return time.Time{}, err
	}
}

// Watch calls seen with the level that the line has, and then with each change,
// until ctx ends or seen returns false. It returns nil in the latter case, and
// else an error like Wait's. seen runs on the caller's goroutine and must not block.
func (l *Line) Watch(ctx context.Context, seen func(Edge) bool) error {
	w := l.watch()
	defer w.end()
	for {
		e, err := w.next(ctx)
		if err != nil {
			return fmt.Errorf("%s: watch: %w", l.conf.Part, err)
		}
		if !seen(e) {
			return nil
		}
	}
}

func word(asserted bool) string {
	if asserted {
		return "asserted"
	}
	return "released"
}

// watcher turns a pin's edges and levels into changes.
type watcher struct {
	line  *Line
	known bool // last holds a level
	last  bool
	armed chan struct{} // the epoch of Line.changed in which edges were armed
	since time.Time     // when they were
	polls bool          // the pin has no edges
}

func (l *Line) watch() *watcher {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters++
	return &watcher{line: l}
}

// end disarms the edges with the last watcher, so that the kernel does not go
// on to queue events that nobody reads.
func (w *watcher) end() {
	l := w.line
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters--
	if l.waiters == 0 && l.edge != periph.NoEdge && !l.driving && !l.closed {
		// A pin that fails here fails again, and says so, at its next use.
		_ = l.pin.In(l.conf.Pull, periph.NoEdge)
		l.edge = periph.NoEdge
	}
}

// next gives the current level at its first call, and the next change at each
// further one.
func (w *watcher) next(ctx context.Context) (Edge, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Edge{}, err
		}
		level, pause, changed, err := w.look(ctx)
		if err != nil {
			return Edge{}, err
		}
		if !w.known || level != w.last {
			w.known, w.last = true, level
			return Edge{Asserted: level, At: time.Now()}, nil
		}
		if pause == 0 {
			continue
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// look reads the line once, after at most one slice of waiting for an edge.
// It says how long the caller has to pause before it looks again.
func (w *watcher) look(ctx context.Context) (level bool, pause time.Duration, changed <-chan struct{}, err error) {
	l := w.line
	l.mu.Lock()
	defer l.mu.Unlock()
	changed = l.changed
	switch {
	case l.closed:
		return false, 0, changed, l.fault("wait", os.ErrClosed)
	case l.driving:
		// Nothing but ourselves can change what we report of a driven line.
		return l.driven, time.Hour, changed, nil
	}
	if w.armed != l.changed || time.Since(w.since) > recheck || (!w.polls && l.edge == periph.NoEdge) {
		if err := w.arm(); err != nil {
			return false, 0, changed, err
		}
		return l.read(), 0, changed, nil
	}
	if w.polls {
		return l.read(), l.conf.Poll, changed, nil
	}
	// Never a value <= 0, on which implementations disagree.
	d := slice
	if end, ok := ctx.Deadline(); ok {
		d = max(min(d, time.Until(end)), time.Microsecond)
	}
	before := time.Now()
	edge := l.pin.WaitForEdge(d)
	if !edge && time.Since(before) < d/2 {
		// It came back early with nothing: broken edge detection, reported by
		// the pin to a log at best. Without this pause the loop would spin.
		pause = l.conf.Poll
	}
	return l.read(), pause, changed, nil
}

// arm makes the pin an input with edge detection, or without where it has none.
func (w *watcher) arm() error {
	l := w.line
	w.armed, w.since = l.changed, time.Now()
	if !w.polls {
		if l.pin.In(l.conf.Pull, periph.BothEdges) == nil {
			l.edge = periph.BothEdges
			return nil
		}
		w.polls = true
	}
	if err := l.pin.In(l.conf.Pull, periph.NoEdge); err != nil {
		return l.fault("wait", err)
	}
	return nil
}
