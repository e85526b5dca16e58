package journal

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/harness/verdict"
)

// Fold turns a journal into its result. It is pure: equal logs give equal
// results, and nothing else is consulted. It trusts no check: a negative claim
// that says it holds passes only if the controls, the probes and the evidence
// that law 1 asks for are in the journal.
func Fold(log *Log) *Result {
	f := &folder{res: &Result{Hash: log.Hash, Damage: log.Damage, Torn: log.Torn, Counts: map[verdict.Verdict]int{}},
		index: map[string]*Case{}, brackets: map[string]*bracketState{}}
	for i := range log.Events {
		f.event(&log.Events[i])
	}
	f.finish()
	return f.res
}

type bracketState struct {
	opened, closed, failed bool
	detail                 string
}

type folder struct {
	res       *Result
	cases     []*Case
	index     map[string]*Case
	brackets  map[string]*bracketState
	intents   []Intent
	contra    map[string]string
	doctorBad []Doctor
}

func us(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

func (f *folder) event(e *Event) {
	r := f.res
	r.Took = max(r.Took, us(e.Off))
	switch {
	case e.Start != nil:
		if r.At.IsZero() {
			r.Start, r.At = *e.Start, e.At
		}
	case e.Plan != nil:
		f.plan(e)
	case e.Doctor != nil:
		f.doctor(e.Doctor)
	case e.Unit != nil:
		r.Units = append(r.Units, *e.Unit)
	case e.State != nil:
		r.States = append(r.States, Timed[State]{us(e.Off), e.Case, *e.State})
	case e.Intent != nil:
		f.intent(*e.Intent)
	case e.Fault != nil:
		r.Faults = append(r.Faults, Timed[Fault]{us(e.Off), e.Case, *e.Fault})
		if e.Fault.Broken {
			f.broken(e.Fault.Part)
		}
		f.moment(e, "rig trouble: "+e.Fault.Part+": "+e.Fault.Error)
		if c := f.index[e.Case]; c != nil {
			c.Faults = append(c.Faults, *e.Fault)
		}
	case e.Lost != nil:
		r.Losses = append(r.Losses, Timed[Lost]{us(e.Off), e.Case, *e.Lost})
		f.moment(e, "DUT lost: "+e.Lost.Diagnosis)
	case e.Bracket != nil:
		f.bracket(e.Bracket)
	case e.Observe != nil:
		r.Observe = append(r.Observe, *e.Observe)
		for _, id := range e.Observe.Contradicts {
			if f.contra == nil {
				f.contra = map[string]string{}
			}
			f.contra[id] = e.Observe.Text
		}
	case e.Evidence != nil:
		r.Files = append(r.Files, *e.Evidence)
	case e.Interrupt != nil:
		r.Signal = e.Interrupt.Signal
	case e.End != nil:
		r.End = e.End
	default:
		f.caseEvent(e)
	}
}

// caseEvent handles what makes sense only within a case.
func (f *folder) caseEvent(e *Event) {
	c := f.index[e.Case]
	if c == nil {
		return
	}
	switch {
	case e.Begin != nil:
		if !c.Ran {
			c.At = us(e.Off)
		}
		c.Ran, c.Finished, c.End = true, false, nil
		c.Tries++
		c.State = e.Begin.State
	case e.CaseEnd != nil:
		c.Finished, c.End = true, e.CaseEnd
		c.Took = us(e.Off) - c.At
	case e.Control != nil:
		cl := f.claim(c, e.Control.Claim)
		cl.Controls = append(cl.Controls, *e.Control)
	case e.Probes != nil:
		cl := f.claim(c, e.Probes.Claim)
		cl.Probes = e.Probes
	case e.Claim != nil:
		cl := f.claim(c, e.Claim.Claim)
		cl.Claim.Claim = e.Claim.Claim
		// A claim that once did not hold stays so, whatever is said later.
		if cl.Claim.Holds != No {
			cl.Claim = *e.Claim
		}
	case e.Note != nil:
		f.moment(e, e.Note.Text)
	case e.Excerpt != nil:
		c.Excerpts = append(c.Excerpts, *e.Excerpt)
	}
}

func (f *folder) plan(e *Event) {
	if f.index[e.Case] != nil {
		f.trouble(verdict.Error, verdict.ReasonBug, fmt.Sprintf("case %s is planned twice", e.Case))
		return
	}
	c := &Case{ID: e.Case, Plan: *e.Plan}
	f.index[e.Case] = c
	f.cases = append(f.cases, c)
}

func (f *folder) doctor(d *Doctor) {
	f.res.Doctor = append(f.res.Doctor, *d)
	if d.Status != "broken" {
		return
	}
	f.doctorBad = append(f.doctorBad, *d)
	if d.Part != "" {
		f.broken(d.Part)
	}
}

func (f *folder) intent(in Intent) {
	f.intents = slices.DeleteFunc(f.intents, func(o Intent) bool { return o.ID == in.ID })
	if !in.Done {
		f.intents = append(f.intents, in)
	}
}

func (f *folder) broken(part string) {
	if !slices.Contains(f.res.Broken, part) {
		f.res.Broken = append(f.res.Broken, part)
	}
}

func (f *folder) bracket(b *Bracket) {
	s := f.brackets[b.ID]
	if s == nil {
		s = &bracketState{}
		f.brackets[b.ID] = s
	}
	switch b.Phase {
	case "open":
		s.opened = true
	case "close":
		s.closed = true
	}
	if !b.OK {
		s.failed, s.detail = true, b.Detail
	}
}

func (f *folder) moment(e *Event, text string) {
	if c := f.index[e.Case]; c != nil {
		c.Timeline = append(c.Timeline, Moment{us(e.Off) - c.At, text})
	}
}

// claim gives the record of claim n in the case's current try.
func (f *folder) claim(c *Case, n int) *ClaimResult {
	for i := range c.Claims {
		if c.Claims[i].Try == c.Tries && c.Claims[i].Claim.Claim == n {
			return &c.Claims[i]
		}
	}
	cl := ClaimResult{Try: c.Tries}
	cl.Claim.Claim = n
	c.Claims = append(c.Claims, cl)
	return &c.Claims[len(c.Claims)-1]
}

func (f *folder) trouble(v verdict.Verdict, r verdict.Reason, detail string) {
	f.res.Trouble = append(f.res.Trouble, verdict.Judgement{Verdict: v, Reason: r, Detail: detail})
}

func (f *folder) finish() {
	r := f.res
	r.Open = f.intents
	r.Planned = len(f.cases)
	if r.Damage != "" {
		f.trouble(verdict.Error, verdict.ReasonJournal, "the journal is damaged: "+r.Damage)
	}
	for _, d := range f.doctorBad {
		f.trouble(verdict.Error, verdict.ReasonFault, fmt.Sprintf("doctor %s the run: %s: %s", d.Phase, d.Item, d.Detail))
	}
	used := make([]bool, len(r.Start.Waivers))
	var vs []verdict.Verdict
	for _, c := range f.cases {
		if c.Unselected {
			c.Judgement = verdict.Judgement{Reason: verdict.ReasonNotSelected}
			r.Left = append(r.Left, *c)
			continue
		}
		c.Judgement = f.judge(c)
		c.Raw = c.Judgement
		f.waive(c, used)
		r.Counts[c.Judgement.Verdict]++
		vs = append(vs, c.Judgement.Verdict)
		r.Cases = append(r.Cases, *c)
	}
	f.staleWaivers(used)
	if r.End != nil && r.End.How == "aborted" && len(r.Trouble) == 0 {
		f.trouble(verdict.Error, verdict.ReasonBug, "the run was aborted: "+r.End.Detail)
	}
	if r.End != nil && !r.End.Safe {
		f.trouble(verdict.Error, verdict.ReasonFault, "the rig is not shown to be safe: "+r.End.Detail)
	}
	for _, t := range r.Trouble {
		vs = append(vs, t.Verdict)
	}
	r.Worst = verdict.Worst(vs...)
	r.Exit = r.Worst.ExitCode()
	if r.Signal != "" || r.End != nil && r.End.How == "interrupted" {
		r.Exit = verdict.ExitInterrupted
	}
}

// judge gives a case its verdict, by law 2: fail, error, inconclusive, pass.
func (f *folder) judge(c *Case) verdict.Judgement {
	if c.Skip != nil && !c.Ran {
		return f.skipped(c)
	}
	var all []verdict.Judgement
	retried := false
	for i := range c.Claims {
		cl := &c.Claims[i]
		cl.Judgement = judgeClaim(cl)
		// What an earlier try found counts only where it failed: that try ended
		// in rig trouble and was run again.
		if cl.Try < c.Tries && cl.Judgement.Verdict != verdict.Fail {
			retried = true
			continue
		}
		all = append(all, cl.Judgement)
	}
	if end := f.judgeEnd(c); end.Verdict != verdict.None {
		all = append(all, end)
	}
	if part := f.leansOnBroken(c); part != "" {
		all = append(all, verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonBrokenPart,
			Detail: part + " was found broken in this run, and this case leans on it"})
	}
	if b := f.brackets[c.Bracket]; c.Bracket != "" && (b == nil || !b.opened || !b.closed || b.failed) {
		all = append(all, verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonBracketOpen, Detail: bracketText(c.Bracket, b)})
	}
	if len(all) == 0 || retried && len(all) == 0 {
		return verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonNoClaim, Detail: "the check claimed nothing"}
	}
	if f.res.Damage != "" {
		all = append(all, verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonJournal, Detail: "the journal is damaged: " + f.res.Damage})
	}
	return worst(all)
}

func bracketText(id string, b *bracketState) string {
	switch {
	case b == nil || !b.opened:
		return "bracket " + id + " was never opened"
	case b.failed:
		return "bracket " + id + " failed: " + b.detail
	}
	return "bracket " + id + " was not closed"
}

// worst gives the first judgement of the highest precedence. A pass among
// others is only the worst when all are passes.
func worst(js []verdict.Judgement) verdict.Judgement {
	best := js[0]
	for _, j := range js[1:] {
		if best.Verdict != j.Verdict && verdict.Worst(best.Verdict, j.Verdict) == j.Verdict {
			best = j
		}
	}
	return best
}

func (f *folder) skipped(c *Case) verdict.Judgement {
	j := *c.Skip
	if j.Verdict != verdict.NotApplicable {
		if j.Verdict == verdict.Pass || !j.Verdict.Valid() { // a plan cannot pass a case
			return verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonBug, Detail: "planned with the verdict " + string(j.Verdict)}
		}
		return j
	}
	if j.Detail == "" {
		return verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonProfileMissing, Detail: "declared not applicable without a reason"}
	}
	for _, id := range []string{c.ID, c.Check} {
		if seen, ok := f.contra[id]; ok {
			return verdict.Judgement{Verdict: verdict.Fail, Reason: verdict.ReasonContradicted,
				Detail: fmt.Sprintf("declared none (%s), but: %s", j.Detail, seen)}
		}
	}
	return j
}

// judgeEnd says what the way in which a case ended means by itself.
func (f *folder) judgeEnd(c *Case) verdict.Judgement {
	switch {
	case !c.Ran && f.res.End != nil && f.res.End.How == "interrupted", c.Ran && !c.Finished && f.res.Signal != "":
		return verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonInterrupted, Detail: "the run was interrupted" + orNothing(" by ", f.res.Signal)}
	case !c.Ran:
		return verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonUnfinished, Detail: "planned and never run"}
	case !c.Finished:
		return verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonUnfinished, Detail: "the run ended before the case did"}
	case c.End.Retry:
		return verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonUnfinished, Detail: "to be tried again, and was not"}
	case c.End.Judgement != nil:
		j := *c.End.Judgement
		if j.Verdict == verdict.Pass || !j.Verdict.Valid() { // only claims pass a case
			return verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonBug, Detail: "ended with the verdict " + string(j.Verdict)}
		}
		return j
	}
	return verdict.Judgement{}
}

func orNothing(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func (f *folder) leansOnBroken(c *Case) string {
	for _, p := range f.res.Broken {
		if slices.Contains(c.Parts, p) {
			return p
		}
	}
	return ""
}

// judgeClaim holds one claim against law 1.
func judgeClaim(cl *ClaimResult) verdict.Judgement {
	inc := func(r verdict.Reason, format string, args ...any) verdict.Judgement {
		return verdict.Judgement{Verdict: verdict.Inconclusive, Reason: r, Detail: fmt.Sprintf(format, args...)}
	}
	c := &cl.Claim
	switch c.Holds {
	case No:
		r := c.Reason
		if r == "" {
			r = verdict.ReasonExpectation
		}
		return verdict.Judgement{Verdict: verdict.Fail, Reason: r, Detail: firstOf(c.Got, c.Text)}
	case Yes:
	case Unknown:
		r := c.Reason
		if r == "" {
			r = verdict.ReasonAmbiguous
		}
		return inc(r, "%s", firstOf(c.Got, c.Text))
	default:
		return inc(verdict.ReasonNoClaim, "claim %d was begun and not decided", c.Claim)
	}
	if c.Negative {
		if j := judgeNegative(cl); j.Verdict != verdict.None {
			return j
		}
	}
	if len(c.Evidence) == 0 && (cl.Probes == nil || len(cl.Probes.Evidence) == 0) {
		return inc(verdict.ReasonNoEvidence, "%q holds, but nothing was kept to show it", c.Text)
	}
	return verdict.Judgement{Verdict: verdict.Pass, Detail: firstOf(c.Got, c.Text)}
}

// judgeNegative gives what is missing for a negative claim, or nothing.
func judgeNegative(cl *ClaimResult) verdict.Judgement {
	inc := func(r verdict.Reason, format string, args ...any) verdict.Judgement {
		return verdict.Judgement{Verdict: verdict.Inconclusive, Reason: r, Detail: fmt.Sprintf(format, args...)}
	}
	seen := map[string]int{}
	for _, ctl := range cl.Controls {
		if !ctl.OK {
			r := verdict.ReasonControlFailed
			if ctl.Role == RoleAnti {
				r = verdict.ReasonAntiControl
			}
			return inc(r, "%s: %s", ctl.Role, firstOf(ctl.Detail, string(ctl.Kind)))
		}
		seen[ctl.Role]++
	}
	if cl.Claim.Bracket == "" {
		for _, role := range []string{RoleBefore, RoleAfter} {
			if seen[role] == 0 {
				return inc(verdict.ReasonNoControl, "no %s was run", role)
			}
		}
	}
	if seen[RoleAnti] == 0 {
		return inc(verdict.ReasonNoControl, "no anti-control was run")
	}
	p := cl.Probes
	switch {
	case p == nil || p.Planned == 0 || p.Tried == 0:
		return inc(verdict.ReasonNoProbes, "nothing was tried")
	case p.Tried < p.Planned:
		return inc(verdict.ReasonCoverageGap, "%d of %d probes were tried", p.Tried, p.Planned)
	case p.Effective < p.Tried:
		return inc(verdict.ReasonIneffective, "%d of %d probes could have shown something", p.Effective, p.Tried)
	}
	var other []string
	total := 0
	for k, n := range p.Kinds {
		total += n
		switch {
		case k.Opens() && n > 0:
			return verdict.Judgement{Verdict: verdict.Fail, Reason: verdict.ReasonAccess, Detail: fmt.Sprintf("%d probes were %s", n, k)}
		case n > 0 && !slices.Contains(cl.Claim.Refusal, k):
			other = append(other, fmt.Sprintf("%d %s", n, k))
		}
	}
	if len(other) > 0 {
		slices.Sort(other)
		return inc(verdict.ReasonWrongRefusal, "answers that are no declared refusal: %s", strings.Join(other, ", "))
	}
	if total != p.Tried {
		return inc(verdict.ReasonCoverageGap, "%d probes were tried, %d answers are recorded", p.Tried, total)
	}
	switch cl.Claim.Unchanged {
	case Yes:
	case No:
		return inc(verdict.ReasonDUTChanged, "the DUT is not the same before and after the probes")
	default:
		return inc(verdict.ReasonDUTChanged, "the DUT is not shown to be unchanged")
	}
	return verdict.Judgement{}
}

func firstOf(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}
