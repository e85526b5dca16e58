package debugport

import (
	"context"
	"fmt"

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
			s.hidden(t)
		}
	},
}

// hidden claims that as many TAPs are passed in BYPASS as show themselves, each time.
func (s *survey) hidden(t *check.T) {
	ref := s.evidence(t, nil)
	v := s.Judge(nil)
	t.Claim("the chain of "+s.Port+" has no TAP that hides", func(c *check.Claim) {
		c.Show(ref)
		if s.Astray != "" {
			c.Unknown(v.Reason, "%s", v.Why)
			return
		}
		seen, unclear := 0, ""
		for i := range s.Looks {
			switch l := &s.Looks[i]; {
			case l.Reply == ladder.Answered && l.Delay > 0:
				if seen++; l.Delay != len(l.TAPs) {
					c.Fail(verdict.ReasonUndeclared, "%s a pattern comes back %d bits late, and %d TAPs show themselves", l.When(), l.Delay, len(l.TAPs))
				}
			case l.Reply == ladder.Answered:
				unclear = l.When() + ": how many TAPs are passed in BYPASS was not seen"
			case l.Reply != ladder.Silent:
				_, unclear = l.Level()
			}
		}
		switch {
		case unclear != "":
			c.Unknown(verdict.ReasonAmbiguous, "%s", unclear)
		case seen == 0 && !v.Shut:
			c.Unknown(v.Reason, "%s", v.Why)
		}
		c.Expect("as many in BYPASS as show themselves", fmt.Sprintf("so in %d looks; %s", seen, s.got(v)))
	})
}
