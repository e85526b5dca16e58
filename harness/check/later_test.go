package check_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/check"
	"rigor/harness/dut"
)

// later gives the mutants of a test as a run remembers them.
func (s *slots) later() func(string) func(dut.Running) bool {
	return func(p string) func(dut.Running) bool {
		return func(now dut.Running) bool { return now.Digest == hash(p) }
	}
}

// TestUnasked: what was refused and runs at a later start is a finding of the case that
// delivered it, and of no other.
func TestUnasked(t *testing.T) {
	running := func(what string) dut.Running { return dut.Running{Version: what, Digest: hash(what)} }
	for _, tt := range []struct {
		name, runs string
		asked      bool // the run has brought it about
		want       string
	}{
		{"the same runs", "genuine-1", false, "pass"},
		{"a mutant runs", "b", false, "fail.contradiction"},
		{"a mutant runs, as the run has seen", "b", true, "pass"},
		{"what nobody delivered runs", "x", false, "pass"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t)
			tr.bracket, tr.close = "update door", true
			tr.ledger.Open(tr.bracket, "upd-genuine[door]", nil)
			s := &slots{runs: "genuine-1"}
			c := tr.run(func(ctx context.Context, t *check.T) {
				n := s.bracketed("a", "b", "c")
				n.Later = s.later()
				check.RefuteBracketed(ctx, t, "no mutant is taken", n)
				if tt.asked {
					t.Ran(running(tt.runs))
				}
				t.Unasked(running(tt.runs)) // as a case behind it would
			})
			requireVerdict(t, tt.want, c)
		})
	}
}

// TestBracketedLater: a case behind the one whose mutant runs is not blamed for it.
func TestBracketedLater(t *testing.T) {
	tr := newTrial(t)
	tr.bracket, tr.close = "update door", true
	tr.ledger.Open(tr.bracket, "upd-genuine[door]", nil)
	s := &slots{runs: "genuine-1"}
	c := tr.run(func(ctx context.Context, t *check.T) {
		n := s.bracketed("a")
		n.Later = s.later()
		check.RefuteBracketed(ctx, t, "no mutant is taken", n)
		n = s.bracketed("b")
		n.Restart = func(ctx context.Context) (string, error) {
			s.pending = "a"
			return s.restart(ctx)
		}
		check.RefuteBracketed(ctx, t, "no other mutant is taken", n)
	})
	require.Len(t, c.Claims, 2)
	assert.Equal(t, "inconclusive.dut-changed", c.Claims[1].Judgement.String()[:len("inconclusive.dut-changed")])
	assert.Contains(t, c.Claims[1].Judgement.Detail, "a, which was refused in")
}

// TestBracketedTold: a start that tells that it starts a mutant is believed, whatever the
// DUT says that it runs; one that tells of a genuine image shows nothing.
func TestBracketedTold(t *testing.T) {
	for told, want := range map[string]string{"": "pass", "genuine-1": "pass", "genuine-2": "pass", "b": "fail.access", "x": "pass"} {
		tr := newTrial(t)
		tr.bracket, tr.close = "update door", true
		tr.ledger.Open(tr.bracket, "upd-genuine[door]", nil)
		s := &slots{runs: "genuine-1"}
		c := tr.run(func(ctx context.Context, t *check.T) {
			n := s.bracketed("a", "b")
			n.Told = func() (dut.Running, bool) { return dut.Running{Version: told, Digest: hash(told)}, told != "" }
			check.RefuteBracketed(ctx, t, "no mutant is taken", n)
		})
		requireVerdict(t, want, c)
	}
}

// TestUnborne: how many were refused in a row is known, until a genuine image is shown to
// be taken behind as many.
func TestUnborne(t *testing.T) {
	for _, tt := range []struct {
		restarts bool
		want     int
	}{{false, 4}, {true, 1}} {
		tr := newTrial(t)
		tr.bracket, tr.close = "update door", true
		tr.ledger.Open(tr.bracket, "upd-genuine[door]", nil)
		tr.run(func(ctx context.Context, t *check.T) {
			assert.Zero(tr.t, t.Unborne(tr.bracket))
			n := (&slots{runs: "genuine-1"}).bracketed("a", "b", "c")
			n.Restarts = tt.restarts
			check.RefuteBracketed(ctx, t, "no mutant is taken", n)
			assert.Equal(tr.t, tt.want, t.Unborne(tr.bracket), "with the one that is no image")
			t.Bears(tr.bracket, tt.want-1)
			assert.Equal(tr.t, tt.want, t.Unborne(tr.bracket))
			t.Bears(tr.bracket, tt.want)
			assert.Zero(tr.t, t.Unborne(tr.bracket))
		})
	}
}
