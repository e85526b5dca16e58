package check_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// slots is a device that takes updates. An image is a text: "genuine-N" is the maker's,
// "garbage" none; all else is a mutant.
type slots struct {
	runs, pending string

	takes      []string // mutants that it takes and says so
	swallows   []string // mutants that it refuses in words, and runs behind the next restart
	leaves     bool     // what it refuses lies in its slot, until the next is written there
	starts     []string // of that, what a start runs
	slot       string
	deaf       int // deliveries that break, from the first on
	says       verdict.Kind
	early      bool   // it says no before all is there
	untold     bool   // nobody tells how much is there
	yes        bool   // it says that it has taken everything, and runs none of it
	bootSays   string // what a start shows that refuses
	bricks     string // a mutant behind which it does not start
	broken     bool   // it does not start
	other      bool   // another unit answers behind the first restart
	falls      bool   // behind the first restart the genuine image of before runs
	noBack     bool
	repaired   string // how it was brought back that does not come back by itself
	fault      error  // of the rig, at the first restart
	restarts   int
	deliveries int
	backs      int
}

func hash(s string) string { return fmt.Sprintf("%064x", []byte(s)) }

func (s *slots) deliver(_ context.Context, img string) (dut.Delivery, error) {
	s.deliveries++
	d := dut.Delivery{Carried: len(img), Of: len(img)}
	d.Kind = verdict.Refused
	if s.says != "" {
		d.Kind = s.says
	}
	if s.early {
		d.Carried = 1
	}
	if s.untold {
		d.Carried = -1
	}
	switch genuine := strings.HasPrefix(img, "genuine-"); {
	case s.deaf > 0:
		s.deaf--
		d.Kind, d.Carried = verdict.Unreachable, 1
	case genuine, slices.Contains(s.takes, img):
		s.pending = img
		d.Taken, d.Kind = true, verdict.Unproven
	case slices.Contains(s.swallows, img):
		s.pending = img
	case s.leaves:
		s.slot = img
	case s.yes:
		d.Taken, d.Kind = true, verdict.Unproven
	}
	if img == s.bricks {
		s.broken = true
	}
	return d, nil
}

func (s *slots) restart(context.Context) (string, error) {
	s.restarts++
	if s.restarts == 1 && s.fault != nil {
		return "", s.fault
	}
	if s.broken {
		return "", fmt.Errorf("%w: no banner", dut.ErrLost)
	}
	if s.pending != "" {
		s.runs, s.pending = s.pending, ""
	}
	if slices.Contains(s.starts, s.slot) {
		s.runs = s.slot
	}
	s.slot = ""
	if s.falls {
		s.runs = "genuine-0"
	}
	return s.bootSays, nil
}

func (s *slots) look(context.Context) (dut.Running, error) {
	if s.other && s.restarts > 0 {
		return dut.Running{}, dut.ErrOtherUnit
	}
	return dut.Running{Version: s.runs, Digest: hash(s.runs), Pending: s.pending, Tells: true}, nil
}

func (s *slots) bracketed(mutants ...string) check.Bracketed[string] {
	leaves := ""
	if !s.leaves {
		leaves = "manual, page 40"
	}
	return check.Bracketed[string]{
		Leaves: leaves,
		Open: func(ctx context.Context) (dut.Answer, error) {
			d, err := s.deliver(ctx, "genuine-1")
			if _, err := s.restart(ctx); err != nil {
				return d.Answer, err
			}
			if s.runs == "genuine-1" {
				d.Kind = verdict.Accepted
			}
			return d.Answer, err
		},
		Anti:    func(ctx context.Context) (dut.Delivery, error) { return s.deliver(ctx, "garbage") },
		Probes:  mutants,
		Deliver: s.deliver,
		Shows:   func(p string, now dut.Running) bool { return now.Digest == hash(p) || now.Pending == p },
		Genuine: func(now dut.Running) bool { return strings.HasPrefix(now.Version, "genuine-") },
		Restart: s.restart,
		Look:    s.look,
		Recover: func(context.Context) (string, error) {
			if s.noBack {
				return "", errors.New("it does not come back")
			}
			s.broken = false
			return s.repaired, nil
		},
		Back: func(context.Context) error {
			s.backs++
			s.runs, s.pending = "genuine-2", ""
			return nil
		},
		Early: false,
	}
}

// bracketTrial runs a case in a bracket that another case has opened, and closes it.
func bracketTrial(t *testing.T, open, closed bool, s *slots, mutants ...string) *journal.Case {
	t.Helper()
	tr := newTrial(t)
	tr.bracket = "update door"
	if open {
		tr.ledger.Open(tr.bracket, "upd-genuine[door]", nil)
	}
	tr.close = closed
	return tr.run(func(ctx context.Context, t *check.T) {
		check.RefuteBracketed(ctx, t, "no mutant is taken", s.bracketed(mutants...))
	})
}

// TestBracketed: every way to a false pass and to a false failure.
func TestBracketed(t *testing.T) {
	for _, tt := range []struct {
		name    string
		s       slots
		mutants string
		want    string
		got     string
	}{
		{"a sound device refuses all", slots{}, "a b c", "pass", "3 probes, all refused"},
		{"one that takes a mutant", slots{takes: []string{"b"}}, "a b c", "fail.access", "b was taken"},
		{"one that says no, and runs it", slots{swallows: []string{"a"}}, "a b c", "fail.access", "a was taken, though"},
		{"one that says no, and runs something else", slots{swallows: []string{"garbage"}}, "a b", "fail.access", "no image of the maker's"},
		{"one that falls back to what is genuine", slots{falls: true}, "a b", "inconclusive.dut-changed", "genuine-0"},
		{"one that does not say no as declared", slots{says: verdict.Garbled}, "a", "inconclusive.anti-control", "garbled"},
		{"a way that is broken", slots{deaf: 100}, "a", "inconclusive.anti-control", "unreachable"},
		{"a way that broke once", slots{deaf: 1}, "a b", "pass", ""},
		{"a no before all was there", slots{early: true}, "a", "inconclusive.ineffective", "1 of its 1 bytes"},
		{"a no, and nobody tells to what", slots{untold: true}, "a", "inconclusive.ineffective", "is not told"},
		{"one that takes a mutant, and nobody tells how much of it", slots{untold: true, takes: []string{"b"}}, "a b", "fail.access", "b was taken"},
		{"one that says no, runs it, and nobody tells to what it said no", slots{untold: true, swallows: []string{"a"}}, "a", "fail.access", "a was taken, though"},
		{"one that says yes to all, and runs none", slots{yes: true}, "a", "inconclusive.anti-control", "unproven"},
		{"one that refuses at its start, as declared", slots{yes: true, bootSays: "slot B is bad"}, "a b", "pass", ""},
		{"nothing to try", slots{}, "", "inconclusive.no-probes", ""},
		{"one that does not start any more", slots{bricks: "a"}, "a b", "inconclusive.dut-lost", "did not start"},
		{"one that has to be repaired", slots{bricks: "a", repaired: "by its serial recovery"}, "a b", "fail.dut-disabled", "by its serial recovery"},
		{"one that does not come back", slots{bricks: "a", noBack: true}, "a b", "inconclusive.dut-lost", ""},
		{"another unit behind the restart", slots{other: true}, "a", "error.wrong-unit", ""},
		{"a fault of the rig at the restart", slots{fault: &wire.Fault{Part: "power", Op: "off", Err: errors.New("no relay")}}, "a", "error.fault", "no relay"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.s
			s.runs = "genuine-1"
			if tt.name == "a no before all was there" {
				tt.mutants = "ab"
				tt.got = "1 of its 7 bytes"
			}
			c := bracketTrial(t, true, true, &s, strings.Fields(tt.mutants)...)
			requireVerdict(t, tt.want, c)
			assert.Contains(t, c.Judgement.Detail, tt.got)
		})
	}
}

// TestBracketedRestarts: a batch of refused mutants costs one restart, and a mutant that
// was taken ends the claim, with the way back walked.
func TestBracketedRestarts(t *testing.T) {
	s := &slots{runs: "genuine-1"}
	requireVerdict(t, "pass", bracketTrial(t, true, true, s, "a", "b", "c", "d"))
	assert.Equal(t, 1, s.restarts)
	assert.Equal(t, 5, s.deliveries, "no image, and four mutants")

	s = &slots{runs: "genuine-1", takes: []string{"b"}}
	requireVerdict(t, "fail.access", bracketTrial(t, true, true, s, "a", "b", "c", "d"))
	assert.Equal(t, 3, s.deliveries, "nothing behind the one that was taken")
	assert.Equal(t, 1, s.backs)
	assert.Equal(t, "genuine-2", s.runs)
}

// TestBracketedNeedsItsBracket: without a genuine image before and behind, nothing passes;
// what was taken fails all the same.
func TestBracketedNeedsItsBracket(t *testing.T) {
	c := bracketTrial(t, true, false, &slots{runs: "genuine-1"}, "a")
	requireVerdict(t, "inconclusive.bracket", c)

	c = bracketTrial(t, true, false, &slots{runs: "genuine-1", takes: []string{"a"}}, "a")
	requireVerdict(t, "fail.access", c)

	s := &slots{runs: "genuine-0"}
	c = bracketTrial(t, false, true, s, "a")
	requireVerdict(t, "pass", c)
	assert.Equal(t, 2, s.restarts, "one of them for the genuine image")
	require.NotEmpty(t, c.Claims[0].Controls)
	assert.Equal(t, journal.RoleBefore, c.Claims[0].Controls[0].Role)

	c = bracketTrial(t, false, true, &slots{runs: "genuine-0", deaf: 1}, "a")
	requireVerdict(t, "inconclusive.control-failed", c)
}

// TestBracketedIneffective: a mutant that shows itself as what runs already can be taken
// without anybody seeing it.
func TestBracketedIneffective(t *testing.T) {
	c := bracketTrial(t, true, true, &slots{runs: "genuine-1"}, "genuine-1", "a")
	requireVerdict(t, "inconclusive.ineffective", c)
}

// TestBracketedFailsOnce: an opening that failed is not tried again by the next case.
func TestBracketedFailsOnce(t *testing.T) {
	tr := newTrial(t)
	tr.bracket, tr.close = "update door", true
	tr.ledger.Open(tr.bracket, "upd-genuine[door]", errors.New("refused: bad signature"))
	s := &slots{runs: "genuine-0"}
	c := tr.run(func(ctx context.Context, t *check.T) {
		check.RefuteBracketed(ctx, t, "no mutant is taken", s.bracketed("a"))
	})
	requireVerdict(t, "inconclusive.control-failed", c)
	assert.Zero(t, s.deliveries)
}

// TestBracketedLeaves: what is refused may lie where a start runs it, until the next one is
// written over it. A probe that no start could show has shown nothing.
func TestBracketedLeaves(t *testing.T) {
	probes := []string{"a", "b", "c"}
	try := func(t *testing.T, s *slots, change func(*check.Bracketed[string])) *journal.Case {
		t.Helper()
		s.runs, s.leaves = "genuine-1", true
		tr := newTrial(t)
		tr.bracket, tr.close = "update door", true
		tr.ledger.Open(tr.bracket, "upd-genuine[door]", nil)
		return tr.run(func(ctx context.Context, t *check.T) {
			n := s.bracketed(probes...)
			change(&n)
			check.RefuteBracketed(ctx, t, "no mutant is taken", n)
		})
	}
	looked := func(s *slots) func(*check.Bracketed[string]) {
		return func(n *check.Bracketed[string]) {
			n.Held = func(ctx context.Context, ps []string) (string, error) {
				held := ""
				if slices.Contains(ps, s.slot) {
					held = s.slot + " lies in the slot"
				}
				_, err := s.restart(ctx)
				return held, err
			}
		}
	}
	nobody := func(*check.Bracketed[string]) {}

	s := &slots{}
	c := try(t, s, nobody)
	requireVerdict(t, "pass", c)
	assert.Contains(t, c.Judgement.Detail, "behind a restart for each of them")
	assert.Equal(t, 3, s.restarts, "one for each")

	for _, started := range probes { // the one that a start takes, be it the last or not
		s = &slots{starts: []string{started}}
		c = try(t, s, nobody)
		requireVerdict(t, "fail.access", c)
		assert.Contains(t, c.Judgement.Detail, started+" was taken, though it was answered as refused")

		s = &slots{starts: []string{started}}
		c = try(t, s, looked(s))
		requireVerdict(t, "fail.access", c)
		assert.Contains(t, c.Judgement.Detail, started+" was taken, though")
	}

	s = &slots{}
	c = try(t, s, looked(s))
	requireVerdict(t, "pass", c)
	assert.Equal(t, 4, s.restarts, "one for all, and as something lay there one for each")

	s = &slots{}
	c = try(t, s, func(n *check.Bracketed[string]) {
		n.Held = func(ctx context.Context, _ []string) (string, error) { _, err := s.restart(ctx); return "", err }
	})
	requireVerdict(t, "pass", c)
	assert.Equal(t, 1, s.restarts)
	assert.Contains(t, c.Judgement.Detail, "none of them lies where a start may run it")

	s = &slots{}
	c = try(t, s, func(n *check.Bracketed[string]) { n.Leaves = "manual, page 40" })
	requireVerdict(t, "pass", c)
	assert.Equal(t, 1, s.restarts)
	assert.Contains(t, c.Judgement.Detail, "as declared (manual, page 40)")

	// One that was refused before one that is taken and refused at the start was never seen.
	s = &slots{starts: []string{"a"}}
	c = try(t, s, func(n *check.Bracketed[string]) {
		n.Deliver = func(ctx context.Context, img string) (dut.Delivery, error) {
			d, err := s.deliver(ctx, img)
			if img == "b" {
				d.Taken, d.Kind = true, verdict.Unproven
			}
			return d, err
		}
		restart := n.Restart
		n.Restart = func(ctx context.Context) (string, error) {
			b := s.slot == "b"
			_, err := restart(ctx)
			if b {
				return "slot B is bad", err
			}
			return "", err
		}
		looked(s)(n)
	})
	requireVerdict(t, "fail.access", c)
	assert.Contains(t, c.Judgement.Detail, "a was taken, though")

	// What waits for a second start is found by the one behind the next probe.
	s = &slots{}
	c = try(t, s, func(n *check.Bracketed[string]) {
		deliver, waits := n.Deliver, ""
		n.Deliver = func(ctx context.Context, img string) (dut.Delivery, error) {
			s.pending, waits = waits, ""
			if img == "a" {
				waits = img
			}
			return deliver(ctx, img)
		}
	})
	requireVerdict(t, "fail.access", c)
	assert.Contains(t, c.Judgement.Detail, "a was taken, though it was answered as refused, and runs at a later start")
}

// TestBracketedNames: who reads a claim sees what was tried, and of what was taken in what
// it differs from what is genuine.
func TestBracketedNames(t *testing.T) {
	try := func(s *slots, probes ...string) *journal.Case {
		s.runs = "genuine-1"
		tr := newTrial(t)
		tr.bracket, tr.close = "update door", true
		tr.ledger.Open(tr.bracket, "upd-genuine[door]", nil)
		return tr.run(func(ctx context.Context, t *check.T) {
			n := s.bracketed(probes...)
			n.Name = func(p string) string { return p + " (for a reason)" }
			n.Brief = func(p string) string { return p }
			n.Differs = func(p string) string { return "payload at 7: 1 byte, now " + p }
			check.RefuteBracketed(ctx, t, "no mutant is taken", n)
		})
	}
	assert.Contains(t, try(&slots{}, "a", "b").Judgement.Detail, "2 probes, all refused (a, b); ")
	assert.Contains(t, try(&slots{}, strings.Split("abcdefghijklmno", "")...).Judgement.Detail, "15 probes, all refused (a, b, c, d, e, f, g, h, i, j, k, l and 3 more); ")
	assert.Contains(t, try(&slots{takes: []string{"b"}}, "a", "b").Judgement.Detail, "b (for a reason) was taken: genuine-1")
	assert.Contains(t, try(&slots{takes: []string{"b"}}, "a", "b").Judgement.Detail, "; it is genuine but for: payload at 7: 1 byte, now b")
	assert.Contains(t, try(&slots{swallows: []string{"a"}}, "a").Judgement.Detail, "a (for a reason) was taken, though it was answered as refused")
}
