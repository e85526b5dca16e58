package journal_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
	"rigor/harness/verdict"
)

// shared begins a run of bench-a and bench-b.
func shared() *journaltest.Builder {
	return journaltest.New(func(s *journal.Start) {
		s.Beside = []journal.Place{{Rig: "bench-b", File: "rigs/bench-b.yaml", Serial: "AG-000124"}}
	})
}

// on adds what a builder adds as what happened on a rig.
func on(b *journaltest.Builder, rig string, add func(*journaltest.Builder)) *journaltest.Builder {
	n := len(b.Events)
	add(b)
	for i := n; i < len(b.Events); i++ {
		b.Events[i].Rig = rig
	}
	return b
}

// TestSharedRun: what belongs to one rig of a run stays with that rig's cases, and what
// speaks against a case does so whichever unit showed it.
func TestSharedRun(t *testing.T) {
	const bracket = "a set-up takes the label's password"
	inBracket := func(p *journal.Plan) { p.Bracket = bracket }
	mark := func(phase string, ok bool) journal.Event {
		return journal.Event{Kind: journal.KindBracket, Bracket: &journal.Bracket{ID: bracket, Phase: phase, OK: ok, Detail: "seen"}}
	}
	broken := journal.Event{Kind: journal.KindFault, Fault: &journal.Fault{Part: "console.main", Error: "gone", Broken: true}}
	lost := func(back bool) journal.Event {
		return journal.Event{Kind: journal.KindLost, Case: "b", Lost: &journal.Lost{Diagnosis: "off", Returned: back}}
	}
	of := func(e journal.Event, id string) journal.Event { e.Case = id; return e }
	both := func(change ...func(*journal.Plan)) *journaltest.Builder {
		return shared().Plan("s", "a", "", change...).Plan("s", "b", "", change...)
	}
	tests := []struct {
		name    string
		b       *journaltest.Builder
		a, c    verdict.Verdict // of case a on bench-a, and of b on bench-b
		reason  verdict.Reason  // of the one that does not pass
		trouble string
	}{
		{name: "well", b: on(both().Pass("a"), "bench-b", func(b *journaltest.Builder) { b.Pass("b") }), a: verdict.Pass, c: verdict.Pass},
		{name: "at the same time", b: func() *journaltest.Builder {
			b := both().Begin("a")
			on(b, "bench-b", func(b *journaltest.Builder) { b.Begin("b") })
			b.Holds("a", 1).Keep("a")
			on(b, "bench-b", func(b *journaltest.Builder) { b.Holds("b", 1).Keep("b").Done("b") })
			return b.Done("a")
		}(), a: verdict.Pass, c: verdict.Pass},
		{name: "a part of one", b: on(both().Pass("a"), "bench-b", func(b *journaltest.Builder) { b.Pass("b").Add(broken) }),
			a: verdict.Pass, c: verdict.Error, reason: verdict.ReasonBrokenPart, trouble: "console.main of rig bench-b is broken: gone"},
		{name: "a bracket is of one unit", b: on(both(inBracket).Add(of(mark("open", true), "a")).Pass("a"), "bench-b", func(b *journaltest.Builder) {
			b.Add(of(mark("open", true), "b")).Pass("b").Add(mark("close", true))
		}), a: verdict.Inconclusive, c: verdict.Pass, reason: verdict.ReasonBracketOpen},
		{name: "what could not be shown on one", b: on(both(inBracket).Add(of(mark("open", true), "a")).Pass("a").Add(mark("close", true)), "bench-b", func(b *journaltest.Builder) {
			b.Add(of(mark("open", true), "b")).Pass("b").Add(mark("close", false))
		}), a: verdict.Pass, c: verdict.Inconclusive, reason: verdict.ReasonBracketOpen},
		{name: "what a case disproves holds for all", b: on(both(inBracket).Add(of(mark("open", true), "a")).Pass("a").Add(mark("close", true)), "bench-b", func(b *journaltest.Builder) {
			b.Begin("b").Holds("b", 1).Keep("b").Add(of(mark("close", false), "b")).Done("b")
		}), a: verdict.Inconclusive, c: verdict.Inconclusive, reason: verdict.ReasonBracketOpen},
		{name: "seen on another unit", b: on(both().Pass("a"), "bench-b", func(b *journaltest.Builder) {
			b.Pass("b").Add(journal.Event{Kind: journal.KindObserve, Case: "b", Observe: &journal.Observe{Topic: "update", Text: "it runs", Contradicts: []string{"a"}}})
		}), a: verdict.Fail, c: verdict.Pass, reason: verdict.ReasonContradicted},
		{name: "a unit that does not come back", b: on(both().Pass("a"), "bench-b", func(b *journaltest.Builder) { b.Pass("b").Add(lost(false)) }),
			a: verdict.Pass, c: verdict.Pass, trouble: "the device on rig bench-b was lost (off) and did not come back, after case b"},
		{name: "a unit that comes back", b: on(both().Pass("a"), "bench-b", func(b *journaltest.Builder) { b.Pass("b").Add(lost(true)) }), a: verdict.Pass, c: verdict.Pass},
		{name: "two tries on two units", b: on(both().Pass("a").Begin("b").Retry("b"), "bench-b", func(b *journaltest.Builder) { b.Pass("b") }),
			a: verdict.Pass, c: verdict.Error, reason: verdict.ReasonBug},
		{name: "a wrong unit", b: on(both().Pass("a"), "bench-b", func(b *journaltest.Builder) {
			b.Add(journal.Event{Kind: journal.KindUnit, Unit: &journal.Unit{Want: "AG-000124", Got: "AG-000777"}}).Pass("b")
		}), a: verdict.Pass, c: verdict.Pass, trouble: `the DUT says that it is "AG-000777", the rig bench-b is declared for "AG-000124"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := tt.b.End().Fold()
			for id, want := range map[string]verdict.Verdict{"a": tt.a, "b": tt.c} {
				j := res.Case(id).Judgement
				assert.Equal(t, want, j.Verdict, "%s: %s", id, j)
				if want != verdict.Pass {
					assert.Equal(t, tt.reason, j.Reason, "%s: %s", id, j)
				}
			}
			if tt.trouble == "" {
				assert.Empty(t, res.Trouble)
				return
			}
			require.NotEmpty(t, res.Trouble)
			assert.Contains(t, res.Trouble[0].Detail, tt.trouble)
			assert.NotEqual(t, verdict.Pass, res.Worst, "the run does not pass as if nothing had been")
		})
	}
}

// TestSharedRunIsTold: reports say of each case on which unit it was, and how to run it
// there again.
func TestSharedRunIsTold(t *testing.T) {
	b := on(shared().Plan("s", "a", "").Plan("s", "b", "").Plan("s", "c", "", journaltest.Skip(verdict.NotApplicable, verdict.ReasonDeclaredNone, "none")).Fail("a"), "bench-b",
		func(b *journaltest.Builder) { b.Fail("b") }).End()
	for name, res := range map[string]*journal.Result{"folded": b.Fold(), "read": func() *journal.Result {
		res, err := journal.Load(bytes.NewReader(b.Bytes()))
		require.NoError(t, err)
		return res
	}()} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, "AG-000123 on rig bench-a", res.Unit(res.Case("a")))
			assert.Equal(t, "AG-000124 on rig bench-b", res.Unit(res.Case("b")))
			assert.Empty(t, res.Unit(res.Case("c")), "it did not run")
			assert.Equal(t, "rigor run --rig rigs/bench-a.yaml --seed 7 a", res.Rerun("a"))
			assert.Equal(t, "rigor run --rig rigs/bench-b.yaml --seed 7 b", res.Rerun("b"))
			assert.Equal(t, []string{"AG-000123", "AG-000124"}, res.Start.Serials())
			assert.Equal(t, []string{"bench-a", "bench-b"}, res.Start.Rigs())
			assert.Contains(t, res.Explain(res.Case("b")), journal.Field{Name: journal.FieldUnit, Text: "AG-000124 on rig bench-b"})
		})
	}
}

// TestWaiverOfAUnit: it is for that unit, on whichever rig of the run it is.
func TestWaiverOfAUnit(t *testing.T) {
	run := func(unit string) *journal.Result {
		b := journaltest.New(func(s *journal.Start) {
			s.Beside = []journal.Place{{Rig: "bench-b", Serial: "AG-000124"}}
			s.Waivers = []journal.Waiver{{Case: "b", Unit: unit, Reason: "known", Owner: "me", Expires: "2026-12-01"}}
		}).Plan("s", "b", "")
		return on(b, "bench-b", func(b *journaltest.Builder) { b.Fail("b") }).End().Fold()
	}
	assert.Equal(t, verdict.NotApplicable, run("AG-000124").Case("b").Judgement.Verdict)
	assert.Equal(t, verdict.Fail, run("AG-000123").Case("b").Judgement.Verdict)
}
