package check

import (
	"fmt"
	"time"

	"rigor/harness/dut"
)

// later is what a run remembers of updates for the cases behind one: what a DUT refuses
// now may run later, and what it refuses may keep it from looking at what follows.
type later struct {
	refused   []handed
	runs      *dut.Running   // what ran last, as the run has brought it about
	upheavals int            // of the DUT, when that was seen
	inRow     map[string]int // by bracket: the most that were refused in a row, without a restart
	settles   time.Duration  // how long an image runs until a start does not undo it
	settled   bool           // that was looked at
	borne     map[string]int // by bracket: the most behind which a genuine one is shown to be taken
}

// handed is something that a DUT refused, and what it would show if it ran it.
type handed struct {
	by, name string
	shows    func(dut.Running) bool
}

// Ran notes what runs: the run has brought it about, or takes it as it is. What runs
// otherwise, nobody has asked for.
func (t *T) Ran(now dut.Running) {
	l, at := t.cfg.Ledger, t.Device().Upheavals()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.later.runs, l.later.upheavals = &now, at
}

// Unasked looks at what runs. Where nobody has asked for it, and it is what a case of this
// run delivered and the DUT refused, that is a finding of that case; what it is, is told.
// A factory reset or a recovery may change what runs, and is no such.
func (t *T) Unasked(now dut.Running) (what string) {
	l, at := t.cfg.Ledger, t.Device().Upheavals()
	l.mu.Lock()
	was, list := l.later.runs, l.later.refused
	known := was != nil && l.later.upheavals == at
	l.mu.Unlock()
	if !known || now.Same(*was) {
		return ""
	}
	for i := len(list) - 1; i >= 0; i-- { // of several that show alike, the one that came last
		h := list[i]
		if !h.shows(now) {
			continue
		}
		what = fmt.Sprintf("%s, which was refused in %s", h.name, h.by)
		t.Observe("update", fmt.Sprintf("%s ran, and at a later start %s runs: that is %s", was, now, what), h.by)
		return what
	}
	return ""
}

// refused notes what a case delivered and the DUT refused.
func (l *Ledger) refused(by, name string, shows func(dut.Running) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.later.refused = append(l.later.refused, handed{by, name, shows})
}

// row notes how many images were refused in a row, without a restart.
func (l *Ledger) row(bracket string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.later.inRow == nil {
		l.later.inRow = map[string]int{}
	}
	l.later.inRow[bracket] = max(l.later.inRow[bracket], n)
}

// Bears notes that a genuine image is taken behind so many refused ones, without a restart
// between.
func (t *T) Bears(bracket string, n int) {
	l := t.cfg.Ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.later.borne == nil {
		l.later.borne = map[string]int{}
	}
	l.later.borne[bracket] = max(l.later.borne[bracket], n)
}

// Unborne gives how many images were refused in a row by claims of a bracket, where it is
// not shown that a genuine one is taken behind so many; else 0. A DUT that refuses
// everything behind a bad image has looked at none of the others.
func (t *T) Unborne(bracket string) int {
	l := t.cfg.Ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.later.inRow[bracket]; n > l.later.borne[bracket] {
		return n
	}
	return 0
}

// Settles notes that it was looked at how long an image has to run until a start does not
// undo it, and what that is; 0 also where none was seen that would do.
func (t *T) Settles(d time.Duration) {
	l := t.cfg.Ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	l.later.settles, l.later.settled = max(l.later.settles, d), true
}

// SettleTime gives how long that is, and whether the run has found it out for this unit.
func (t *T) SettleTime() (d time.Duration, known bool) {
	l := t.cfg.Ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.later.settles, l.later.settled
}
