package debugport

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/debugport/ladder"
	"rigor/harness/debugport/lock"
	"rigor/harness/verdict"
)

// VendorLock: the chip says of itself that it is locked, by the registers of its maker. That its port
// shows nothing is another thing: software may have closed it, and may open it.
var VendorLock = check.Check{
	ID:      "dbg-vendor-lock",
	Title:   "The chip's own lock is closed",
	Clauses: closed,
	From:    states.Onboarded.State,
	Effect:  check.Disturbs,
	Allow:   attaches,
	Budget:  lookTime,
	Cases:   perPort("", named),
	Run: func(ctx context.Context, t *check.T) {
		all := made(ctx, t)
		all.told(t)
		for _, s := range all.of("") {
			s.lock(t)
		}
	},
}

// lock claims that the lock of a port is closed, by what its registers say.
func (s *survey) lock(t *check.T) {
	ref := s.evidence(t, answering)
	var l *lock.Lock
	if s.decl.Lock != lock.None {
		var err error
		l, err = lock.Named(s.decl.Lock)
		t.OK(err)
	}
	t.Claim("the lock of "+s.Port+" is closed", func(c *check.Claim) {
		c.Show(ref)
		if l == nil || l.Lockless != "" {
			c.Fail(verdict.ReasonExpectation, "the chip has no lock that could be closed")
			return
		}
		if s.Astray != "" {
			c.Unknown(verdict.ReasonControlFailed, "%s", s.Astray)
			return
		}
		seen, told := s.registers(c)
		c.Expect(l.Title+": closed", strings.Join(seen, "; "))
		if len(s.Contrary) > 0 {
			c.Unknown(verdict.ReasonAmbiguous, "%s", strings.Join(s.Contrary, "; "))
		}
		if told {
			return
		}
		if v := s.Judge(nil); v.Shut && v.Level == ladder.L0 && l.Shut == lock.Locked {
			c.Expect(l.Title+": closed", "none of its registers is reached, as in a locked chip; "+s.got(v))
			return
		}
		c.Unknown(verdict.ReasonPrecondition, "none of the registers of %s could be read that say whether it is closed", l.Title)
	})
	if l != nil && l.Wipes {
		t.Note("whoever has the wires of %s can wipe the chip and use it again: what is in it stays secret, and the device is gone", s.Port)
	}
}

// registers decides by each register that was read, and gives what they said. Told says
// that one of them is about the port, and not about erasing alone.
func (s *survey) registers(c *check.Claim) (seen []string, told bool) {
	for i := range s.Looks {
		l := &s.Looks[i]
		if why := s.Stranger(l); why != "" && len(l.Locks) > 0 {
			c.Unknown(verdict.ReasonControlFailed, "%s", why)
		}
		for _, r := range l.Locks {
			said := fmt.Sprintf("%s (%s) is 0x%x: %s", r.Name, r.Where, r.Raw, r.Words)
			if r.Unverified {
				said += " (by a data sheet that this was not held against)"
			}
			if !slices.Contains(seen, said) {
				seen = append(seen, said)
			}
			told = told || !r.Erase
			s.register(c, l, r)
		}
	}
	return seen, told
}

// register decides by one register. What it says of erasing is for the reader.
func (s *survey) register(c *check.Claim, l *ladder.Look, r ladder.Reading) {
	if r.Erase {
		return
	}
	switch r.State {
	case lock.Open, lock.Partly:
		c.Fail(verdict.ReasonAccess, "%s (%s) %s (%s) is 0x%x: %s", l.When(), l.Way, r.Name, r.Where, r.Raw, r.Words)
	case lock.Locked:
	default:
		c.Unknown(verdict.ReasonAmbiguous, "%s (%s) %s (%s) is 0x%x: %s", l.When(), l.Way, r.Name, r.Where, r.Raw, r.Words)
	}
}
