package journal_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
	"rigor/harness/verdict"
)

// green is a journal with every shape of a pass: a positive claim, a negative
// one with controls of its own, one within a bracket, one after a retry.
func green() *journaltest.Builder {
	b := journaltest.New()
	for _, c := range []string{"a", "b", "c", "d"} {
		b.Plan("credential", c, "", func(p *journal.Plan) {
			if c == "c" {
				p.Bracket = "b1"
			}
		})
	}
	b.Plan("credential", "e", "", journaltest.Skip(verdict.NotApplicable, verdict.ReasonDeclaredNone, "no radio"))
	b.Add(journal.Event{Kind: journal.KindDoctor, Doctor: &journal.Doctor{Phase: "before", Item: "port", Part: "console.main", Status: "ok"}})
	b.Add(journal.Event{Kind: journal.KindUnit, Unit: &journal.Unit{Want: "AG-000123", Got: "AG-000123", OK: true}})
	b.Pass("a")
	b.Begin("b").Refute("b", journaltest.Whole("b", 1)).Holds("b", 2).Keep("b").Done("b")
	in := journaltest.Whole("c", 1)
	in.Claim.Bracket, in.Controls = "b1", in.Controls[1:2]
	b.Add(bracket("open", true)).Begin("c").Refute("c", in).Keep("c").Done("c").Add(bracket("close", true))
	b.Begin("d").Add(journal.Event{Kind: journal.KindFault, Case: "d", Fault: &journal.Fault{Part: "net", Error: "x"}}).Retry("d").Pass("d")
	return b.End()
}

// supported says what a passing case lacks of law 1, looking only at the
// events, on a path of its own.
func supported(events []journal.Event, id string) error {
	begun, ended, try, opens, closes := false, false, 0, 0, 0
	type claim struct {
		holds, neg, bracket bool
		roles               map[string]int
		probes, refs        bool
	}
	claims := map[int]*claim{}
	files := map[string]bool{}
	for _, e := range events {
		if e.Evidence != nil {
			files[e.Evidence.Path] = true
		}
	}
	get := func(n int) *claim {
		if claims[n] == nil {
			claims[n] = &claim{roles: map[string]int{}}
		}
		return claims[n]
	}
	for _, e := range events {
		if e.Bracket != nil && e.Bracket.OK && e.Bracket.Phase == "open" {
			opens++
		}
		if e.Bracket != nil && e.Bracket.OK && e.Bracket.Phase == "close" {
			closes++
		}
		if e.Case != id {
			continue
		}
		switch {
		case e.Begin != nil:
			begun, ended, claims = true, false, map[int]*claim{}
			try++
		case e.CaseEnd != nil:
			ended = true
		case e.Control != nil && e.Control.OK:
			get(e.Control.Claim).roles[e.Control.Role]++
		case e.Probes != nil:
			get(e.Probes.Claim).probes = e.Probes.Effective >= e.Probes.Planned && e.Probes.Planned > 0
		case e.Claim != nil:
			c := get(e.Claim.Claim)
			c.holds, c.neg, c.bracket = e.Claim.Holds == journal.Yes, e.Claim.Negative, e.Claim.Bracket != ""
			for _, r := range e.Claim.Evidence {
				c.refs = c.refs || files[r.Path]
			}
		}
	}
	if !begun || !ended || len(claims) == 0 {
		return fmt.Errorf("begun %v, ended %v, %d claims", begun, ended, len(claims))
	}
	for n, c := range claims {
		controls := c.roles[journal.RoleBefore] > 0 && c.roles[journal.RoleAfter] > 0 || c.bracket && opens > 0 && closes > 0
		if !c.holds || !c.refs || c.neg && !(controls && c.roles[journal.RoleAnti] > 0 && c.probes) {
			return fmt.Errorf("claim %d: %+v", n, *c)
		}
	}
	return nil
}

func TestGreenIsGreen(t *testing.T) {
	res := green().Fold()
	require.Zero(t, res.Exit, "%v", res.Trouble)
	assert.Equal(t, 4, res.Counts[verdict.Pass])
	for _, c := range res.Cases[:4] {
		assert.NoError(t, supported(green().Events, c.ID), c.ID)
	}
}

// greenOnTwo is green, with what comes behind case b on a second rig.
func greenOnTwo() *journaltest.Builder {
	b := green()
	b.Events[0].Start.Beside = []journal.Place{{Rig: "bench-b", Serial: "AG-000124"}}
	other := false
	for i := range b.Events {
		e := &b.Events[i]
		if other && e.End == nil {
			e.Rig = "bench-b"
		}
		other = other || e.CaseEnd != nil && e.Case == "b"
	}
	return b
}

func TestNoEventCanBeMissed(t *testing.T) {
	require.Zero(t, greenOnTwo().Fold().Exit)
	for name, b := range map[string]*journaltest.Builder{"one rig": green(), "two rigs": greenOnTwo()} {
		t.Run(name, func(t *testing.T) { noneCanBeMissed(t, b) })
	}
}

func noneCanBeMissed(t *testing.T, b *journaltest.Builder) {
	t.Helper()
	for i, gone := range b.Events {
		t.Run(fmt.Sprintf("%d %s %s", i, gone.Kind, gone.Case), func(t *testing.T) {
			less := b.Without(i)
			res := less.Fold() // numbered and chained anew, so that only the fold can see it
			for _, c := range res.Cases {
				if c.Verdict() == verdict.Pass {
					assert.NoError(t, supported(less.Events, c.ID), "%s passes", c.ID)
				}
			}
		})
	}
}

// A line taken out of the file itself is always seen, by the chain.
func TestNoLineCanBeTakenOut(t *testing.T) {
	lines := bytes.SplitAfter(green().Bytes(), []byte("\n"))
	lines = lines[:len(lines)-1]
	for i := range lines {
		var file []byte
		for k, l := range lines {
			if k != i {
				file = append(file, l...)
			}
		}
		log, err := journal.Read(bytes.NewReader(file))
		require.NoError(t, err)
		res := journal.Fold(log)
		assert.NotZero(t, res.Exit, "without line %d", i+1)
		if i < len(lines)-1 {
			assert.NotEmpty(t, log.Damage, "without line %d", i+1)
			assert.Zero(t, res.Counts[verdict.Pass], "in a damaged journal nothing passes")
		}
	}
}

// mixed makes a random journal with all kinds of trouble in it.
func mixed(r *rand.Rand) *journaltest.Builder {
	b := journaltest.New()
	n := 3 + r.IntN(5)
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("case-%d", i)
		b.Plan("credential", ids[i], "", func(p *journal.Plan) {
			if r.IntN(3) == 0 {
				p.Bracket = "b1"
			}
			if r.IntN(6) == 0 {
				p.Skip = &verdict.Judgement{Verdict: verdict.NotApplicable, Reason: verdict.ReasonDeclaredNone, Detail: "none"}
			}
		})
	}
	b.Add(bracket("open", r.IntN(8) > 0))
	for _, id := range ids {
		switch r.IntN(8) {
		case 0:
			b.Fail(id)
		case 1:
			b.Begin(id).Holds(id, 1).Keep(id).Retry(id).Pass(id)
		case 2:
			neg := journaltest.Whole(id, 1)
			if r.IntN(2) == 0 {
				neg.Probes.Kinds = map[verdict.Kind]int{verdict.Refused: 2, verdict.Accepted: 1}
			}
			b.Begin(id).Refute(id, neg).Keep(id).Done(id)
		case 3:
			b.Begin(id).Done(id, verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonFault, Detail: "x"})
		case 4: // never run
		case 5:
			b.Begin(id).Refute(id, journaltest.Whole(id, 1)).Holds(id, 2).Keep(id).Done(id)
		default:
			b.Pass(id)
		}
		if r.IntN(12) == 0 {
			b.Add(fault(true))
		}
	}
	return b.Add(bracket("close", r.IntN(8) > 0)).End()
}

// TestCutIsNeverGreener cuts journals after each line and within lines: the
// run is never green, what is unfinished is an error, and a failure that stood
// before the cut stands.
func TestCutIsNeverGreener(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := mixed(r)
		if seed%2 == 1 {
			onRigs(b, r)
		}
		file := b.Bytes()
		at := 0
		for n := 1; n < len(b.Events); n++ {
			at += bytes.IndexByte(file[at:], '\n') + 1
			for _, cut := range []int{at, at + 7} {
				log, err := journal.Read(bytes.NewReader(file[:cut]))
				require.NoError(t, err)
				require.Empty(t, log.Damage)
				require.Equal(t, cut != at, log.Torn)
				res := journal.Fold(log)
				require.NotZero(t, res.Exit, "seed %d cut after line %d", seed, n)
				for _, c := range res.Cases {
					switch {
					case c.Skip != nil && !c.Ran:
						require.Equal(t, verdict.NotApplicable, c.Verdict())
					case !c.Finished:
						require.Contains(t, []verdict.Verdict{verdict.Error, verdict.Fail}, c.Verdict(), "seed %d line %d %s", seed, n, c.ID)
					case c.Verdict() == verdict.Pass:
						require.NoError(t, supported(append(b.Events[:n:n], missing(b, n)...), c.ID))
					}
				}
			}
		}
	}
}

// onRigs makes a journal that of a run that three rigs share: a case is of one of them, and
// what is of no case of any.
func onRigs(b *journaltest.Builder, r *rand.Rand) {
	rigs := []string{"", "bench-b", "bench-c"}
	b.Events[0].Start.Beside = []journal.Place{{Rig: "bench-b", Serial: "AG-000124"}, {Rig: "bench-c"}}
	of := map[string]string{}
	for i := range b.Events[1:] {
		e := &b.Events[1+i]
		if e.Plan != nil || e.End != nil {
			continue
		}
		rig, known := of[e.Case]
		if !known {
			rig = rigs[r.IntN(len(rigs))]
			if e.Case != "" {
				of[e.Case] = rig
			}
		}
		e.Rig = rig
	}
}

// missing gives the evidence that was closed after the cut: a run that was cut
// short may rest on files that are whole but not yet hashed.
func missing(b *journaltest.Builder, n int) []journal.Event {
	var out []journal.Event
	for _, e := range b.Events[n:] {
		if e.Evidence != nil {
			out = append(out, e)
		}
	}
	return out
}

// TestFailureStays: whatever is added after a failure, it stays one.
func TestFailureStays(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 2))
		b := mixed(r)
		if seed%2 == 1 {
			onRigs(b, r)
		}
		failed := map[string]bool{}
		for n := 1; n <= len(b.Events); n++ {
			part := &journaltest.Builder{Events: b.Events[:n]}
			res := part.Fold()
			for _, c := range res.Cases {
				require.False(t, failed[c.ID] && c.Verdict() != verdict.Fail, "seed %d: %s failed before line %d and now is %s", seed, c.ID, n, c.Judgement)
				failed[c.ID] = c.Verdict() == verdict.Fail
			}
		}
	}
}

func TestFoldIsPure(t *testing.T) {
	b := mixed(rand.New(rand.NewPCG(9, 9)))
	log := b.Log()
	one, two := journal.Fold(log), journal.Fold(log)
	assert.Equal(t, one, two)
	assert.Equal(t, b.Log(), log, "the log is left as it was")
	loaded, err := journal.Load(bytes.NewReader(b.Bytes()))
	require.NoError(t, err)
	assert.Equal(t, one, loaded, "read and folded in one go, it is the same")
}
