package gpio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	periph "periph.io/x/conn/v3/gpio"

	"rigor/harness/wire"
)

// Limits of PadsConfig.
const (
	maxPads       = 32
	maxHalfPeriod = time.Second
)

// spin is the longest half period that is waited for by looking at the clock. A timer
// comes some 50 to 100 µs late on a Raspberry Pi, which is nothing to a longer one.
const spin = 200 * time.Microsecond

// worthGroup is how many readings have to be ahead for it to pay to ask the kernel for
// all inputs as one set: to take it and give it back costs some four calls for each pin.
const worthGroup = 8

// PadsConfig describes pads of the DUT on lines of this computer.
type PadsConfig struct {
	// Part is the pads' name in results, such as "pads". Required.
	Part wire.Part
	// Pads are the lines in the order of Pins, 1 to 32. Required.
	Pads []PadConfig
	// HalfPeriod is what goes by between setting the pins and reading them, 0 to 1 s.
	// Zero is as quick as the pins go: some hundred kHz on the character device.
	HalfPeriod time.Duration
	// Memory drives the pins through the registers of a Raspberry Pi 0 to 4, past the
	// kernel, some ten times as quick. What a killed process drove stays driven.
	Memory bool
}

// PadConfig is one pad: the wiring's own name for it, and our line.
type PadConfig struct {
	Name string // such as "J3.2"
	Line string // as Open takes it
}

// Validate says what is wrong with the configuration, all at once.
func (c PadsConfig) Validate() error {
	var errs []error
	if c.Part == "" {
		errs = append(errs, errors.New("the pads have no part name"))
	}
	if len(c.Pads) == 0 || len(c.Pads) > maxPads {
		errs = append(errs, fmt.Errorf("%d pads: want 1 to %d", len(c.Pads), maxPads))
	}
	if c.HalfPeriod < 0 || c.HalfPeriod > maxHalfPeriod {
		errs = append(errs, fmt.Errorf("half period %v: want 0 to %v", c.HalfPeriod, maxHalfPeriod))
	}
	names, lines := map[string]bool{}, map[string]bool{}
	for i, p := range c.Pads {
		switch {
		case p.Name == "":
			errs = append(errs, fmt.Errorf("pad %d has no name", i))
		case names[p.Name]:
			errs = append(errs, fmt.Errorf("two pads are called %q", p.Name))
		case p.Line != "" && lines[p.Line]:
			errs = append(errs, fmt.Errorf("two pads are on line %s", p.Line))
		}
		names[p.Name], lines[p.Line] = true, true
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("pads %q: %w", c.Part, err)
	}
	return nil
}

// Pads are several lines that are driven together. Each is an input of ours until a
// step or a pin's Out drives it, and again after Close.
type Pads struct {
	conf PadsConfig

	mu     sync.Mutex
	pins   []*padPin
	driven uint32 // the pins that we drive
	level  uint32 // and their levels
	closed bool
	moved  time.Time // when a pin was changed by itself: see padPin.Read
	group  group
	after  func() error // at the end of Close, may be nil
}

var _ wire.Player = (*Pads)(nil)

// inputs are several input lines that are read in one go; periph's LineSet is one.
type inputs interface {
	Read(mask periph.GPIOValue) (periph.GPIOValue, error)
	Close() error
}

// group is a set of inputs that is open. Its bits are in the order of pins.
type group struct {
	set  inputs
	mask uint32 // the pads in it
	pins []int  // and their indices, in the set's order
	dear bool   // to be had only by giving the single lines back
}

// source gives a set of inputs. Dear says that single lines have to be let go of
// first, and taken again later.
type source struct {
	open func(pins []*padPin) (inputs, error)
	dear bool
}

// NewPads takes pins, real or virtual, and lets go of all of them; conf.Pads gives
// their names, in the same order. An error is a *wire.Fault, or that of Validate.
func NewPads(pins []periph.PinIO, conf PadsConfig) (*Pads, error) {
	if len(pins) != len(conf.Pads) {
		return nil, fmt.Errorf("pads %q: %d names for %d pins", conf.Part, len(conf.Pads), len(pins))
	}
	own := make([]*padPin, len(pins))
	for i, pin := range pins {
		if pin == nil {
			return nil, fmt.Errorf("pads %q: %s: no pin", conf.Part, conf.Pads[i].Name)
		}
		own[i] = &padPin{pin: pin}
	}
	return newPads(own, conf)
}

func newPads(pins []*padPin, conf PadsConfig) (*Pads, error) {
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	p := &Pads{conf: conf, pins: pins}
	for i, pin := range pins {
		pin.pads, pin.index, pin.pull = p, i, periph.Float
	}
	for _, pin := range pins {
		if err := pin.pin.In(pin.pull, periph.NoEdge); err != nil {
			return nil, errors.Join(p.fault(pin, "make an input of", err), p.Close())
		}
	}
	return p, nil
}

// Part is the pads' name in results.
func (p *Pads) Part() wire.Part { return p.conf.Part }

// HalfPeriod is what goes by between setting the pins and reading them, at least.
func (p *Pads) HalfPeriod() time.Duration { return p.conf.HalfPeriod }

// Pins gives the pads under their names. Their Read tells no trouble; Play does.
func (p *Pads) Pins() []periph.PinIO {
	out := make([]periph.PinIO, len(p.pins))
	for i, pin := range p.pins {
		out[i] = pin
	}
	return out
}

// Play does the steps. An error is ctx's, or a *wire.Fault that says what was not
// done; after one of a pin all pins are let go of.
func (p *Pads) Play(ctx context.Context, steps []wire.PadStep, got []uint32) (int, error) {
	all := uint32(1)<<len(p.pins) - 1
	want := 0
	for i, s := range steps {
		if s.Drive&^all != 0 {
			return 0, fmt.Errorf("%s: step %d drives pads %#x, there are %#x", p.conf.Part, i, s.Drive, all)
		}
		if s.Read {
			want++
		}
	}
	if want > len(got) {
		return 0, fmt.Errorf("%s: %d readings do not fit into %d", p.conf.Part, want, len(got))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	read, err := p.play(ctx, steps, got)
	if err != nil && ctx.Err() == nil {
		// Nobody knows now what the pins do.
		err = errors.Join(err, p.letGo())
	}
	return read, err
}

func (p *Pads) play(ctx context.Context, steps []wire.PadStep, got []uint32) (read int, err error) {
	if p.closed {
		return 0, &wire.Fault{Part: p.conf.Part, Op: "play", Err: fmt.Errorf("not done: %w", os.ErrClosed)}
	}
	looked := uint32(0) // pins that were read one by one
	for i, s := range steps {
		if err := ctx.Err(); err != nil {
			return read, fmt.Errorf("%s: cut short after %d of %d steps: %w", p.conf.Part, i, len(steps), err)
		}
		if i == 0 || s.Drive != steps[i-1].Drive {
			if err := p.arrange(steps[i:]); err != nil {
				return read, err
			}
		}
		if err := p.set(s.Drive, s.Level); err != nil {
			return read, err
		}
		if err := wait(ctx, p.conf.HalfPeriod); err != nil {
			return read, fmt.Errorf("%s: cut short after %d of %d steps: %w", p.conf.Part, i, len(steps), err)
		}
		if !s.Read {
			continue
		}
		if got[read], err = p.look(); err != nil {
			return read, err
		}
		looked |= ^(p.driven | p.group.mask)
		read++
	}
	// Read has no way to return an error; In has, and finds a pin that is gone.
	for i, pin := range p.pins {
		if bit := uint32(1) << i; looked&bit != 0 && (p.driven|p.group.mask)&bit == 0 {
			if err := pin.pin.In(pin.pull, periph.NoEdge); err != nil {
				return 0, p.fault(pin, "read", err)
			}
		}
	}
	return read, nil
}

// wait lets d go by.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	if d <= spin {
		for start := time.Now(); time.Since(start) < d; { //nolint:revive // a timer is late by more than this
		}
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// set brings the pins to what a step says, those that change.
func (p *Pads) set(drive, level uint32) error {
	level &= drive
	if drive == p.driven && level == p.level {
		return nil
	}
	if err := p.ungroup(drive); err != nil {
		return err
	}
	for i, pin := range p.pins {
		bit := uint32(1) << i
		if p.driven&bit != 0 && drive&bit == 0 {
			if err := pin.pin.In(pin.pull, periph.NoEdge); err != nil {
				return p.fault(pin, "let go", err)
			}
			p.driven, p.level = p.driven&^bit, p.level&^bit
		}
	}
	for i, pin := range p.pins {
		bit := uint32(1) << i
		if drive&bit == 0 || (p.driven&bit != 0 && level&bit == p.level&bit) {
			continue
		}
		// On the character device the first Out of a pin pulls low for a moment
		// before it drives high: see Line.assert. Data lines do not mind between two
		// edges of their clock; a reset is driven low or let go of.
		if err := pin.pin.Out(level&bit != 0); err != nil {
			return p.fault(pin, "drive", err)
		}
		p.driven, p.level = p.driven|bit, p.level&^bit|level&bit
	}
	return nil
}

// look reads all pins. What we drive is answered from memory: on the character device
// a Read would let go of it.
func (p *Pads) look() (uint32, error) {
	got := p.level
	if p.group.set != nil {
		v, err := p.group.set.Read(0)
		if err != nil {
			return 0, p.fault(p.pins[p.group.pins[0]], "read the set of", err)
		}
		for k, i := range p.group.pins {
			if v>>k&1 != 0 {
				got |= 1 << i
			}
		}
	}
	for i, pin := range p.pins {
		if bit := uint32(1) << i; (p.driven|p.group.mask)&bit == 0 && bool(pin.pin.Read()) {
			got |= bit
		}
	}
	return got, nil
}

// arrange makes one set of the inputs where that pays for the steps up to the next
// change of what is driven.
func (p *Pads) arrange(steps []wire.PadStep) error {
	drive, reads := steps[0].Drive, 0
	for _, s := range steps {
		if s.Drive != drive {
			break
		}
		if s.Read {
			reads++
		}
	}
	ins := (uint32(1)<<len(p.pins) - 1) &^ drive
	if reads == 0 || ins == p.group.mask && p.group.set != nil {
		return nil
	}
	src := p.pins[0].source
	var take []*padPin
	var idx []int
	for i, pin := range p.pins {
		if ins>>i&1 != 0 && pin.source == src {
			take, idx = append(take, pin), append(idx, i)
		}
	}
	if src == nil || len(take) < 2 || (src.dear && reads < worthGroup) {
		return nil
	}
	// What is driven and is to be an input becomes one first, by itself.
	if err := p.set(drive&p.driven, steps[0].Level); err != nil {
		return err
	}
	if err := p.ungroup(^uint32(0)); err != nil {
		return err
	}
	if src.dear {
		for _, pin := range take {
			pin.giveBack()
		}
	}
	set, err := src.open(take)
	if err != nil {
		// One by one it works as well.
		for _, pin := range take {
			pin.source = nil
			if in := pin.pin.In(pin.pull, periph.NoEdge); in != nil {
				return p.fault(pin, "take again", errors.Join(err, in))
			}
		}
		return nil
	}
	p.group = group{set: set, pins: idx, dear: src.dear}
	for _, i := range idx {
		p.group.mask |= 1 << i
	}
	return nil
}

// ungroup gives a set of inputs back when one of the pins is in it.
func (p *Pads) ungroup(pins uint32) error {
	g := p.group
	if g.set == nil || g.mask&pins == 0 {
		return nil
	}
	p.group = group{}
	if err := g.set.Close(); err != nil {
		return p.fault(p.pins[g.pins[0]], "give back the set of", err)
	}
	if !g.dear {
		return nil
	}
	for _, i := range g.pins {
		pin := p.pins[i]
		if err := pin.pin.In(pin.pull, periph.NoEdge); err != nil {
			return p.fault(pin, "take again", err)
		}
	}
	return nil
}

// letGo makes every pin an input, whatever one of them says.
func (p *Pads) letGo() error {
	errs := []error{p.ungroup(^uint32(0))}
	for i, pin := range p.pins {
		if err := pin.pin.In(pin.pull, periph.NoEdge); err != nil {
			errs = append(errs, p.fault(pin, "let go", err))
			continue
		}
		p.driven, p.level = p.driven&^(1<<i), p.level&^(1<<i)
	}
	return errors.Join(errs...)
}

// Close lets all pins go and gives them back. It may be called again.
func (p *Pads) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	for _, pin := range p.pins {
		pin.pull = periph.Float
	}
	// An input first: kernels exist that keep a given-back output driven.
	err := p.letGo()
	for _, pin := range p.pins {
		pin.giveBack()
	}
	if p.after != nil {
		err = errors.Join(err, p.after())
	}
	return err
}

func (p *Pads) fault(pin *padPin, op string, err error) error {
	return &wire.Fault{Part: p.conf.Part, Op: fmt.Sprintf("%s %s (pin %s)", op, pin.Name(), pin.pin.Name()), Err: fmt.Errorf("not done: %w", err)}
}
