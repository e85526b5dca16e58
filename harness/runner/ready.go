package runner

import (
	"context"
	"errors"
	"fmt"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/late"
	"rigor/harness/state"
	"rigor/harness/verdict"
)

// alters says whether a check does more than read.
func alters(c *check.Check) bool { return c.Effect != check.Reads || len(c.Allow) > 0 }

// ready brings the DUT to where the case starts; the judgement says why it
// cannot run.
func (r *run) ready(ctx context.Context, p *Planned) *verdict.Judgement {
	if why, part := r.brokenFor(p); why != "" {
		reason := verdict.ReasonBrokenPart
		if part == partLease {
			reason = verdict.ReasonLeaseLost
		}
		return &verdict.Judgement{Verdict: verdict.Error, Reason: reason, Detail: fmt.Sprintf("%s is broken: %s", part, why)}
	}
	if j := r.unfit(); j != nil {
		return j
	}
	if !r.mayAlter(p.Check) {
		return &verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonPrecondition, Detail: errUnknownLeft.Error()}
	}
	if p.Check.From == nil && (r.identified() || !alters(p.Check)) {
		return nil
	}
	r.waiting("the DUT to be ready for " + p.ID)
	return r.prepare(ctx, p.ID, func(ctx context.Context, d *dut.Device, m *state.Machine) *verdict.Judgement {
		if j := r.enter(ctx, d, m, p); j != nil {
			return j
		}
		return r.tidy(ctx, d, p)
	})
}

// unfit says that the DUT is not the one to run anything on.
func (r *run) unfit() *verdict.Judgement {
	if why, wrong := r.isWrongUnit(); wrong {
		return &verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonWrongUnit, Detail: why}
	}
	if why := r.isGone(); why != "" {
		return &verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonDUTLost, Detail: why}
	}
	return nil
}

// enter brings the DUT to the state from which the case starts.
func (r *run) enter(ctx context.Context, d *dut.Device, m *state.Machine, p *Planned) *verdict.Judgement {
	identify := func() *verdict.Judgement {
		if !r.identified() {
			r.identify(ctx, d)
		}
		if j := r.unfit(); j != nil || r.identified() || !alters(p.Check) {
			return j
		}
		return &verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonPrecondition, Detail: errUnidentified.Error()}
	}
	if p.Check.From == nil {
		return identify()
	}
	if !r.identified() {
		r.identify(ctx, d) // a way may have to be walked
	}
	if j := r.unfit(); j != nil {
		return j
	}
	err := m.Enter(ctx, d, p.Check.From.Name)
	if err != nil {
		if j := cannotEnter(err); j != nil {
			return j
		}
		if back := r.recover(ctx, d, err); back != nil {
			if j := check.Judge(back); j.Verdict == verdict.Error {
				return &j
			}
			r.setGone(back.Error())
			return r.unfit()
		}
		if j := r.unfit(); j != nil {
			return j
		}
		if err := m.Enter(ctx, d, p.Check.From.Name); err != nil {
			j := check.Judge(err)
			if j.Verdict != verdict.Error {
				j.Reason = verdict.ReasonState
			}
			return &j
		}
	}
	return identify()
}

// cannotEnter says what an error of entering a state means where bringing the
// DUT back would change nothing; nil where it is to be tried.
func cannotEnter(err error) *verdict.Judgement {
	switch {
	case errors.Is(err, errUnidentified), errors.Is(err, errUnknownLeft):
		return &verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonPrecondition, Detail: err.Error()}
	case errors.Is(err, state.ErrNotAllowed), errors.Is(err, state.ErrNoWay):
		return &verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonState, Detail: err.Error()}
	}
	switch j := check.Judge(err); {
	case j.Verdict == verdict.Error, j.Reason == verdict.ReasonProfileMissing, j.Reason == verdict.ReasonRigLacks, j.Reason == verdict.ReasonNeedsHuman:
		return &j
	}
	return nil
}

// recover diagnoses a DUT that does not show itself as expected, and tries the
// declared way back once. A DUT that does not come back after our own probes,
// on a rig that is well, was disabled by them.
func (r *run) recover(ctx context.Context, d *dut.Device, cause error) error {
	diag := d.Diagnose(ctx)
	r.waiting("the DUT to come back (" + diag.Diagnosis + ")")
	r.setWho(whoUnread, "") // it is read after each re-connect
	last, lastShown := r.ranLast()
	lost := journal.Lost{Diagnosis: diag.Diagnosis, Detail: cause.Error()}
	err := d.Recover(ctx)
	if err == nil {
		lost.Returned = true
		r.append(&journal.Event{Kind: journal.KindLost, Case: last, Lost: &lost})
		r.identify(ctx, d)
		return nil
	}
	if dut.IsFault(err) || errors.Is(err, late.ErrLate) || ctx.Err() != nil {
		r.append(&journal.Event{Kind: journal.KindLost, Case: last, Lost: &lost})
		return err
	}
	// It is gone only where it is still: one that answers in some way is in a
	// state that nobody declared.
	if lastShown && r.rigWell(ctx) {
		now := d.Diagnose(ctx)
		lost.Disabled = now.Gone && (diag.CanTell || now.CanTell)
	}
	r.append(&journal.Event{Kind: journal.KindLost, Case: last, Lost: &lost})
	return fmt.Errorf("the DUT is lost (%s) and did not come back: %w", diag.Diagnosis, err)
}

// rigWell asks the doctor, in mid-run.
func (r *run) rigWell(ctx context.Context) bool {
	if r.cfg.Doctor == nil {
		return false
	}
	for _, d := range r.cfg.Doctor(ctx, "during") {
		if d.Status == "broken" {
			return false
		}
	}
	return true
}

// settle looks whether the DUT is still there after the last case, when that
// one did not end as it should: what it put out of service must not go unseen.
func (r *run) settle(ctx context.Context) {
	if last, _ := r.ranLast(); last == "" || ctx.Err() != nil || r.unfit() != nil || r.machine.Current() != state.Unknown || len(r.cfg.Profile.States.Order) == 0 {
		return
	}
	r.waiting("the DUT to show itself")
	r.prepare(ctx, "the end", func(ctx context.Context, d *dut.Device, m *state.Machine) *verdict.Judgement {
		if _, err := m.Find(ctx, d); err != nil && cannotEnter(err) == nil {
			if err := r.recover(ctx, d, err); err != nil {
				r.note("", "after the last case: %v", err)
			}
		}
		return nil
	})
}
