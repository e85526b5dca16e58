package dut

import (
	"context"
	"fmt"
	"slices"

	"periph.io/x/conn/v3/gpio"

	"rigor/harness/dap"
	"rigor/harness/debugport/idle"
	"rigor/harness/wire"
)

// PartPads names the pads of the DUT's board in faults and results.
const PartPads wire.Part = "pads"

// PadNames gives the pads that the rig is wired to, in its order.
func (d *Device) PadNames() (out []string) {
	if d.bench.Pads == nil {
		return nil
	}
	for _, pin := range d.bench.Pads.Pins() {
		out = append(out, pin.Name())
	}
	return out
}

// pads gives the pads behind the session: when that is taken back, each operation fails,
// and no pad is driven any more.
func (d *Device) pads() (wire.Pads, error) {
	if d.bench.Pads == nil {
		return nil, fmt.Errorf("pads of the board: %w", ErrNotWired)
	}
	p := &sessionPads{s: d.s, raw: d.bench.Pads}
	for _, pin := range d.bench.Pads.Pins() {
		p.pins = append(p.pins, &sessionPin{PinIO: pin, s: d.s})
	}
	if player, ok := d.bench.Pads.(wire.Player); ok {
		return &sessionPlayer{p, player}, nil
	}
	if adapter, ok := d.bench.Pads.(dap.Adapter); ok {
		return &sessionAdapter{p, adapter}, nil
	}
	return p, nil
}

// Idle reads what pads of the board do while nobody of ours drives them: all where none
// is named.
func (d *Device) Idle(ctx context.Context, names ...string) (out []idle.Pad, err error) {
	pads, err := d.pads()
	if err != nil {
		return nil, err
	}
	if len(names) > 0 {
		pads = only(pads, names)
	}
	err = d.s.Do(ctx, PartPads, func(ctx context.Context) error {
		out, err = idle.Read(ctx, pads)
		return err
	})
	return out, err
}

// only gives those of the pads that have the names.
func only(pads wire.Pads, names []string) wire.Pads {
	s := some{pads, names}
	if a, ok := pads.(dap.Adapter); ok {
		return struct {
			some
			dap.Adapter
		}{s, a}
	}
	return s
}

// some are pads of which only those with the names count.
type some struct {
	wire.Pads
	names []string
}

// Pins gives those.
func (s some) Pins() (out []gpio.PinIO) {
	for _, p := range s.Pads.Pins() {
		if slices.Contains(s.names, p.Name()) {
			out = append(out, p)
		}
	}
	return out
}

// sessionPads are pads that the session can take back.
type sessionPads struct {
	s    *Session
	raw  wire.Pads
	pins []gpio.PinIO
}

// Pins gives the pins behind the session.
func (p *sessionPads) Pins() []gpio.PinIO { return p.pins }

// Close does nothing: the pads belong to the rig.
func (p *sessionPads) Close() error { return nil }

// sessionPlayer are those that take many steps in one call.
type sessionPlayer struct {
	*sessionPads
	player wire.Player
}

// Play plays a waveform inside the session.
func (p *sessionPlayer) Play(ctx context.Context, steps []wire.PadStep, got []uint32) (n int, err error) {
	err = p.s.Do(ctx, PartPads, func(ctx context.Context) error {
		n, err = p.player.Play(ctx, steps, got)
		return err
	})
	return n, err
}

// sessionAdapter are those whose instrument speaks to a debug port itself.
type sessionAdapter struct {
	*sessionPads
	dap.Adapter
}

// sessionPin is one pin behind the session. What comes in has no context: the session is
// asked each time.
type sessionPin struct {
	gpio.PinIO
	s *Session
}

func (p *sessionPin) do(op func() error) error {
	return p.s.Do(p.s.ctx, PartPads, func(context.Context) error { return op() })
}

// In makes an input of it.
func (p *sessionPin) In(pull gpio.Pull, edge gpio.Edge) error {
	return p.do(func() error { return p.PinIO.In(pull, edge) })
}

// Out drives it.
func (p *sessionPin) Out(l gpio.Level) error { return p.do(func() error { return p.PinIO.Out(l) }) }
