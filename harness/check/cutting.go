package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"rigor/harness/console"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/powercut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// Work is a piece of the DUT's work whose power is cut: an update, a reset.
type Work struct {
	ID   string // "api"
	Name string // "an update by api"
	Cut  *profile.Cut
	// Ready brings the DUT to where the work begins. powercut.ErrSpent ends the cuts.
	Ready func(ctx context.Context) error
	// Act does the work to its end. It runs beside the case, and may use nothing of it
	// but the device.
	Act func(ctx context.Context) error
	// End says what the DUT is, after a cut and after work that was not cut. It is asked
	// only where the DUT has come up.
	End func(ctx context.Context) (powercut.End, error)
	// Lines are what Act may hold asserted: they are let go while there is no supply.
	Lines []string
	// Kept is how long the cuts leave of the case's time for what comes behind them.
	Kept time.Duration
}

// Cuts are what came of cutting a piece of work.
type Cuts struct {
	*powercut.Result
	Work Work
	Ref  journal.Ref // each run: where it was cut, and as what the DUT came back
}

// IntentPowerCut is the kind of intent of a DUT whose power is cut in the midst of its
// work. It has no undoing of its own: a run begins with a boot, and brings the DUT
// where it has to be.
const IntentPowerCut = "power"

// DUTDown is how an end is called in which the DUT did not come up.
const DUTDown = "down"

// CutPower cuts the supply in each phase of a piece of work, as declared, and makes two
// claims: that each phase was hit as often as is wanted, and that the DUT always came
// back as one of the allowed ends. What else is to be said of the ends is the caller's.
func (t *T) CutPower(ctx context.Context, w Work) *Cuts {
	hits, cuts := w.Cut.Wanted()
	plan := powercut.Plan{Hits: hits, Cuts: cuts, Seed: t.Rand().Uint64()}
	for _, ph := range w.Cut.Phases {
		plan.Phases = append(plan.Phases, powercut.Phase{ID: ph.ID, After: ph.After})
	}
	if until, ok := ctx.Deadline(); ok {
		plan.Until = until.Add(-w.Kept)
	}
	done := t.Intent(IntentPowerCut, "the power is cut in "+w.Name+", by "+t.ID(), nil)
	c := &cutter{t: t, d: t.Device(), w: w, boots: map[string]bool{}, file: t.File("cuts-"+w.ID+".jsonl", "each run of "+w.Name+": where it was cut, and as what the DUT came back", "application/jsonl")}
	plan.Tell = c.tell
	t.Cleanup(func(ctx context.Context, t *T) { // it may have no supply, or stand in the midst of it
		if c.dark != nil {
			t.OK(t.Device().PowerUp(ctx))
		}
		done()
	})
	r, err := powercut.Sweep(ctx, plan, c)
	out := &Cuts{Result: r, Work: w, Ref: c.file.Ref()}
	out.claimEnds(t)
	t.OK(errors.Join(err, c.err)) // a bad end that was seen stands
	out.claimHits(t)
	return out
}

// cutter is the DUT as the cuts see it.
type cutter struct {
	t      *T
	d      *dut.Device
	w      Work
	file   *journal.File
	phases *dut.Phases
	dark   *dut.Blackout   // while there is no supply
	from   console.Cursor  // on the console that shows boots, where the work began
	boots  map[string]bool // phases in which the work itself boots the DUT

	mu    sync.Mutex
	marks []powercut.Mark // of this run
	cut   bool            // this run was
	up    bool
	last  string // what it showed that did not come up
	err   error  // of the evidence
}

var _ powercut.DUT = (*cutter)(nil)

// Ready brings the DUT to where the work begins, and begins to look for its phases.
func (c *cutter) Ready(ctx context.Context) (err error) {
	if err := c.w.Ready(ctx); err != nil {
		return err
	}
	c.up, c.cut, c.marks = true, false, nil
	if con, err := c.d.BootConsole(); err == nil {
		c.from = con.Mark()
	}
	c.phases, err = c.d.Phases(c.w.Cut.Phases)
	return err
}

// Watch tells of the markers.
func (c *cutter) Watch(ctx context.Context, seen func(powercut.Mark)) error {
	return c.phases.Watch(ctx, func(m powercut.Mark) {
		c.mu.Lock()
		c.marks = append(c.marks, m)
		c.mu.Unlock()
		seen(m)
	})
}

// phaseAt gives the phase of this run at a time.
func (c *cutter) phaseAt(at time.Time) (phase string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.marks {
		if !m.At.After(at) {
			phase = m.Phase
		}
	}
	return phase
}

// own says whether a boot at a time may be the work's: it boots the DUT in that phase
// when it is not cut.
func (c *cutter) own(at time.Time) bool { return c.boots[c.phaseAt(at)] }

// learn notes in which phases the work, which was not cut, booted the DUT.
func (c *cutter) learn() {
	con, err := c.d.BootConsole()
	if err != nil {
		return
	}
	boots, err := con.Boots(c.from, con.Mark())
	if err != nil {
		c.t.Note("which boots are the work's own is not known: %v", err)
	}
	for _, at := range boots {
		c.boots[c.phaseAt(at)] = true
	}
}

// Act does the work.
func (c *cutter) Act(ctx context.Context) error { return c.w.Act(ctx) }

// Off takes the supply away.
func (c *cutter) Off(ctx context.Context) (err error) {
	c.dark, err = c.d.Blackout(ctx)
	c.cut = true
	return err
}

// On lets go of what the work held, gives the supply back, and waits for the DUT.
func (c *cutter) On(ctx context.Context) error {
	for _, name := range c.w.Lines {
		l, err := c.d.Line(name)
		if err == nil {
			err = l.Release(ctx)
		}
		if err != nil {
			return err
		}
	}
	from, err := c.dark.End(ctx, c.w.Cut.Phases, c.own)
	if err != nil && !errors.Is(err, powercut.ErrNotOff) {
		return err
	}
	c.dark = nil
	var uerr error
	if c.up, c.last, uerr = c.d.CameUp(ctx, from, c.w.Cut.Within); uerr != nil {
		return uerr
	}
	if !c.up {
		c.t.Note("the DUT did not come up behind a cut; it showed last %s", c.last)
		if c.up, uerr = c.again(ctx); uerr != nil && !errors.Is(uerr, powercut.ErrNotOff) {
			return uerr
		}
	}
	return err
}

// again boots a DUT once more that did not come up. That the boot began is to be seen,
// or it is not the DUT that is gone.
func (c *cutter) again(ctx context.Context) (up bool, err error) {
	if c.dark, err = c.d.Blackout(ctx); err != nil {
		return false, err
	}
	from, err := c.dark.End(ctx, nil, nil)
	c.dark = nil
	if err != nil {
		return false, err
	}
	up, last, err := c.d.CameUp(ctx, from, c.w.Cut.Within)
	if !up && err == nil {
		c.last = last
	}
	return up, err
}

// End says what the DUT is.
func (c *cutter) End(ctx context.Context) (powercut.End, error) {
	if !c.up {
		return powercut.End{Name: DUTDown, Detail: "it does not come up, in two boots; it showed last " + c.last}, nil
	}
	if !c.cut {
		c.learn()
	}
	end, err := c.w.End(ctx)
	end.OK = end.OK && c.w.Cut.Allows(end.Name)
	return end, err
}

// tell writes a run to the evidence and to the timeline.
func (c *cutter) tell(r powercut.Run) {
	type mark struct {
		Phase string `json:"phase"`
		AtUS  int64  `json:"at_us"` // from the beginning of the work
		What  string `json:"what"`
	}
	line := struct {
		Run      int    `json:"run"`
		Uncut    bool   `json:"uncut,omitempty"`
		Aim      string `json:"aim,omitempty"`
		Anchor   string `json:"anchor,omitempty"`
		OffsetUS int64  `json:"offset_us,omitempty"`
		Cut      bool   `json:"cut"`
		Off      bool   `json:"off_proven,omitempty"`
		Phase    string `json:"phase,omitempty"`
		IntoUS   int64  `json:"into_us,omitempty"`
		TookUS   int64  `json:"took_us"`
		Marks    []mark `json:"marks"`
		Work     string `json:"work,omitempty"`
		Missed   string `json:"missed,omitempty"`
		End      string `json:"end"`
		Allowed  bool   `json:"allowed"`
		Detail   string `json:"detail,omitempty"`
	}{r.N, r.Uncut, r.Aim, r.Anchor, r.Offset.Microseconds(), r.Cut, r.Proven, r.Phase, r.Into.Microseconds(), r.Took.Microseconds(), []mark{}, r.Work, r.Missed, r.End.Name, r.End.OK, r.End.Detail}
	for _, m := range r.Marks {
		line.Marks = append(line.Marks, mark{m.Phase, m.At.Sub(r.Began).Microseconds(), m.What})
	}
	data, err := json.Marshal(line)
	if err == nil {
		_, err = c.file.Write(append(data, '\n'))
		err = diskFault(err)
	}
	c.err = errors.Join(c.err, err)
	c.t.Note("%s", saidOf(r))
}

// saidOf is a run as the timeline has it.
func saidOf(r powercut.Run) string {
	round := func(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
	var b strings.Builder
	fmt.Fprintf(&b, "run %d: ", r.N)
	switch {
	case r.Uncut && r.Ended:
		fmt.Fprintf(&b, "not cut, it took %v", round(r.Took))
	case r.Cut && r.Phase != "":
		fmt.Fprintf(&b, "cut in %s, %v behind its beginning", r.Phase, round(r.Into))
	case r.Cut:
		fmt.Fprintf(&b, "cut %v behind the beginning, in no phase", round(r.Took))
	default:
		b.WriteString("not cut")
	}
	if r.Missed != "" {
		fmt.Fprintf(&b, " (aimed at %s: %s)", r.Aim, r.Missed)
	}
	if r.Work != "" && !r.Cut {
		fmt.Fprintf(&b, "; the work did not go: %s", r.Work)
	}
	fmt.Fprintf(&b, "; then it is %s", r.End.Name)
	if !r.End.OK {
		fmt.Fprintf(&b, ", which is no allowed end: %s", r.End.Detail)
	}
	return b.String()
}

// told sums the phases up: "erase 2 of 2, write 2 of 2".
func (c *Cuts) told() string {
	var parts []string
	for _, p := range c.Phases {
		parts = append(parts, fmt.Sprintf("%s %d of %d", p.ID, p.Hits, c.Hits))
	}
	return strings.Join(parts, ", ")
}

// claimEnds claims that the DUT always came back as it may.
func (c *Cuts) claimEnds(t *T) {
	cut, _ := c.Cuts()
	if cut == 0 && c.Bad == nil {
		return // nothing to say of, and why not is said elsewhere
	}
	ends := map[string]int{}
	var order []string
	for _, r := range c.Runs {
		if r.Cut && r.End.Name != "" {
			if ends[r.End.Name]++; ends[r.End.Name] == 1 {
				order = append(order, r.End.Name)
			}
		}
	}
	var seen []string
	for _, e := range order {
		seen = append(seen, fmt.Sprintf("%d times %s", ends[e], e))
	}
	t.Claim("after a power cut in "+c.Work.Name+" the device is always what it may be", func(cl *Claim) {
		cl.Show(c.Ref)
		allowed := c.Work.Cut.Ends
		want := "one of the ends that there are"
		if len(allowed) > 0 {
			want = strings.Join(allowed, " or ")
		}
		cl.Expect(want, strings.Join(seen, ", "))
		switch b := c.Bad; {
		case b == nil:
		case b.Cut && !b.Proven:
			cl.Unknown(verdict.ReasonAmbiguous, "%s: it is %s (%s), and that the supply was off is not proven", saidOf(*b), b.End.Name, b.End.Detail)
		case !b.Cut && b.N == 1:
			cl.Unknown(verdict.ReasonPrecondition, "before anything was cut: %s", saidOf(*b))
		default:
			cl.Fail(verdict.ReasonExpectation, "%s", saidOf(*b))
		}
	})
}

// claimHits claims that each phase was hit.
func (c *Cuts) claimHits(t *T) {
	if c.Bad != nil || c.Stuck != nil {
		return // the cuts ended there
	}
	t.Claim(fmt.Sprintf("the power was cut in each phase of %s, and was off each time", c.Work.Name), func(cl *Claim) {
		cl.Show(c.Ref)
		cl.Expect(fmt.Sprintf("%d cuts in each phase", c.Hits), c.told())
		gaps := c.Gaps()
		if len(gaps) == 0 {
			return
		}
		why := c.Stop
		for _, g := range gaps {
			if !g.Seen && g.After == 0 {
				why = fmt.Sprintf("nothing showed that phase %s began when the work was not cut", g.ID)
			}
		}
		cl.Unknown(verdict.ReasonCoverageGap, "%s; %s", c.told(), why)
	})
}
