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

// counters are the ways in which a device may count.
func counters(p Pace) []counter {
	var out []counter
	for _, way := range []counting{sliding, idling, anchored} {
		out = append(out, counter{way: way, window: p.Window})
	}
	return out
}

// add counts a wrong try at a moment; the after-th locks for hold. Sure is false
// where a try before is as old as the window: by the device's own clock it may
// count or not.
func (c *counter) add(at time.Time, after int, hold time.Duration) (sure bool) {
	sure = c.age(at)
	c.tries = append(c.tries, at)
	if len(c.tries) >= after {
		c.lock(at.Add(hold))
	}
	return sure
}

// lock begins a lock, with which the count begins anew.
func (c *counter) lock(until time.Time) { c.tries, c.locked = nil, until }

// age drops what does not count any more, and says whether that is sure.
func (c *counter) age(now time.Time) (sure bool) {
	sure = true
	old := func(at time.Time) bool {
		age := now.Sub(at)
		if age > c.window-paceMargin && age <= c.window+paceMargin {
			sure = false
		}
		return age > c.window+paceMargin
	}
	n := len(c.tries)
	if n == 0 {
		return true
	}
	switch c.way {
	case sliding:
		drop := 0
		for drop < n && old(c.tries[drop]) {
			drop++
		}
		c.tries = c.tries[drop:]
	case idling:
		if old(c.tries[n-1]) {
			c.tries = nil
		}
	case anchored:
		if old(c.tries[0]) {
			c.tries = nil
		}
	}
	return sure
}
