package journal

import (
	"fmt"

	"rigor/harness/verdict"
)

// matches says whether a waiver is for this case on this run's DUT.
func (w *Waiver) matches(c *Case, s *Start) bool {
	return w.Case == c.ID &&
		(w.Unit == "" || w.Unit == s.Serial) &&
		(w.Model == "" || w.Model == s.Model) &&
		(w.Version == "" || w.Version == s.Firmware)
}

// waive turns a failure that a waiver names into a skip; the raw verdict stays
// with the case. Only failures can be waived: what is unclear stays unclear.
func (f *folder) waive(c *Case, used []bool) {
	s := &f.res.Start
	for i := range s.Waivers {
		w := &s.Waivers[i]
		if !w.matches(c, s) {
			continue
		}
		used[i] = true
		switch {
		case w.Expires < s.WaiversNow:
			f.trouble(verdict.Error, verdict.ReasonWaiver, fmt.Sprintf("the waiver for %s expired on %s; decide anew", c.ID, w.Expires))
		case c.Judgement.Verdict == verdict.Fail:
			c.Waiver = w
			c.Judgement = verdict.Judgement{Verdict: verdict.NotApplicable, Reason: verdict.ReasonWaived,
				Detail: fmt.Sprintf("waived until %s by %s: %s (raw: %s)", w.Expires, w.Owner, w.Reason, c.Raw)}
		case c.Judgement.Verdict == verdict.Pass:
			f.trouble(verdict.Error, verdict.ReasonWaiver, fmt.Sprintf("the waiver for %s is no longer needed: it passes; remove it", c.ID))
		}
	}
}

// staleWaivers reports waivers that name a case which is not in the plan. One
// for another unit, model or version is somebody else's.
func (f *folder) staleWaivers(used []bool) {
	s := &f.res.Start
	for i := range s.Waivers {
		w := &s.Waivers[i]
		if !used[i] && f.index[w.Case] == nil {
			f.trouble(verdict.Error, verdict.ReasonWaiver, fmt.Sprintf("a waiver names %s, which is no case of this plan", w.Case))
		}
	}
}
