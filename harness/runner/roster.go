package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"rigor/harness/journal"
	"rigor/harness/verdict"
)

// roster hands the cases of one plan out to the rigs that share it. Who asks first has
// the next one in its own order; cases that lean on each other go to one rig, since what
// a unit has shown stands for that unit alone. A case that a rig cannot run any more,
// for a part that broke or a DUT that is lost, is left to the others.
type roster struct {
	mu     sync.Mutex
	change *sync.Cond
	rigs   int                // that still take cases
	shared bool               // by more than one from the start
	holder map[string]*run    // by group: who has it
	begun  map[string]bool    // by case
	gone   map[*run]bool      // who takes no more cases
	idle   map[*run]int       // who has nothing to run, and at which turn that was so
	turn   int                // counts what makes a rig look again
	halt   *verdict.Judgement // why nothing more is to be run, once that is so
}

func newRoster(rigs int) *roster {
	q := &roster{rigs: rigs, shared: rigs > 1, holder: map[string]*run{}, begun: map[string]bool{}, gone: map[*run]bool{}, idle: map[*run]int{}, turn: 1}
	q.change = sync.NewCond(&q.mu)
	return q
}

// group names the cases that one rig runs: those that find out something together, those
// of a bracket, else those of a check.
func group(p *Planned) string {
	switch {
	case p.Case.Shares != "":
		return "shared " + p.Case.Shares
	case p.Case.Bracket != "":
		return "bracket " + p.Case.Bracket
	}
	return "check " + p.Check.ID
}

// longest gives an order by groups, those first that may take the longest by their budgets,
// and each in its own order: that of every other rig. What changes a DUT the most comes last
// in the usual one, takes the longest, and is not to be begun when all else is done.
func longest(order []*Planned) (out []*Planned) {
	var names []string
	of, may := map[string][]*Planned{}, map[string]time.Duration{}
	for _, p := range order {
		g := group(p)
		if of[g] == nil {
			names = append(names, g)
		}
		of[g] = append(of[g], p)
		may[g] += cmp.Or(p.Check.Budget.Case, defaultBudget.Case)
	}
	slices.Reverse(names) // of equal ones the last
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(may[b], may[a]) })
	for _, g := range names {
		out = append(out, of[g]...)
	}
	return out
}

// groups counts the cases of a plan that run, those that have to run on one unit as one:
// among more rigs they cannot be shared.
func groups(plan []Planned) int {
	seen := map[string]bool{}
	for i := range plan {
		if plan[i].Skip == nil && !plan[i].Unselected {
			seen[group(&plan[i])] = true
		}
	}
	return len(seen)
}

// next gives a rig its next case, of those that it could run in its order; nil when
// there is none. With wait it is nil only when there will be none: what another rig
// has taken may come back. What no rig is fit for is run all the same, once none has
// anything better to do.
func (q *roster) next(ctx context.Context, r *run, order []*Planned, wait bool) *Planned {
	stop := context.AfterFunc(ctx, q.wake)
	defer stop()
	q.mu.Lock()
	defer q.mu.Unlock()
	defer delete(q.idle, r)
	for q.halt == nil && ctx.Err() == nil {
		p := q.pick(r, order, true)
		if p == nil && q.release(r, order) { // another rig may be able to
			q.turn++
			q.change.Broadcast()
		}
		if p == nil && wait {
			news := q.idle[r] != q.turn // turns count from 1
			q.idle[r] = q.turn
			if q.allIdle() {
				p = q.pick(r, order, false)
				if p == nil && news { // one that waits may hold what is left
					q.change.Broadcast()
				}
			}
		}
		switch {
		case p != nil:
			q.holder[group(p)], q.begun[p.ID] = r, true
			return p
		case !wait:
			return nil
		case q.allIdle() && !q.anyLeft(order):
			q.change.Broadcast()
			return nil
		}
		q.change.Wait()
	}
	return nil
}

// pick gives the first case of an order that the rig may take: with fit, of those that
// it is fit for.
func (q *roster) pick(r *run, order []*Planned, fit bool) *Planned {
	for _, p := range order {
		holder := q.holder[group(p)]
		if q.begun[p.ID] || holder != nil && holder != r || fit && q.shared && !r.fit(p) {
			continue
		}
		return p
	}
	return nil
}

// release gives back the groups of which a rig can run nothing more, and says whether
// there were any. What leans on each other stays where it has begun, also where that rig
// cannot go on with it: elsewhere the rest would not say why.
func (q *roster) release(r *run, order []*Planned) (any bool) {
	if !q.shared {
		return false
	}
	stays := map[string]bool{}
	for _, p := range order {
		if q.begun[p.ID] && (p.Case.Shares != "" || p.Case.Bracket != "") {
			stays[group(p)] = true
		}
	}
	for g, holder := range q.holder {
		if holder == r && !stays[g] {
			delete(q.holder, g)
			any = true
		}
	}
	return any
}

// allIdle says whether every rig has looked since something last changed, and found
// nothing to run.
func (q *roster) allIdle() bool {
	n := 0
	for _, turn := range q.idle {
		if turn == q.turn {
			n++
		}
	}
	return n == q.rigs
}

func (q *roster) anyLeft(order []*Planned) bool {
	return slices.ContainsFunc(order, func(p *Planned) bool { return !q.begun[p.ID] })
}

func (q *roster) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.change.Broadcast()
}

// stop ends the handing out, for the reason that the cases left have.
func (q *roster) stop(why verdict.Judgement) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.halt == nil {
		q.halt = &why
	}
	q.change.Broadcast()
}

// halted says whether nothing more is to be run.
func (q *roster) halted() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.halt != nil
}

// leave says that a rig takes no more cases.
func (q *roster) leave(r *run) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.gone[r] {
		return
	}
	q.gone[r] = true
	for g, holder := range q.holder {
		if holder == r {
			delete(q.holder, g)
		}
	}
	delete(q.idle, r)
	q.rigs--
	q.turn++
	q.change.Broadcast()
}

// together gives the plan of a run on several rigs: a case that one of them can run is
// not skipped. All plan the same cases, since all have one profile.
func together(cfgs []Config) ([]Planned, error) {
	plan := slices.Clone(cfgs[0].Plan)
	for _, c := range cfgs[1:] {
		if len(c.Plan) != len(plan) {
			return nil, fmt.Errorf("rig %s plans %d cases, and not %d as the run does", c.Rig, len(c.Plan), len(plan))
		}
		for i := range plan {
			switch p := &c.Plan[i]; {
			case p.ID != plan[i].ID || p.Unselected != plan[i].Unselected:
				return nil, fmt.Errorf("rig %s plans case %s where the run plans %s", c.Rig, p.ID, plan[i].ID)
			case p.Skip != nil:
			case plan[i].Skip != nil:
				plan[i] = *p
			case group(p) != group(&plan[i]):
				return nil, fmt.Errorf("rig %s plans case %s with %s, and the run with %s", c.Rig, p.ID, group(p), group(&plan[i]))
			}
		}
	}
	return plan, nil
}

// leftOver writes down why cases were not run that no rig has begun. Those of a run that
// was told to end stay as they are: planned, and never run.
func (q *roster) leftOver(ctx context.Context, runs []*run) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ctx.Err() != nil && q.halt == nil {
		return
	}
	for _, r := range runs {
		for _, p := range Order(r.cfg.Plan, r.cfg.Profile, "") {
			why := q.halt
			if r.leaseLost() {
				why = &verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonLeaseLost, Detail: "not run: the lease on the rig was lost"}
			}
			if q.begun[p.ID] || why == nil {
				continue
			}
			q.begun[p.ID] = true
			r.append(&journal.Event{Kind: journal.KindCase, Case: p.ID, Begin: &journal.Begin{Try: 1}})
			r.append(&journal.Event{Kind: journal.KindCaseEnd, Case: p.ID, CaseEnd: &journal.CaseEnd{Judgement: why}})
		}
	}
}

// beside runs f for each rig, each in a goroutine of its own where there are several.
// A panic of one comes out of it once all are back, as if there were one alone.
func beside(runs []*run, f func(*run) error) error {
	if len(runs) == 1 {
		return f(runs[0])
	}
	var all sync.WaitGroup
	errs, panics := make([]error, len(runs)), make([]string, len(runs))
	for i, r := range runs {
		all.Go(func() {
			if r.cfg.Ended != nil {
				defer r.cfg.Ended()
			}
			defer r.roster.leave(r)
			defer func() {
				if p := recover(); p != nil {
					panics[i] = fmt.Sprintf("%v\n%s", p, debug.Stack())
					r.roster.stop(verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonBug, Detail: "not run: the harness panicked on another rig"})
				}
			}()
			errs[i] = f(r)
		})
	}
	all.Wait()
	for _, p := range panics {
		if p != "" {
			panic(p)
		}
	}
	return errors.Join(errs...)
}
