package powercut

import (
	"math/rand/v2"
	"slices"
	"time"
)

// aim is where a run is to be cut: an offset behind the marker of a phase, or
// behind the beginning of the work.
type aim struct {
	phase  string
	anchor string
	offset time.Duration
	into   time.Duration // where in the phase the supply is meant to go
	shift  time.Duration // by how much earlier it is told to
}

// phaseAim is what is known of a phase, and how its aim is put right.
type phaseAim struct {
	Phase
	marker bool          // some marker of it was seen
	lasts  time.Duration // the shortest that was seen
	tries  int
	// What is meant for a moment comes later by what nobody has told us: the supply
	// runs down, a switch is slow, a marker comes late. The supply is told to go
	// earlier by shift, which lies between what was too little and what was too much.
	shift, little, much time.Duration
	bounded             bool // much is known
	// late counts the cuts that came too late though they were aimed behind the phase's
	// own marker: each is aimed closer to it than the one before. Only where that does
	// not help either is the supply told to go before the marker comes.
	late, early int
}

// nearest is from how many late cuts on the supply is told to go at once when the
// marker comes, and early from how many on before it; every third is then made at the
// marker all the same, since no two runs take the same time.
const (
	nearest  = 2
	tooLate  = 4
	atMarker = 3
)

// aims chooses where to cut.
type aims struct {
	phases []phaseAim
	hits   int           // wanted in each phase
	most   int           // tries for each phase
	lead   time.Duration // the shortest from the beginning of the work to its first phase
	led    bool          // that is known
	shift  time.Duration // of the last hit that was aimed at: where the next phase begins
	rng    *rand.Rand
}

// minStep is the least by which an aim moves.
const minStep = time.Millisecond

func newAims(p Plan) *aims {
	a := &aims{
		hits: p.Hits,
		// A phase that is never hit may not use up what the others need.
		most: 5*p.Hits + 10,
		rng:  rand.New(rand.NewPCG(p.Seed, 0x706f776572637574)), //nolint:gosec // offsets are to be reproducible, not secret
	}
	for _, ph := range p.Phases {
		a.phases = append(a.phases, phaseAim{Phase: ph})
	}
	return a
}

func (a *aims) index(phase string) int {
	return slices.IndexFunc(a.phases, func(p phaseAim) bool { return p.ID == phase })
}

func (a *aims) of(phase string) *phaseAim { return &a.phases[a.index(phase)] }

// next gives the next aim: at the phase with the fewest hits of those that want
// more, the first of them as they are declared. The second result is false where
// nothing is left that aiming could bring.
func (a *aims) next(have []PhaseResult) (aim, bool) {
	best, wanted := -1, 0
	for i, ph := range have {
		known := a.phases[i]
		if !known.marker && known.After == 0 || known.tries >= a.most {
			continue
		}
		if best < 0 || ph.Hits < wanted {
			best, wanted = i, ph.Hits
		}
	}
	if best < 0 || wanted >= a.hits {
		return aim{}, false
	}
	p := &a.phases[best]
	if p.tries == 0 {
		p.shift = a.shift
	}
	p.tries++
	return a.at(best), true
}

// at aims at a phase: somewhere in it, less its shift. What would be before its own
// marker is counted from the marker before that, and so on back to the beginning of
// the work.
func (a *aims) at(i int) aim {
	p := a.phases[i]
	// Not in the very last of it, where what is quick is over.
	meant := time.Duration(a.rng.Int64N(int64(max(p.lasts*9/10, 1))))
	if p.marker && p.After == 0 && p.shift == 0 {
		switch {
		case p.late >= nearest:
			meant = 0
		case p.late > 0:
			meant /= 4
		}
		return aim{p.ID, p.ID, meant, meant, 0}
	}
	if p.marker && p.After == 0 && p.early%atMarker == atMarker-1 {
		a.phases[i].early++
		return aim{phase: p.ID, anchor: p.ID}
	}
	a.phases[i].early++
	into := meant - p.shift
	for j := i; j >= 0; j-- { // into counts from the beginning of phase j
		q := a.phases[j]
		switch {
		case q.marker && into >= 0:
			return aim{p.ID, q.ID, into, meant, p.shift}
		case q.After > 0:
			into += q.After
		case j > 0:
			into += a.phases[j-1].lasts
		default:
			into += a.lead
		}
	}
	return aim{phase: p.ID, offset: max(into, 0), into: meant, shift: p.shift}
}

// learn takes from a run how long its phases lasted, and whether its aim was right.
func (a *aims) learn(run *Run, begins map[string]time.Time) {
	type at struct {
		i    int
		when time.Time
	}
	var order []at
	for i := range a.phases {
		if when, ok := begins[a.phases[i].ID]; ok {
			order = append(order, at{i, when})
			a.phases[i].marker = a.phases[i].marker || a.phases[i].After == 0
		}
	}
	slices.SortStableFunc(order, func(x, y at) int { return x.when.Compare(y.when) })
	if len(order) > 0 {
		if d := order[0].when.Sub(run.Began); !a.led || d < a.lead {
			a.lead, a.led = d, true
		}
	}
	for n, o := range order {
		var end time.Time
		switch {
		case n+1 < len(order):
			end = order[n+1].when
		case run.Ended && !run.Cut:
			end = run.over
		default:
			continue
		}
		if d := end.Sub(o.when); a.phases[o.i].lasts == 0 || d < a.phases[o.i].lasts {
			a.phases[o.i].lasts = d
		}
	}
	if run.Aim == "" {
		return
	}
	lasted := time.Duration(-1) // of the phase that was aimed at, in this run
	for n, o := range order {
		switch {
		case a.phases[o.i].ID != run.Aim:
		case n+1 < len(order):
			lasted = order[n+1].when.Sub(o.when)
		case run.Ended:
			lasted = run.over.Sub(o.when)
		}
	}
	a.correct(run, lasted)
}

// correct moves the aim of a phase that was missed: at once beyond what the miss shows
// to be too little or too much, and between the two where both are known. Lasted is how
// long the phase lasted in this run, negative where that was not seen: one that was over
// before where the cut was meant says nothing of how late that came.
func (a *aims) correct(run *Run, lasted time.Duration) {
	i := a.index(run.Aim)
	p := &a.phases[i]
	switch got := a.index(run.Phase); {
	case run.Phase == run.Aim:
		a.shift = run.shift
		return
	case run.Ended, got > i: // the work was over, or a later phase had begun
		if lasted >= 0 && lasted <= run.meant && run.Anchor != "" {
			return
		}
		if run.shift == 0 && run.Anchor == run.Aim {
			if p.late++; p.late < tooLate || p.shift > 0 {
				return
			}
		}
		p.little = max(p.little, run.shift+max(p.lasts-run.meant, minStep))
		if p.bounded && p.much <= p.little { // no two runs take the same time
			p.bounded = false
		}
		p.shift = p.little + p.lasts/2
	case run.Cut:
		p.much, p.bounded = max(run.shift-run.meant, 0), true
		if p.much <= p.little {
			p.little = 0
		}
		p.shift = (p.little + p.much) / 2
	default:
		return // the work did not go: that says nothing about the aim
	}
	if p.bounded {
		p.shift = (p.little + p.much) / 2
	}
}
