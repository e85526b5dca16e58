package debugport

import (
	"context"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/debugport/ladder"
	"rigor/harness/profile"
)

// SWDDormant: nor whoever wakes it: a port of version 2 or 3 may sleep, and is silent to all but the
// alert that wakes it. Each way to wake one is tried.
var SWDDormant = check.Check{
	ID:      "dbg-swd-dormant",
	Title:   "A debug port that is woken lets nobody in",
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
			s.judge(t, "port "+s.Port+" lets nobody in who wakes it", class(ladder.Woken))
		}
	},
}
