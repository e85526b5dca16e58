package reset

import (
	"context"
	"strings"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/verdict"
)

// Canaries: what an owner put into a store is found in none of its views behind a factory
// reset: not by the next owner, not in the image of a memory, not on a console, not on
// the network; in no encoding, and not in pieces. That it could be found before, by the
// very same search, and that what the next owner puts there is found, shows that there
// would be something to see.
var Canaries = check.Check{
	ID:    "rst-canaries",
	Title: "Nothing of a store is left behind a factory reset",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.DP2, en303645.V3("5.11-1"), en303645.V3("5.11-2"), en18031.Code("DLM-1")},
		baseline.Local:   {nist8259a.DP2, en303645.V3("5.11-1"), en303645.V3("5.4-1"), en18031.Code("DLM-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  tourLeaves,
	Budget: check.Budget{Case: tourTime, Cleanup: cleanupTime},
	Cases:  check.Planner(perView).With(resets, check.NeedsNetwork, needsReset),
	Run: func(ctx context.Context, t *check.T) {
		i := strings.LastIndexByte(t.Case().Channel, '.')
		store, view := t.Case().Channel[:i], t.Case().Channel[i+1:]
		all := made(ctx, t)
		for _, tr := range all.list {
			tr.claimGone(ctx, t, all.marked, store, view)
		}
	},
}

func (tr *tour) claimGone(ctx context.Context, t *check.T, m *marked, store, view string) {
	text := tr.by() + " nothing of store " + store + " is left: " + inView[view]
	if why := m.why[store]; why != "" {
		t.Claim(text, func(c *check.Claim) {
			c.Unknown(verdict.ReasonIneffective, "no marker fits that could be told from chance: %s", why)
		})
		return
	}
	looks := tr.looks(view)
	if len(looks) == 0 {
		tr.whole(t, text)
		return
	}
	old, next := nameOf(store, tr.old), nameOf(store, tr.n)
	var said []string
	for _, l := range append([]*look{tr.before}, looks...) {
		said = append(said, l.text(t, store, view))
	}
	if blind := m.set.Blind(old); len(blind) > 0 {
		said = append(said, "not looked for, since it could be chance: "+strings.Join(blind, ", "))
	}
	t.Keep("found-"+tr.way.ID+".txt", "what the search for the markers found in this view, before the reset and behind it", []byte(strings.Join(said, "\n")+"\n"))
	check.Refute(ctx, t, text, check.Negative[*look]{
		Control: replay(tr.before.answer(t, store, view, old), tr.nextSeen(t, store, view, next)),
		Anti:    replay(looks[0].answer(t, store, view, never)),
		Probes:  looks,
		Try: func(_ context.Context, l *look) (dut.Answer, error) {
			a := l.answer(t, store, view, old)
			a.Detail = strings.TrimPrefix(a.Detail, l.when+": ") // which is its name
			return a, nil
		},
		Name:    func(l *look) string { return l.when },
		Refusal: []verdict.Kind{verdict.Refused},
		Opened:  verdict.ReasonResidue,
		Same:    tr.same,
	})
	tr.whole(t, text+", to the end")
}

// inView says of each view what is looked through.
var inView = map[string]string{
	viewLogical: "what the next owner reads",
	viewStorage: "the image of the memory",
	viewConsole: "what the console says",
	viewNetwork: "what the network is told",
}

// looks gives the moments behind the reset that show a view.
func (tr *tour) looks(view string) (out []*look) {
	first := tr.between // an image, and a console, need no owner
	if view == viewLogical || view == viewNetwork {
		first = tr.behind
	}
	for _, l := range []*look{first, tr.after} {
		if l != nil {
			out = append(out, l)
		}
	}
	return out
}

// nextSeen is the control at the end: the same search finds what the next owner put there.
func (tr *tour) nextSeen(t *check.T, store, view, marker string) dut.Answer {
	if tr.after == nil {
		return dut.Answer{Kind: verdict.Unproven, Detail: "the next owner never put anything there: " + tr.over}
	}
	a := tr.after.answer(t, store, view, marker)
	if why := tr.after.missing["plant "+store]; why != "" && a.Kind != verdict.Accepted {
		a.Detail += "; it could not be put there: " + why
	}
	return a
}
