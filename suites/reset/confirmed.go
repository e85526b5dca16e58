package reset

import (
	"context"
	"slices"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/verdict"
)

// Confirmed: who resets the device is told that it is done, as the maker says: by a light,
// by a text. That it was reset is shown by something else.
var Confirmed = check.Check{
	ID:    "rst-confirm",
	Title: "Who resets the device is told that it is done",
	Clauses: baseline.PerChannel{
		baseline.Local:   {nist8259a.CSA2, en303645.V3("5.11-4"), en18031.Code("UNM-1")},
		baseline.Network: {nist8259a.CSA2, en303645.V3("5.11-4"), en18031.Code("UNM-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  tourLeaves,
	Budget: check.Budget{Case: tourTime, Cleanup: cleanupTime},
	Cases:  perDevice.With(needsConfirm),
	Run: func(ctx context.Context, t *check.T) {
		for _, tr := range made(ctx, t).list {
			tr.seeAgain(ctx, t)
			tr.claimTold(t)
		}
	},
}

// needsConfirm: it is said how who resets the device is told, and the rig sees it.
func needsConfirm(in check.Input, c *check.Case) *verdict.Judgement {
	confirm := in.Profile.Reset.Confirm
	switch {
	case confirm.Declared():
		return check.DeclaredNone(confirm.None.None)
	case len(confirm.Sign) == 0:
		return check.NotDeclared("the profile does not say how who resets the device is told that it is done (reset.confirm)")
	}
	for _, s := range confirm.Sign {
		if s.Line != "" {
			if !slices.Contains(in.Lines, s.Line) {
				return check.RigLacks("the rig has no line %s", s.Line)
			}
			c.Lean(dut.PartLine(s.Line))
			continue
		}
		if !slices.Contains(in.Consoles, s.Console) {
			return check.RigLacks("the rig has no console %s", s.Console)
		}
		c.Lean(dut.PartConsole(s.Console))
	}
	return nil
}

func (tr *tour) claimTold(t *check.T) {
	ref := tr.evidence(t)
	for _, s := range t.Profile().Reset.Confirm.Sign {
		text := tr.by() + " its user is told: " + dut.SignText(s)
		about := func(o dut.SignSeen) bool { return o.Sign.Line == s.Line && o.Sign.Console == s.Console }
		if !tr.happened() || tr.factory.Kind != verdict.Accepted {
			tr.whole(t, text)
			continue
		}
		if !tr.proven(t, text, about) {
			continue
		}
		t.Claim(text, func(c *check.Claim) {
			c.Show(ref)
			for _, o := range tr.confirm {
				if dut.SignText(o.Sign) != dut.SignText(s) {
					continue
				}
				c.Expect(dut.SignText(s), o.Detail)
				switch {
				case o.Err != nil:
					c.Unknown(verdict.ReasonRigLacks, "%v", o.Err)
				case o.Seen:
				case o.Idle:
					c.Unknown(verdict.ReasonAmbiguous, "that it is told of this reset is not shown: %s", o.Detail)
				case o.Late:
					c.Unknown(verdict.ReasonAmbiguous, "%s", o.Detail)
				case s.Line != "" && !tr.lively[s.Line]:
					c.Unknown(verdict.ReasonAmbiguous, "line %s did not change once through reset and boot: a broken wire looks like a light that stays as it is", s.Line)
				default:
					c.Fail(verdict.ReasonAbsent, "the device was reset, and its user was not told: %s", o.Detail)
				}
				return
			}
			c.Unknown(verdict.ReasonPrecondition, "it was not looked for")
		})
	}
}
