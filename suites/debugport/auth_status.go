package debugport

import (
	"context"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/debugport/ladder"
	"rigor/harness/verdict"
)

// AuthStatus: the core says of itself that nobody may debug it, on either side. Debugging of the
// non-secure side alone still gives out what is kept there.
var AuthStatus = check.Check{
	ID:      "dbg-auth-status",
	Title:   "The core gives nobody the right to debug it",
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
			s.whole(t, "no right to debug is given by "+s.Port, func(c *check.Claim, l *ladder.Look) bool {
				said := rights(l)
				for _, auth := range said {
					for _, right := range []ladder.Right{ladder.NonSecure, ladder.Secure, ladder.NonSecurePassive, ladder.SecurePassive} {
						if auth.Has(right) == ladder.Yes {
							c.Fail(verdict.ReasonAccess, "%s (%s) the core says 0x%02x: %s", l.When(), l.Way, uint32(auth), auth)
						}
					}
				}
				return len(said) > 0
			})
		}
	},
}

// rights gives what cores say of who may debug them, in a look.
func rights(l *ladder.Look) (out []ladder.Auth) {
	if l.Auth != nil {
		out = append(out, *l.Auth)
	}
	for _, ap := range l.AP {
		for _, u := range ap.Units {
			if u.Core {
				out = append(out, u.Auth)
			}
		}
	}
	return out
}
