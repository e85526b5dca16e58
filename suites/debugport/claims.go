package debugport

import (
	"fmt"
	"slices"
	"strings"

	"rigor/harness/check"
	"rigor/harness/debugport/ladder"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// judge claims that a port lets nobody in, by the looks that are picked. Level, basis and
// what decided are in the report.
func (s *survey) judge(t *check.T, text string, pick func(l *ladder.Look) bool) {
	s.judged(t, text, pick, "", "")
}

// allowed says how open the port may be.
func (s *survey) allowed() string {
	most := min(s.Declared, ladder.Most)
	return fmt.Sprintf("at most %s: %s", most, most.Words())
}

// got says what was seen, and on what ground.
func (s *survey) got(v ladder.Verdict) string {
	text := fmt.Sprintf("%s: %s", v.Level, v.Why)
	if len(v.Ground) > 0 {
		var on []string
		for _, g := range v.Ground {
			on = append(on, g.String())
		}
		text += "; silence is taken for a lock on " + strings.Join(on, "; ")
	}
	return text
}

// wholly claims that a port lets nobody in, in each phase of the device's life: one that
// could not be looked at leaves it open.
func (s *survey) wholly(t *check.T, text string, pick func(l *ladder.Look) bool) {
	s.judged(t, text, pick, s.why, s.unseen())
}

// unseen names the phases of the device's life in which it was not looked at; "" where it
// was in each.
func (s *survey) unseen() string {
	var not []string
	for _, name := range []string{profile.PhaseSleep, profile.PhaseUpdate, profile.PhaseRecovery} {
		if why := s.lacks[name]; why != "" {
			not = append(not, name+": "+why)
		}
	}
	if len(not) == 0 {
		return ""
	}
	return "it was not looked at in each phase: " + strings.Join(not, "; ")
}

// judged is a judge that knows more: what stands against a pass, or where the reason is ""
// what belongs to one.
func (s *survey) judged(t *check.T, text string, pick func(l *ladder.Look) bool, r verdict.Reason, why string) {
	ref := s.evidence(t, pick)
	v := s.Judge(pick)
	t.Claim(text, func(c *check.Claim) {
		c.Show(ref)
		got := s.got(v)
		if r == "" && why != "" {
			got += "; " + why
		}
		c.Expect(s.allowed(), got)
		if s.decide(c, v); v.Shut && r != "" {
			c.Unknown(r, "%s", why)
		}
	})
}

// decide says of a claim what the ladder says.
func (s *survey) decide(c *check.Claim, v ladder.Verdict) {
	switch {
	case v.Open:
		c.Fail(v.Reason, "%s is open to %s: %s", s.Port, v.Level, v.Why)
	case !v.Shut:
		c.Unknown(v.Reason, "%s", v.Why)
	}
}

// class picks the looks by a class of ways, without those of the sweep.
func class(name string) func(l *ladder.Look) bool {
	return func(l *ladder.Look) bool { return ladder.Class(l.Way) == name }
}

// answering picks the looks at which the port answered, and all of it was looked at.
func answering(l *ladder.Look) bool { return l.Reply == ladder.Answered && !l.Quick }

// swept says whether a phase is one of a start.
func swept(phase string) bool {
	return slices.Contains([]string{inReset, inReset + before, inReset + again, released, inROM, inLoader}, phase)
}

// whole claims about what is behind a port. Where nothing is behind it, since it answers
// nowhere or lets nobody so far, the ladder says on what ground.
func (s *survey) whole(t *check.T, text string, each func(c *check.Claim, l *ladder.Look) (seen bool)) {
	ref := s.evidence(t, nil)
	v := s.Judge(nil)
	t.Claim(text, func(c *check.Claim) {
		c.Show(ref)
		if s.Astray != "" {
			c.Unknown(v.Reason, "%s", v.Why)
			return
		}
		seen, reached := 0, false
		for i := range s.Looks {
			l := &s.Looks[i]
			if l.Reply == ladder.Answered && each(c, l) {
				seen++
			}
			reached = reached || slices.ContainsFunc(l.Reads, func(r ladder.Read) bool { return r.What == ladder.System && r.Got == ladder.Data })
		}
		unseen := s.unseen()
		switch {
		case c.Failed():
		case v.Shut && unseen != "" && s.why != "":
			c.Unknown(s.why, "what was looked at gives none of it; %s", unseen)
		case seen > 0 && v.Shut:
			c.Expect("none of it is given", fmt.Sprintf("%d looks, each refused; %s", seen, s.got(v)))
		case seen == 0 && v.Shut && reached:
			c.Unknown(verdict.ReasonAmbiguous, "the core's own registers are reached, and none says no to that: %s", v.Why)
		case seen == 0 && v.Shut:
			c.Expect("none of it is given", "nothing leads there: "+s.got(v))
		case v.Open: // what it is about is not what is open
			c.Unknown(verdict.ReasonAmbiguous, "the port is open otherwise: %s", v.Why)
		default:
			c.Unknown(v.Reason, "%s", v.Why)
		}
	})
}
