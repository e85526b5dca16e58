package update

import (
	"context"
	"strings"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/firmware/mutant"
	"rigor/harness/verdict"
)

// core are the kinds of which some are tried on each further channel.
var core = []string{"unsigned", "signature-stale", "wrong-key-spoofed", "wrong-key-embedded", "flip-payload", "older", "version-raised-hash-right", "other-product"}

// EveryChannel: what is refused on one channel is refused on all of them. The way for a
// technician or for a unit that is broken is where that is forgotten.
var EveryChannel = check.Check{
	ID: "upd-every-channel", Title: "Each channel refuses what one of them does", Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.SU2, en303645.V3("5.3-10")},
		baseline.Local:   {nist8259a.SU2, en303645.V3("5.3-9")},
	},
	From: states.Onboarded.State, Effect: check.Consumes, Allow: []check.Leave{check.Update}, Budget: budget,
	Cases: mutants(Others).With(needsWayBack),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(ctx, t)
		s.opened(ctx)
		s.provenWayBack(ctx)
		parent := s.next()
		all := s.make(parent, mutant.Unsigned, mutant.SignatureShape, mutant.WrongKey, mutant.BitFlip, mutant.Downgrade, mutant.VersionForge, mutant.OtherProduct)
		m := all
		m.refused = nil
		for _, x := range all.refused {
			if isCore(x) {
				m.refused = append(m.refused, x)
			}
		}
		m.harmless = nil
		s.keep(parent, parent.Shows, m)
		if len(m.refused) < 3 {
			t.Inconclusive(verdict.ReasonCoverageGap, "only %d of these mutants can be made of %s: %s", len(m.refused), parent, strings.Join(all.unmade, "; "))
		}
		s.refute(ctx, "none of the mutants that count most is taken on this channel", parent, m.refused)
	},
}

// isCore says whether a mutant is one of those that are tried on each channel; of older
// images and of other products' the first alone.
func isCore(m *mutant.Mutant) bool {
	for _, name := range core {
		if m.Name == name || m.Name == name+"-1" {
			return m.Kind != mutant.Downgrade || !strings.Contains(m.Name, "unprotected")
		}
	}
	return false
}
