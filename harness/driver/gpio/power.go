package gpio

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rigor/harness/wire"
)

// maxSettle is the longest settling time that makes sense of a relay.
const maxSettle = time.Minute

// PowerConfig describes a relay in the DUT's supply.
type PowerConfig struct {
	// NormallyClosed says that the supply is on while the line is released.
	NormallyClosed bool
	// OnSettle and OffSettle are how long the rail takes to follow, 0 to 1 min:
	// bounce of the contact, capacitors that have to drain.
	OnSettle, OffSettle time.Duration
}

// Power is a relay on a line.
type Power struct {
	line wire.Line
	part wire.Part
	conf PowerConfig
}

var _ wire.Power = (*Power)(nil)

// NewPower makes a power switch of a line. It owns the line and closes it. It
// switches nothing: until the first On or Off the relay is where the wiring
// has it.
func NewPower(part wire.Part, line wire.Line, conf PowerConfig) (*Power, error) {
	if part == "" || line == nil {
		return nil, errors.New("a power switch needs a part name and a line")
	}
	for _, d := range []time.Duration{conf.OnSettle, conf.OffSettle} {
		if d < 0 || d > maxSettle {
			return nil, fmt.Errorf("%s: settling time %v: want 0 to %v", part, d, maxSettle)
		}
	}
	return &Power{line: line, part: part, conf: conf}, nil
}

// On closes the supply and waits until it has settled.
func (p *Power) On(ctx context.Context) error {
	return p.set(ctx, !p.conf.NormallyClosed, p.conf.OnSettle, "on")
}

// Off opens the supply and waits until it has settled.
func (p *Power) Off(ctx context.Context) error {
	return p.set(ctx, p.conf.NormallyClosed, p.conf.OffSettle, "off")
}

func (p *Power) set(ctx context.Context, assert bool, settle time.Duration, what string) error {
	do := p.line.Release
	if assert {
		do = p.line.Assert
	}
	if err := do(ctx); err != nil {
		return &wire.Fault{Part: p.part, Op: "switch " + what, Err: err}
	}
	timer := time.NewTimer(settle)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: switched %s, but %v of settling cut short: %w", p.part, what, settle, ctx.Err())
	}
}

// State says where the relay's input is: what we drive, or else the level on
// the wire.
func (p *Power) State(ctx context.Context) (wire.PowerState, error) {
	asserted, err := p.line.Asserted(ctx)
	if err != nil {
		return wire.PowerUnknown, &wire.Fault{Part: p.part, Op: "read the state", Err: err}
	}
	if asserted != p.conf.NormallyClosed {
		return wire.PowerOn, nil
	}
	return wire.PowerOff, nil
}

// Close lets go of the relay, which falls to where the wiring has it.
func (p *Power) Close() error { return p.line.Close() }

// Group is several lines that act together, such as the straps of a boot mode.
type Group []*Line

// Assert asserts the lines in order. When one fails, those before it are
// released again.
func (g Group) Assert(ctx context.Context) error {
	for i, l := range g {
		if err := l.Assert(ctx); err != nil {
			return errors.Join(err, g[:i+1].Release(ctx))
		}
	}
	return nil
}

// Release lets all lines go, in reverse order, whatever one of them says.
func (g Group) Release(ctx context.Context) error {
	var errs []error
	for i := len(g) - 1; i >= 0; i-- {
		errs = append(errs, g[i].Release(ctx))
	}
	return errors.Join(errs...)
}

// Close closes all lines.
func (g Group) Close() error {
	var errs []error
	for _, l := range g {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
