// Package runner plans a run and carries it out: cases in order of state,
// each with a budget and a session that can be taken back, a DUT that got lost
// diagnosed and brought back, a broken rig not fed on, and the rig safe at the
// end.
package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/state"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Intents is where the run writes what the next start may have to undo.
type Intents interface {
	// Open writes an intent and makes it durable; close removes it.
	Open(kind, what string, data map[string]string) (id string, done func() error, err error)
	// Secret derives a temporary secret from a key that stays with the rig.
	Secret(label string, length int) string
	// Draw is Secret of another alphabet.
	Draw(label, alphabet string, length int) string
}

// Config is everything that a run needs of one rig.
type Config struct {
	Rig      string // its name
	Plan     []Planned
	Input    check.Input
	Profile  *profile.Profile
	Device   *dut.Device // over no session yet; With gives it one
	Journal  *journal.Writer
	Cabinet  *journal.Cabinet
	Intents  Intents
	Seed     uint64
	Allow    []string
	FailFast bool
	Hold     bool // stop at the first failure, with the DUT as it is
	// Doctor looks at the rig, in phase "before" or "after".
	Doctor func(ctx context.Context, phase string) []journal.Doctor
	// Unrecorded gives, of each console of which what it says is not kept any more, why;
	// may be nil.
	Unrecorded func() map[string]error
	// Undo undoes what an earlier run left; called once the DUT answers. Known says
	// whether it is known to be the rig's unit. It gives what could not be undone.
	Undo func(ctx context.Context, d *dut.Device, known bool) []journal.Doctor
	// Unknown says that not all is known which an earlier run left: nothing alters the DUT.
	Unknown bool
	// Lost, when closed, says that the lease on the rig is gone.
	Lost <-chan struct{}
	// Tried is what the run before left of its tries at the logins, and KeepTries
	// keeps what this one leaves; both may be nil.
	Tried     []byte
	KeepTries func([]byte) error
	// Waiting is told what is being waited for; may be nil.
	Waiting func(what string)
	// Ended is called once nothing more is done on this rig, where others may go on; may
	// be nil.
	Ended func()
}

// ErrStop says that the run stopped because it was told to, not for trouble.
var ErrStop = errors.New("stopped")

type run struct {
	cfg       Config
	life      context.Context // of the run's own machinery: outlives the signal
	roster    *roster
	longest   bool // it begins with what may take the longest
	device    *dut.Device
	machine   *state.Machine
	ledger    *check.Ledger
	kept      string      // what was kept of it
	signalled func() bool // the run was told to end

	mu        sync.Mutex
	broken    map[wire.Part]string
	faults    []*wire.Fault // heard since it was last taken
	who       who
	wrongUnit string // what another unit says
	gone      string // set when the DUT is lost for good, with why
	judged    map[string]bool
	open      map[string]bool // cases that could not decide a claim
	brackets  map[string]bracket
	ended     map[string]bool // cases that ended with nothing against them
	silent    map[string]int  // cases in a row before which a console gave no answer
	untidy    map[string]bool // consoles that cannot be brought to their login prompt

	last      string // the case that ran last
	lastShown bool   // the DUT had shown itself before it

	unclear int // cases in a row, up to the last, of which nothing was decided
}

// Run carries the plan out and writes everything to the journal: on one rig, or on
// several that share its cases. Its error is a bug or a journal that cannot be
// written; everything else is in the journal. The rigs are not made safe here:
// that is the caller's, whatever happens.
func Run(ctx context.Context, cfgs ...Config) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	plan, err := together(cfgs)
	if err != nil {
		return err
	}
	q := newRoster(len(cfgs))
	runs := make([]*run, len(cfgs))
	for i := range cfgs {
		runs[i] = seatOf(life, cfgs[i], q)
		runs[i].longest = i%2 == 1
	}
	for i := range plan {
		if err := cfgs[0].Journal.Append(plan[i].event()); err != nil {
			return err
		}
	}
	if err := cfgs[0].Journal.Sync(); err != nil {
		return err
	}
	for _, r := range runs {
		if err := r.recall(); err != nil {
			return err
		}
	}
	err = beside(runs, func(r *run) error { return r.carry(ctx) })
	q.leftOver(ctx, runs)
	return errors.Join(err, cfgs[0].Journal.Err())
}

func seatOf(life context.Context, cfg Config, q *roster) *run {
	r := &run{cfg: cfg, life: life, roster: q, device: cfg.Device, ledger: check.NewLedger(), broken: map[wire.Part]string{}, judged: map[string]bool{}, open: map[string]bool{}, brackets: map[string]bracket{}, ended: map[string]bool{}, untidy: map[string]bool{}, silent: map[string]int{}}
	r.machine = r.newMachine()
	return r
}

// carry runs a rig's share of the cases.
func (r *run) carry(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.signalled = func() bool { return ctx.Err() != nil }
	signal := signalOf(ctx)
	if r.cfg.Lost != nil {
		go func() {
			select {
			case <-r.cfg.Lost:
				r.breakPart(partLease, "", "the lease on the rig was lost: somebody else may be using it")
				cancel(fmt.Errorf("lease lost: %w", ErrStop))
			case <-r.life.Done():
			}
		}()
	}
	r.doctor(ctx, "before")
	order := Order(r.cfg.Plan, r.cfg.Profile, state.Unknown)
	if r.anyCanRun(order) {
		r.start(ctx)
		order = Order(r.cfg.Plan, r.cfg.Profile, r.machine.Current())
	}
	if r.longest {
		order = longest(order)
	}
	r.cases(ctx, order)
	if !r.cfg.Hold && !r.leaseLost() {
		r.settle(ctx)
		after, cancel := signal.left(ctx)
		r.doctor(after, "after")
		cancel()
	}
	return r.cfg.Journal.Err()
}

// cases runs what the roster gives, and shows at the end what its brackets wait for.
func (r *run) cases(ctx context.Context, order []*Planned) {
	defer r.roster.leave(r)
	for ctx.Err() == nil && !r.leaseLost() {
		p := r.roster.next(ctx, r, order, false)
		if p == nil {
			if r.roster.halted() {
				return
			}
			// Not left to the very end: the other rigs are still at it.
			r.closeBrackets(ctx, order)
			if p = r.roster.next(ctx, r, order, true); p == nil {
				return
			}
		}
		if r.one(ctx, p) {
			r.roster.stop(verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonCoverageGap, Detail: "not run: stopped at the first failure"})
			return
		}
	}
}

// inARow is how many cases in a row may end on a rig without a word on their claim, until
// the others have the rest: there may be something wrong with this unit, or on the way to
// it, that breaks no part.
const inARow = 3

// fit says whether a case can run on this rig, as far as it is known. Nothing is left to a
// rig on which nobody knows who the DUT is; nor, where the case leans on what another rig's
// unit can show alone, to one that has not shown it.
func (r *run) fit(p *Planned) bool {
	switch {
	case r.anyBroken(p), r.unfit() != nil, !r.identified() && alters(p.Check), !r.mayAlter(p.Check), r.unclear >= inARow:
		return false
	case p.Case.Bracket != "" && p.Case.Closer == nil:
		return r.shown(p.Case.Bracket)
	}
	return true
}

// shown says whether a bracket is closed here.
func (r *run) shown(bracket string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.brackets[bracket].closed
}

func (r *run) newMachine() *state.Machine {
	return state.NewMachine(r.cfg.Profile, r.cfg.Allow, r.moved, r.wayIntent)
}

// anyCanRun says whether a case is left that the doctor did not find to lean on
// a broken part.
func (r *run) anyCanRun(order []*Planned) bool {
	return slices.ContainsFunc(order, func(p *Planned) bool { return !r.anyBroken(p) })
}

// prepare runs f, which brings the DUT somewhere outside of a case's own time,
// with a session of its own. A driver that does not come back is given up, as
// in a case.
func (r *run) prepare(ctx context.Context, what string, f func(context.Context, *dut.Device, *state.Machine) *verdict.Judgement) *verdict.Judgement {
	budget := patience(r.cfg.Profile)
	ctx, cancel := context.WithTimeoutCause(ctx, budget, fmt.Errorf("%w: %v to prepare %s", errBudget, budget, what))
	defer cancel()
	s := dut.NewSession(r.life, r.heardFault)
	d, m := r.device.With(s), r.machine
	var j *verdict.Judgement
	e := runGuarded(ctx, "prepare "+what, s, r.grace, func(ctx context.Context) { j = f(ctx, d, m) })
	stuck := r.retire(s, "")
	switch {
	case e.panicked != nil:
		r.note("", "panic while preparing %s: %v\n%s", what, e.panicked, e.stack)
		return &verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonBug, Detail: fmt.Sprintf("preparing %s panicked: %v", what, e.panicked)}
	case !e.returned || len(stuck) > 0:
		r.machine = r.newMachine() // the old one may still be in use
		return &verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonFault, Detail: fmt.Sprintf("preparing %s did not end: %v; still inside %v", what, context.Cause(ctx), stuck)}
	}
	return j
}

// patience is how long bringing the DUT somewhere may take, by what the profile
// says that each part of it may.
func patience(p *profile.Profile) time.Duration {
	total := 2*time.Minute + p.Recovery.Within
	for _, w := range p.Ways {
		total += max(w.Within, time.Minute)
	}
	for _, c := range p.Consoles.Items {
		total += 3 * c.Boot.Within
	}
	return total
}

// start brings the DUT up for the first time: power, boot, identity, state,
// and undoes what an earlier run left.
func (r *run) start(ctx context.Context) {
	r.waiting("the DUT to start")
	up := r.prepare(ctx, "the supply", func(ctx context.Context, d *dut.Device, _ *state.Machine) *verdict.Judgement {
		if err := d.PowerUp(ctx); err != nil {
			r.trouble("power up", err)
		}
		return nil
	})
	if up != nil {
		r.note("", "the start: %s", up)
		return
	}
	r.calm(ctx)
	j := r.prepare(ctx, "the DUT", func(ctx context.Context, d *dut.Device, m *state.Machine) *verdict.Judgement {
		r.identify(ctx, d)
		if _, wrong := r.isWrongUnit(); wrong {
			return nil
		}
		r.undo(ctx, d)
		if _, wrong := r.isWrongUnit(); wrong {
			return nil
		}
		if len(r.cfg.Profile.States.Order) > 0 {
			if _, err := m.Find(ctx, d); err != nil {
				r.trouble("find the state of the DUT", err)
			}
		}
		return nil
	})
	if j != nil {
		r.note("", "the start: %s", j)
	}
}

// trouble journals an error at a moment when no case runs.
func (r *run) trouble(what string, err error) {
	if f, ok := wire.AsFault(err); ok {
		r.append(&journal.Event{Kind: journal.KindFault, Fault: &journal.Fault{Part: string(f.Part), Op: what + ": " + f.Op, Error: f.Err.Error()}})
		return
	}
	r.note("", "%s: %v", what, err)
	slog.Info("A step before the first case did not work", "step", what, "error", err)
}

// identify reads the DUT's identity and remembers whether it is the unit that
// the rig file names.
func (r *run) identify(ctx context.Context, d *dut.Device) {
	id, err := d.Identify(ctx)
	switch {
	case err == nil:
		r.append(&journal.Event{Kind: journal.KindUnit, Unit: &journal.Unit{Want: id.Want, Got: id.Got, OK: true}})
		if id.ByMAC {
			r.note("", "the DUT says it is %q and not %q, and was taken for the unit by the hardware address that it tells", id.Got, id.Want)
		}
		r.setWho(whoRight, "")
	case errors.Is(err, dut.ErrOtherUnit):
		r.append(&journal.Event{Kind: journal.KindUnit, Unit: &journal.Unit{Want: id.Want, Got: id.Got}})
		r.setWho(whoWrong, err.Error())
	case errors.Is(err, dut.ErrNotDeclared):
	default:
		r.setWho(whoUnread, "")
		r.trouble("read the DUT's identity", err)
	}
}

// one runs a case, with one more try after rig trouble. It says whether the
// run is to stop.
func (r *run) one(ctx context.Context, p *Planned) (stop bool) {
	start := time.Now()
	for try := 1; ; try++ {
		r.append(&journal.Event{Kind: journal.KindCase, Case: p.ID, Begin: &journal.Begin{Try: try, State: r.machine.Current(), Parts: r.leans(p)}})
		r.takeFaults()
		j := r.ready(ctx, p)
		if j == nil {
			r.waiting(p.ID)
			r.keepUnderway(p)
			r.takeFaults()
			before, _ := r.device.Gaps()
			j = r.runCase(ctx, p)
			r.hearGaps(p, before)
			j = r.hearRecordings(p, j)
			// A case without a state of its own, before anybody has read who it is,
			// says nothing of whether the DUT was ever there.
			r.ran(p.ID, p.Check.From != nil || r.isRight())
			if p.Check.Effect == check.Consumes || j != nil {
				r.machine.Forget()
			}
		}
		faults := r.hearFaults(p.ID)
		if j == nil && len(faults) > 0 { // rig trouble that the check took for something else
			j = &verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonFault, Detail: faults[0].Error()}
		}
		if try > 1 && j != nil && j.Reason == verdict.ReasonFault {
			for _, f := range faults { // twice in a row: it is not fed on
				r.breakPart(f.Part, p.ID, f.Error())
			}
		}
		if j != nil && j.Reason == verdict.ReasonDisk {
			r.breakPart(partDisk, p.ID, j.Detail)
		}
		again := try == 1 && j != nil && j.Verdict == verdict.Error && j.Reason == verdict.ReasonFault && ctx.Err() == nil && !r.anyBroken(p)
		r.append(&journal.Event{Kind: journal.KindCaseEnd, Case: p.ID, CaseEnd: &journal.CaseEnd{Judgement: j, Retry: again, TookUS: time.Since(start).Microseconds()}})
		if err := r.Sync(); err != nil {
			slog.DebugContext(ctx, "The journal cannot be written", "error", err) // the run ends with it
			return true
		}
		if !again {
			r.ended[p.ID] = j == nil
			r.count(p.ID)
			r.keepTries()
			break
		}
	}
	return (r.cfg.FailFast || r.cfg.Hold) && r.failed(p.ID)
}

// count counts the cases in a row of which nothing was decided.
func (r *run) count(id string) {
	if r.unclear++; r.ended[id] && !r.undecided(id) {
		r.unclear = 0
	}
}

// leans names the parts of this rig that a case leans on, where several rigs share the
// run: they need not be those of the plan.
func (r *run) leans(p *Planned) (parts []string) {
	if r.roster.shared {
		for _, part := range p.Case.Parts {
			parts = append(parts, string(part))
		}
	}
	return parts
}

// doctor looks at the rig and remembers which parts are broken.
func (r *run) doctor(ctx context.Context, phase string) {
	if r.cfg.Doctor == nil {
		return
	}
	r.waiting("the doctor")
	for _, d := range r.cfg.Doctor(ctx, phase) {
		r.append(&journal.Event{Kind: journal.KindDoctor, Doctor: &d})
		if d.Status == "broken" && d.Part != "" {
			r.mu.Lock()
			r.broken[wire.Part(d.Part)] = d.Item + ": " + d.Detail
			r.mu.Unlock()
		}
	}
}
