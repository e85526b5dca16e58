package runner

import (
	"fmt"
	"slices"

	"rigor/harness/baseline"
	"rigor/harness/check"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/strictyaml"
	"rigor/harness/verdict"
)

// Planned is one case of a plan.
type Planned struct {
	ID    string // "cred-known-list[ssh]"
	Suite string
	Check *check.Check
	Case  check.Case
	// Clauses are those of the check for this kind of channel.
	Clauses []baseline.Clause
	// Skip is set when it will not run, with the verdict that this has.
	Skip *verdict.Judgement
	// Unselected is set when the selectors left it out.
	Unselected bool
}

// Lacks is what the rig file owns up to: check or case id → reason.
type Lacks map[string]string

// CaseID gives the id of a check's case on a channel.
func CaseID(checkID, channel string) string {
	if channel == "" {
		return checkID
	}
	return checkID + "[" + channel + "]"
}

// Plan gives every case of the suites, in the order of the suites, with those
// that will not run and why; CheckLacks says what is wrong in lacks. It is pure:
// the DUT is not asked.
func Plan(suites []check.Suite, in check.Input, lacks Lacks) ([]Planned, error) {
	var plan []Planned
	seen := map[string]bool{}
	for _, s := range suites {
		for _, c := range s.Checks {
			for _, cs := range needed(c, in) {
				p := Planned{ID: CaseID(c.ID, cs.Channel), Suite: s.Name, Check: c, Case: cs, Clauses: c.Clauses.For(cs.Kind), Skip: cs.Skip}
				if seen[p.ID] {
					return nil, fmt.Errorf("plan: case %s is planned twice; check %s names a channel twice", p.ID, c.ID)
				}
				seen[p.ID] = true
				own(&p, lacks)
				plan = append(plan, p)
			}
		}
	}
	return plan, nil
}

// needed gives the check's cases with the needs that every check has: its
// state, and the rig's leave.
func needed(c *check.Check, in check.Input) []check.Case {
	planner := c.Cases
	if c.From != nil {
		planner = planner.With(check.NeedsState(c.From.Name))
	}
	return planner.With(func(in check.Input, _ *check.Case) *verdict.Judgement {
		for _, a := range c.Allow {
			if !slices.Contains(in.Allow, a) {
				return check.RigLacks("the rig does not allow %q for this unit", a)
			}
		}
		return nil
	})(in)
}

// own turns a case that the rig cannot run into a skip where the rig file owns
// up to it. What the profile declares goes before: it is about the DUT.
func own(p *Planned, lacks Lacks) {
	reason, ok := lacks[p.ID]
	if !ok {
		reason, ok = lacks[p.Check.ID]
	}
	// A second unit is something that a rig lacks, too.
	if ok && (p.Skip == nil || p.Skip.Reason == verdict.ReasonRigLacks || p.Skip.Reason == verdict.ReasonTwoUnits) {
		p.Skip = &verdict.Judgement{Verdict: verdict.NotApplicable, Reason: verdict.ReasonLacks, Detail: reason}
	}
}

func ids(plan []Planned) []string {
	var out []string
	for _, p := range plan {
		out = append(out, p.ID)
		if !slices.Contains(out, p.Check.ID) {
			out = append(out, p.Check.ID)
		}
	}
	return out
}

// Order sorts the cases that run so that the DUT changes state as seldom as
// can be: by state along the declared ways from the one that it is in, then
// reads, disturbs, consumes, then by the plan's own order.
func Order(plan []Planned, prof *profile.Profile, current string) []*Planned {
	var run []*Planned
	for i := range plan {
		if plan[i].Skip == nil && !plan[i].Unselected {
			run = append(run, &plan[i])
		}
	}
	rank := stateRank(prof, current)
	at := func(p *Planned) int {
		if p.Check.From == nil {
			return -1 // any state: before anything is changed
		}
		if r, ok := rank[p.Check.From.Name]; ok {
			return r
		}
		return len(rank)
	}
	slices.SortStableFunc(run, func(a, b *Planned) int {
		if d := at(a) - at(b); d != 0 {
			return d
		}
		return int(a.Check.Effect) - int(b.Check.Effect)
	})
	return run
}

// stateRank numbers the states in the order in which a walk along the ways
// from the current one meets them.
func stateRank(prof *profile.Profile, current string) map[string]int {
	rank := map[string]int{}
	queue := []string{current}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if _, ok := rank[s]; ok {
			continue
		}
		rank[s] = len(rank)
		for _, w := range prof.Ways {
			if w.From == s {
				queue = append(queue, w.To)
			}
		}
	}
	for _, s := range prof.States.Order {
		if _, ok := rank[s]; !ok {
			rank[s] = len(rank)
		}
	}
	return rank
}

// event gives the plan's line for the journal.
func (p *Planned) event() *journal.Event {
	e := &journal.Plan{Check: p.Check.ID, Channel: p.Case.Channel, Suite: p.Suite, Title: p.Check.Title, Bracket: p.Case.Bracket,
		Effect: p.Check.Effect.String(), Skip: p.Skip, Unselected: p.Unselected}
	for _, c := range p.Clauses {
		e.Clauses = append(e.Clauses, c.String())
	}
	if p.Check.From != nil {
		e.From = p.Check.From.Name
	}
	for _, part := range p.Case.Parts {
		e.Parts = append(e.Parts, string(part))
	}
	return &journal.Event{Kind: journal.KindPlan, Case: p.ID, Plan: e}
}

// near suggests the known name that is closest to an unknown one.
func near(name string, known []string) string {
	if best := strictyaml.Nearest(name, known); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "see rigor list"
}
