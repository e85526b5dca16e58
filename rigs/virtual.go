package rigs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"rigor/fixtures/virtual"
	"rigor/harness/driver/gpio"
	"rigor/harness/rig"
	"rigor/harness/wire"
)

// Virtual is the built-in device on a bench of its own, in this process.
type Virtual struct {
	Bench    *virtual.Bench
	dir      string
	temp     bool
	operator string
	label2   string
	keys2    string // of the second unit
}

// UsesVirtual says whether a rig file drives the built-in device.
func UsesVirtual(f *rig.File) bool {
	return f.Network != nil && f.Network.Driver == "virtual" || f.Power != nil && f.Power.Driver == "virtual"
}

// NewVirtual makes the device that a rig file describes, without power. Close
// ends it.
func NewVirtual(f *rig.File, seed uint64) (*Virtual, error) {
	v := &Virtual{}
	cfg := f.Virtual
	if cfg == nil {
		cfg = &rig.Virtual{}
	}
	v.dir = cfg.Persist
	if v.dir == "" {
		dir, err := os.MkdirTemp("", "rigor-virtual-")
		if err != nil {
			return nil, fmt.Errorf("make a folder for the device's flash: %w", err)
		}
		v.dir, v.temp = dir, true
	}
	dc := virtual.Config{Dir: v.dir, Serial: f.Unit.Serial, MAC: f.Unit.MAC, Weaknesses: cfg.Weaknesses, Seed: int64(seed >> 1)}
	b, err := virtual.NewBench(virtual.BenchConfig{Device: dc, Faults: cfg.Faults, Seed: dc.Seed})
	if err != nil {
		v.cleanup()
		return nil, fmt.Errorf("make the built-in device: %w", err)
	}
	v.Bench = b
	if v.operator, err = ownersPassword(cfg.Persist); err != nil {
		return nil, err
	}
	if len(f.Units) > 0 {
		if v.label2, v.keys2, err = secondUnit(dc, f.Units[0]); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// ownersPassword is what the owner sets: new for each device, as an owner's is. Beside a
// flash that is kept it is kept too: the device knows it still.
func ownersPassword(persist string) (string, error) {
	path := filepath.Join(persist, "owner.secret")
	if persist != "" {
		kept, err := os.ReadFile(path)
		if err == nil {
			return string(kept), nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("read the owner's password: %w", err)
		}
	}
	var r [9]byte
	if _, err := rand.Read(r[:]); err != nil {
		return "", fmt.Errorf("make the owner's password: %w", err)
	}
	password := "Ow-" + hex.EncodeToString(r[:])
	if persist == "" {
		return password, nil
	}
	if err := os.WriteFile(path, []byte(password), 0o600); err != nil {
		return "", fmt.Errorf("keep the owner's password: %w", err)
	}
	return password, nil
}

// secondUnit is the password on the label of a second unit, as the same factory would
// print it, and the public keys that the unit makes.
func secondUnit(dc virtual.Config, u rig.Unit) (label, keys string, err error) {
	dir, err := os.MkdirTemp("", "rigor-virtual-")
	if err != nil {
		return "", "", fmt.Errorf("make a folder for the second unit: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a folder of ours for temporary files
	dc.Dir, dc.Serial, dc.MAC, dc.Seed = dir, u.Serial, u.MAC, dc.Seed+1
	d, err := virtual.New(dc)
	if err != nil {
		return "", "", fmt.Errorf("make the second unit: %w", err)
	}
	defer func() { _ = d.Close() }() // it was never powered
	if keys, err = d.PublicKeys(); err != nil {
		return "", "", fmt.Errorf("the second unit: %w", err)
	}
	return d.Label(), keys, nil
}

// local is the built-in device as the table of drivers makes it. Of an emulated one
// it looks whether there is one at all, before anything else is asked for.
func local(f *rig.File, seed uint64) (*rig.Local, error) {
	if !UsesVirtual(f) {
		return nil, built(f)
	}
	v, err := NewVirtual(f, seed)
	if err != nil {
		return nil, err
	}
	return &rig.Local{Drivers: v.Drivers(), Given: map[string]func(string) (string, error){"virtual": v.Given}, Close: v.Close, Disk: v.Disk, Lost: v.Bench.Lost()}, nil
}

// Disk gives what is written to w the bench's disk, which may be full.
func (v *Virtual) Disk(w io.Writer) io.Writer { return &disk{Writer: w, bench: v.Bench} }

type disk struct {
	io.Writer
	bench *virtual.Bench
}

// Write writes, while the disk takes something.
func (d *disk) Write(p []byte) (int, error) {
	if d.bench.DiskFull() {
		return 0, fmt.Errorf("write %d bytes: %w", len(p), syscall.ENOSPC)
	}
	return d.Writer.Write(p)
}

// Close ends the device and removes what was temporary. An error is, too, what was asked of
// the device's debug port that nobody may ask.
func (v *Virtual) Close() error {
	err := v.Bench.Close()
	if asked := v.Bench.Device().DebugViolations(); asked != "" {
		err = errors.Join(err, fmt.Errorf("the built-in device's debug port was asked for what nobody may ask: %s", asked))
	}
	v.cleanup()
	return err
}

func (v *Virtual) cleanup() {
	if v.temp {
		_ = os.RemoveAll(v.dir) // a folder of ours for temporary files
	}
}

// Given resolves the secrets that only the device knows.
func (v *Virtual) Given(name string) (string, error) {
	switch name {
	case "operator":
		return v.operator, nil
	case "label":
		return v.Bench.Unit().Label, nil
	case "label-2":
		if v.label2 != "" {
			return v.label2, nil
		}
	case "keys-2":
		if v.keys2 != "" {
			return v.keys2, nil
		}
	}
	return "", fmt.Errorf("the built-in device has no secret %q", name)
}

// Drivers gives the table with the virtual instruments in it.
func (v *Virtual) Drivers() rig.Drivers {
	d := Drivers()
	d.Power["virtual"] = func(context.Context, *rig.Power, rig.Env) (wire.Power, error) { return v.Bench.Power(), nil }
	d.Port["virtual"] = func(_ context.Context, p *rig.Port, _ rig.Env) (wire.Port, error) { return v.Bench.Port(p.Port) }
	d.Storage["virtual"] = func(context.Context, *rig.Storage, rig.Env) (wire.Storage, error) { return v.Bench.Storage(), nil }
	d.Pads["virtual"] = func(_ context.Context, p *rig.Pads, _ rig.Env) (wire.Pads, error) { return v.pads(p) }
	d.Link["virtual"] = func(context.Context, *rig.Network, rig.Env) (wire.Link, error) { return v.Bench.Network(), nil }
	d.Files["virtual"] = v.Bench.Image
	d.Line["virtual"] = func(_ context.Context, l *rig.Line, env rig.Env) (wire.Line, error) {
		if l.Line == flashLine {
			return &flashShort{d: v.Bench.Device()}, nil
		}
		cfg, err := gpioConfig(env.Part, l.Active, l.Drive, "")
		if err != nil {
			return nil, err
		}
		pin := v.Bench.Pin(l.Line)
		if pin == nil {
			return nil, fmt.Errorf("the built-in device has no pin %q", l.Line)
		}
		return gpio.NewLine(pin, cfg)
	}
	return d
}

// flashLine names the wire that flashShort is.
const flashLine = "flash"

// flashShort is a wire that shorts a data line of the device's flash: while it
// is asserted no boot finds an image.
type flashShort struct {
	d  *virtual.Device
	mu sync.Mutex
	on bool
}

func (f *flashShort) set(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on = on
	n := 0
	if on {
		n = -1
	}
	f.d.FailBoots(n)
}

// Assert shorts the line.
func (f *flashShort) Assert(context.Context) error { f.set(true); return nil }

// Release opens it.
func (f *flashShort) Release(context.Context) error { f.set(false); return nil }

// Asserted says whether it is shorted.
func (f *flashShort) Asserted(context.Context) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.on, nil
}

// Wait is not for a wire that only we move.
func (f *flashShort) Wait(context.Context, bool) (time.Time, error) {
	return time.Time{}, wire.ErrUnsupported
}

// Close opens the line.
func (f *flashShort) Close() error { f.set(false); return nil }
