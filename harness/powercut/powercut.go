// Package powercut chooses where in a piece of work of marked phases the supply
// goes: it watches the work once without a cut, then cuts it again and again, and
// moves its aim until each declared phase was hit often enough or the budget ends.
//
// A cut counts for the phase of the last marker that was seen before the DUT fell
// silent, wherever it was aimed: what the DUT was really in when its supply went
// is known to nobody, but it was not before that marker. A cut whose "off" is not
// proven counts for nothing.
//
// The package knows no instrument: what a marker is, how the supply is cut, how
// "off" is proven and which end is allowed is the DUT's, an interface.
package powercut

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Phase is one declared stretch of the work, from its own beginning to that of the
// next that is seen, or to the end of the work.
type Phase struct {
	ID string
	// After is for a phase that nothing shows: it begins so long after the phase
	// before it. 0: a marker shows it.
	After time.Duration
}

// Mark is a marker that was seen: the beginning of a phase.
type Mark struct {
	Phase string
	At    time.Time // when it came, on the rig's clock
	What  string    // what showed it, for the record
}

// End is what the DUT was found to be when it had its supply again.
type End struct {
	Name   string // as declared: "old", "new", "reset"; or what it is in place of one
	OK     bool   // it is one of the allowed ends
	Detail string
}

// DUT is the unit whose work is cut. One call is under way at a time, but that
// Watch runs beside Act and Off.
type DUT interface {
	// Ready brings the DUT to where the work begins. What the DUT shows from the
	// return of Ready on belongs to the work.
	Ready(ctx context.Context) error
	// Watch tells every marker that it sees, in the order in which they come, until
	// ctx ends; then it tells those that have come before that, and returns nil. An
	// error is trouble of what it watches with.
	Watch(ctx context.Context, seen func(Mark)) error
	// Act does the work, from its stimulus to its declared end. It returns soon
	// after ctx ends. An error says that the work did not come to that end.
	Act(ctx context.Context) error
	// Off takes the supply away and returns when it has run down. ErrSpent says that
	// it was not taken away.
	Off(ctx context.Context) error
	// On gives the supply back and proves that it was away. ErrNotOff says that
	// this is not proven; other errors end the sweep.
	On(ctx context.Context) error
	// End says what has become of the DUT, after a cut and after work that was not
	// cut.
	End(ctx context.Context) (End, error)
}

// ErrNotOff says that nothing proves that the supply was away: the cut counts for
// nothing.
var ErrNotOff = errors.New("nothing proves that the supply was off")

// ErrSpent says that the DUT or the rig gives no more runs of the work: no more
// power cycles, no further image. It ends the sweep and is no trouble.
var ErrSpent = errors.New("no more runs of the work are to be had")

// Plan says what is wanted of a sweep.
type Plan struct {
	Phases []Phase // in the order in which they come
	Hits   int     // wanted in each; at least 1
	Cuts   int     // how often the work is begun to be cut, at most
	Seed   uint64  // of where in a phase a cut is aimed
	// Until is when no further run begins; the zero time: never.
	Until time.Time
	// Patience is how long the work may take where it is cut, to where the cut is
	// aimed; 0: four times as long as it took uncut.
	Patience time.Duration
	// Tell is told of each run when it is over; nil: nobody.
	Tell func(Run)
}

// check says what is wrong with a plan.
func (p Plan) check() error {
	seen := map[string]bool{}
	for i, ph := range p.Phases {
		switch {
		case ph.ID == "" || seen[ph.ID]:
			return fmt.Errorf("power cuts: phase %d has no name of its own: %q", i+1, ph.ID)
		case ph.After < 0:
			return fmt.Errorf("power cuts: phase %s begins %v after the one before it", ph.ID, ph.After)
		}
		seen[ph.ID] = true
	}
	if len(p.Phases) == 0 || p.Hits < 1 || p.Cuts < 1 {
		return fmt.Errorf("power cuts: %d phases, %d hits in each, %d cuts at most: each has to be one at least", len(p.Phases), p.Hits, p.Cuts)
	}
	return nil
}

// Run is one run of the work.
type Run struct {
	N     int  // 1 is the first
	Uncut bool // it was let come to its end
	Began time.Time
	Aim   string // phase that was aimed at; "" in one that is not cut
	// Anchor is the phase whose marker the offset counts from; "" is the beginning
	// of the work.
	Anchor string
	Offset time.Duration // from the anchor to when the supply was told to go
	Cut    bool          // the supply was told to go
	Proven bool          // that it was off is proven
	Phase  string        // that the cut counts for; "" is none
	Into   time.Duration // from the last marker to when the supply was told to go
	Marks  []Mark        // in the order in which they were seen
	Took   time.Duration // from the beginning to the cut, or to the end of the work
	Ended  bool          // the work came to its declared end
	Work   string        // how it ended otherwise
	Missed string        // why the run is no hit
	End    End

	off, over time.Time
	// How far in its phase the supply was meant to go, and how much earlier it was told.
	meant, shift time.Duration
	workErr      error
}

// PhaseResult is what a sweep came to in a phase.
type PhaseResult struct {
	Phase
	Seen   bool          // in the first run, which was not cut
	Lasted time.Duration // the shortest that was seen; 0 where none was
	Tries  int           // runs that were aimed at it
	Hits   int
}

// Result is what a sweep came to.
type Result struct {
	Phases []PhaseResult
	Runs   []Run
	Hits   int    // wanted in each phase
	Stop   string // why it ended before each phase had its hits; "" where each has
	// Bad is the run after which the DUT was not at one of the allowed ends; nil:
	// none. The sweep ends with it.
	Bad *Run
	// Stuck says why the work, which went once, did not go any more in two runs one
	// after the other, before anything was cut; nil: it goes.
	Stuck error
}

// Gaps gives the phases that were not hit often enough.
func (r *Result) Gaps() []PhaseResult {
	return slices.DeleteFunc(slices.Clone(r.Phases), func(p PhaseResult) bool { return p.Hits >= r.Hits })
}

// Cuts gives how many runs were cut, and how many of the cuts count for a phase.
func (r *Result) Cuts() (cut, hits int) {
	for _, run := range r.Runs {
		if run.Cut {
			cut++
		}
		if run.hit() {
			hits++
		}
	}
	return cut, hits
}

// hit says whether a run counts for its phase.
func (r Run) hit() bool { return r.Cut && r.Proven && r.Phase != "" }

// Sweep cuts the work of a DUT as planned. It begins with a run that is not cut,
// whose end has to be an allowed one, and ends with another, which shows that the
// work still goes: none is made after an end that is not allowed.
//
// What was found is told with an error too. The error is trouble that says nothing
// about the DUT's ends: of an instrument, of Ready, of an end that cannot be read,
// or of a first run that did not come to the work's end.
func Sweep(ctx context.Context, p Plan, d DUT) (*Result, error) {
	s := &sweep{plan: p, dut: d, res: &Result{Hits: p.Hits}}
	for _, ph := range p.Phases {
		s.res.Phases = append(s.res.Phases, PhaseResult{Phase: ph})
	}
	if err := p.check(); err != nil {
		return s.res, err
	}
	s.aims = newAims(p)
	if err := s.uncut(ctx); err != nil {
		return s.res, fmt.Errorf("the work without a cut: %w", err)
	}
	if s.res.Bad != nil {
		return s.res, nil
	}
	if err := s.cuts(ctx); err != nil || s.res.Bad != nil || s.res.Stuck != nil {
		return s.res, err
	}
	err := s.uncut(ctx)
	switch last := s.last(); {
	case errors.Is(err, ErrSpent):
		// Whether the work still goes is not shown: for whoever reads the runs to say.
		return s.res, nil
	case err != nil && last.workErr != nil && errors.Is(err, last.workErr):
		return s.res, s.stuck(ctx, err)
	case err != nil:
		return s.res, fmt.Errorf("the work without a cut, after the cuts: %w", err)
	}
	return s.res, nil
}

// StillGoes says whether the last run came to the work's end without a cut: the
// work still goes after all cuts.
func (r *Result) StillGoes() bool {
	n := len(r.Runs)
	return n > 1 && r.Runs[n-1].Uncut && r.Runs[n-1].Ended && r.Runs[n-1].End.OK
}
