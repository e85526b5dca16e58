package openocd

import (
	"context"
	"fmt"

	"periph.io/x/conn/v3/gpio"

	"rigor/harness/dap"
	"rigor/harness/wire"
)

// Pads are pads that lead to OpenOCD's adapter. They are known by name, and nothing can be
// done to a single one.
type Pads struct {
	d    *DAP
	pins []gpio.PinIO
}

var (
	_ wire.Pads   = (*Pads)(nil)
	_ dap.Adapter = (*Pads)(nil)
)

// Open dials as Dial does, for pads with these names.
func Open(ctx context.Context, part wire.Part, address, name string, pads []string) (*Pads, error) {
	d, err := Dial(ctx, part, address, name)
	if err != nil {
		return nil, err
	}
	p := &Pads{d: d}
	for _, n := range pads {
		p.pins = append(p.pins, pin{gpio.INVALID, n})
	}
	return p, nil
}

// Pins gives pins that can do nothing.
func (p *Pads) Pins() []gpio.PinIO { return p.pins }

// DebugPort gives the port.
func (p *Pads) DebugPort() dap.Transport { return p.d }

// Close ends the connection.
func (p *Pads) Close() error { return p.d.Close() }

// pin is one of them.
type pin struct {
	gpio.PinIO
	name string
}

func (p pin) Name() string   { return p.name }
func (p pin) String() string { return p.name }

func (p pin) unsupported() error {
	return fmt.Errorf("pad %s is the adapter's: %w", p.name, wire.ErrUnsupported)
}

// In cannot be done.
func (p pin) In(gpio.Pull, gpio.Edge) error { return p.unsupported() }

// Out cannot be done.
func (p pin) Out(gpio.Level) error { return p.unsupported() }
