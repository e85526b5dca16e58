package powercut

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

// stretch is a phase as the fake device really has it.
type stretch struct {
	id     string
	lasts  time.Duration
	jitter time.Duration // it lasts up to so much longer
	late   time.Duration // its marker comes so much after its beginning
	mute   bool          // no marker comes
	muteIn func(run int) bool
}

// fake is a DUT whose work is a row of stretches.
type fake struct {
	work  []stretch
	hold  time.Duration // that the supply lasts after it was told to go
	early time.Duration // before its work begins to show itself
	slow  time.Duration // up to so much longer that is
	rng   *rand.Rand
	runs  int
	drag  func(run int) time.Duration // by which each stretch lasts longer
	ready func(run int) error
	fails func(run int) error // before the work has any effect
	off   func(run int) error
	on    func(run int) error
	ends  func(run int, in string, over bool) End
	blind func(run int) bool // Watch breaks in it

	marks  chan Mark
	dead   chan struct{} // closed when the supply is gone
	landed []string      // where each cut really was

	mu   sync.Mutex
	in   string // stretch that the device really is in
	over bool
}

func newFake(work ...stretch) *fake {
	return &fake{work: work, rng: rand.New(rand.NewPCG(1, 2))}
}

func (f *fake) Ready(context.Context) error {
	f.runs++
	f.marks, f.dead = make(chan Mark, 100), make(chan struct{})
	f.is("", false)
	if f.ready != nil {
		return f.ready(f.runs)
	}
	return nil
}

func (f *fake) Watch(ctx context.Context, seen func(Mark)) error {
	if f.blind != nil && f.blind(f.runs) {
		time.Sleep(3 * ms)
		return errors.New("the plug is out")
	}
	for {
		select {
		case m := <-f.marks:
			seen(m)
		case <-ctx.Done():
			for len(f.marks) > 0 {
				seen(<-f.marks)
			}
			return nil
		}
	}
}

var errGone = errors.New("the connection broke")

func (f *fake) Act(ctx context.Context) error {
	done := make(chan error, 1)
	dead := f.dead
	go func() { done <- f.device(dead) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// device is the work as the device does it.
func (f *fake) device(dead chan struct{}) error {
	if f.fails != nil {
		if err := f.fails(f.runs); err != nil {
			time.Sleep(ms)
			return err
		}
	}
	pause := func(d time.Duration) bool {
		select {
		case <-dead:
			return false
		case <-time.After(d):
			return true
		}
	}
	if !pause(10*ms + f.lead()) {
		return errGone
	}
	for _, s := range f.work {
		f.is(s.id, false)
		lasts := s.lasts
		if s.jitter > 0 {
			lasts += time.Duration(f.rng.Int64N(int64(s.jitter)))
		}
		if f.drag != nil {
			lasts += f.drag(f.runs)
		}
		if !pause(min(s.late, lasts)) {
			return errGone
		}
		if !s.mute && (s.muteIn == nil || !s.muteIn(f.runs)) {
			f.marks <- Mark{Phase: s.id, At: time.Now(), What: s.id}
		}
		if !pause(lasts - min(s.late, lasts)) {
			return errGone
		}
	}
	f.is("", true)
	return nil
}

// is notes where the device really is.
func (f *fake) is(in string, over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.in, f.over = in, over
}

func (f *fake) where() (in string, over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.in, f.over
}

// lead is how much later the work begins to show itself.
func (f *fake) lead() time.Duration {
	if f.slow == 0 {
		return f.early
	}
	return f.early + time.Duration(f.rng.Int64N(int64(f.slow)))
}

func (f *fake) Off(context.Context) error {
	if f.off != nil {
		if err := f.off(f.runs); err != nil {
			return err
		}
	}
	time.Sleep(f.hold)
	close(f.dead)
	in, _ := f.where()
	f.landed = append(f.landed, in)
	time.Sleep(5 * ms)
	return nil
}

func (f *fake) On(context.Context) error {
	time.Sleep(50 * ms)
	if f.on != nil {
		return f.on(f.runs)
	}
	return nil
}

func (f *fake) End(context.Context) (End, error) {
	in, over := f.where()
	if f.ends != nil {
		return f.ends(f.runs, in, over), nil
	}
	if over {
		return End{Name: "new", OK: true}, nil
	}
	return End{Name: "old", OK: true}, nil
}

func declared(ids ...string) []Phase {
	var out []Phase
	for _, id := range ids {
		out = append(out, Phase{ID: id})
	}
	return out
}

// sweeping sweeps a fake in a bubble of its own.
func sweeping(t *testing.T, p Plan, f *fake) (res *Result, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		res, err = Sweep(t.Context(), p, f)
		time.Sleep(time.Second) // the device ends what nobody cut
	})
	return res, err
}

func hits(r *Result) map[string]int {
	out := map[string]int{}
	for _, p := range r.Phases {
		out[p.ID] = p.Hits
	}
	return out
}

func three() []stretch {
	return []stretch{{id: "erase", lasts: 20 * ms, jitter: 15 * ms}, {id: "write", lasts: 60 * ms, jitter: 50 * ms}, {id: "verify", lasts: 10 * ms, jitter: 10 * ms}}
}

// steady is three stretches whose times can be foreseen: what is shorter than a
// supply lasts, and begins at any time, is hit by chance alone.
func steady() []stretch {
	return []stretch{{id: "erase", lasts: 20 * ms, jitter: 5 * ms}, {id: "write", lasts: 60 * ms, jitter: 5 * ms}, {id: "verify", lasts: 10 * ms, jitter: 5 * ms}}
}

func TestEachPhaseIsHit(t *testing.T) {
	for name, f := range map[string]*fake{
		"jitter":              newFake(three()...),
		"a supply that lasts": {work: steady(), hold: 17 * ms, rng: rand.New(rand.NewPCG(3, 4))},
		"one that lasts long": {work: steady(), hold: 70 * ms, early: 100 * ms, rng: rand.New(rand.NewPCG(5, 6))},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := sweeping(t, Plan{Phases: declared("erase", "write", "verify"), Hits: 3, Cuts: 60, Seed: 11}, f)
			require.NoError(t, err)
			assert.Empty(t, r.Gaps(), "%+v", r.Phases)
			assert.Empty(t, r.Stop)
			assert.Nil(t, r.Bad)
			assert.True(t, r.Runs[0].Uncut && r.Runs[0].Ended, "the first run is not cut")
			assert.True(t, r.StillGoes(), "nor is the last")
			var counted []string
			for _, run := range r.Runs {
				if run.Cut {
					counted = append(counted, run.Phase)
				}
			}
			assert.Equal(t, f.landed, counted, "each cut counts for where it was: these markers come at once")
		})
	}
}

func TestAimingCostsFewRuns(t *testing.T) {
	f := newFake(three()...)
	r, err := sweeping(t, Plan{Phases: declared("erase", "write", "verify"), Hits: 1, Cuts: 30, Seed: 1}, f)
	require.NoError(t, err)
	assert.Empty(t, r.Gaps())
	assert.LessOrEqual(t, len(r.Runs), 2+5, "three hits: %+v", r.Runs)
}

// A first run in which everything takes long, as on a busy computer, costs a cut for
// each phase at most.
func TestASlowFirstRun(t *testing.T) {
	f := newFake(three()...)
	f.drag = func(run int) time.Duration {
		if run == 1 {
			return 200 * ms
		}
		return 0
	}
	r, err := sweeping(t, Plan{Phases: declared("erase", "write", "verify"), Hits: 1, Cuts: 30, Seed: 3}, f)
	require.NoError(t, err)
	assert.Empty(t, r.Gaps())
	assert.LessOrEqual(t, len(r.Runs), 2+3+3+1, "%+v", r.Runs)
}

func TestTheSameSeedAimsAlike(t *testing.T) {
	offsets := func(seed uint64) (out []time.Duration) {
		r, err := sweeping(t, Plan{Phases: declared("erase", "write", "verify"), Hits: 2, Cuts: 30, Seed: seed}, newFake(three()...))
		require.NoError(t, err)
		for _, run := range r.Runs {
			out = append(out, run.Offset)
		}
		return out
	}
	assert.Equal(t, offsets(1), offsets(1))
	assert.NotEqual(t, offsets(1), offsets(2))
}

func TestAPhaseThatIsNeverSeenIsAGap(t *testing.T) {
	work := three()
	work[1].mute = true
	r, err := sweeping(t, Plan{Phases: declared("erase", "write", "verify"), Hits: 2, Cuts: 40, Seed: 1}, newFake(work...))
	require.NoError(t, err)
	gaps := r.Gaps()
	require.Len(t, gaps, 1)
	assert.Equal(t, "write", gaps[0].ID)
	assert.False(t, gaps[0].Seen)
	assert.Zero(t, gaps[0].Tries, "nothing is cut for what was never seen")
	assert.NotEmpty(t, r.Stop)
	assert.Equal(t, map[string]int{"erase": 2, "write": 0, "verify": 2}, hits(r), "the others have what they want")
	assert.True(t, r.StillGoes())
}

func TestAPhaseThatIsSeenOnceIsAGap(t *testing.T) {
	work := three()
	work[2].muteIn = func(run int) bool { return run > 1 }
	r, err := sweeping(t, Plan{Phases: declared("erase", "write", "verify"), Hits: 1, Cuts: 40, Seed: 1}, newFake(work...))
	require.NoError(t, err)
	require.Len(t, r.Gaps(), 1)
	assert.Equal(t, "verify", r.Gaps()[0].ID)
	assert.True(t, r.Gaps()[0].Seen)
	assert.LessOrEqual(t, r.Gaps()[0].Tries, 15, "and does not use up all cuts")
}

// A marker that comes late: what is cut before it counts for the phase before.
func TestALateMarkerCountsWhenItIsSeen(t *testing.T) {
	work := three()
	work[1].late = 45 * ms
	f := newFake(work...)
	r, err := sweeping(t, Plan{Phases: declared("erase", "write", "verify"), Hits: 2, Cuts: 40, Seed: 4}, f)
	require.NoError(t, err)
	assert.Empty(t, r.Gaps(), "%+v", r.Phases)
	n := 0
	for _, run := range r.Runs {
		if !run.Cut {
			continue
		}
		if real := f.landed[n]; run.Phase != real {
			assert.Equal(t, "erase", run.Phase)
			assert.Equal(t, "write", real)
		}
		n++
	}
}

func TestWorkThatEndsBeforeTheCut(t *testing.T) {
	// The work is over at its last marker but for a moment: a supply that lasts
	// longer has to be told to go before that marker.
	f := newFake(stretch{id: "write", lasts: 60 * ms}, stretch{id: "commit", lasts: 6 * ms})
	f.hold = 20 * ms
	r, err := sweeping(t, Plan{Phases: declared("write", "commit"), Hits: 1, Cuts: 40, Seed: 4}, f)
	require.NoError(t, err)
	assert.Empty(t, r.Gaps(), "%+v", r.Runs)
	late := 0
	for _, run := range r.Runs[1 : len(r.Runs)-1] {
		if run.Ended {
			late++
			assert.Empty(t, run.Phase, "what had ended counts for no phase")
			assert.NotEmpty(t, run.Missed)
		}
	}
	assert.Positive(t, late)
}

func TestACutThatLandsInNoPhase(t *testing.T) {
	// Its marker comes so long after the beginning that a slow supply is aimed
	// before it.
	f := newFake(stretch{id: "only", lasts: 4 * ms, jitter: ms})
	f.hold, f.slow = 9*ms, 8*ms
	r, err := sweeping(t, Plan{Phases: declared("only"), Hits: 3, Cuts: 40, Seed: 9}, f)
	require.NoError(t, err)
	none := 0
	for _, run := range r.Runs {
		if run.Cut && run.Phase == "" && !run.Ended {
			none++
			assert.Contains(t, run.Missed, "no marker")
		}
	}
	assert.Equal(t, map[string]int{"only": 3}, hits(r), "%+v", r.Runs)
	assert.Positive(t, none)
}

func TestTimeAlone(t *testing.T) {
	f := newFake(stretch{id: "erase", lasts: 30 * ms}, stretch{id: "write", lasts: 80 * ms, mute: true})
	r, err := sweeping(t, Plan{Phases: []Phase{{ID: "erase"}, {ID: "write", After: 40 * ms}}, Hits: 3, Cuts: 20, Seed: 9}, f)
	require.NoError(t, err)
	assert.Empty(t, r.Gaps())
	n := 0
	for _, run := range r.Runs {
		if run.Cut {
			if run.Phase == "write" {
				assert.Equal(t, "write", f.landed[n])
				assert.Equal(t, "erase", run.Anchor)
			}
			n++
		}
	}
}

func TestBudgets(t *testing.T) {
	phases := declared("erase", "write", "verify")
	t.Run("cuts", func(t *testing.T) {
		r, err := sweeping(t, Plan{Phases: phases, Hits: 5, Cuts: 4, Seed: 1}, newFake(three()...))
		require.NoError(t, err)
		cut, _ := r.Cuts()
		assert.LessOrEqual(t, cut, 4)
		assert.NotEmpty(t, r.Gaps())
		assert.Contains(t, r.Stop, "4 times")
		assert.True(t, r.StillGoes(), "a last run shows that it still goes")
	})
	t.Run("time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, err := Sweep(t.Context(), Plan{Phases: phases, Hits: 50, Cuts: 500, Seed: 1, Until: time.Now().Add(time.Second)}, newFake(three()...))
			require.NoError(t, err)
			assert.Contains(t, r.Stop, "time")
			assert.NotEmpty(t, r.Gaps())
		})
	})
	t.Run("no more power cycles", func(t *testing.T) {
		f := newFake(three()...)
		f.off = func(run int) error {
			if run > 3 {
				return fmt.Errorf("%w: limits.power-cycles", ErrSpent)
			}
			return nil
		}
		r, err := sweeping(t, Plan{Phases: phases, Hits: 5, Cuts: 40, Seed: 1}, f)
		require.NoError(t, err)
		assert.Contains(t, r.Stop, "limits")
		cut, _ := r.Cuts()
		assert.Equal(t, 2, cut, "the one that was not made is none")
		assert.True(t, r.StillGoes())
	})
	t.Run("no more images", func(t *testing.T) {
		f := newFake(three()...)
		f.ready = func(run int) error {
			if run > 3 {
				return fmt.Errorf("%w: the ladder is at its end", ErrSpent)
			}
			return nil
		}
		r, err := sweeping(t, Plan{Phases: phases, Hits: 5, Cuts: 40, Seed: 1}, f)
		require.NoError(t, err)
		assert.Contains(t, r.Stop, "ladder")
		assert.False(t, r.StillGoes(), "that it still goes is not shown")
	})
}

func TestAnEndThatIsNotAllowedEndsTheSweep(t *testing.T) {
	f := newFake(three()...)
	f.ends = func(_ int, in string, over bool) End {
		if !over && in == "write" {
			return End{Name: "neither", Detail: "boots half of it"}
		}
		return End{Name: "old", OK: true}
	}
	r, err := sweeping(t, Plan{Phases: declared("erase", "write", "verify"), Hits: 3, Cuts: 40, Seed: 1}, f)
	require.NoError(t, err)
	require.NotNil(t, r.Bad)
	assert.Equal(t, "write", r.Bad.Phase)
	assert.Equal(t, r.Bad.N, r.Runs[len(r.Runs)-1].N, "nothing is done behind it")
}

func TestWorkThatDoesNotGoAnyMore(t *testing.T) {
	refused := errors.New("refused: downgrade")
	t.Run("for good", func(t *testing.T) {
		f := newFake(three()...)
		f.fails = func(run int) error {
			if run > 2 {
				return refused
			}
			return nil
		}
		r, err := sweeping(t, Plan{Phases: declared("erase", "write", "verify"), Hits: 1, Cuts: 40, Seed: 1}, f)
		require.NoError(t, err)
		require.ErrorIs(t, r.Stuck, refused)
		assert.Len(t, r.Runs, 4, "it was tried twice")
		assert.False(t, r.StillGoes())
	})
	t.Run("once", func(t *testing.T) {
		f := newFake(three()...)
		f.fails = func(run int) error {
			if run == 3 {
				return errGone
			}
			return nil
		}
		r, err := sweeping(t, Plan{Phases: declared("erase", "write", "verify"), Hits: 1, Cuts: 40, Seed: 1}, f)
		require.NoError(t, err)
		require.NoError(t, r.Stuck)
		assert.Empty(t, r.Gaps())
	})
	t.Run("from the beginning", func(t *testing.T) {
		f := newFake(three()...)
		f.fails = func(int) error { return refused }
		_, err := sweeping(t, Plan{Phases: declared("erase", "write", "verify"), Hits: 1, Cuts: 40, Seed: 1}, f)
		require.ErrorIs(t, err, refused, "then it says nothing about cuts")
	})
	t.Run("in the last run", func(t *testing.T) {
		f := newFake(stretch{id: "only", lasts: 30 * ms})
		f.fails = func(run int) error {
			if run > 2 {
				return refused
			}
			return nil
		}
		r, err := sweeping(t, Plan{Phases: declared("only"), Hits: 1, Cuts: 40, Seed: 1}, f)
		require.NoError(t, err)
		require.ErrorIs(t, r.Stuck, refused)
	})
}

func TestOffThatIsNotProvenCountsForNothing(t *testing.T) {
	f := newFake(three()...)
	f.on = func(run int) error {
		if run%2 == 0 {
			return fmt.Errorf("%w: no banner", ErrNotOff)
		}
		return nil
	}
	var told int
	r, err := sweeping(t, Plan{Phases: declared("erase", "write", "verify"), Hits: 1, Cuts: 40, Seed: 1, Tell: func(Run) { told++ }}, f)
	require.NoError(t, err)
	assert.Empty(t, r.Gaps())
	_, counted := r.Cuts()
	sum := 0
	for _, p := range r.Phases {
		sum += p.Hits
	}
	assert.Equal(t, sum, counted)
	for _, run := range r.Runs {
		if run.Cut && !run.Proven {
			assert.Contains(t, run.Missed, "banner")
		}
	}
	assert.Equal(t, len(r.Runs), told)
}

func TestASupplyThatIsNeverProvenToGo(t *testing.T) {
	f := newFake(three()...)
	f.on = func(int) error { return fmt.Errorf("%w: it bounces", ErrNotOff) }
	r, err := sweeping(t, Plan{Phases: declared("erase", "write", "verify"), Hits: 1, Cuts: 40, Seed: 1}, f)
	require.NoError(t, err)
	cut, counted := r.Cuts()
	assert.Equal(t, 5, cut)
	assert.Zero(t, counted)
	assert.Contains(t, r.Stop, "bounces")
	assert.Len(t, r.Gaps(), 3)
}

func TestTroubleEndsTheSweep(t *testing.T) {
	trouble := errors.New("power: the switch does not answer")
	phases := declared("erase", "write", "verify")
	t.Run("supply", func(t *testing.T) {
		f := newFake(three()...)
		f.on = func(int) error { return trouble }
		r, err := sweeping(t, Plan{Phases: phases, Hits: 1, Cuts: 40, Seed: 1}, f)
		require.ErrorIs(t, err, trouble)
		assert.Len(t, r.Runs, 2, "what was done is told all the same")
		assert.Equal(t, map[string]int{"erase": 0, "write": 0, "verify": 0}, hits(r))
	})
	t.Run("watching", func(t *testing.T) {
		f := newFake(three()...)
		f.blind = func(run int) bool { return run == 2 }
		_, err := sweeping(t, Plan{Phases: phases, Hits: 1, Cuts: 40, Seed: 1}, f)
		require.ErrorContains(t, err, "plug")
	})
	t.Run("the end of the case", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*ms)
			defer cancel()
			_, err := Sweep(ctx, Plan{Phases: phases, Hits: 50, Cuts: 400, Seed: 1}, newFake(three()...))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			time.Sleep(time.Second) // the device ends what nobody cut
		})
	})
}

func TestPlansThatAreNone(t *testing.T) {
	for name, p := range map[string]Plan{
		"no phase":          {Hits: 1, Cuts: 1},
		"no hits":           {Phases: declared("a"), Cuts: 1},
		"a phase twice":     {Phases: declared("a", "a"), Hits: 1, Cuts: 1},
		"one without name":  {Phases: declared(""), Hits: 1, Cuts: 1},
		"one before itself": {Phases: []Phase{{ID: "a", After: -1}}, Hits: 1, Cuts: 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Sweep(t.Context(), p, newFake())
			require.Error(t, err)
		})
	}
}
