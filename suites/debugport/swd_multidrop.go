package debugport

import (
	"context"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/debugport/ladder"
	"rigor/harness/profile"
)

// SWDMultidrop: nor whoever knows its name: ports that share their wires are silent until one is named. The
// declared names are tried, and those of known parts.
var SWDMultidrop = check.Check{
	ID:      "dbg-swd-multidrop",
	Title:   "A debug port that is named lets nobody in",
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
			s.judge(t, "port "+s.Port+" lets nobody in who names it", class(ladder.Named))
		}
	},
}
