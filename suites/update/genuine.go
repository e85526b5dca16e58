package update

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// Genuine: a genuine newer image is taken and runs, and the unit stays what it is. It is
// what every refusal on the channel is held against.
var Genuine = check.Check{
	ID:    "upd-genuine",
	Title: "A genuine newer image is installed",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.SU1, en303645.V3("5.3-2")},
		baseline.Local:   {nist8259a.SU1, en303645.V3("5.3-2")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  []check.Leave{check.Update},
	Budget: check.Budget{Case: 10 * time.Minute, Cleanup: 5 * time.Minute},
	Cases:  check.Planner(PerChannel).With(needsImages),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(ctx, t)
		up := s.shelf.Newer(s.running.Rank)
		if len(up) == 0 {
			t.Inconclusive(verdict.ReasonCoverageGap, exhausted, s.now.Version)
		}
		before, who := s.now, unit(ctx, t)
		claims := t.Case().Channel == channels(t.Profile())[0]
		s.settling = claims // whether it stays is a claim of this case
		a, err := s.install(ctx, up[0])
		t.OK(err)
		s.settling = false
		after := unit(ctx, t)
		ref := t.Keep("installed.txt", "what was delivered, and what ran before and behind it", fmt.Appendf(nil, "delivered: %s\nanswer: %s: %s\nbefore: %s\nafter: %s\n%s", up[0], a.Kind, a.Detail, before, s.now, a.Raw))
		t.Claim("a genuine newer image is taken, and runs behind a restart", func(c *check.Claim) {
			c.Show(ref)
			c.Expect(up[0].Version()+" runs, and nothing waits", a.Detail)
			switch a.Kind {
			case verdict.Accepted:
				t.Opens(bracketOf(t.Case().Channel))
				if v := up[0].Version(); v != "" && !shelf.SameVersion(s.now.Version, v) {
					c.Fail(verdict.ReasonExpectation, "%s runs, and the DUT says that it is %q", up[0], s.now.Version)
				}
			case verdict.Refused, verdict.Unproven:
				t.OpensNot(bracketOf(t.Case().Channel), errors.New(a.Detail))
				judgeNotTaken(c, s, up[0], a)
			default:
				t.OpensNot(bracketOf(t.Case().Channel), errors.New(a.Detail))
				c.Unknown(verdict.ReasonControlFailed, "it did not get there: %s: %s", a.Kind, a.Detail)
			}
		})
		t.Claim("it is the same unit, and its owner gets in as before", func(c *check.Claim) {
			c.Show(ref)
			c.Expect(who, after)
			if who != after {
				c.Fail(verdict.ReasonExpectation, "before the update it was %s, and %s behind it", who, after)
			}
		})
		if a.Kind == verdict.Accepted && claims {
			s.claimStays(ctx, up[0])
		}
		s.stepDown(ctx, before)
	},
}

// judgeNotTaken says what it means that a genuine image does not run.
func judgeNotTaken(c *check.Claim, s *seat, img *shelf.Image, a dut.Answer) {
	switch fetched := len(s.last.Fetches) > 0; {
	case !s.shelf.Anchored():
		c.Unknown(verdict.ReasonAmbiguous, "%s; without the maker's keys nothing shows that the image is genuine", a.Detail)
		return
	case s.now.OnTrial() && shelf.Says(s.now.Version, s.now.Digest, img.Shows):
		c.Unknown(verdict.ReasonAmbiguous, "%s: it runs, and %v behind its start it is still to be confirmed", a.Detail, s.d.ConfirmTime())
		return
	case fetched && !(s.last.Taken && shelf.SameVersion(s.last.Said, img.Shows.Version)):
		// What it fetched went over a network in clear, and may be another thing.
		c.Unknown(verdict.ReasonAmbiguous, "%s; that it got what was served is not shown (it says that it has taken %q)", a.Detail, s.last.Said)
		return
	}
	c.Fail(verdict.ReasonExpectation, "the maker's keys verify it, and: %s", a.Detail)
}

// unit says which unit it is, by what is read of it.
func unit(ctx context.Context, t *check.T) string {
	if len(t.Profile().Identity.Steps) == 0 {
		return "not declared"
	}
	id, err := t.Device().ReadIdentity(ctx)
	t.OK(err)
	return fmt.Sprintf("%q", id)
}

// stepDown goes back to the version from before, where that is declared, so that the
// update has cost nothing. That it cannot be, costs a version and nothing else.
func (s *seat) stepDown(ctx context.Context, before dut.Running) {
	if len(s.d.Profile.Images.ReturnTo.Steps) == 0 || s.running == nil || s.now.Version == before.Version {
		return
	}
	if err := s.d.ReturnTo(ctx); err != nil {
		if check.Judge(err).Verdict == verdict.Error {
			s.t.OK(err)
		}
		s.t.Note("the version from before is not to be had again: %v", err)
	}
	s.begin(ctx)
	s.t.Note("%s ran before the update, and %s runs now", before, s.now)
}
