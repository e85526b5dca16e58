package reset

import (
	"context"
	"strings"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// IdentityKept: a factory reset leaves the device who it is: its identifiers are what they
// were, and what stands on its label still sets it up.
var IdentityKept = check.Check{
	ID:    "rst-identity-kept",
	Title: "A factory reset leaves the device's identity as it is",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.ID1, en303645.V3("5.4-2"), en18031.Code("DLM-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  tourLeaves,
	Budget: check.Budget{Case: tourTime, Cleanup: cleanupTime},
	Cases: perDevice.With(check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
		switch {
		case p.Identity.Declared():
			return check.DeclaredNone(p.Identity.None.None)
		case len(p.Identity.Steps) == 0:
			return check.NotDeclared("the profile does not say how the identity is read (identity)")
		}
		return nil
	})),
	Run: func(ctx context.Context, t *check.T) {
		for _, tr := range made(ctx, t).list {
			if !tr.claimKept(t, "the identity is what it was", tr.unit) || !profile.Refers(t.Profile().Setup.Choose, profile.LabelPassword) {
				continue
			}
			ref := tr.evidence(t)
			t.Claim(tr.by()+" the unit's label still sets it up", func(c *check.Claim) {
				c.Show(ref)
				if tr.setUp != nil {
					c.Fail(verdict.ReasonExpectation, "the set-up does not take what stands on the label: %v", tr.setUp)
				}
			})
		}
	},
}

// claimKept claims that what was read before a reset is read behind it. It says whether
// the claim holds.
func (tr *tour) claimKept(t *check.T, what string, read [2]string) (kept bool) {
	text := tr.by() + " " + what
	if !tr.whole(t, text) || !tr.proven(t, text, nil) {
		return false
	}
	ref := t.Keep("kept-"+tr.way.ID+".txt", "what was read before the reset and behind it", []byte("before: "+read[0]+"\nbehind: "+read[1]+"\n"))
	t.Claim(text, func(c *check.Claim) {
		c.Show(ref)
		c.Expect(read[0], read[1])
		switch {
		case unreadable(read[0]):
			c.Unknown(verdict.ReasonPrecondition, "before the reset it was %s", read[0])
		case unreadable(read[1]):
			c.Fail(verdict.ReasonExpectation, "it was %s before the reset; behind it, it is %s", read[0], read[1])
		case read[0] != read[1]:
			c.Fail(verdict.ReasonExpectation, "it was %s before the reset, and is %s behind it", read[0], read[1])
		default:
			kept = true
		}
	})
	return kept
}

func unreadable(text string) bool { return text == "" || strings.HasPrefix(text, notRead) }
