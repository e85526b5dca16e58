package identity

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// Logical: the unit tells one identifier, its own, before and after a cold
// boot.
var Logical = check.Check{
	ID:    "idn-logical",
	Title: "The unit has an identifier of its own, and keeps it",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.ID1, en303645.V3("5.3-16")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.Supply},
	Budget: check.Budget{Case: 10 * time.Minute},
	Cases: check.Planner(check.Device).With(check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
		switch {
		case p.Identity.Declared():
			return check.DeclaredNone(p.Identity.None.None)
		case len(p.Identity.Steps) == 0:
			return check.NotDeclared("the profile does not say how the identifier is read (identity.steps)")
		}
		return nil
	}), check.NeedsPower),
	Run: func(ctx context.Context, t *check.T) {
		before, err := t.Device().ReadIdentity(ctx)
		t.OK(err)
		t.OK(t.Device().PowerCycle(ctx))
		t.OK(t.Device().Reachable(ctx))
		after, err := t.Device().ReadIdentity(ctx)
		t.OK(err)
		want := t.Device().WantIdentity()
		ref := t.Keep("identity.txt", "the identifier before and after a cold boot", fmt.Appendf(nil, "label: %s\nbefore: %s\nafter: %s\n", want, before, after))
		t.Claim("the identifier is there, and is the same after a cold boot", func(c *check.Claim) {
			c.Show(ref)
			c.Expect("one identifier", fmt.Sprintf("%q before, %q after", before, after))
			switch {
			case before == "" || after == "":
				c.Fail(verdict.ReasonExpectation, "it is empty: %q before, %q after", before, after)
			case before != after:
				c.Fail(verdict.ReasonExpectation, "it was %q and is %q after a cold boot", before, after)
			case strings.Trim(before, "0fF-:. ") == "":
				c.Fail(verdict.ReasonExpectation, "%q is no identifier but a blank", before)
			}
		})
		t.Claim("the identifier is the one on the unit's label", func(c *check.Claim) {
			c.Show(ref)
			c.Expect(want, before)
			if want == "" {
				c.Unknown(verdict.ReasonRigLacks, "the rig does not say what is on the label of this unit")
			} else if before != want {
				c.Fail(verdict.ReasonExpectation, "the label says %q, the device says %q", want, before)
			}
		})
	},
}
