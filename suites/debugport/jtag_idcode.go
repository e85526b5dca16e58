package debugport

import (
	"context"
	"fmt"
	"slices"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/debugport/ladder"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// JTAGIDCode: the TAPs that show themselves are those that are declared, each time the same, and as
// many as are passed in BYPASS. Noise on a line that floats shows some each time.
var JTAGIDCode = check.Check{
	ID:      "dbg-jtag-idcode",
	Title:   "The TAPs are those that are declared",
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
			s.taps(t)
		}
	},
}

// taps claims that the chain has the declared TAPs.
func (s *survey) taps(t *check.T) {
	ref := s.evidence(t, nil)
	v := s.Judge(nil)
	t.Claim("the TAPs of "+s.Port+" are those that are declared", func(c *check.Claim) {
		c.Show(ref)
		answered := 0
		for i := range s.Looks {
			l := &s.Looks[i]
			if l.Reply != ladder.Answered {
				continue
			}
			answered++
			if len(s.decl.TAPs) > 0 && !slices.EqualFunc(l.TAPs, s.decl.TAPs, func(a uint32, b int64) bool { return int64(a) == b }) {
				c.Fail(verdict.ReasonContradicted, "%s the chain says %08x, and declared is %08x", l.When(), l.TAPs, s.decl.TAPs)
			}
		}
		switch {
		case answered == 0 && !v.Shut:
			c.Unknown(v.Reason, "%s", v.Why)
		case answered > 0 && len(s.decl.TAPs) == 0:
			c.Unknown(verdict.ReasonProfileMissing, "the profile does not say which TAPs there are (debug.ports.%s.taps)", s.Port)
		}
		c.Expect(fmt.Sprintf("%08x", s.decl.TAPs), fmt.Sprintf("the same in %d looks; %s", answered, s.got(v)))
	})
}
