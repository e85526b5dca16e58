package rig

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"rigor/harness/wire"
)

// Storage is a memory of the DUT that the rig reads past it.
type Storage struct {
	Driver  string        `yaml:"driver"` // exec, ask, qemu, virtual
	Ask     string        `yaml:"ask"`    // which memory a person reads
	Exec    []string      `yaml:"exec"`   // copies it to ${file}
	Write   []string      `yaml:"write"`  // has it be as ${file} is
	Machine string        `yaml:"machine"`
	Disk    string        `yaml:"disk"`   // role of the machine's disk
	Size    int64         `yaml:"size"`   // in bytes
	Reset   string        `yaml:"reset"`  // the line that holds the DUT in reset, for reading with the supply on
	Within  time.Duration `yaml:"within"` // how long the program may take
	// Through is the debug port of the profile by which the program reads it; "" for none.
	Through string `yaml:"through"`
}

// StorageWrite is the leave to write a memory past the DUT.
const StorageWrite = "storage-write"

// DefaultStorageWithin is how long the program of a storage may take: a flash of 16 MB
// over a slow clip takes minutes.
const DefaultStorageWithin = 10 * time.Minute

// StoragePart gives the part of the storage with this name.
func StoragePart(name string) wire.Part { return wire.Part("storage." + name) }

func (l *fileLint) storages() {
	for _, name := range sortedKeys(l.f.Storages) {
		s, at := l.f.Storages[name], []string{"storages", name}
		l.name(at, name)
		if s == nil {
			l.errorf(at, "write {driver: exec, exec: [PROGRAM, '${file}'], size: BYTES}", "storage %s says nothing", name)
			continue
		}
		l.driver("storages", at, s.Driver)
		if s.Size < 0 {
			l.errorf(append(at, "size"), "write it in bytes, as 16777216", "size is %d", s.Size)
		}
		if s.Within < 0 || s.Within > time.Hour {
			l.errorf(append(at, "within"), "write a time up to 1h", "within is %v", s.Within)
		}
		if s.Reset != "" && l.f.Lines[s.Reset] == nil {
			l.errorf(append(at, "reset"), near(s.Reset, sortedKeys(l.f.Lines)), "no line %q is declared", s.Reset)
		}
		l.program(at, s.Exec, "exec: [flashrom, -p, 'ch341a_spi', -r, '${file}']")
		for key, argv := range map[string][]string{"exec": s.Exec, "write": s.Write} {
			if len(argv) > 0 && !slices.ContainsFunc(argv, func(a string) bool { return strings.Contains(a, "${file}") }) {
				l.errorf(append(slices.Clone(at), key), "write '${file}' where the program takes the path of a file", "no argument of %s has ${file}", argv[0])
			}
		}
		if s.Driver == "qemu" {
			l.machine(at, s.Machine)
			l.claim(at, "disk "+s.Disk+" of machine "+s.Machine)
		}
		if s.Driver == "exec" && len(s.Exec) > 0 {
			l.claim(at, "program "+strings.Join(s.Exec, " "))
		}
	}
}

// gatedStorage is a memory of the DUT behind its gate: nobody reads it while the DUT
// runs.
type gatedStorage struct {
	gate
	raw   wire.Storage
	cfg   *Storage
	bench *Bench
	gave  atomic.Bool // it was read, and not all bytes were alike
}

// Size gives what the rig file says, or what the instrument does.
func (s *gatedStorage) Size() int64 {
	if s.cfg.Size > 0 {
		return s.cfg.Size
	}
	return s.raw.Size()
}

// Read gives wire.ErrRuns unless the DUT is off or held in reset, and a *wire.Fault where
// the image has not the size that the rig file says.
func (s *gatedStorage) Read(ctx context.Context, w io.Writer) error {
	if err := s.quiet(ctx); err != nil {
		return fmt.Errorf("%s: read: %w", s.part, err)
	}
	n := &counted{w: w}
	return s.do(ctx, "read", func() error {
		if err := s.raw.Read(ctx, n); err != nil {
			return err
		}
		if n.err != nil {
			return nil // whoever takes it has the error
		}
		if want := s.Size(); want > 0 && n.n != want {
			return fmt.Errorf("an image of %d bytes, and it has %d", n.n, want)
		}
		if n.differ {
			s.gave.Store(true)
		}
		return nil
	})
}

// Write puts bytes into the memory, where the rig file allows it.
func (s *gatedStorage) Write(ctx context.Context, off int64, b []byte) error {
	if !slices.Contains(s.bench.File.Allow, StorageWrite) {
		return fmt.Errorf("%s: write: the rig file does not allow it (allow: [%s])", s.part, StorageWrite)
	}
	p, ok := s.raw.(wire.Programmer)
	if !ok {
		return fmt.Errorf("%s: write: %w", s.part, wire.ErrUnsupported)
	}
	if err := s.quiet(ctx); err != nil {
		return fmt.Errorf("%s: write: %w", s.part, err)
	}
	if err := s.bench.SpendFlashWrite(); err != nil {
		return fmt.Errorf("%s: write: %w", s.part, err)
	}
	return s.do(ctx, "write", func() error { return p.Write(ctx, off, b) })
}

func (s *gatedStorage) Close() error { return s.shut(s.raw.Close) }

// quiet says whether the DUT leaves its memory alone: it is off, as the switch was told
// or says, or its reset is held.
func (s *gatedStorage) quiet(ctx context.Context) error {
	b := s.bench
	if line := b.Lines[s.cfg.Reset]; line != nil {
		if held, err := line.Asserted(ctx); err != nil || held {
			return err
		}
	}
	switch p := b.Power.(type) {
	case nil:
	case *gatedPower:
		if p.off.Load() {
			return nil
		}
		if !p.on.Load() {
			if is, err := p.State(ctx); err != nil || is == wire.PowerOff {
				return err
			}
		}
	default: // it did not open
		if _, err := p.State(ctx); err != nil {
			return err
		}
	}
	return wire.ErrRuns
}

type counted struct {
	w   io.Writer
	n   int64
	err error

	first  byte
	differ bool // not all bytes are as the first
}

// Write counts what goes on.
func (c *counted) Write(p []byte) (int, error) {
	if c.n == 0 && len(p) > 0 {
		c.first = p[0]
	}
	c.differ = c.differ || slices.ContainsFunc(p, func(b byte) bool { return b != c.first })
	n, err := c.w.Write(p)
	c.n += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err
}

type brokenStorage struct {
	err error
}

func (s brokenStorage) Size() int64                                { return 0 }
func (s brokenStorage) Read(context.Context, io.Writer) error      { return s.err }
func (s brokenStorage) Write(context.Context, int64, []byte) error { return s.err }
func (s brokenStorage) Close() error                               { return nil }

// ReadThrough gives the storages that were read by a debug port of the profile since the
// bench was bound.
func (b *Bench) ReadThrough(port string) (names []string) {
	for _, name := range sortedKeys(b.Storages) {
		if s, ok := b.Storages[name].(*gatedStorage); ok && s.cfg.Through == port && s.gave.Load() {
			names = append(names, name)
		}
	}
	return names
}

// bindStorages opens the memories.
func (b *Bench) bindStorages(ctx context.Context, d Drivers, env Env) error {
	for _, name := range sortedKeys(b.File.Storages) {
		part, cfg := StoragePart(name), b.File.Storages[name]
		raw, err := bindPart(ctx, b, env.at(part, name), d.Storage, cfg.Driver, cfg)
		if err != nil {
			return err
		}
		if raw == nil {
			b.Storages[name] = brokenStorage{b.Missing[part]}
			continue
		}
		b.Storages[name] = &gatedStorage{gate: gate{part: part, meter: b.Meter}, raw: raw, cfg: cfg, bench: b}
	}
	return nil
}

// storageWithin bounds the doctor's reading of one memory.
func storageWithin(s *Storage) time.Duration {
	if s.Within > 0 {
		return s.Within
	}
	return DefaultStorageWithin
}

// storages reads each memory twice: a clip that is loose gives ones, zeros, or something
// else each time. The DUT is switched off for it, where that is allowed and costs no
// boot: before the run's first, or behind its last case where the rig is left off.
func (v *visit) storages() {
	if v.bench == nil {
		return
	}
	const item = "image"
	for _, name := range sortedNames(v.bench.Storages) {
		part := StoragePart(name)
		if v.bench.Missing[part] != nil {
			continue
		}
		if ByHand(v.file.Storages[name].Driver) {
			v.skipped(item, part, "a person reads it, when a case asks for it")
			continue
		}
		if err := v.still(); err != nil {
			v.skipped(item, part, "%v", err)
			continue
		}
		first, err := v.image(name)
		var second *sample
		if err == nil {
			second, err = v.image(name)
		}
		switch {
		case errors.Is(err, wire.ErrRuns):
			v.skipped(item, part, "%v", err)
		case err != nil:
			v.broken(item, part, "%v", err)
		case first.same:
			v.broken(item, part, "all %d bytes read 0x%02x: the clip is loose, or the memory is empty", first.n, first.first)
		case string(first.sum.Sum(nil)) != string(second.sum.Sum(nil)):
			v.broken(item, part, "two readings differ: the clip is loose, or somebody else drives its pins")
		default:
			v.ok(item, part, "%d bytes, alike in two readings", first.n)
		}
	}
}

// still has the DUT be off, or says why it cannot.
func (v *visit) still() error {
	if v.bench.Power == nil || v.bench.Missing[PowerPart] != nil || v.supplyState() == wire.PowerOff {
		return nil // what is not off is told by who reads
	}
	if !slices.Contains(v.file.Allow, "power") && !slices.Contains(v.file.Allow, "power-cut") {
		return errors.New("the DUT is not off, and the rig file does not allow to switch it off (allow: [power])")
	}
	if v.phase == PhaseAfter && v.file.Power.Rest == "on" || v.phase == PhaseBefore && v.ColdBoot == nil {
		return errors.New("the DUT is not off, and stays on")
	}
	if err := v.bounded(lookWithin+settling(v.file), v.bench.Power.Off); err != nil {
		return fmt.Errorf("the DUT cannot be switched off for it: %w", err)
	}
	return pause(v.ctx, v.file.Power.OffSettle)
}

// image reads a memory once.
func (v *visit) image(name string) (*sample, error) {
	s := &sample{sum: sha256.New(), same: true}
	err := v.bounded(storageWithin(v.file.Storages[name]), func(ctx context.Context) error {
		return v.bench.Storages[name].Read(ctx, s)
	})
	if err == nil && s.n == 0 {
		err = errors.New("an image without a byte")
	}
	return s, err
}

// sample is what is kept of an image.
type sample struct {
	sum   hash.Hash
	n     int64
	first byte
	same  bool // all bytes are as the first
}

// Write takes a part of it.
func (s *sample) Write(p []byte) (int, error) {
	if s.n == 0 && len(p) > 0 {
		s.first = p[0]
	}
	s.same = s.same && !slices.ContainsFunc(p, func(b byte) bool { return b != s.first })
	s.n += int64(len(p))
	return s.sum.Write(p)
}
