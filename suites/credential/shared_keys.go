package credential

import (
	"context"
	"fmt"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/login/pubkey"
	"rigor/harness/verdict"
)

// SharedKeys: no key that a service shows is another unit's too, nor has a prime in
// common with one: who has taken one unit apart would have them all.
var SharedKeys = check.Check{
	ID:    "cred-shared-keys",
	Title: "Keys of services differ from unit to unit",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.DP1, en303645.V3("5.4-3"), en303645.V3("5.4-4"), en18031.Code("CCK-3")},
	},
	From:   states.Onboarded.State,
	Effect: check.Reads,
	Allow:  []check.Leave{check.LoginTries},
	Budget: check.Budget{Case: 3 * time.Minute},
	Cases: check.Planner(check.PerLogin).With(check.NeedsKeys, check.NeedsOwner, func(in check.Input, _ *check.Case) *verdict.Judgement {
		if in.KeyUnits < 1 {
			return &verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonTwoUnits,
				Detail: "one unit cannot show that its keys are its own; give those of a second one in the rig's units, as cred-bad-keys keeps them in keys.txt"}
		}
		return nil
	}),
	Run: func(ctx context.Context, t *check.T) {
		s, ref := shownKeys(ctx, t, t.Case().Channel)
		t.Claim("no key is another unit's", func(c *check.Claim) {
			c.Show(ref)
			others, whole := 0, 0
			for _, o := range t.Device().Unit().Others {
				if o.Serial == t.Device().Unit().Serial && len(o.Keys) > 0 {
					c.Unknown(verdict.ReasonTwoUnits, "the rig names unit %s twice", o.Serial)
				}
				for _, theirs := range o.Keys {
					others++
					if theirs.Line != "" {
						whole++
					}
					for _, ours := range s.Keys {
						if what := pubkey.Shared(ours, theirs); what != "" {
							c.Fail(verdict.ReasonExpectation, "%s, and one of unit %s: %s", ours, o.Serial, what)
						}
					}
				}
			}
			c.Expect("none in common with another unit", fmt.Sprintf("%d keys compared with %d of other units, %d of them whole", len(s.Keys), others, whole))
			unread(c, s)
		})
	},
}
