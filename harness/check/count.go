package check

import (
	"time"
)

// counting is a way in which a device may count the wrong tries of a window.
type counting int

const (
	sliding  counting = iota // those of the last window
	idling                   // all, until a window goes by without one
	anchored                 // those of the window that the first one began
)

// counter is what a device would have counted if it counted in one way: a
// profile says how many tries count in which time, and not how that is kept.
type counter struct {
	way    counting
	window time.Duration
	tries  []time.Time // that count now
	locked time.Time   // until
}

// counters are the ways in which a device may count, with a window that is by
// its own clock a little longer or shorter than declared.
func counters(p Pace) []counter {
	var out []counter
	for _, way := range []counting{sliding, idling, anchored} {
		for _, w := range []time.Duration{p.Window - paceMargin, p.Window + paceMargin} {
			out = append(out, counter{way: way, window: w})
		}
	}
	return out
}

// add counts a wrong try at a moment; the after-th locks for hold.
func (c *counter) add(at time.Time, after int, hold time.Duration) {
	c.age(at)
	c.tries = append(c.tries, at)
	if len(c.tries) >= after {
		c.lock(at.Add(hold))
	}
}

// lock begins a lock, with which the count begins anew.
func (c *counter) lock(until time.Time) { c.tries, c.locked = nil, until }

// age drops what does not count any more.
func (c *counter) age(now time.Time) {
	n := len(c.tries)
	if n == 0 {
		return
	}
	switch c.way {
	case sliding:
		old := 0
		for old < n && now.Sub(c.tries[old]) > c.window {
			old++
		}
		c.tries = c.tries[old:]
	case idling:
		if now.Sub(c.tries[n-1]) > c.window {
			c.tries = nil
		}
	case anchored:
		if now.Sub(c.tries[0]) > c.window {
			c.tries = nil
		}
	}
}
