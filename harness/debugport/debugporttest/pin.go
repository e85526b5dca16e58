package debugporttest

import (
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"
)

// pin is one pin of a Wave.
type pin struct {
	w    *Wave
	name string
	bit  uint32
}

func (p *pin) String() string                        { return p.name }
func (p *pin) Halt() error                           { return nil }
func (p *pin) Name() string                          { return p.name }
func (p *pin) Number() int                           { return -1 }
func (p *pin) Function() string                      { return "" }
func (p *pin) WaitForEdge(time.Duration) bool        { return false }
func (p *pin) Pull() gpio.Pull                       { return gpio.Float }
func (p *pin) DefaultPull() gpio.Pull                { return gpio.Float }
func (p *pin) PWM(gpio.Duty, physic.Frequency) error { return p.w.Err }

// In lets it go.
func (p *pin) In(gpio.Pull, gpio.Edge) error {
	p.w.drive &^= p.bit
	return p.set()
}

// Out drives it.
func (p *pin) Out(l gpio.Level) error {
	p.w.drive |= p.bit
	p.w.level &^= p.bit
	if l {
		p.w.level |= p.bit
	}
	return p.set()
}

func (p *pin) set() error {
	if p.w.Err != nil {
		return p.w.Err
	}
	p.w.now = p.w.Step(p.w.drive, p.w.level&p.w.drive)
	return nil
}

// Read gives the level that is there.
func (p *pin) Read() gpio.Level { return p.w.now&p.bit != 0 }
