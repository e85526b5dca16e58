package debugport

import (
	"context"
	"slices"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/debugport/ladder"
	"rigor/harness/verdict"
)

// APEnum: no access port behind it leads to memory. Every number that there can be is asked for,
// or every table is read to its end: one of a high number is easily missed.
var APEnum = check.Check{
	ID:      "dbg-ap-enum",
	Title:   "No access port leads to memory",
	Clauses: closed,
	From:    states.Onboarded.State,
	Effect:  check.Disturbs,
	Allow:   attaches,
	Budget:  lookTime,
	Cases:   perPort(""),
	Run: func(ctx context.Context, t *check.T) {
		all := made(ctx, t)
		all.told(t)
		for _, s := range all.of("") {
			s.whole(t, "no access port of "+s.Port+" leads to memory", func(c *check.Claim, l *ladder.Look) bool {
				for _, ap := range l.AP {
					if ap.Kind == ladder.Memory && usable(l, ap) {
						c.Fail(verdict.ReasonAccess, "%s (%s) access port 0x%x (IDR 0x%08x, CSW 0x%08x) is a memory port that works", l.When(), l.Way, ap.Addr, ap.IDR, ap.CSW)
					}
				}
				return l.All
			})
		}
	},
}

// usable says whether a memory access port is shown to give memory, or a core that may be debugged. That it says to be
// enabled is no proof: a lock may stand behind it.
func usable(l *ladder.Look, ap ladder.AP) bool {
	for _, r := range l.Reads {
		if r.AP == ap.Addr && r.What != ladder.System && r.Gives() {
			return true
		}
	}
	return slices.ContainsFunc(ap.Units, func(u ladder.Unit) bool { return u.Core && u.Open() })
}
