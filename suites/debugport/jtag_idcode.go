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
	var want []uint32
	for _, t := range s.decl.TAPs {
		want = append(want, uint32(t.ID)) //nolint:gosec // the profile's lint bounds it
	}
	t.Claim("the TAPs of "+s.Port+" are those that are declared", func(c *check.Claim) {
		c.Show(ref)
		if s.Astray != "" {
			c.Unknown(v.Reason, "%s", v.Why)
			return
		}
		answered, unseen := 0, ""
		for i := range s.Looks {
			l := &s.Looks[i]
			if l.Reply != ladder.Answered {
				continue
			}
			answered++
			if len(l.TAPs) == 0 && l.Blind != "" { // through an adapter
				unseen = l.When() + ": " + l.Blind
				continue
			}
			if len(want) > 0 && !slices.Equal(l.TAPs, want) {
				c.Fail(verdict.ReasonContradicted, "%s the chain says %08x, and declared is %08x", l.When(), l.TAPs, want)
			}
		}
		switch {
		case answered == 0 && !v.Shut:
			c.Unknown(v.Reason, "%s", v.Why)
		case answered > 0 && len(want) == 0:
			c.Unknown(verdict.ReasonProfileMissing, "the profile does not say which TAPs there are (debug.ports.%s.taps)", s.name)
		case unseen != "":
			c.Unknown(verdict.ReasonRigLacks, "%s", unseen)
		}
		c.Expect(fmt.Sprintf("%08x", want), fmt.Sprintf("the same in %d looks; %s", answered, s.got(v)))
	})
}
