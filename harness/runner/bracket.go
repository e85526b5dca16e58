package runner

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/state"
	"rigor/harness/verdict"
)

// bracket is how far a bracket has come.
type bracket struct{ opened, closed bool }

// closeBrackets shows, when all cases have run, what some of them still wait for
// and no other has shown: those that were selected without the others.
func (r *run) closeBrackets(ctx context.Context, order []*Planned) {
	for _, p := range order {
		if ctx.Err() != nil || r.leaseLost() || r.unfit() != nil {
			return
		}
		r.mu.Lock()
		b := r.brackets[p.Case.Bracket]
		r.mu.Unlock()
		// A case that cannot pass needs nothing more.
		if p.Case.Closer == nil || !b.opened || b.closed || !r.ended[p.ID] || r.failed(p.ID) || r.anyBroken(p) {
			continue
		}
		r.waiting("what " + p.ID + " leans on")
		r.takeFaults()
		shown := r.show(ctx, p)
		if faults := r.hearFaults(""); len(faults) > 0 && shown.Kind == verdict.Accepted {
			shown = dut.Answer{Kind: verdict.Unproven, Detail: faults[0].Error()}
		}
		r.append(&journal.Event{Kind: journal.KindBracket, Bracket: &journal.Bracket{
			ID: p.Case.Bracket, Phase: "close", OK: shown.Kind == verdict.Accepted, Detail: shown.Detail}})
	}
}

// show brings the DUT to where a case's bracket can be closed, and looks. What was
// seen is kept with the case, and what was done to the DUT is undone, as a case's is:
// the next one is not to find it.
func (r *run) show(ctx context.Context, p *Planned) dut.Answer {
	closer := p.Case.Closer
	as := *p
	as.Check = &check.Check{ID: p.Check.ID, From: &state.State{Name: closer.State}, Effect: check.Disturbs, Allow: p.Check.Allow}
	var seen dut.Answer
	var looks atomic.Pointer[check.T] // nil until it is looked; who is given up may still come to it
	j := r.prepare(ctx, "what "+p.ID+" leans on", func(ctx context.Context, d *dut.Device, m *state.Machine) *verdict.Judgement {
		if j := r.enter(ctx, d, m, &as); j != nil {
			return j
		}
		t := check.NewT(check.Config{ID: p.ID, Check: as.Check, Case: p.Case, Device: d, Host: r, Cabinet: r.cfg.Cabinet,
			Seed: r.cfg.Seed, Input: r.cfg.Input, Ledger: r.ledger})
		looks.Store(t)
		a := closer.Show(ctx, t)
		t.Keep("bracket.txt", "what was seen in state "+closer.State+", when all cases had run", []byte(string(a.Kind)+": "+a.Detail+"\n"))
		seen = a
		return nil
	})
	if t := looks.Load(); t != nil {
		r.ran(p.ID, true)
		end := t.End() // also of one that was given up: it records nothing any more
		undone := r.cleanup(ctx, &as, t, p.Check.Budget)
		j = cmp.Or(j, end, undone)
	}
	switch {
	case j != nil:
		return dut.Answer{Kind: verdict.Unproven, Detail: j.String()}
	case errors.Is(context.Cause(ctx), ErrStop):
		return dut.Answer{Kind: verdict.Unproven, Detail: "the run was stopped"}
	case seen.Kind == "":
		return dut.Answer{Kind: verdict.Unproven, Detail: "it was not looked at to its end"}
	}
	return seen
}
