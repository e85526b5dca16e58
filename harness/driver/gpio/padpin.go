package gpio

import (
	"errors"
	"fmt"
	"os"
	"time"

	periph "periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/host/v3/gpioioctl"

	"rigor/harness/wire"
)

// OpenPads takes lines of this computer as Open does, all or none.
func OpenPads(conf PadsConfig) (*Pads, error) {
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	fail := func(pad PadConfig, err error) error {
		return &wire.Fault{Part: conf.Part, Op: fmt.Sprintf("open GPIO line %q for pad %s", pad.Line, pad.Name), Err: err}
	}
	if err := start(); err != nil {
		return nil, fail(conf.Pads[0], fmt.Errorf("%w: %w", ErrNoLine, err))
	}
	var regs *registers
	if conf.Memory {
		var err error
		if regs, err = openRegisters(); err != nil {
			return nil, &wire.Fault{Part: conf.Part, Op: "open the pins' registers (memory: true)", Err: err}
		}
	}
	all := chips()
	var pins []*padPin
	taken := map[periph.PinIO]string{}
	for _, pad := range conf.Pads {
		found, err := find(pad.Line, all)
		if err != nil {
			return nil, errors.Join(fail(pad, err), regs.close())
		}
		if other, twice := taken[found.pin]; twice {
			return nil, errors.Join(fail(pad, fmt.Errorf("pad %s has it", other)), regs.close())
		}
		taken[found.pin] = pad.Name
		pin := &padPin{pin: found.pin}
		if line, ok := found.pin.(*gpioioctl.GPIOLine); ok {
			pin.release = line.Close
			if line.Name() != "" && line.Name() != "-" && line.Name() != "_" {
				pin.source = found.sets
			}
		}
		if regs != nil {
			mem, err := regs.take(found)
			if err != nil {
				return nil, errors.Join(fail(pad, err), regs.close())
			}
			pin.pin, pin.source = mem, regs.source
		}
		pins = append(pins, pin)
	}
	p, err := newPads(pins, conf)
	if err != nil {
		return nil, errors.Join(err, regs.close())
	}
	p.after = regs.close
	return p, nil
}

// lineSets is the source of sets of inputs of a chip of the character device.
func lineSets(c *gpioioctl.GPIOChip) *source {
	return &source{dear: true, open: func(pins []*padPin) (inputs, error) {
		conf := &gpioioctl.LineSetConfig{DefaultDirection: gpioioctl.LineInput, DefaultPull: periph.Float}
		byPull := map[periph.Pull][]string{}
		for _, p := range pins {
			conf.Lines = append(conf.Lines, p.pin.Name())
			if p.pull != periph.Float {
				byPull[p.pull] = append(byPull[p.pull], p.pin.Name())
			}
		}
		for pull, names := range byPull {
			if err := conf.AddOverrides(gpioioctl.LineInput, periph.NoEdge, pull, names...); err != nil {
				return nil, err
			}
		}
		return c.LineSetFromConfig(conf)
	}}
}

// padPin is one pad by itself, under the wiring's name.
type padPin struct {
	pin     periph.PinIO
	pull    periph.Pull
	release func()  // gives the pin back to the kernel, may be nil
	source  *source // where a set with it is to be had, may be nil

	pads  *Pads
	index int
}

var _ periph.PinIO = (*padPin)(nil)

func (n *padPin) giveBack() {
	if n.release != nil {
		n.release()
	}
}

// In lets the pad go, with our own resistor at it where the pin has one to switch. On
// the character device a chip may have none and not say so: what a pull did, a reading
// shows.
func (n *padPin) In(pull periph.Pull, edge periph.Edge) error {
	p := n.pads
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return p.fault(n, "let go", os.ErrClosed)
	}
	if edge != periph.NoEdge {
		return p.fault(n, "look for edges on", wire.ErrUnsupported)
	}
	if pull == periph.PullNoChange {
		pull = n.pull
	}
	bit := uint32(1) << n.index
	if err := p.ungroup(bit); err != nil {
		return err
	}
	if err := n.pin.In(pull, periph.NoEdge); err != nil {
		return p.fault(n, "let go", err)
	}
	n.pull = pull
	p.driven, p.level, p.moved = p.driven&^bit, p.level&^bit, time.Now()
	return nil
}

// Out drives the pad.
func (n *padPin) Out(l periph.Level) error {
	p := n.pads
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return p.fault(n, "drive", os.ErrClosed)
	}
	bit := uint32(1) << n.index
	level := p.level &^ bit
	if l {
		level |= bit
	}
	p.moved = time.Now()
	return p.set(p.driven|bit, level)
}

// Read gives the level of the pad, from memory while we drive it. Behind an In or an Out
// of any of the pads half a period goes by first, as in Play: the wires that need a slow
// clock need it here as well.
func (n *padPin) Read() periph.Level {
	p := n.pads
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return periph.Low
	}
	if due := p.conf.HalfPeriod - time.Since(p.moved); due > 0 {
		<-time.After(due) // a second at most
	}
	got, err := p.look()
	return periph.Level(err == nil && got>>n.index&1 != 0)
}

func (n *padPin) WaitForEdge(time.Duration) bool { return false }
func (n *padPin) Pull() periph.Pull              { return n.pull }
func (n *padPin) DefaultPull() periph.Pull       { return n.pin.DefaultPull() }
func (n *padPin) PWM(periph.Duty, physic.Frequency) error {
	return n.pads.fault(n, "modulate", wire.ErrUnsupported)
}
func (n *padPin) Name() string     { return n.pads.conf.Pads[n.index].Name }
func (n *padPin) String() string   { return n.Name() + " on " + n.pin.Name() }
func (n *padPin) Number() int      { return n.index }
func (n *padPin) Function() string { return "" }
func (n *padPin) Halt() error      { return nil }
