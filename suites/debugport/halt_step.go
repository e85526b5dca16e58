package debugport

import (
	"context"
	"slices"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/debugport/ladder"
	"rigor/harness/verdict"
)

// HaltStep: nobody halts the core, or has it do one step. A restart in the midst is no refusal.
var HaltStep = check.Check{
	ID:      "dbg-halt-step",
	Title:   "The core cannot be halted",
	Clauses: closed,
	From:    states.Onboarded.State,
	Effect:  check.Disturbs,
	Allow:   append(slices.Clone(attaches), check.Halt),
	Budget:  lookTime,
	Cases:   perPort(""),
	Run: func(ctx context.Context, t *check.T) {
		all := made(ctx, t)
		all.told(t)
		for _, s := range all.of("") {
			s.whole(t, "the core is not halted through "+s.Port, func(c *check.Claim, l *ladder.Look) bool {
				switch l.Halt {
				case ladder.Halted:
					c.Fail(verdict.ReasonAccess, "%s (%s) the core was halted", l.When(), l.Way)
				case ladder.HaltRestarts:
					c.Unknown(verdict.ReasonAmbiguous, "%s (%s) the device restarted while it was tried: nobody refused", l.When(), l.Way)
				case ladder.HaltPends:
					c.Unknown(verdict.ReasonAmbiguous, "%s (%s) the core lets itself be debugged, and did not halt yet: nobody refused", l.When(), l.Way)
				case ladder.HaltBroke:
					c.Unknown(verdict.ReasonAmbiguous, "%s (%s) there was no answer to it", l.When(), l.Way)
				}
				return l.Halt == ladder.HaltRefused
			})
		}
	},
}
