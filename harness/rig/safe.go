package rig

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rigor/harness/wire"
)

const (
	// safeWithin bounds one try to make a bench safe; it takes milliseconds on
	// a bench that is well.
	safeWithin = 900 * time.Millisecond
	// linesFirst is how long the power switch waits for the lines: a DUT
	// without supply must not be fed through them, but a line that hangs must
	// not keep the power on.
	linesFirst = 300 * time.Millisecond
	// startWithin is for the start of a program, or a switch on the network.
	startWithin = 4 * time.Second
	// falls is how long a wire that was let go may take to be where its pull has
	// it, which a capacitor on it delays; until then it is looked at again and again.
	falls     = 200 * time.Millisecond
	lookAgain = 5 * time.Millisecond
	// handsWithin is for a person who has to let go of something.
	handsWithin = time.Minute
)

// SafeAct is one step towards the safe state.
type SafeAct struct {
	Part  wire.Part     `json:"part"`
	Do    string        `json:"do"` // "release", "off", "on"
	Took  time.Duration `json:"took_ns"`
	Error string        `json:"error,omitempty"`
	err   error
}

// Safe puts the bench into its safe state: every line released, so that its
// idle is what the wiring makes of it, then the power to its declared rest
// (off, where none is declared). Each part is tried whatever became of the
// others, past all limits, also when ctx has ended and after the bench was
// used wrongly; a driver that does not come back is left behind. It returns
// within a second and the power's declared settling time (and four seconds more
// where programs or switches on a network are asked), with what it did and
// all errors joined; each is a *wire.Fault. A part that did not open counts as
// not safe.
func Safe(ctx context.Context, b *Bench) ([]SafeAct, error) { return safe(ctx, b, nil) }

// SafeAgain asks those parts once more that Safe did not make safe, whose acts are given:
// programs that are slow to start are not kept slow by others that have done their work.
func SafeAgain(ctx context.Context, b *Bench, acts []SafeAct) ([]SafeAct, error) {
	done := map[wire.Part]SafeAct{}
	for _, a := range acts {
		if a.err == nil {
			done[a.Part] = a
		}
	}
	return safe(ctx, b, done)
}

// safe is Safe but for what is done already.
func safe(ctx context.Context, b *Bench, done map[wire.Part]SafeAct) ([]SafeAct, error) {
	within := safeWithin + settling(b.File) + starting(b.File)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	acts := slices.Collect(maps.Values(done))
	is := func(p wire.Part) bool { _, ok := done[p]; return ok }
	results := make(chan SafeAct, len(b.Lines)+2)
	start := func(part wire.Part, do string, f func(context.Context) error) SafeAct {
		begun := time.Now()
		go func() {
			err := f(ctx)
			if err != nil {
				if _, ok := wire.AsFault(err); !ok {
					err = &wire.Fault{Part: part, Op: do, Err: err}
				}
			}
			results <- SafeAct{Part: part, Do: do, Took: time.Since(begun), err: err}
		}()
		return SafeAct{Part: part, Do: do}
	}
	waiting := map[wire.Part]SafeAct{}
	collect := func(until <-chan time.Time) {
		for len(waiting) > 0 {
			select {
			case act := <-results:
				delete(waiting, act.Part)
				acts = append(acts, act)
			case <-until:
				return
			case <-ctx.Done():
				return
			}
		}
	}

	for _, name := range slices.Sorted(maps.Keys(b.Lines)) {
		part := LinePart(name)
		if is(part) {
			continue
		}
		if raw := b.rawLines[name]; raw != nil {
			waiting[part] = start(part, "release", raw.Release)
		} else {
			acts = append(acts, SafeAct{Part: part, Do: "release", err: b.Missing[part]})
		}
	}
	if b.rawPads != nil && !is(PadsPart) {
		waiting[PadsPart] = start(PadsPart, "release", func(ctx context.Context) error { return letGo(ctx, b.rawPads) })
	} else if b.rawPads == nil && b.Pads != nil && b.File.Pads.stays() {
		acts = append(acts, SafeAct{Part: PadsPart, Do: "release", err: b.Missing[PadsPart]})
	}
	head := time.NewTimer(linesFirst)
	defer head.Stop()
	collect(head.C)
	if b.Power != nil && !is(PowerPart) {
		do, to := restOf(b)
		if b.rawPower != nil {
			waiting[PowerPart] = start(PowerPart, do, to)
		} else {
			acts = append(acts, SafeAct{Part: PowerPart, Do: do, err: b.Missing[PowerPart]})
		}
	}
	collect(nil)
	for part, act := range waiting {
		act.Took = within
		act.err = &wire.Fault{Part: part, Op: act.Do, Err: fmt.Errorf("the driver did not come back within %v", within)}
		acts = append(acts, act)
	}
	return acts, sum(acts)
}

// sum puts acts in order, and joins their errors.
func sum(acts []SafeAct) error {
	slices.SortStableFunc(acts, func(x, y SafeAct) int { return compareParts(x.Part, y.Part) })
	var errs []error
	for i := range acts {
		if acts[i].err != nil {
			acts[i].Error = acts[i].err.Error()
			errs = append(errs, acts[i].err)
		}
	}
	return errors.Join(errs...)
}

// starting is how much longer a rig takes whose lines or supply are moved by
// programs or over a network: an interpreter on a small computer takes seconds
// to start.
func starting(f *File) time.Duration {
	slow := f.Power != nil && (f.Power.Driver == "exec" || f.Power.Driver == "http")
	for _, l := range f.Lines {
		slow = slow || l != nil && l.Driver == "exec"
	}
	byHand := f.Power != nil && ByHand(f.Power.Driver)
	for _, l := range f.Lines {
		byHand = byHand || l != nil && ByHand(l.Driver)
	}
	switch {
	case byHand:
		return handsWithin
	case slow:
		return startWithin
	}
	return 0
}

// settling is how long a switch may take to come back from Off: a driver of a
// relay waits until the rail has drained, after it has switched.
func settling(f *File) time.Duration {
	if f.Power == nil {
		return 0
	}
	return max(f.Power.OffSettle, 0)
}

func restOf(b *Bench) (string, func(context.Context) error) {
	if b.File.Power != nil && b.File.Power.Rest == "on" {
		return "on", func(ctx context.Context) error { return settle(ctx, b.rawPower, b.rawPower.On, wire.PowerOn) }
	}
	return "off", func(ctx context.Context) error { return settle(ctx, b.rawPower, b.rawPower.Off, wire.PowerOff) }
}

// settle switches and believes a switch that can tell only when it says so.
func settle(ctx context.Context, p wire.Power, to func(context.Context) error, want wire.PowerState) error {
	if err := to(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for start := time.Now(); ; {
		is, err := p.State(ctx)
		if err != nil || is == want || is == wire.PowerUnknown {
			return nil
		}
		if time.Since(start) > falls {
			return fmt.Errorf("told to be %v, the switch says %v", want, is)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("told to be %v, the switch says %v: %w", want, is, context.Cause(ctx))
		}
	}
}

// compareParts orders parts by name, the power switch last.
func compareParts(x, y wire.Part) int {
	switch {
	case x == y:
		return 0
	case x == PowerPart:
		return 1
	case y == PowerPart:
		return -1
	case x < y:
		return -1
	}
	return 1
}

// MakeSafe puts a rig safe that nobody has bound: after a run that was killed,
// or when a person asks for it. It opens the lines and the power switch, each
// on its own, so that one in trouble keeps no other from being made safe; a
// part that fails is tried again until ctx ends, since a process that dies
// takes a moment to let go of its pins. A context without a deadline gets one
// of 10 s and the settling time of the power.
func MakeSafe(ctx context.Context, f *File, d Drivers, env Env) ([]SafeAct, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 10*time.Second+settling(f))
		defer cancel()
	}
	env.salvage = true
	if env.OpenWithin <= 0 {
		env.OpenWithin = 2 * time.Second
	}
	type result struct {
		act SafeAct
		err error
	}
	n := len(f.Lines)
	lines := make(chan result, n+1)
	if f.Pads.stays() {
		n++
		go func() {
			act, err := persist(ctx, &File{Name: f.Name, Pads: f.Pads}, d, env)
			lines <- result{act, err}
		}()
	}
	for name, cfg := range f.Lines {
		go func() {
			one := &File{Name: f.Name, Lines: map[string]*Line{name: cfg}, Virtual: f.Virtual, Machines: f.Machines}
			act, err := persist(ctx, one, d, env)
			lines <- result{act, err}
		}()
	}
	var got []result
	take := func(from <-chan result, n int, until <-chan time.Time) {
		for len(got) < n {
			select {
			case r := <-from:
				got = append(got, r)
			case <-until:
				return
			}
		}
	}
	head := time.NewTimer(linesFirst)
	defer head.Stop()
	take(lines, n, head.C)
	if f.Power != nil {
		one := &File{Name: f.Name, Power: f.Power, Secrets: f.secretsOfPower(), Virtual: f.Virtual, Machines: f.Machines}
		act, err := persist(ctx, one, d, env)
		take(lines, n, nil)
		got = append(got, result{act, err})
	} else {
		take(lines, n, nil)
	}
	acts := make([]SafeAct, len(got))
	errs := make([]error, len(got))
	for i, r := range got {
		acts[i], errs[i] = r.act, r.err
	}
	slices.SortFunc(acts, func(x, y SafeAct) int { return compareParts(x.Part, y.Part) })
	return acts, errors.Join(errs...)
}

// secretsOfPower gives what the switch of the supply needs, and no other: a program that
// prints one takes its time.
func (f *File) secretsOfPower() map[string]string {
	name := strings.TrimPrefix(f.Power.Password, "secret:")
	if ref, ok := f.Secrets[name]; ok {
		return map[string]string{name: ref}
	}
	return nil
}

// persist makes a rig of one part safe, again and again until it is or ctx
// ends.
func persist(ctx context.Context, one *File, d Drivers, env Env) (SafeAct, error) {
	begun := time.Now()
	var why SafeAct
	var last error
	for {
		act, err := attempt(ctx, one, d, env)
		act.Took = time.Since(begun)
		if err == nil {
			return act, nil
		}
		// A try that the deadline cut short says less than the one before.
		if last == nil || ctx.Err() == nil {
			why, last = act, err
		}
		why.Took = act.Took
		again := time.NewTimer(25 * time.Millisecond)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return why, last
		}
	}
}

func attempt(ctx context.Context, one *File, d Drivers, env Env) (SafeAct, error) {
	act := SafeAct{Part: PowerPart, Do: "off"}
	if one.Pads != nil {
		act = SafeAct{Part: PadsPart, Do: "release"}
	}
	for name := range one.Lines {
		act = SafeAct{Part: LinePart(name), Do: "release"}
	}
	b, err := Bind(ctx, one, nil, d, env)
	if err != nil {
		act.Error = err.Error()
		return act, err
	}
	acts, err := Safe(ctx, b)
	if len(acts) == 1 {
		act = acts[0]
	}
	// A driver may let go of a pin only when it closes.
	return act, errors.Join(err, b.Close())
}
