package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// rigCrew is a run on faked benches that share its cases.
type rigCrew struct {
	t    *testing.T
	sink *memory
	rigs []*rigRun // named "bench", "bench-2" …
	seen func(*journal.Event)
}

// when gives a channel that is closed once such an event was written.
func (c *rigCrew) when(is func(*journal.Event) bool) <-chan struct{} {
	ch := make(chan struct{})
	var once sync.Once
	c.seen = func(e *journal.Event) {
		if is(e) {
			once.Do(func() { close(ch) })
		}
	}
	return ch
}

func newCrew(t *testing.T, n int, checks ...*check.Check) *rigCrew {
	t.Helper()
	first := newRun(t, checks...)
	sink := &memory{}
	c := &rigCrew{t: t, sink: sink}
	w := journal.NewWriter(sink, nil, func(e *journal.Event) {
		if c.seen != nil {
			c.seen(e)
		}
	})
	start := &journal.Start{Format: journal.Format, Run: "r", Rig: "bench", Serial: "A1", Device: "dut", Model: "M"}
	for i := range n {
		r := &rigRun{t: t, d: &diary{}, sink: sink, lines: map[string]wire.Line{}, prof: first.prof, cfg: first.cfg}
		for name := range first.lines {
			r.lines[name] = &fakeLine{name: name, d: r.d}
		}
		r.bench = &dut.Bench{Lines: r.lines}
		r.cfg.Rig, r.cfg.Journal, r.cfg.Intents = "bench", w, &noIntents{}
		if i > 0 {
			r.cfg.Rig = fmt.Sprintf("bench-%d", i+1)
			r.cfg.Journal = w.On(r.cfg.Rig)
			start.Beside = append(start.Beside, journal.Place{Rig: r.cfg.Rig, Serial: fmt.Sprintf("A%d", i+1)})
		}
		r.cfg.Plan = append([]Planned(nil), first.cfg.Plan...)
		r.cfg.Cabinet = journal.NewCabinet(t.TempDir(), w, nil)
		c.rigs = append(c.rigs, r)
	}
	require.NoError(t, w.Append(&journal.Event{Kind: journal.KindStart, Start: start}))
	return c
}

// run carries it out and folds the journal.
func (c *rigCrew) run(ctx context.Context) *journal.Result {
	c.t.Helper()
	var cfgs []Config
	for i, r := range c.rigs {
		r.cfg.Device = dut.New(r.prof, dut.Unit{Serial: fmt.Sprintf("A%d", i+1)}, r.bench)
		cfgs = append(cfgs, r.cfg)
	}
	require.NoError(c.t, Run(ctx, cfgs...))
	end := &journal.End{How: journal.EndFinished, Safe: true}
	if ctx.Err() != nil {
		end.How = journal.EndInterrupted
	}
	w := c.rigs[0].cfg.Journal
	require.NoError(c.t, w.Append(&journal.Event{Kind: journal.KindEnd, End: end}))
	require.NoError(c.t, w.Close())
	res, err := journal.Load(bytes.NewReader(c.sink.Bytes()))
	require.NoError(c.t, err)
	require.Empty(c.t, res.Damage)
	return res
}

// meet ends when so many cases are at it at the same time: it shows that they are.
type meet struct {
	n   int
	mu  sync.Mutex
	in  int
	all chan struct{}
}

func (m *meet) wait(ctx context.Context) error {
	m.mu.Lock()
	if m.all == nil {
		m.all = make(chan struct{})
	}
	if m.in++; m.in == m.n {
		close(m.all)
	}
	all := m.all
	m.mu.Unlock()
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return errors.New("the others did not come")
	}
}

// TestShared: each case runs once, on as many rigs as there are at the same time, and
// the report has which it was.
func TestShared(t *testing.T) {
	m := &meet{n: 3}
	var checks []*check.Check
	for i := range 9 {
		checks = append(checks, checkOn(fmt.Sprintf("c%d", i), "good", func(ctx context.Context, ct *check.T) {
			if i < 3 {
				ct.OK(use(ctx, ct, "good"))
			}
			holds(ct)
		}))
	}
	// The first that each rig has, from the front or from behind.
	for _, i := range []int{0, 1, 8} {
		f := checks[i].Run
		checks[i].Run = func(ctx context.Context, ct *check.T) {
			ct.OK(m.wait(ctx))
			f(ctx, ct)
		}
	}
	c := newCrew(t, 3, checks...)
	res := c.run(t.Context())
	on := map[string]int{}
	for i := range res.Cases {
		k := &res.Cases[i]
		assert.Equal(t, "pass", words(k.Judgement), "%s: %s", k.ID, k.Judgement.Detail)
		assert.Equal(t, 1, k.Tries)
		on[k.Rig]++
	}
	assert.Len(t, on, 3, "%v", on)
	assert.Equal(t, verdict.Pass, res.Worst, "%v", res.Trouble)
	assert.Contains(t, []string{"A1 on rig bench", "A2 on rig bench-2", "A3 on rig bench-3"}, res.Unit(res.Case("c8")))
}

// TestTogether: cases of one check, of a bracket, and those that find out something
// together run on one unit.
func TestTogether(t *testing.T) {
	var shows atomic.Int32
	several := func(id string, n int, give func(c *check.Case)) *check.Check {
		c := checkOn(id, "good", func(_ context.Context, ct *check.T) { holds(ct) })
		c.Cases = func(check.Input) (cases []check.Case) {
			for i := range n {
				k := check.Case{Channel: fmt.Sprint(i)}
				give(&k)
				cases = append(cases, k)
			}
			return cases
		}
		return c
	}
	sharing := func(id string) *check.Check {
		c := several(id, 3, func(k *check.Case) { k.Shares = "a reset" })
		c.Run = func(_ context.Context, ct *check.T) {
			check.Shared(ct, func() int32 { return shows.Add(1) })
			holds(ct)
		}
		return c
	}
	bracketed := func(id string) *check.Check {
		c := several(id, 3, func(k *check.Case) { k.Bracket = "a channel" })
		if id == "five" { // which alone closes it
			c.Run = func(_ context.Context, ct *check.T) {
				ct.Shown("a channel")
				holds(ct)
			}
		}
		return c
	}
	c := newCrew(t, 4, several("one", 5, func(*check.Case) {}), sharing("two"), bracketed("three"), sharing("four"), bracketed("five"), several("six", 2, func(*check.Case) {}))
	res := c.run(t.Context())
	on := map[string]map[string]bool{}
	for i := range res.Cases {
		k := &res.Cases[i]
		assert.Equal(t, "pass", words(k.Judgement), "%s: %s", k.ID, k.Judgement.Detail)
		group := map[string]string{"two": "shared", "four": "shared", "three": "bracket", "five": "bracket"}[k.Check]
		if group == "" {
			group = k.Check
		}
		if on[group] == nil {
			on[group] = map[string]bool{}
		}
		on[group][k.Rig] = true
	}
	for group, rigs := range on {
		assert.Len(t, rigs, 1, group)
	}
	assert.EqualValues(t, 1, shows.Load())
}

// TestLeftToOthers: what a rig cannot run any more another one does, and the run does not
// pass as if nothing had been.
func TestLeftToOthers(t *testing.T) {
	var checks []*check.Check
	for i := range 6 {
		checks = append(checks, checkOn(fmt.Sprintf("c%d", i), "bad", func(ctx context.Context, ct *check.T) {
			ct.OK(use(ctx, ct, "bad"))
			holds(ct)
		}))
	}
	broken := &wire.Fault{Part: "line.bad", Op: "assert", Err: errors.New("no such chip")}
	t.Run("one of two", func(t *testing.T) {
		c := newCrew(t, 2, checks...)
		c.rigs[1].lines["bad"] = &fakeLine{name: "bad", d: c.rigs[1].d, err: broken}
		// The other begins when the broken one is done with its only case.
		done := c.when(func(e *journal.Event) bool { return e.Fault != nil && e.Fault.Broken })
		c.rigs[0].lines["bad"] = &fakeLine{name: "bad", d: c.rigs[0].d, hang: done}
		res := c.run(t.Context())
		bad := 0
		for i := range res.Cases {
			k := &res.Cases[i]
			if k.Rig == "bench-2" {
				bad++
				assert.Equal(t, verdict.Error, k.Judgement.Verdict, k.ID)
				continue
			}
			assert.Equal(t, "pass", words(k.Judgement), "%s: %s", k.ID, k.Judgement.Detail)
		}
		assert.Equal(t, 1, bad)
		assert.Equal(t, verdict.Error, res.Worst)
		require.NotEmpty(t, res.Trouble)
		assert.Contains(t, res.Trouble[0].Detail, "line.bad of rig bench-2 is broken")
		assert.Equal(t, []string{"line.bad on rig bench-2"}, res.Broken)
	})
	t.Run("none is left", func(t *testing.T) {
		c := newCrew(t, 2, checks...)
		for _, r := range c.rigs {
			r.lines["bad"] = &fakeLine{name: "bad", d: r.d, err: broken}
		}
		res := c.run(t.Context())
		for i := range res.Cases {
			k := &res.Cases[i]
			require.Equal(t, verdict.Error, k.Judgement.Verdict, "%s: %s", k.ID, k.Judgement.Detail)
			if first := k.Faults != nil; !first {
				assert.Equal(t, "error.broken-part", words(k.Judgement), "%s: %s", k.ID, k.Judgement.Detail)
			}
		}
		for _, r := range c.rigs {
			assert.Equal(t, []string{"bad assert", "bad assert"}, r.d.all(), "it is not fed on")
		}
	})
}

// TestLeaseOfOneLost: the others go on, and the run says so.
func TestLeaseOfOneLost(t *testing.T) {
	lost := make(chan struct{})
	var checks []*check.Check
	var once sync.Once
	for i := range 6 {
		checks = append(checks, checkOn(fmt.Sprintf("c%d", i), "good", func(ctx context.Context, ct *check.T) {
			once.Do(func() { close(lost) })
			ct.OK(use(ctx, ct, "good"))
			holds(ct)
		}))
	}
	c := newCrew(t, 2, checks...)
	c.rigs[1].cfg.Lost = lost
	res := c.run(t.Context())
	for i := range res.Cases {
		k := &res.Cases[i]
		if want := "pass"; k.Rig == "bench-2" {
			assert.Contains(t, []string{want, "error.lease-lost"}, words(k.Judgement), k.ID)
		} else {
			assert.Equal(t, want, words(k.Judgement), "%s: %s", k.ID, k.Judgement.Detail)
		}
	}
	assert.Equal(t, verdict.Error, res.Worst, "%v", res.Trouble)
}

// TestBothLeasesLost: nothing more is run, and each case says why.
func TestBothLeasesLost(t *testing.T) {
	lost := make(chan struct{})
	close(lost)
	waits := func(ctx context.Context, _ *check.T) { <-ctx.Done() }
	c := newCrew(t, 2, checkOn("one", "good", waits), checkOn("other", "other", waits), checkOn("third", "other", waits))
	for _, r := range c.rigs {
		r.cfg.Lost = lost
	}
	res := c.run(t.Context())
	for i := range res.Cases {
		assert.Equal(t, "error.lease-lost", words(res.Cases[i].Judgement), res.Cases[i].ID)
	}
}

// TestFailFastForAll: a failure on one rig ends the handing out to all.
func TestFailFastForAll(t *testing.T) {
	m := &meet{n: 2}
	var over <-chan struct{}
	checks := []*check.Check{checkOn("fails", "good", func(ctx context.Context, ct *check.T) {
		ct.OK(m.wait(ctx))
		ct.Claim("it is so", func(c *check.Claim) { c.Fail(verdict.ReasonExpectation, "it is not") })
	})}
	for i := range 4 {
		checks = append(checks, checkOn(fmt.Sprintf("c%d", i), "good", func(_ context.Context, ct *check.T) { holds(ct) }))
	}
	checks = append(checks, checkOn("slow", "good", func(ctx context.Context, ct *check.T) {
		ct.OK(m.wait(ctx))
		holds(ct)
		<-over // its end comes when the other's has
	}))
	c := newCrew(t, 2, checks...)
	for _, r := range c.rigs {
		r.cfg.FailFast = true
	}
	over = c.when(func(e *journal.Event) bool { return e.CaseEnd != nil && e.Case == "fails" })
	res := c.run(t.Context())
	assert.Equal(t, verdict.Fail, res.Case("fails").Judgement.Verdict)
	left := 0
	for i := range 4 {
		if k := res.Case(fmt.Sprintf("c%d", i)); words(k.Judgement) == "inconclusive.coverage-gap" {
			left++
		}
	}
	assert.GreaterOrEqual(t, left, 3, "the other may have begun one meanwhile")
}

// TestSignalEndsAll: no rig begins another case once the run is told to end.
func TestSignalEndsAll(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	m := &meet{n: 2}
	var checks []*check.Check
	for i := range 6 {
		checks = append(checks, checkOn(fmt.Sprintf("c%d", i), "good", func(ctx context.Context, ct *check.T) {
			ct.OK(m.wait(ctx))
			stop()
			holds(ct)
		}))
	}
	res := newCrew(t, 2, checks...).run(ctx)
	ran := 0
	for i := range res.Cases {
		if res.Cases[i].Ran {
			ran++
		}
		assert.NotEqual(t, verdict.Pass, res.Cases[i].Judgement.Verdict)
	}
	assert.Equal(t, 2, ran)
	assert.Equal(t, verdict.ExitInterrupted, res.Exit)
}

// TestPlansDiffer: a case that one rig cannot run is the other's.
func TestPlansDiffer(t *testing.T) {
	c := newCrew(t, 2, well(), checkOn("reset", "bad", func(_ context.Context, ct *check.T) { holds(ct) }))
	c.rigs[0].cfg.Plan[1].Skip = check.RigLacks("the rig does not allow %q for this unit", "reset")
	res := c.run(t.Context())
	assert.Equal(t, "pass", words(res.Case("reset").Judgement))
	assert.Equal(t, "bench-2", res.Case("reset").Rig)

	c = newCrew(t, 2, well())
	c.rigs[1].cfg.Plan = nil
	var cfgs []Config
	for _, r := range c.rigs {
		cfgs = append(cfgs, r.cfg)
	}
	require.ErrorContains(t, Run(t.Context(), cfgs...), "rig bench-2 plans 0 cases, and not 1")
}

// TestLongest keeps what belongs together in its order.
func TestLongest(t *testing.T) {
	p := func(id, channel, bracket string, budget time.Duration) *Planned {
		return &Planned{ID: CaseID(id, channel), Check: &check.Check{ID: id, Budget: check.Budget{Case: budget}}, Case: check.Case{Channel: channel, Bracket: bracket}}
	}
	order := []*Planned{p("a", "1", "", time.Minute), p("b", "1", "x", time.Minute), p("a", "2", "", time.Minute), p("c", "", "", 0), p("d", "", "x", 10*time.Minute), p("e", "", "", time.Minute)}
	var got []string
	for _, x := range longest(order) {
		got = append(got, x.ID)
	}
	assert.Equal(t, []string{"b[1]", "d", "c", "a[1]", "a[2]", "e"}, got)
}

// TestLaneThatPanics: a bug of the harness on one rig comes out once the others are back.
func TestLaneThatPanics(t *testing.T) {
	var back atomic.Bool
	q := newRoster(2)
	runs := []*run{{roster: q, cfg: Config{Profile: &profile.Profile{}}}, {roster: q, cfg: Config{Profile: &profile.Profile{}}}}
	assert.PanicsWithError(t, "", func() {
		defer func() {
			p := recover()
			assert.Contains(t, fmt.Sprint(p), "odd")
			panic(errors.New(""))
		}()
		_ = beside(runs, func(r *run) error {
			if r == runs[0] {
				panic("odd")
			}
			assert.Nil(t, q.next(t.Context(), r, nil, true), "it does not wait for who is gone")
			back.Store(true)
			return nil
		})
	})
	assert.True(t, back.Load())
}

// TestSickUnit: a unit of which nothing can be decided does not get the cases that another
// one could show, for being done with each at once.
func TestSickUnit(t *testing.T) {
	var checks []*check.Check
	for i := range 20 {
		checks = append(checks, checkOn(fmt.Sprintf("c%d", i), "good", func(ctx context.Context, ct *check.T) {
			if err := use(ctx, ct, "good"); err != nil {
				ct.Inconclusive(verdict.ReasonControlFailed, "it does not answer")
			}
			holds(ct)
		}))
	}
	c := newCrew(t, 2, checks...)
	c.rigs[1].lines["good"] = &fakeLine{name: "good", d: c.rigs[1].d, err: errors.New("silent")}
	over := c.when(func() func(*journal.Event) bool {
		n := 0
		return func(e *journal.Event) bool {
			if e.CaseEnd != nil && e.Rig == "bench-2" {
				n++
			}
			return n == inARow
		}
	}())
	c.rigs[0].lines["good"] = &fakeLine{name: "good", d: c.rigs[0].d, hang: over}
	res := c.run(t.Context())
	assert.Equal(t, 20-inARow, res.Counts[verdict.Pass])
	assert.Equal(t, inARow, res.Counts[verdict.Inconclusive])
	assert.Equal(t, verdict.Inconclusive, res.Worst)
}

// TestBracketOfAnother: a case that leans on what its unit has to show, and nothing shows
// at the end, goes to the rig whose unit does show it.
func TestBracketOfAnother(t *testing.T) {
	m := &meet{n: 2}
	leans := checkOn("leans", "good", func(_ context.Context, ct *check.T) { holds(ct) })
	leans.Cases = func(check.Input) []check.Case { return []check.Case{{Bracket: "a label"}} }
	shows := checkOn("shows", "good", func(ctx context.Context, ct *check.T) {
		ct.OK(m.wait(ctx)) // the other has begun, too
		ct.Shown("a label")
		holds(ct)
	})
	other := checkOn("other", "good", func(ctx context.Context, ct *check.T) {
		ct.OK(m.wait(ctx))
		holds(ct)
	})
	for range 5 {
		m.in, m.all = 0, nil
		res := newCrew(t, 2, shows, leans, other).run(t.Context())
		assert.Equal(t, "pass", words(res.Case("leans").Judgement), "%s", res.Case("leans").Judgement.Detail)
		assert.Equal(t, res.Case("shows").Rig, res.Case("leans").Rig)
	}
}

// TestBracketIsNotHandedOn: what leans on each other ends where it began, and says why.
func TestBracketIsNotHandedOn(t *testing.T) {
	c := checkOn("b", "bad", func(ctx context.Context, ct *check.T) {
		ct.OK(use(ctx, ct, "bad"))
		holds(ct)
	})
	c.Cases = func(check.Input) []check.Case {
		return []check.Case{{Channel: "1", Bracket: "x", Parts: []wire.Part{"line.bad"}}, {Channel: "2", Bracket: "x", Parts: []wire.Part{"line.bad"}}}
	}
	crew := newCrew(t, 2, c)
	for _, r := range crew.rigs {
		r.lines["bad"] = &fakeLine{name: "bad", d: r.d, err: &wire.Fault{Part: "line.bad", Op: "assert", Err: errors.New("no such chip")}}
	}
	res := crew.run(t.Context())
	assert.Equal(t, res.Case("b[1]").Rig, res.Case("b[2]").Rig)
	assert.Equal(t, "error.broken-part", words(res.Case("b[2]").Judgement), "%s", res.Case("b[2]").Judgement.Detail)
}

// TestPartsOfTheRig: a case leans on the parts of the rig on which it ran, which may be
// found broken when all is over.
func TestPartsOfTheRig(t *testing.T) {
	m := &meet{n: 2}
	both := func(id string) *check.Check {
		return checkOn(id, "good", func(ctx context.Context, ct *check.T) {
			ct.OK(m.wait(ctx))
			holds(ct)
		})
	}
	c := newCrew(t, 2, both("a"), both("b"))
	for i := range c.rigs[1].cfg.Plan {
		c.rigs[1].cfg.Plan[i].Case.Parts = []wire.Part{"line.good", "storage.main"}
	}
	c.rigs[1].cfg.Doctor = func(_ context.Context, phase string) []journal.Doctor {
		if phase == "after" {
			return []journal.Doctor{{Phase: phase, Item: "memory", Part: "storage.main", Status: "broken", Detail: "no answer"}}
		}
		return nil
	}
	res := c.run(t.Context())
	for i := range res.Cases {
		want := map[string]string{"": "pass", "bench-2": "error.broken-part"}[res.Cases[i].Rig]
		assert.Equal(t, want, words(res.Cases[i].Judgement))
	}
}

// TestLeftEarly: a rig on which nothing more is done is left before the others are through.
func TestLeftEarly(t *testing.T) {
	m := &meet{n: 2}
	left := make(chan struct{})
	checks := []*check.Check{
		checkOn("slow", "good", func(ctx context.Context, ct *check.T) {
			ct.OK(m.wait(ctx))
			select {
			case <-left:
			case <-ctx.Done():
				ct.Inconclusive(verdict.ReasonPrecondition, "the other rig is still held")
			}
			holds(ct)
		}),
		checkOn("short", "good", func(ctx context.Context, ct *check.T) {
			ct.OK(m.wait(ctx))
			holds(ct)
		}),
	}
	c := newCrew(t, 2, checks...)
	lost := c.when(func(e *journal.Event) bool { return e.CaseEnd != nil && e.Case == "short" })
	// Who has run the short one loses its lease, and holds nothing any more.
	var which atomic.Int32
	for i, r := range c.rigs {
		ch := make(chan struct{})
		r.cfg.Lost = ch
		go func() {
			<-lost
			if res := int32(i); which.Load() == res {
				close(ch)
			}
		}()
		r.cfg.Ended = func() {
			if which.Load() == int32(i) {
				close(left)
			}
		}
	}
	seen := c.seen
	c.seen = func(e *journal.Event) {
		if e.Begin != nil && e.Case == "short" && e.Rig == "bench-2" {
			which.Store(1)
		}
		seen(e)
	}
	res := c.run(t.Context())
	assert.Equal(t, "pass", words(res.Case("slow").Judgement), "%s", res.Case("slow").Judgement.Detail)
}

// TestAskedInTurn: a question waits for another one's answer no longer than its case has
// time.
func TestAskedInTurn(t *testing.T) {
	person := make(chan struct{}, 1)
	answer := make(chan struct{})
	var asked []string
	ask := func(_ context.Context, q string) (string, error) {
		asked = append(asked, q)
		<-answer
		return "yes", nil
	}
	a, b := inTurn(person, "a", ask), inTurn(person, "b", ask)
	done := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		close(begun)
		_, err := a(t.Context(), "press it")
		done <- err
	}()
	<-begun
	require.Eventually(t, func() bool { return len(person) == 1 }, time.Second, time.Millisecond)
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer stop()
	_, err := b(ctx, "press that")
	require.ErrorContains(t, err, `nobody could be asked "press that"`)
	close(answer)
	require.NoError(t, <-done)
	_, err = b(ctx, "press that")
	require.Error(t, err, "its time is over")
	got, err := b(t.Context(), "press that")
	require.NoError(t, err)
	assert.Equal(t, "yes", got)
	assert.Equal(t, []string{"[rig a] press it", "[rig b] press that"}, asked)
}
