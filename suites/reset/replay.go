package reset

import (
	"context"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/verdict"
)

// The device is another one by the time that a case looks at what a reset showed: what
// was answered then is given in the order in which it was.

// replay gives answers one after the other, and the last one for good.
func replay(as ...dut.Answer) check.Attempt {
	n := 0
	return func(context.Context) (dut.Answer, error) {
		a := as[min(n, len(as)-1)]
		n++
		return a, nil
	}
}

// same is what stays the same of a device between answers that are long given.
func (tr *tour) same(context.Context) (string, error) { return tr.unit[0], nil }

func nameTried(p tried) string { return p.name }

func tryTried(_ context.Context, p tried) (dut.Answer, error) { return p.a, nil }

// by says in a claim by which way the device was reset.
func (tr *tour) by() string { return "behind a reset by way " + tr.way.ID }

// whole says whether a tour went to its end. Where it did not, the claim stays open: that
// a reset did not happen, or that the device is not what it has to be behind it, is for
// rst-default-state to say.
func (tr *tour) whole(t *check.T, claim string) bool {
	if tr.over == "" {
		return true
	}
	ref := tr.evidence(t)
	t.Claim(claim, func(c *check.Claim) {
		c.Show(ref)
		c.Unknown(verdict.ReasonPrecondition, "%s", tr.over)
	})
	return false
}

// proven says whether a reset is shown to have happened by something else than what a
// claim is about; else the claim stays open.
func (tr *tour) proven(t *check.T, claim string, without func(dut.SignSeen) bool) bool {
	for _, s := range tr.signs {
		if s.Seen && (without == nil || !without(s)) {
			return true
		}
	}
	if tr.rebooted() || tr.factory.Kind == verdict.Accepted && without != nil {
		return true
	}
	ref := tr.evidence(t)
	t.Claim(claim, func(c *check.Claim) {
		c.Show(ref)
		c.Unknown(verdict.ReasonAmbiguous, "nothing else shows that the device was reset: no sign of way %s, and no boot", tr.way.ID)
	})
	return false
}
