package reset

import (
	"context"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/verdict"
	"rigor/suites/update"
)

// TrustKept: a factory reset takes the owner's things, and not what the device knows its
// maker's firmware by: the key, the version and the security counter. Whoever may reset it
// could else give it any firmware.
//
// It is the first of its suite: that a genuine image is taken is shown before the resets,
// since one that is installed behind them would bring the counter back.
var TrustKept = check.Check{
	ID:    "rst-trust-kept",
	Title: "A factory reset opens no way for firmware",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.SU2, en303645.V3("5.3-2"), en303645.V3("5.3-9"), en18031.Code("SUM-2")},
		baseline.Local:   {nist8259a.SU2, en303645.V3("5.3-2"), en303645.V3("5.3-9"), en18031.Code("SUM-2")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  append([]check.Leave{check.Update}, tourLeaves...),
	Budget: check.Budget{Case: 2 * tourTime, Cleanup: cleanupTime + 5*time.Minute},
	Cases:  check.Planner(onFirst).With(resets, check.NeedsNetwork, needsReset),
	Run: func(ctx context.Context, t *check.T) {
		const text = "behind a factory reset nothing is taken that nobody signed, or that is older"
		if !update.IsOpened(t) && !t.Done(resetsMade) {
			update.Opened(ctx, t)
		}
		for _, tr := range made(ctx, t).list {
			if text := tr.by() + " nothing is taken that nobody signed, or that is older"; !tr.whole(t, text) || !tr.proven(t, text, nil) {
				return
			}
		}
		if !update.IsOpened(t) {
			t.Inconclusive(verdict.ReasonNoControl, "that a genuine image is taken was not shown before the device was reset, and one that is taken behind it may bring back what the reset took")
		}
		update.StillRefuses(ctx, t, text)
	},
}

// onFirst plans one case, on the first update channel. A device that has no reset is told
// of first.
func onFirst(in check.Input) []check.Case {
	cases := update.OnFirst(in)
	if r := in.Profile.Reset; r.Declared() {
		for i := range cases {
			cases[i].Skip = check.DeclaredNone(r.None.None)
		}
	}
	return cases
}
