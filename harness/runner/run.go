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
	"sync"
	"sync/atomic"
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
}

// Config is everything that a run needs.
type Config struct {
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
	// Undo undoes what an earlier run left; called once the DUT answers.
	Undo func(ctx context.Context, d *dut.Device) error
	// Lost, when closed, says that the lease on the rig is gone.
	Lost <-chan struct{}
	// Waiting is told what is being waited for; may be nil.
	Waiting func(what string)
}

// ErrStop says that the run stopped because it was told to, not for trouble.
var ErrStop = errors.New("stopped")

type run struct {
	cfg     Config
	life    context.Context // of the run's own machinery: outlives the signal
	device  *dut.Device
	machine *state.Machine
	ledger  *check.Ledger
	signal  atomic.Bool

	mu      sync.Mutex
	broken  map[wire.Part]string
	faults  []*wire.Fault // heard since it was last taken
	diskErr error

	wrongUnit string // set when another unit answers
	gone      string // set when the DUT is lost for good, with why
	last      string // the case that ran last
	judged    map[string]bool
}

// Run carries the plan out and writes everything to the journal. Its error is
// a bug or a journal that cannot be written; everything else is in the
// journal. The rig is not made safe here: that is the caller's, whatever
// happens.
func Run(ctx context.Context, cfg Config) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	r := &run{cfg: cfg, life: life, device: cfg.Device, ledger: check.NewLedger(), broken: map[wire.Part]string{}, judged: map[string]bool{}}
	r.machine = state.NewMachine(cfg.Profile, cfg.Allow, r.moved, r.wayIntent)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { r.signal.Store(true) })
	defer stop()
	if cfg.Lost != nil {
		go func() {
			select {
			case <-cfg.Lost:
				r.breakPart("lease", "", "the lease on the rig was lost: somebody else may be using it")
				cancel(fmt.Errorf("lease lost: %w", ErrStop))
			case <-life.Done():
			}
		}()
	}
	for i := range cfg.Plan {
		r.append(cfg.Plan[i].event())
	}
	if err := r.Sync(); err != nil {
		return err
	}
	r.doctor(ctx, "before")
	order := Order(cfg.Plan, cfg.Profile, state.Unknown)
	if len(order) > 0 {
		r.start(ctx, order)
		order = Order(cfg.Plan, cfg.Profile, r.machine.Current())
	}
	for i, p := range order {
		if ctx.Err() != nil {
			break
		}
		if stop := r.one(ctx, p); stop {
			r.skipRest(order[i+1:], "not run: stopped at the first failure")
			break
		}
	}
	r.settle(ctx)
	if !cfg.Hold {
		r.doctor(context.WithoutCancel(ctx), "after")
	}
	return r.cfg.Journal.Err()
}

// start brings the DUT up for the first time: power, boot, identity, state,
// and undoes what an earlier run left.
func (r *run) start(ctx context.Context, order []*Planned) {
	s := dut.NewSession(r.life, r.heardFault)
	defer s.Revoke()
	d := r.device.With(s)
	r.waiting("the DUT to start")
	if err := d.PowerUp(ctx); err != nil {
		r.trouble("power up", err)
	}
	r.identify(ctx, d)
	if r.wrongUnit == "" && r.cfg.Undo != nil {
		if err := r.cfg.Undo(ctx, d); err != nil {
			r.note("", "what an earlier run left could not be undone: %v", err)
			slog.InfoContext(ctx, "Undoing what an earlier run left did not work", "error", err)
		}
	}
	if len(r.cfg.Profile.States.Order) > 0 && r.wrongUnit == "" {
		if _, err := r.machine.Find(ctx, d); err != nil {
			r.trouble("find the state of the DUT", err)
		}
	}
	_ = order
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
		r.wrongUnit = ""
	case errors.Is(err, dut.ErrOtherUnit):
		r.append(&journal.Event{Kind: journal.KindUnit, Unit: &journal.Unit{Want: id.Want, Got: id.Got}})
		r.wrongUnit = err.Error()
	case errors.Is(err, dut.ErrNotDeclared):
	default:
		r.trouble("read the DUT's identity", err)
	}
}

// one runs a case, with one more try after rig trouble. It says whether the
// run is to stop.
func (r *run) one(ctx context.Context, p *Planned) (stop bool) {
	start := time.Now()
	for try := 1; ; try++ {
		r.append(&journal.Event{Kind: journal.KindCase, Case: p.ID, Begin: &journal.Begin{Try: try, State: r.machine.Current()}})
		j := r.ready(ctx, p)
		if j == nil {
			r.waiting(p.ID)
			r.takeFaults()
			j = r.runCase(ctx, p)
			r.last = p.ID
			if p.Check.Effect == check.Consumes || j != nil {
				r.machine.Forget()
			}
		}
		again := try == 1 && j != nil && j.Verdict == verdict.Error && j.Reason == verdict.ReasonFault && ctx.Err() == nil && !r.anyBroken(p)
		if try > 1 && j != nil && j.Reason == verdict.ReasonFault {
			for _, f := range r.takeFaults() { // twice in a row: it is not fed on
				r.breakPart(f.Part, p.ID, f.Error())
			}
		}
		r.append(&journal.Event{Kind: journal.KindCaseEnd, Case: p.ID, CaseEnd: &journal.CaseEnd{Judgement: j, Retry: again, TookUS: time.Since(start).Microseconds()}})
		if err := r.Sync(); err != nil {
			slog.Error("The journal cannot be written", "error", err)
			return true
		}
		if !again {
			break
		}
	}
	return (r.cfg.FailFast || r.cfg.Hold) && r.failed(p.ID)
}

// ready brings the DUT to where the case starts; the judgement says why it
// cannot run.
func (r *run) ready(ctx context.Context, p *Planned) *verdict.Judgement {
	if why, part := r.brokenFor(p); why != "" {
		return &verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonBrokenPart, Detail: fmt.Sprintf("%s is broken: %s", part, why)}
	}
	if r.wrongUnit != "" {
		return &verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonWrongUnit, Detail: r.wrongUnit}
	}
	if r.gone != "" {
		return &verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonDUTLost, Detail: r.gone}
	}
	if p.Check.From == nil {
		return nil
	}
	s := dut.NewSession(r.life, r.heardFault)
	defer s.Revoke()
	d := r.device.With(s)
	r.waiting("state " + p.Check.From.Name)
	err := r.machine.Enter(ctx, d, p.Check.From.Name)
	if err == nil {
		return nil
	}
	if errors.Is(err, state.ErrNotAllowed) || errors.Is(err, state.ErrNoWay) {
		return &verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonState, Detail: err.Error()}
	}
	if j := check.Judge(err); j.Verdict == verdict.Error {
		return &j
	}
	if back := r.recover(ctx, d, err); back != nil {
		r.gone = back.Error()
		return &verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonDUTLost, Detail: r.gone}
	}
	if r.wrongUnit != "" {
		return &verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonWrongUnit, Detail: r.wrongUnit}
	}
	if err := r.machine.Enter(ctx, d, p.Check.From.Name); err != nil {
		j := check.Judge(err)
		if j.Verdict != verdict.Error {
			j.Reason = verdict.ReasonState
		}
		return &j
	}
	return nil
}

// recover diagnoses a DUT that does not show itself as expected, and tries the
// declared way back once. A DUT that does not come back after our own probes,
// on a rig that is well, was disabled by them.
func (r *run) recover(ctx context.Context, d *dut.Device, cause error) error {
	diag := d.Diagnose(ctx)
	r.waiting("the DUT to come back (" + diag.Diagnosis + ")")
	lost := journal.Lost{Diagnosis: diag.Diagnosis, Detail: cause.Error()}
	err := d.Recover(ctx)
	if err == nil {
		lost.Returned = true
		r.append(&journal.Event{Kind: journal.KindLost, Case: r.last, Lost: &lost})
		r.identify(ctx, d) // after each re-connect
		return nil
	}
	if dut.IsFault(err) || ctx.Err() != nil {
		r.append(&journal.Event{Kind: journal.KindLost, Case: r.last, Lost: &lost})
		return err
	}
	if r.last != "" && r.rigWell(ctx) && diag.CanTell {
		lost.Disabled = true
	}
	r.append(&journal.Event{Kind: journal.KindLost, Case: r.last, Lost: &lost})
	return fmt.Errorf("the DUT is lost (%s) and did not come back: %w", diag.Diagnosis, err)
}

// rigWell asks the doctor, in mid-run.
func (r *run) rigWell(ctx context.Context) bool {
	if r.cfg.Doctor == nil {
		return false
	}
	for _, d := range r.cfg.Doctor(ctx, "during") {
		if d.Status == "broken" {
			return false
		}
	}
	return true
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

// settle leaves the DUT as the next run expects it: in the state in which an
// owner would have it, when a case moved it.
func (r *run) settle(context.Context) {}

func (r *run) skipRest(rest []*Planned, why string) {
	for _, p := range rest {
		r.append(&journal.Event{Kind: journal.KindCase, Case: p.ID, Begin: &journal.Begin{Try: 1}})
		r.append(&journal.Event{Kind: journal.KindCaseEnd, Case: p.ID, CaseEnd: &journal.CaseEnd{
			Judgement: &verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonCoverageGap, Detail: why}}})
	}
}
