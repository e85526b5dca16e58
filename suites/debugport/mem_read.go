package debugport

import (
	"context"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/istg"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/debugport/ladder"
	"rigor/harness/verdict"
)

// MemRead: no memory is read through it: not the program, RAM, fuses, or what else is declared. All
// zeros or all ones are neither read nor refused, unless it is known what is there.
var MemRead = check.Check{
	ID:      "dbg-mem-read",
	Title:   "No memory is read through the debug port",
	Clauses: baseline.PerChannel{baseline.Local: {nist8259a.LA1, nist8259a.DP1, en303645.V3("5.6-4A"), en303645.V3("5.4-1"), en18031.Code("GEC-5"), en18031.Code("SSM-3"), istg.ID("PROC-AUTHZ-001"), istg.ID("MEM-SCRT-001")}},
	From:    states.Onboarded.State,
	Effect:  check.Disturbs,
	Allow:   attaches,
	Budget:  lookTime,
	Cases:   perPort(""),
	Run: func(ctx context.Context, t *check.T) {
		all := made(ctx, t)
		all.told(t)
		for _, s := range all.of("") {
			s.whole(t, "no memory is read through "+s.Port, func(c *check.Claim, l *ladder.Look) bool {
				asked := false
				for _, r := range l.Reads {
					switch {
					case r.What == ladder.System:
					case r.Gives():
						c.Fail(verdict.ReasonAccess, "%s (%s) %d bytes of %s at 0x%08x were read, SHA-256 %s", l.When(), l.Way, r.Length, r.What, r.At, r.Digest)
					case r.Got == ladder.Refused && !r.Guessed:
						asked = true
					}
				}
				return asked
			})
		}
	},
}
