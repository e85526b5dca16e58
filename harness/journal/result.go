package journal

import (
	"slices"
	"time"

	"rigor/harness/verdict"
)

// Result is what a journal amounts to: everything that a report shows.
type Result struct {
	Start   Start
	At      time.Time     // when the run began, UTC
	Took    time.Duration // up to the last line
	End     *End          // nil: the run was cut short
	Signal  string        // the signal that interrupted it, if any
	Hash    string        // of the journal's last good line
	Damage  string        // what is wrong with the journal itself
	Torn    bool
	Cases   []Case // as planned, in the order of the plan, unselected ones left out
	Left    []Case // planned and not selected
	Doctor  []Doctor
	Units   []Unit
	States  []Timed[State]
	Faults  []Timed[Fault]
	Losses  []Timed[Lost]
	Observe []Observe
	Broken  []string // parts found broken, in order, each once; of a rig beside, with its name
	Open    []Intent // intents that nothing closed
	Files   []Evidence
	// Trouble is judgements about the run as a whole: a damaged journal, an
	// expired waiver, a doctor that found the rig broken.
	Trouble []verdict.Judgement
	Counts  map[verdict.Verdict]int
	Planned int // cases planned, selected or not
	Worst   verdict.Verdict
	Exit    int
}

// Timed is an event's payload with the time since the start and the case
// during which it happened.
type Timed[T any] struct {
	Off  time.Duration
	Case string
	Rig  string // as Event has it
	What T
}

// Case is one case with its verdict and all that backs it.
type Case struct {
	ID string
	Plan
	Judgement verdict.Judgement
	// Raw is the verdict before a waiver; equal to Judgement otherwise.
	Raw      verdict.Judgement
	Waiver   *Waiver
	Ran      bool
	Finished bool
	Rig      string // on which it ran, as Event has it
	State    string // in which the DUT was
	At       time.Duration
	Took     time.Duration
	Claims   []ClaimResult
	Timeline []Moment
	Excerpts []Excerpt
	Faults   []Fault
	Tries    int
	Disabled string // why the DUT counts as put out of service by this case
	End      *CaseEnd
}

// ClaimResult is a claim with its controls and probes and what the fold makes
// of it.
type ClaimResult struct {
	Claim
	Controls  []Control
	Probes    *Probes
	Judgement verdict.Judgement
	Try       int
}

// Moment is one line of a case's timeline.
type Moment struct {
	Off  time.Duration // since the case began
	Text string
}

// Verdict gives the case's verdict.
func (c *Case) Verdict() verdict.Verdict { return c.Judgement.Verdict }

// Serial gives the unit that a rig of the run is declared for; empty is the run's own
// rig.
func (r *Result) Serial(rig string) string {
	if rig == "" {
		return r.Start.Serial
	}
	for _, p := range r.Start.Beside {
		if p.Rig == rig {
			return p.Serial
		}
	}
	return ""
}

// Unit says on which unit and rig a case ran, in a run that several rigs share; nothing
// in a run on one, and of a case that did not run.
func (r *Result) Unit(c *Case) string {
	if len(r.Start.Beside) == 0 || !c.Ran {
		return ""
	}
	rig := firstOf(c.Rig, r.Start.Rig)
	if serial := r.Serial(c.Rig); serial != "" {
		return serial + " on rig " + rig
	}
	return "rig " + rig
}

// Serials gives the units that a run is declared for, the run's own first; none where no
// serial number is declared.
func (s *Start) Serials() (out []string) {
	for _, p := range append([]Place{{Serial: s.Serial}}, s.Beside...) {
		if p.Serial != "" {
			out = append(out, p.Serial)
		}
	}
	return out
}

// Plants gives what was planted, with the rig where that is not into all.
func (s *Start) Plants() []string {
	out := slices.Clone(s.Planted)
	for _, p := range s.Beside {
		for _, what := range p.Planted {
			out = append(out, OnRig(what, p.Rig))
		}
	}
	return out
}

// Rigs gives the names of the rigs of a run, its own first.
func (s *Start) Rigs() []string {
	out := []string{s.Rig}
	for _, p := range s.Beside {
		out = append(out, p.Rig)
	}
	return out
}

// Case gives the case with this id, or nil.
func (r *Result) Case(id string) *Case {
	for i := range r.Cases {
		if r.Cases[i].ID == id {
			return &r.Cases[i]
		}
	}
	return nil
}
