package journal

import (
	"fmt"
	"slices"
	"time"

	"rigor/harness/verdict"
)

// Fold turns a journal into its result. It is pure: equal logs give equal
// results, and nothing else is consulted. It trusts no check: a negative claim
// that says it holds passes only if the controls, the probes and the evidence
// that law 1 asks for are in the journal.
func Fold(log *Log) *Result {
	f := newFolder()
	for i := range log.Events {
		f.event(&log.Events[i])
	}
	return f.result(log)
}

func newFolder() *folder {
	return &folder{res: &Result{Counts: map[verdict.Verdict]int{}}, index: map[string]*Case{}, brackets: map[bracketKey]*bracketState{},
		contra: map[string]string{}, files: map[string]bool{}, tries: map[*Case]*tryState{}, running: map[string]string{}, bad: map[string][]string{}, disproved: map[string]string{}}
}

// result ends the fold with what is known of the file as a whole.
func (f *folder) result(log *Log) *Result {
	f.res.Hash, f.res.Damage, f.res.Torn = log.Hash, log.Damage, log.Torn
	f.finish()
	return f.res
}

// bracketKey names a bracket. What a unit has shown stands for that unit alone: each rig
// of a run has its own.
type bracketKey struct{ rig, id string }

type bracketState struct {
	opened, closed, failed bool
	detail                 string
}

type folder struct {
	running map[string]string   // on each rig, the case that runs
	bad     map[string][]string // of each rig, the parts found broken

	res       *Result
	cases     []*Case
	index     map[string]*Case
	brackets  map[bracketKey]*bracketState
	disproved map[string]string // brackets that a case has shown not to hold, on whichever unit
	intents   []Intent
	contra    map[string]string
	doctorBad []Doctor
	files     map[string]bool // evidence that was closed and hashed
	tries     map[*Case]*tryState
	started   bool
}

// tryState is what the fold remembers of a case's tries beyond its result.
type tryState struct {
	kept   []verdict.Judgement // what earlier tries leave behind for good
	faults int                 // rig trouble in the current try
}

func us(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

func (f *folder) event(e *Event) {
	r := f.res
	r.Took = max(r.Took, us(e.Off))
	switch {
	case e.Start != nil:
		if f.started {
			f.trouble(verdict.Error, verdict.ReasonJournal, "the journal starts twice")
			return
		}
		f.started, r.Start, r.At = true, *e.Start, e.At
	case e.Plan != nil:
		f.plan(e)
	case e.Doctor != nil:
		f.doctor(e)
	case e.Unit != nil:
		u := *e.Unit
		u.Rig = e.Rig
		r.Units = append(r.Units, u)
		if !e.Unit.OK {
			f.trouble(verdict.Error, verdict.ReasonWrongUnit, fmt.Sprintf("the DUT says that it is %q, the rig%s is declared for %q", e.Unit.Got, orNothing(" ", e.Rig), e.Unit.Want))
		}
	case e.State != nil:
		r.States = append(r.States, Timed[State]{us(e.Off), e.Case, e.Rig, *e.State})
		f.moment(e, stateText(e.State))
		// The way to where a case starts is walked after it began.
		if c := f.index[f.running[e.Rig]]; c != nil && e.State.OK && len(c.Claims) == 0 {
			c.State = e.State.To
		}
	case e.Intent != nil:
		f.intent(e)
	case e.Fault != nil:
		r.Faults = append(r.Faults, Timed[Fault]{us(e.Off), e.Case, e.Rig, *e.Fault})
		if e.Fault.Broken {
			f.broken(e.Rig, e.Fault.Part)
		}
		f.moment(e, "rig trouble: "+e.Fault.Part+": "+e.Fault.Error)
		if c := f.index[e.Case]; c != nil {
			c.Faults = append(c.Faults, *e.Fault)
			f.try(c).faults++
		}
	case e.Lost != nil:
		r.Losses = append(r.Losses, Timed[Lost]{us(e.Off), e.Case, e.Rig, *e.Lost})
		f.moment(e, "DUT lost: "+e.Lost.Diagnosis)
		if c := f.index[e.Case]; c != nil && e.Lost.Disabled {
			c.Disabled = "after the case the DUT was gone (" + e.Lost.Diagnosis + ") and its declared recovery did not bring it back"
		}
	case e.Bracket != nil:
		f.bracket(e)
	case e.Observe != nil:
		f.moment(e, "seen: "+e.Observe.Text)
		r.Observe = append(r.Observe, *e.Observe)
		for _, id := range e.Observe.Contradicts {
			f.contra[id] = e.Observe.Text
		}
	case e.Evidence != nil:
		r.Files = append(r.Files, *e.Evidence)
		f.files[e.Evidence.Path] = true
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
		f.unplanned(e)
		return
	}
	switch {
	case e.Begin != nil:
		f.begin(c, e)
	case e.CaseEnd != nil:
		c.Finished, c.End, f.running[e.Rig] = true, e.CaseEnd, ""
		c.Took = us(e.Off) - c.At
	case e.Control != nil:
		cl := f.claim(c, e.Control.Claim)
		cl.Controls = append(cl.Controls, *e.Control)
		f.moment(e, controlText(e.Control))
	case e.Probes != nil:
		cl := f.claim(c, e.Probes.Claim)
		// Probes that opened something stay, whatever is said later.
		if opened(cl.Probes) == "" {
			cl.Probes = e.Probes
		}
		f.moment(e, probesText(e.Probes))
	case e.Claim != nil:
		f.claimed(c, e)
	case e.Note != nil:
		f.moment(e, e.Note.Text)
	case e.Excerpt != nil:
		c.Excerpts = append(c.Excerpts, *e.Excerpt)
	}
}

// begin starts a try of a case. Only rig trouble is tried again, once: a case
// that is begun anew for another reason keeps what its earlier try ended with.
func (f *folder) begin(c *Case, e *Event) {
	try := f.try(c)
	if c.Ran {
		try.kept = append(try.kept, keptOf(c, try.faults)...)
		if c.Rig != e.Rig { // its tries are of one unit
			try.kept = append(try.kept, verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonBug, Detail: "begun again on another rig"})
		}
	} else {
		c.At, c.Rig = us(e.Off), e.Rig
	}
	if len(e.Begin.Parts) > 0 {
		c.Parts = e.Begin.Parts
	}
	try.faults = 0
	c.Ran, c.Finished, c.End = true, false, nil
	c.Tries++
	c.State, f.running[e.Rig] = e.Begin.State, e.Case
	if c.Tries > 1 {
		f.moment(e, fmt.Sprintf("try %d", c.Tries))
	}
}

// keptOf gives what a try that is followed by another leaves behind.
func keptOf(c *Case, faults int) []verdict.Judgement {
	bug := func(detail string) []verdict.Judgement {
		return []verdict.Judgement{{Verdict: verdict.Error, Reason: verdict.ReasonBug, Detail: detail}}
	}
	end := c.End
	switch {
	case c.Tries > 1:
		return bug("tried more than twice")
	case end == nil:
		return bug("begun again before it ended")
	case end.Judgement != nil && (end.Judgement.Verdict == verdict.Fail || end.Judgement.Verdict == verdict.Inconclusive):
		return []verdict.Judgement{*end.Judgement}
	case !end.Retry:
		return bug("begun again, though its first try was final")
	case end.Judgement == nil && faults == 0:
		return bug("tried again without rig trouble")
	}
	return nil
}

// claimed takes a claim in. A claim never gets better: one that did not hold,
// or of which it could not be said, stays so, and a case that is over cannot
// add what speaks for it.
func (f *folder) claimed(c *Case, e *Event) {
	cl := f.claim(c, e.Claim.Claim)
	f.moment(e, claimText(e.Claim))
	if c.Finished && e.Claim.Holds == Yes {
		return
	}
	if worse := map[Holds]int{"": 0, Yes: 1, Unknown: 2, No: 3}; worse[e.Claim.Holds] >= worse[cl.Claim.Holds] {
		cl.Claim = *e.Claim
	}
}

// unplanned notes that something ran of which the plan does not know.
func (f *folder) unplanned(e *Event) {
	if e.Begin != nil {
		f.trouble(verdict.Error, verdict.ReasonBug, fmt.Sprintf("case %s was run and never planned", e.Case))
	}
}

func (f *folder) try(c *Case) *tryState {
	t := f.tries[c]
	if t == nil {
		t = &tryState{}
		f.tries[c] = t
	}
	return t
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

func (f *folder) doctor(e *Event) {
	d := *e.Doctor
	d.Rig = e.Rig
	f.res.Doctor = append(f.res.Doctor, d)
	if d.Status != "broken" {
		return
	}
	f.doctorBad = append(f.doctorBad, d)
	if d.Part != "" {
		f.broken(e.Rig, d.Part)
	}
}

func (f *folder) intent(e *Event) {
	in := *e.Intent
	in.Rig = e.Rig
	f.intents = slices.DeleteFunc(f.intents, func(o Intent) bool { return o.ID == in.ID && o.Rig == in.Rig })
	if !in.Done {
		f.intents = append(f.intents, in)
	}
}

func (f *folder) broken(rig, part string) {
	if !slices.Contains(f.bad[rig], part) {
		f.bad[rig] = append(f.bad[rig], part)
		f.res.Broken = append(f.res.Broken, OnRig(part, rig))
	}
}

func (f *folder) bracket(e *Event) {
	b, key := e.Bracket, bracketKey{e.Rig, e.Bracket.ID}
	s := f.brackets[key]
	if s == nil {
		s = &bracketState{}
		f.brackets[key] = s
	}
	switch b.Phase {
	case "open":
		s.opened = true
	case "close":
		s.closed = true
	}
	if !b.OK {
		s.failed, s.detail = true, b.Detail
		// What a case shows not to be so holds for the model; what the run could not
		// show at its end may be that rig's trouble.
		if e.Case != "" {
			f.disproved[b.ID] = b.Detail
		}
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
	if !f.started {
		f.trouble(verdict.Error, verdict.ReasonJournal, "the journal has no start")
	}
	if r.End == nil {
		f.trouble(verdict.Error, verdict.ReasonUnfinished, "the run was cut short: the journal has no end"+orNothing(", after ", r.Signal))
	}
	for _, d := range f.doctorBad {
		f.trouble(verdict.Error, verdict.ReasonFault, fmt.Sprintf("doctor %s the run: %s: %s", d.Phase, d.Where(), d.Detail))
	}
	f.leftToOthers()
	used := make([]bool, len(r.Start.Waivers))
	left := 0
	for _, c := range f.cases {
		if c.Unselected {
			left++
		}
	}
	r.Cases, r.Left = slices.Grow(r.Cases, len(f.cases)-left), slices.Grow(r.Left, left)
	vs := make([]verdict.Verdict, 0, len(f.cases))
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
	if r.End != nil && r.End.How != EndFinished && r.End.How != EndInterrupted && len(r.Trouble) == 0 {
		f.trouble(verdict.Error, verdict.ReasonBug, "the run was "+firstOf(r.End.How, "ended in an unknown way")+orNothing(": ", r.End.Detail))
	}
	if r.End != nil && !r.End.AsMeant() {
		f.trouble(verdict.Error, verdict.ReasonFault, "the rig is not shown to be safe"+orNothing(": ", r.End.Detail))
	}
	for _, t := range r.Trouble {
		vs = append(vs, t.Verdict)
	}
	r.Worst = verdict.Worst(vs...)
	r.Exit = r.Worst.ExitCode()
	if f.interrupted() {
		r.Exit = verdict.ExitInterrupted
	}
}

// leftToOthers tells of rigs whose cases others have run in their place: the cases do not
// show that something was wrong there.
func (f *folder) leftToOthers() {
	r := f.res
	if len(r.Start.Beside) == 0 {
		return
	}
	name := func(rig string) string { return firstOf(rig, r.Start.Rig) }
	for _, t := range r.Faults {
		if t.What.Broken {
			f.trouble(verdict.Error, verdict.ReasonFault, fmt.Sprintf("%s of rig %s is broken: %s", t.What.Part, name(t.Rig), t.What.Error))
		}
	}
	back := map[string]time.Duration{}
	for _, t := range r.Losses {
		if t.What.Returned {
			back[t.Rig] = t.Off
		}
	}
	for _, t := range r.Losses {
		// One that came of the run's own end, or is over, is none.
		if !t.What.Returned && !f.interrupted() && t.Off >= back[t.Rig] {
			f.trouble(verdict.Inconclusive, verdict.ReasonDUTLost, fmt.Sprintf("the device on rig %s was lost (%s) and did not come back%s", name(t.Rig), t.What.Diagnosis, orNothing(", after case ", t.Case)))
		}
	}
}

func (f *folder) interrupted() bool {
	return f.res.Signal != "" || f.res.End != nil && f.res.End.How == EndInterrupted
}
