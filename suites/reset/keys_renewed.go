package reset

import (
	"context"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/suites/credential"
)

// KeysRenewed: each declared way to reset the device does to its keys what the maker says.
// cred-keys-reset says it of one way, this of each.
var KeysRenewed = check.Check{
	ID:    "rst-keys-renewed",
	Title: "Each way to reset the device replaces its keys as declared",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.DP1, nist8259a.DP2, en303645.V3("5.4-3"), en303645.V3("5.11-1"), en18031.Code("CCK-3")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  tourLeaves,
	Budget: check.Budget{Case: tourTime, Cleanup: cleanupTime},
	Cases:  perDevice.With(credential.KeysRenewable),
	Run: func(ctx context.Context, t *check.T) {
		for _, tr := range made(ctx, t).list {
			if text := tr.by() + " the keys are others"; tr.whole(t, text) && tr.proven(t, text, nil) {
				credential.ClaimRenewed(t, ", by way "+tr.way.ID, tr.keys.before, tr.keys.after)
			}
		}
	},
}
