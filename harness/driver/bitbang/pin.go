package bitbang

import (
	"context"
	"errors"
	"fmt"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"

	"rigor/harness/wire"
)

// pin is one wire by itself.
type pin struct {
	pads  *Pads
	index int
}

var _ gpio.PinIO = (*pin)(nil)

// change plays what is on the wires now with this pin changed. A pin's own methods
// have no context: the connection's timeout bounds them.
func (p *pin) change(drive, level, read bool) (uint32, error) {
	ctx, cancel := context.WithTimeout(p.pads.base, p.pads.conf.Timeout)
	defer cancel()
	p.pads.mu.Lock()
	s := p.pads.step
	p.pads.mu.Unlock()
	bit := uint32(1) << p.index
	if !read {
		s.Drive, s.Level = s.Drive&^bit, s.Level&^bit
		if drive {
			s.Drive |= bit
		}
		if level {
			s.Level |= bit
		}
	}
	s.Read = read
	got := make([]uint32, 1)
	_, err := p.pads.Play(ctx, []wire.PadStep{s}, got)
	return got[0] & bit, err
}

// In lets the pin go. The peer has no resistors to switch.
func (p *pin) In(pull gpio.Pull, edge gpio.Edge) error {
	if pull == gpio.PullUp || pull == gpio.PullDown {
		return fmt.Errorf("%s: not done: %w: no resistor to switch over remote bitbang", p.Name(), wire.ErrUnsupported)
	}
	if edge != gpio.NoEdge {
		return fmt.Errorf("%s: not done: %w: no edges over remote bitbang", p.Name(), wire.ErrUnsupported)
	}
	_, err := p.change(false, false, false)
	return err
}

// Out drives the pin.
func (p *pin) Out(l gpio.Level) error {
	_, err := p.change(true, bool(l), false)
	return err
}

// Read gives Low where the peer does not answer; the next In or Out says so.
func (p *pin) Read() gpio.Level {
	got, err := p.change(false, false, true)
	return gpio.Level(err == nil && got != 0)
}

func (p *pin) WaitForEdge(time.Duration) bool { return false }
func (p *pin) Pull() gpio.Pull                { return gpio.PullNoChange }
func (p *pin) DefaultPull() gpio.Pull         { return gpio.PullNoChange }
func (p *pin) PWM(gpio.Duty, physic.Frequency) error {
	return errors.New("remote bitbang has no PWM")
}
func (p *pin) Name() string     { return p.pads.conf.Pads[p.index].name() }
func (p *pin) String() string   { return p.Name() }
func (p *pin) Number() int      { return p.index }
func (p *pin) Function() string { return string(p.pads.conf.Pads[p.index].Role) }
func (p *pin) Halt() error      { return nil }
