package update

import (
	"context"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/firmware/mutant"
	"rigor/harness/verdict"
)

// Unsigned: an image that is consistent in itself, and that nobody signed, is refused.
// A device that checks hashes alone refuses each bit that is changed, and takes this.
var Unsigned = mutantCheck("upd-unsigned", "An image without a signature is refused", "no image without a signature is taken", mutant.Unsigned)

// budget is that of a case with many deliveries.
var budget = check.Budget{Case: 30 * time.Minute, Cleanup: 10 * time.Minute}

// authenticity are the clauses of what only who may sign can give.
var authenticity = baseline.PerChannel{
	baseline.Network: {nist8259a.SU2, en303645.V3("5.3-9")},
	baseline.Local:   {nist8259a.SU2, en303645.V3("5.3-9")},
}

// mutantCheck is a check that mutants of some kinds are refused.
func mutantCheck(id, title, text string, kinds ...mutant.Kind) check.Check {
	return check.Check{
		ID: id, Title: title, Clauses: authenticity,
		From: states.Onboarded.State, Effect: check.Consumes, Allow: []check.Leave{check.Update}, Budget: budget,
		Cases: mutants(First),
		Run: func(ctx context.Context, t *check.T) {
			s := sit(ctx, t)
			parent := s.next()
			m := s.make(parent, kinds...)
			s.keep(parent, m)
			if len(m.refused)+len(m.harmless) == 0 {
				t.Inconclusive(verdict.ReasonCoverageGap, "none of these mutants can be made of %s: %s", parent, strings.Join(m.unmade, "; "))
			}
			s.refute(ctx, text, parent, m.refused)
		},
	}
}
