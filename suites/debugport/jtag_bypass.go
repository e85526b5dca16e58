package debugport

import (
	"context"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/debugport/ladder"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// JTAGBypass: no TAP hides: in BYPASS a pattern comes back as many bits late as there are TAPs that
// show themselves. One that comes back at once is a wire, and no chain.
var JTAGBypass = check.Check{
	ID:      "dbg-jtag-bypass",
	Title:   "No TAP hides in the chain",
	Clauses: exposed,
	From:    states.Onboarded.State,
	Effect:  check.Disturbs,
	Allow:   attaches,
	Budget:  lookTime,
	Cases:   perPort(profile.JTAG),
	Run: func(ctx context.Context, t *check.T) {
		all := made(ctx, t)
		all.told(t)
		for _, s := range all.of(profile.JTAG) {
			s.whole(t, "the chain of "+s.Port+" has no TAP that hides", func(c *check.Claim, l *ladder.Look) bool {
				if l.Delay != 0 && l.Delay != len(l.TAPs) {
					c.Fail(verdict.ReasonUndeclared, "%s a pattern comes back %d bits late, and %d TAPs show themselves", l.When(), l.Delay, len(l.TAPs))
				}
				return l.Delay > 0
			})
		}
	},
}
