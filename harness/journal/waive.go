package journal

import (
	"fmt"
	"time"

	"rigor/harness/verdict"
)

// matches says whether a waiver is for this case on this run's DUT.
func (w *Waiver) matches(c *Case, r *Result) bool {
	s := &r.Start
	return w.Case == c.ID &&
		(w.Unit == "" || w.Unit == r.Serial(c.Rig)) &&
		(w.Model == "" || w.Model == s.Model) &&
		(w.Version == "" || w.Version == s.Firmware)
}

// waive turns a failure that a waiver names into a skip; the raw verdict stays
// with the case. Only failures can be waived: what is unclear stays unclear. That the
// case put the DUT out of service is not: the waiver was for what the case looks for.
func (f *folder) waive(c *Case, used []bool) {
	s := &f.res.Start
	for i := range s.Waivers {
		w := &s.Waivers[i]
		if !w.matches(c, f.res) {
			continue
		}
		used[i] = true
		bad := w.invalid(f.today())
		switch {
		case bad != "":
			f.trouble(verdict.Error, verdict.ReasonWaiver, fmt.Sprintf("the waiver for %s %s", c.ID, bad))
		case c.Disabled != "":
			c.Judgement.Detail += "; its waiver is not for that"
		case c.Judgement.Verdict == verdict.Fail:
			c.Waiver = w
			c.Judgement = verdict.Judgement{Verdict: verdict.NotApplicable, Reason: verdict.ReasonWaived,
				Detail: fmt.Sprintf("waived until %s by %s: %s (raw: %s)", w.Expires, w.Owner, w.Reason, c.Raw)}
		case c.Judgement.Verdict == verdict.Pass:
			f.trouble(verdict.Error, verdict.ReasonWaiver, fmt.Sprintf("the waiver for %s is no longer needed: it passes; remove it", c.ID))
		}
	}
}

// MaxWaiver is how far ahead a waiver may expire, in days.
const MaxWaiver = 90

// today gives the day against which waivers are judged.
func (f *folder) today() string {
	return firstOf(f.res.Start.WaiversNow, f.res.At.UTC().Format(time.DateOnly))
}

// invalid says why a waiver does not count on this day; nothing if it does.
func (w *Waiver) invalid(today string) string {
	until, err := time.Parse(time.DateOnly, w.Expires)
	if err != nil {
		return fmt.Sprintf("has no date of expiry (YYYY-MM-DD), but %q", w.Expires)
	}
	now, err := time.Parse(time.DateOnly, today)
	switch {
	case err != nil:
		return fmt.Sprintf("cannot be held against today, %q", today)
	case until.Before(now):
		return fmt.Sprintf("expired on %s; decide anew", w.Expires)
	case until.After(now.AddDate(0, 0, MaxWaiver)):
		return fmt.Sprintf("expires on %s, more than %d days ahead", w.Expires, MaxWaiver)
	case w.Reason == "" || w.Owner == "":
		return "names no reason or no owner"
	}
	return ""
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
