package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rigor/harness/profile"
	"rigor/harness/wire"
)

// Drivers is the table of drivers that a binding can choose from, by the name
// that stands under "driver" in the rig file. A function opens its instrument
// and returns; its ctx bounds the opening alone. Trouble of the instrument is
// a *wire.Fault for env.Part; any other error means that the rig file is wrong.
type Drivers struct {
	Power map[string]func(ctx context.Context, p *Power, env Env) (wire.Power, error)
	Line  map[string]func(ctx context.Context, l *Line, env Env) (wire.Line, error)
	Port  map[string]func(ctx context.Context, p *Port, env Env) (wire.Port, error)
	Link  map[string]func(ctx context.Context, n *Network, env Env) (wire.Link, error)
	// Storage opens the memories that are read past the DUT.
	Storage map[string]func(ctx context.Context, s *Storage, env Env) (wire.Storage, error)
	// Pads opens pads of the DUT's board, in the order of Pads.Names.
	Pads map[string]func(ctx context.Context, p *Pads, env Env) (wire.Pads, error)
	// Local makes the device of a rig file that drives one in this process,
	// without power; nil, and no error, for a file of real wires. It may be nil.
	Local func(f *File, seed uint64) (*Local, error)
	// Files are sources of files that a profile's images name, by their scheme: the maker
	// of a device that is built in.
	Files map[string]func(name string) ([]byte, error)
	// Secret runs a program of the folder dir that prints a secret. It may be nil.
	Secret func(ctx context.Context, dir string, argv []string) (string, error)
}

// Local is a device that lives in this process.
type Local struct {
	Drivers Drivers                                      // with the instruments that reach it
	Given   map[string]func(name string) (string, error) // secrets that only it knows, by their scheme
	Close   func() error                                 // ends it

	// Disk, which may be nil, stands before what evidence is written to, and Lost
	// is closed when somebody else takes the rig: for the bench's own faults.
	Disk func(io.Writer) io.Writer
	Lost <-chan struct{}
}

// Env is what a binding knows beyond the rig file. The upper fields are the
// caller's; Bind sets the lower ones anew for each instrument.
type Env struct {
	// Dir is the rig file's folder: relative paths of the file start there.
	Dir string
	// Getenv looks up env:VARIABLE; os.LookupEnv where nil.
	Getenv func(string) (string, bool)
	// Given resolves further schemes of secrets, such as "virtual".
	Given map[string]func(name string) (string, error)
	// Redact is told every secret's value before any instrument opens.
	Redact Redactor
	// Observe sees each operation on an instrument when it has ended. It is
	// called from the operation's goroutine and must be quick.
	Observe func(Op)
	// Ask puts a question to a person at the bench; nil where there is none.
	Ask func(ctx context.Context, question string) (string, error)
	// AskHidden is Ask for what is not shown as it is typed; nil where there is nobody.
	AskHidden func(ctx context.Context, question string) (string, error)
	// OpenWithin bounds the opening of each instrument; 10 s where zero.
	OpenWithin time.Duration

	Rig     string
	Part    wire.Part
	Name    string // of the line or console: "reset"
	Secrets *Secrets
	Virtual *Virtual

	Machines map[string]*Machine

	// salvage takes what opens and leaves the rest: no error of the file, of a
	// secret or of an instrument may keep another from being made safe.
	salvage bool
}

// Salvaging says whether an instrument is opened to be made safe, after a process
// that left nobody knows what.
func (e Env) Salvaging() bool { return e.salvage }

// PowerPart and LinkPart name the parts of which a rig has one.
const (
	PowerPart wire.Part = "power"
	LinkPart  wire.Part = "link"
)

// LinePart gives the part of the line with this name.
func LinePart(name string) wire.Part { return wire.Part("line." + name) }

// ConsolePart gives the part of the console with this name.
func ConsolePart(name string) wire.Part { return wire.Part("console." + name) }

// Bench is a rig with its instruments open. What the rig file does not declare
// is nil or absent. What it declares and what did not open is there, listed in
// Missing, and answers every call with its fault.
type Bench struct {
	File    *File
	Profile *profile.Profile // nil where none was given

	Power    wire.Power
	Lines    map[string]wire.Line
	Consoles map[string]wire.Port
	Link     wire.Link
	Storages map[string]wire.Storage
	Pads     wire.Pads
	// Missing holds the fault of each instrument that did not open.
	Missing map[wire.Part]error

	Secrets *Secrets
	Meter   *Meter

	limits *limiter
	// The instruments behind their gates: the safe state is not subject to
	// limits, and comes after the gates are shut.
	rawPower wire.Power
	rawLines map[string]wire.Line
	rawPads  wire.Pads
}

// Parts lists the parts of the bench, the power switch last.
func (b *Bench) Parts() []wire.Part {
	var parts []wire.Part
	for _, name := range slices.Sorted(maps.Keys(b.Consoles)) {
		parts = append(parts, ConsolePart(name))
	}
	for _, name := range slices.Sorted(maps.Keys(b.Lines)) {
		parts = append(parts, LinePart(name))
	}
	if b.Link != nil {
		parts = append(parts, LinkPart)
	}
	for _, name := range sortedKeys(b.Storages) {
		parts = append(parts, StoragePart(name))
	}
	if b.Pads != nil {
		parts = append(parts, PadsPart)
	}
	if b.Power != nil {
		parts = append(parts, PowerPart)
	}
	return parts
}

// SpendFlashWrite counts one write of the DUT's flash against the rig file's
// limit, and gives a *LimitError when none is left.
func (b *Bench) SpendFlashWrite() error { return b.limits.spend(LimitFlashWrites) }

// SpendFlashWriteKeeping is SpendFlashWrite where so many more have to be left behind it.
func (b *Bench) SpendFlashWriteKeeping(n int) error {
	return b.limits.spendKeeping(LimitFlashWrites, n)
}

// FlashWritesLeft gives a *LimitError where less than n writes of the DUT's flash are left.
func (b *Bench) FlashWritesLeft(n int) error { return b.limits.leaves(LimitFlashWrites, n) }

// Spent says how often something limited (LimitPowerCycles, LimitFlashWrites)
// was done.
func (b *Bench) Spent(what string) int { return b.limits.spent(what) }

// Bind opens the instruments of a rig: consoles first, so that nothing of a
// boot is missed and a pulse on their modem lines hurts nothing, then lines,
// the link, and the power switch last. It is all or nothing in what a person
// has to put right: a secret that cannot be read or a driver that refuses its
// part of the file ends it, with everything closed again. An instrument in
// trouble is kept as Missing and does not keep the others from working.
func Bind(ctx context.Context, f *File, prof *profile.Profile, d Drivers, env Env) (*Bench, error) {
	if env.OpenWithin <= 0 {
		env.OpenWithin = 10 * time.Second
	}
	dir, err := filepath.Abs(env.Dir)
	if err != nil {
		return nil, fmt.Errorf("rig %s: the folder of its file: %w", f.Name, err)
	}
	env.Dir, env.Rig, env.Virtual, env.Machines = dir, f.Name, f.Virtual, f.Machines
	env = env.Sources(ctx, d)
	if err := hollow(f); err != nil {
		return nil, fmt.Errorf("rig %s: %w", f.Name, err)
	}
	secrets, err := resolveSecrets(f.Secrets, env)
	if err != nil && !env.salvage { // it was there a moment ago, or nobody has looked
		return nil, secrets.placed(f)
	}
	env.Secrets = secrets
	b := &Bench{
		File: f, Profile: prof, Secrets: secrets,
		Lines: map[string]wire.Line{}, Consoles: map[string]wire.Port{}, Storages: map[string]wire.Storage{}, Missing: map[wire.Part]error{},
		Meter: newMeter(env.Observe), limits: newLimiter(f.Limits), rawLines: map[string]wire.Line{},
	}
	if err := b.bind(ctx, d, env); err != nil {
		return nil, errors.Join(fmt.Errorf("rig %s: %w", f.Name, err), b.Close())
	}
	return b, nil
}

// hollow finds an instrument that is named and not described.
func hollow(f *File) error {
	for name, cfg := range f.Lines {
		if cfg == nil {
			return fmt.Errorf("lines.%s: nothing stands there", name)
		}
	}
	for name, cfg := range f.Consoles {
		if cfg == nil {
			return fmt.Errorf("consoles.%s: nothing stands there", name)
		}
	}
	for name, cfg := range f.Storages {
		if cfg == nil {
			return fmt.Errorf("storages.%s: nothing stands there", name)
		}
	}
	for name, cfg := range f.Machines {
		if cfg == nil {
			return fmt.Errorf("machines.%s: nothing stands there", name)
		}
	}
	return nil
}

func (b *Bench) bind(ctx context.Context, d Drivers, env Env) error {
	f := b.File
	for _, name := range slices.Sorted(maps.Keys(f.Consoles)) {
		part, cfg := ConsolePart(name), f.Consoles[name]
		raw, err := bindPart(ctx, b, env.at(part, name), d.Port, cfg.Driver, cfg)
		if err != nil {
			return err
		}
		if raw == nil {
			b.Consoles[name] = brokenPort{b.Missing[part]}
			continue
		}
		b.Consoles[name] = &gatedPort{gate: gate{part: part, meter: b.Meter}, raw: raw}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Lines)) {
		part, cfg := LinePart(name), f.Lines[name]
		raw, err := bindPart(ctx, b, env.at(part, name), d.Line, cfg.Driver, cfg)
		if err != nil {
			return err
		}
		if raw == nil {
			b.Lines[name] = brokenLine{b.Missing[part]}
			continue
		}
		b.rawLines[name] = raw
		b.Lines[name] = &gatedLine{gate: gate{part: part, meter: b.Meter}, raw: raw}
	}
	if f.Network != nil {
		driver := f.Network.Driver
		if driver == "" {
			driver = "link"
		}
		raw, err := bindPart(ctx, b, env.at(LinkPart, ""), d.Link, driver, f.Network)
		if err != nil {
			return err
		}
		b.Link = brokenLink{b.Missing[LinkPart]}
		if raw != nil {
			b.Link = &gatedLink{gate: gate{part: LinkPart, meter: b.Meter}, raw: raw}
		}
	}
	if err := b.bindStorages(ctx, d, env); err != nil {
		return err
	}
	if err := b.bindPads(ctx, d, env); err != nil {
		return err
	}
	if f.Power != nil {
		raw, err := bindPart(ctx, b, env.at(PowerPart, ""), d.Power, f.Power.Driver, f.Power)
		if err != nil {
			return err
		}
		b.Power = brokenPower{b.Missing[PowerPart]}
		if raw != nil {
			b.rawPower = raw
			b.Power = &gatedPower{gate: gate{part: PowerPart, meter: b.Meter}, raw: raw, limit: b.limits}
		}
	}
	return nil
}

func (e Env) at(part wire.Part, name string) Env {
	e.Part, e.Name = part, name
	return e
}

// bindPart opens one instrument. Where it is in trouble it gives none and
// notes the fault under Missing.
func bindPart[C any, T comparable](ctx context.Context, b *Bench, env Env,
	drivers map[string]func(context.Context, C, Env) (T, error), name string, cfg C) (T, error) {
	var none T
	open, ok := drivers[name]
	if !ok {
		err := fmt.Errorf("%s: no driver %q; there is %s", env.Part, name, strings.Join(slices.Sorted(maps.Keys(drivers)), ", "))
		if !env.salvage {
			return none, err
		}
		b.Missing[env.Part] = &wire.Fault{Part: env.Part, Op: "bind", Err: err}
		return none, nil
	}
	leave := b.Meter.Enter(env.Part, "open")
	got, err := openPart(ctx, env, func(ctx context.Context) (T, error) { return open(ctx, cfg, env) })
	leave(err)
	if err == nil && got == none {
		err = &wire.Fault{Part: env.Part, Op: "open", Err: fmt.Errorf("driver %s gave no instrument", name)}
	}
	if err == nil {
		return got, nil
	}
	_, fault := wire.AsFault(err)
	switch {
	case fault:
		b.Missing[env.Part] = err
		return none, nil
	case env.salvage:
		b.Missing[env.Part] = &wire.Fault{Part: env.Part, Op: "open", Err: err}
		return none, nil
	}
	return none, fmt.Errorf("%s: %w", env.Part, err)
}

// openGrace is how long a driver may take to notice that its time is over.
const openGrace = 200 * time.Millisecond

// openPart runs a driver's opening under a deadline. A driver that ignores it
// is left behind; what it opens too late is closed at once.
func openPart[T any](ctx context.Context, env Env, open func(context.Context) (T, error)) (T, error) {
	type opened struct {
		it  T
		err error
	}
	within, cancel := context.WithTimeout(ctx, env.OpenWithin)
	defer cancel()
	done := make(chan opened, 1)
	go func() {
		it, err := open(within)
		done <- opened{it, err}
	}()
	answer := func(o opened) (T, error) {
		if o.err != nil && within.Err() != nil && ctx.Err() == nil {
			if _, ok := wire.AsFault(o.err); !ok { // ours was the deadline, not the caller's
				o.err = &wire.Fault{Part: env.Part, Op: "open", Err: fmt.Errorf("not within %v: %w", env.OpenWithin, o.err)}
			}
		}
		return o.it, o.err
	}
	select {
	case o := <-done:
		return answer(o)
	case <-within.Done():
	}
	grace := time.NewTimer(openGrace)
	defer grace.Stop()
	select {
	case o := <-done:
		return answer(o)
	case <-grace.C:
	}
	go func() {
		if late := <-done; late.err == nil {
			if c, ok := any(late.it).(io.Closer); ok {
				_ = c.Close()
			}
		}
	}()
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	return none, &wire.Fault{Part: env.Part, Op: "open", Err: fmt.Errorf("the driver did not come back within %v", env.OpenWithin)}
}

// Close closes all instruments, the power switch first and the consoles last,
// so that their transcripts have the end too. It does not make the rig safe:
// that is Safe's. Closing again does nothing.
func (b *Bench) Close() error {
	var errs []error
	if b.Power != nil {
		errs = append(errs, b.Power.Close())
	}
	if b.Pads != nil {
		errs = append(errs, b.Pads.Close())
	}
	for _, name := range slices.Sorted(maps.Keys(b.Lines)) {
		errs = append(errs, b.Lines[name].Close())
	}
	if b.Link != nil {
		errs = append(errs, b.Link.Close())
	}
	for _, name := range sortedKeys(b.Storages) {
		errs = append(errs, b.Storages[name].Close())
	}
	for _, name := range slices.Sorted(maps.Keys(b.Consoles)) {
		errs = append(errs, b.Consoles[name].Close())
	}
	return errors.Join(errs...)
}
