package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"

	"rigor/harness/console"
	"rigor/harness/dut"
	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/late"
	"rigor/harness/rig"
	"rigor/harness/steps"
)

// muster makes a job for each rig beside this one that takes part. Each has instruments,
// lease, guard and state folder of its own; plan, folder and journal are the run's.
func (j *Job) muster() error {
	j.crew = nil
	if len(j.Beside) == 0 {
		return nil
	}
	_, with, err := j.Share()
	if err != nil {
		return err
	}
	for i, f := range with {
		j.crew = append(j.crew, j.besides(f, i))
	}
	if len(j.crew) > 0 {
		person := make(chan struct{}, 1)
		for _, b := range append([]*Job{j}, j.crew...) {
			b.Ask, b.AskSecret, b.AskHidden = inTurn(person, b.File.Name, b.Ask), inTurn(person, b.File.Name, b.AskSecret), inTurn(person, b.File.Name, b.AskHidden)
		}
	}
	return nil
}

// besides is the job of the i-th rig beside this one.
func (j *Job) besides(f *rig.File, i int) *Job {
	b := *j
	b.File, b.Beside, b.beside = f, nil, f.Name
	b.Env.Dir = filepath.Dir(f.Path)
	b.salt = uint64(i+1) << 8
	return &b
}

// Share gives the plan of a run on this rig and those beside it, and which of those take
// part: who can run what no rig before can, and others as far as there is something for
// them. The rigs are not touched.
func (j *Job) Share() (plan []Planned, with []*rig.File, err error) {
	own, err := j.Plan()
	if err != nil {
		return nil, nil, err
	}
	cfgs := []Config{{Rig: j.File.Name, Plan: own}}
	for i, f := range j.Beside {
		p, err := j.besides(f, i).Plan()
		if err != nil {
			return nil, nil, err
		}
		cfgs = append(cfgs, Config{Rig: f.Name, Plan: p})
	}
	if plan, err = together(cfgs); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrPlan, err)
	}
	room := groups(plan) - 1
	for i, f := range j.Beside {
		if adds(cfgs[:1+i], cfgs[1+i]) || len(with) < room {
			with = append(with, f)
		}
	}
	return plan, with, nil
}

// adds says whether a rig runs a case that none of those before can.
func adds(before []Config, c Config) bool {
	for i := range c.Plan {
		can := func(c Config) bool { return c.Plan[i].Skip == nil && !c.Plan[i].Unselected }
		if can(c) && !slices.ContainsFunc(before, can) {
			return true
		}
	}
	return false
}

// inTurn has a person answer one question at a time, each with the rig that it is about.
func inTurn(person chan struct{}, rig string, ask func(context.Context, string) (string, error)) func(context.Context, string) (string, error) {
	if ask == nil {
		return nil
	}
	return func(ctx context.Context, question string) (string, error) {
		select {
		case person <- struct{}{}:
			defer func() { <-person }()
		case <-ctx.Done():
			return "", fmt.Errorf("%w: nobody could be asked %q: another rig's question was not answered", steps.ErrNeedsHuman, question)
		}
		if ctx.Err() != nil { // both were so
			return "", fmt.Errorf("%w: there was no time left to ask %q", steps.ErrNeedsHuman, question)
		}
		return ask(ctx, "[rig "+rig+"] "+question)
	}
}

// places says which rigs beside its own a run has.
func (j *Job) places() (out []journal.Place) {
	for _, b := range j.crew {
		p := journal.Place{Rig: b.File.Name, Serial: b.File.Unit.Serial}
		if v := b.File.Virtual; v != nil {
			p.Planted = slices.DeleteFunc(slices.Concat(v.Weaknesses, v.Faults), func(what string) bool { return slices.Contains(j.Planted, what) })
		}
		if b.File.Path != j.File.Path {
			p.File, p.Digest = b.File.Path, b.File.Digest
		}
		out = append(out, p)
	}
	return out
}

// place names something of a rig that has a name beside others.
func place(rig, name string) string {
	if rig == "" {
		return name
	}
	return rig + "-" + name
}

// of gives the record as a rig beside the run's own writes it.
func (r *record) of(rig string) *record {
	if rig == "" {
		return r
	}
	return &record{dir: r.dir, rig: rig, w: r.w.On(rig), cab: r.cab}
}

// seat is a rig while the run has it: bound, with its consoles open.
type seat struct {
	j     *Job
	rec   *record
	bench *rig.Bench // nil: it was never bound
	cons  map[string]*console.Console
	cfg   Config
	end   context.CancelFunc // of what measures

	once sync.Once
	how  string // it was left: leftSafe, leftUnsafe, or as journal.End has it
}

// How a seat is left; otherwise it is journal.LeftHeld or LeftUnbound.
const (
	leftUnsafe = "" // also one that a panic kept from being left
	leftSafe   = "safe"
)

// sit binds the job's rig and makes it ready for a run. The seat is to be left also where
// there is an error.
func (j *Job) sit(ctx context.Context, rec *record, red *escape.Redactor) (*seat, error) {
	rec = rec.of(j.beside)
	s := &seat{j: j, rec: rec, end: func() {}}
	env := j.Env
	env.Redact, env.Ask = red, j.Ask
	lines := rec.watchLines(j.File)
	if also := env.Observe; lines != nil && also != nil {
		env.Observe = func(op rig.Op) { lines(op); also(op) }
	} else if lines != nil {
		env.Observe = lines
	}
	plan, err := j.Plan()
	if err != nil {
		return s, err
	}
	if s.bench, err = rig.Bind(ctx, j.File, j.Profile, j.Drivers, env); err != nil {
		if j.beside != "" {
			err = fmt.Errorf("%s: %w", j.beside, err)
		}
		return s, fmt.Errorf("bind the rig: %w", err)
	}
	if j.Opened != nil {
		j.Opened(j.beside, s.bench)
	}
	if s.cons, err = j.consoles(ctx, s.bench, rec, red); err != nil {
		rec.unkept(rig.PhaseBefore, err)
		return s, err
	}
	store, err := j.store(red)
	if err != nil {
		return s, fmt.Errorf("open the state folder of rig %s: %w", j.File.Name, err)
	}
	measuring, measured := context.WithCancel(context.WithoutCancel(ctx))
	s.end = measured
	device, err := j.device(s.bench, s.cons, late.Start(measuring))
	if err != nil {
		return s, err
	}
	j.pending(store, rec)
	in := &intents{store: store, seed: j.Seed, red: red}
	s.cfg = Config{
		Rig: j.File.Name, Plan: plan, Input: j.Input(), Profile: j.Profile, Device: device, Journal: rec.w, Cabinet: rec.cab,
		Intents: in, Seed: j.Seed, Allow: j.File.Allow, FailFast: j.FailFast, Hold: j.Hold, Lost: j.Lost,
		Ended:  func() { s.leave(ctx) },
		Doctor: j.doctorOf(s.bench, device), Unrecorded: func() map[string]error { return unrecorded(s.cons) },
		Undo: func(ctx context.Context, d *dut.Device, known bool) []journal.Doctor {
			return j.undo(ctx, d, in, rec, known)
		},
		Unknown: j.unknown != nil,
	}
	if j.Waiting != nil {
		s.cfg.Waiting = func(what string) { j.Waiting(j.beside, what) }
	}
	if j.Lease != nil {
		s.cfg.Lost = j.Lease.Lost()
	}
	if j.Store != nil { // it outlives the run
		if s.cfg.Tried, err = j.Store.Tries(); err != nil {
			return s, fmt.Errorf("what the run before tried on rig %s: %w", j.File.Name, err)
		}
		s.cfg.KeepTries = j.Store.KeepTries
	}
	return s, nil
}

// leave puts the rig safe and closes it, once. It says how the rig was left.
func (s *seat) leave(ctx context.Context) (how string) {
	s.once.Do(func() { s.how = s.left(ctx) })
	return s.how
}

func (s *seat) left(ctx context.Context) (how string) {
	var missing []error
	defer func() {
		s.rec.unkept(rig.PhaseAfter, errors.Join(append(missing, s.rec.closeTranscripts())...))
	}()
	s.end()
	if s.bench == nil {
		return journal.LeftUnbound
	}
	switch {
	case s.j.Hold: // the DUT stays as it is, which is what was asked for
		how = journal.LeftHeld
	case s.j.safe(ctx, s.bench, s.rec):
		how = leftSafe
	default:
		how, s.j.forGuard = leftUnsafe, true
	}
	if s.j.Left != nil {
		s.j.Left(s.bench)
	}
	for _, c := range s.cons {
		if err := c.Close(); err != nil {
			slog.DebugContext(ctx, "Closing a console", "error", err)
		}
		missing = append(missing, c.RecordErr())
	}
	if err := s.bench.Close(); err != nil {
		slog.DebugContext(ctx, "Closing the bench", "error", err)
	}
	return how
}

// leave leaves all seats at once, so that none waits for another's supply to settle, and
// writes down how.
func leave(ctx context.Context, seats []*seat, end *journal.End) {
	how := make([]string, len(seats))
	var all sync.WaitGroup
	for i, s := range seats {
		if s.bench != nil {
			end.DriverUS += s.bench.Meter.Total().Microseconds()
		}
		all.Go(func() { how[i] = s.leave(ctx) })
	}
	all.Wait()
	if slices.Contains(how, leftUnsafe) {
		return // whatever became of the others
	}
	end.Safe = slices.Contains(how, leftSafe)
	for _, why := range []string{journal.LeftUnbound, journal.LeftHeld} {
		if slices.Contains(how, why) {
			end.Left = why
		}
	}
}
