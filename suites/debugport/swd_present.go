package debugport

import (
	"context"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/debugport/ladder"
	"rigor/harness/profile"
)

// SWDPresent: whoever asks at the port while the device is in use does not get in. It has to answer, or
// to be shown to be wired: a port that is silent without a supply, on a wrong pad or
// behind a level shifter looks locked.
var SWDPresent = check.Check{
	ID:      "dbg-swd-present",
	Title:   "The debug port lets nobody in while the device is in use",
	Clauses: closed,
	From:    states.Onboarded.State,
	Effect:  check.Disturbs,
	Allow:   attaches,
	Budget:  lookTime,
	Cases:   perPort(profile.SWD),
	Run: func(ctx context.Context, t *check.T) {
		all := made(ctx, t)
		all.told(t)
		for _, s := range all.of(profile.SWD) {
			s.wholly(t, "port "+s.Port+" lets nobody in while the device is in use, asked plainly", func(l *ladder.Look) bool {
				return ladder.Class(l.Way) == ladder.Plainly && !swept(l.Phase)
			})
		}
	},
}
