package debugport

import (
	"context"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/profile"
)

// JTAGLocked: the TAPs give nothing but what they are: behind a debug port among them there is nothing
// that can be read.
var JTAGLocked = check.Check{
	ID:      "dbg-jtag-locked",
	Title:   "JTAG gives nothing but what the TAPs are",
	Clauses: closed,
	From:    states.Onboarded.State,
	Effect:  check.Disturbs,
	Allow:   attaches,
	Budget:  lookTime,
	Cases:   perPort(profile.JTAG),
	Run: func(ctx context.Context, t *check.T) {
		all := made(ctx, t)
		all.told(t)
		for _, s := range all.of(profile.JTAG) {
			s.wholly(t, "JTAG port "+s.Port+" lets nobody in", nil)
		}
	},
}
