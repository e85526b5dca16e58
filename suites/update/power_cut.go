package update

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/canary"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/powercut"
	"rigor/harness/profile"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// PowerCut: an update that loses its power leaves a device that runs the old firmware or
// the new one, whole, with what its owner had set, and that takes an update again. Where
// in an update the power goes nobody chooses: it is cut in each of its phases.
var PowerCut = check.Check{
	ID:    "upd-power-cut",
	Title: "An update that loses its power leaves a device that works",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.SU1, en303645.V3("5.3-2"), en303645.V3("5.9-1"), en18031.Code("RLM-1")},
		baseline.Local:   {nist8259a.SU1, en303645.V3("5.3-2"), en303645.V3("5.9-1"), en18031.Code("RLM-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  []check.Leave{check.Update, check.Configure, check.PowerCut},
	Budget: check.Budget{Case: 3 * time.Hour, Cleanup: 10 * time.Minute},
	Cases:  check.Planner(PerChannel).With(needsImages, needsCut, needsWayBack, check.NeedsPower),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(ctx, t)
		s.provenWayBack(ctx)
		c := &cutUpdate{seat: s, decl: &s.d.Profile.Updates.Items[s.u.Name()].Cut}
		s.mind()
		cuts := t.CutPower(ctx, check.Work{ID: s.u.Name(), Name: "an update by " + s.u.Name(), Cut: c.decl, Ready: c.ready, Act: c.act, End: c.end, Kept: 5 * time.Minute,
			Lines: s.d.Profile.Updates.Items[s.u.Name()].Lines()})
		c.kept(ctx, cuts)
		if now, err := s.look(ctx); err == nil {
			t.Ran(now) // whatever the cuts have left
		}
		if cuts.Bad != nil && cuts.Bad.End.Name == check.DUTDown {
			repaired, err := s.recover(ctx)
			t.Note("the unit is brought back %s: error %v", repaired, err)
		}
		t.Claim("behind all power cuts a genuine update is taken", func(cl *check.Claim) {
			cl.Show(cuts.Ref)
			cl.Expect("it is taken, and runs", "it was, in the last run")
			switch {
			case cuts.Bad != nil:
				cl.Unknown(verdict.ReasonPrecondition, "it was not tried: behind a cut the device was %s", cuts.Bad.End.Name)
			case cuts.Stuck != nil && errors.As(cuts.Stuck, new(*notTaken)):
				cl.Fail(verdict.ReasonExpectation, "it is not any more: %v", cuts.Stuck)
			case cuts.Stuck != nil:
				cl.Unknown(verdict.ReasonControlFailed, "it did not get there: %v", cuts.Stuck)
			case !cuts.StillGoes():
				cl.Unknown(verdict.ReasonCoverageGap, "it was not tried any more: %s", cuts.Stop)
			}
		})
	},
}

// needsCut: what an update by the channel looks like is declared, and the rig sees it.
func needsCut(in check.Input, c *check.Case) *verdict.Judgement {
	u := in.Profile.Updates.Items[c.Channel]
	if u == nil {
		return check.NotDeclared("the profile does not say how an image gets in by %s", c.Channel)
	}
	switch {
	case u.Cut.Declared():
		return check.DeclaredNone(u.Cut.None.None)
	case len(u.Cut.Phases) == 0:
		return check.NotDeclared("what an update by %s looks like from outside is not said (cut, with its phases)", c.Channel)
	}
	for _, name := range u.Cut.Consoles() {
		if !slices.Contains(in.Consoles, name) {
			return check.RigLacks("the rig has no console %s, which shows the phases", name)
		}
		c.Lean(check.PartConsole(name))
	}
	for _, name := range u.Cut.Lines() {
		if !slices.Contains(in.Lines, name) {
			return check.RigLacks("the rig has no line %s, which shows the phases", name)
		}
		c.Lean(dut.PartLine(name))
	}
	for _, name := range u.Cut.Stores {
		if in.Profile.Stores.Items[name] == nil {
			return check.NotDeclared("what is in store %s is not declared", name)
		}
	}
	return nil
}

// notTaken is a genuine image that the DUT does not take, or does not run.
type notTaken struct{ why string }

func (e *notTaken) Error() string { return e.why }

// cutUpdate is an update whose power is cut.
type cutUpdate struct {
	*seat
	decl *profile.Cut

	n       int
	image   *shelf.Image // that is delivered in this run
	old     dut.Running  // what ran before
	over    bool         // the new one was seen to run
	lost    string       // a store that has lost what was in it
	markers map[string]string
}

// ready chooses the next image, and puts something into each store.
func (c *cutUpdate) ready(ctx context.Context) error {
	now, err := c.look(ctx)
	if err != nil {
		return err
	}
	running := c.shelf.Genuine(now.Version, now.Digest)
	if running == nil || now.Pending != "" {
		return fmt.Errorf("%s runs: %w", now, errNoWayBack)
	}
	if c.image = c.shelf.Next(running); c.image == nil {
		return fmt.Errorf("%w: "+exhausted, powercut.ErrSpent, now.Version)
	}
	c.old, c.over = now, false
	if c.n++; c.n > 1 {
		return nil // what was put there is still to be there
	}
	c.markers = map[string]string{}
	for _, name := range c.decl.Stores {
		st := c.d.Profile.Stores.Items[name]
		f, err := canary.FormOf(st.Alphabet, st.Length)
		if err != nil {
			return fmt.Errorf("store %s: %w", name, err)
		}
		c.markers[name] = c.t.Draw(name, f.Alphabet, f.Length)
		if _, err := c.d.Steps(ctx, st.Plant, map[string]string{"marker": c.markers[name]}); err != nil {
			return fmt.Errorf("put something into store %s: %w", name, err)
		}
		if there, err := c.holds(ctx, name); err != nil || !there {
			return errors.Join(err, fmt.Errorf("what was put into store %s is not seen there", name))
		}
	}
	return nil
}

// holds says whether a store shows what was put there.
func (c *cutUpdate) holds(ctx context.Context, store string) (bool, error) {
	vars, err := c.d.Steps(ctx, c.d.Profile.Stores.Items[store].Read, nil)
	if err != nil {
		return false, fmt.Errorf("read store %s: %w", store, err)
	}
	for _, v := range vars {
		if strings.Contains(v, c.markers[store]) {
			return true, nil
		}
	}
	return false, nil
}

// act delivers the image and has it run. It runs beside the case.
func (c *cutUpdate) act(ctx context.Context) error {
	d, err := c.u.Deliver(ctx, dut.Image{Name: c.image.String(), Bytes: c.image.Bytes})
	switch d = arrived(d); {
	case err != nil:
		return err
	case d.Kind == verdict.Refused:
		return &notTaken{fmt.Sprintf("%s: %s", c.image, d.Detail)}
	case !d.Taken:
		return fmt.Errorf("%s: %s: %s", c.image, d.Kind, d.Detail)
	}
	if _, err := c.u.Apply(ctx); err != nil {
		return err
	}
	now, err := c.look(ctx)
	if err != nil {
		return err
	}
	if now.Pending != "" || !shelf.Says(now.Version, now.Digest, c.image.Shows) {
		return &notTaken{fmt.Sprintf("%s was taken, and behind a restart %s runs", c.image, now)}
	}
	c.over = true
	return nil
}

// end says which firmware runs, and whether what the owner had set is there.
func (c *cutUpdate) end(ctx context.Context) (powercut.End, error) {
	now, err := c.look(ctx)
	if err != nil {
		return powercut.End{}, err
	}
	end := powercut.End{Name: "neither old nor new", Detail: now.String() + " runs; before it was " + c.old.String()}
	switch {
	case now.Pending != "":
		end.Detail = fmt.Sprintf("behind a restart %s", now)
		return end, nil
	case shelf.Says(now.Version, now.Digest, c.image.Shows):
		end.Name = profile.EndNew
	case now.Same(c.old):
		end.Name = profile.EndOld
	default:
		return end, nil
	}
	for _, name := range c.decl.Stores {
		there, err := c.holds(ctx, name)
		if err != nil {
			return powercut.End{}, err
		}
		if !there {
			c.lost = name
			end.Name, end.Detail = end.Name+", without what its owner had set", fmt.Sprintf("%s runs, and store %s has lost what was in it", now, name)
			return end, nil
		}
	}
	end.OK = true
	return end, nil
}

// kept claims that an update which is not cut leaves what the owner had set, where the first
// one has not: it was seen there right before.
func (c *cutUpdate) kept(ctx context.Context, cuts *check.Cuts) {
	b := cuts.Bad
	if b == nil || b.Cut || b.N != 1 || !c.over || c.lost == "" {
		return
	}
	again, err := c.holds(ctx, c.lost)
	c.t.OK(err)
	c.t.Claim("an update leaves what the owner had set", func(cl *check.Claim) {
		cl.Show(cuts.Ref)
		cl.Expect("what was in store "+c.lost+" is there behind the update", b.End.Detail)
		if again {
			cl.Unknown(verdict.ReasonAmbiguous, "%s; at another look it was there", b.End.Detail)
			return
		}
		cl.Fail(verdict.ReasonExpectation, "the power was not cut, and behind the update %s", b.End.Detail)
	})
}
