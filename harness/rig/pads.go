package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"periph.io/x/conn/v3/gpio"

	"rigor/harness/dap"
	"rigor/harness/debugport/idle"
	"rigor/harness/wire"
)

// Pads are pads of the DUT that are wired to pins of ours, all by one driver: those of a
// debug connector, and others among which there may be a debug port.
type Pads struct {
	Driver  string            `yaml:"driver"` // gpio, remote-bitbang, openocd, virtual
	Chip    string            `yaml:"chip"`
	Address string            `yaml:"address"` // HOST:PORT, or the path of a socket
	At      map[string]string `yaml:"at"`      // the pad, as the board calls it: our pin
	Rate    int               `yaml:"rate"`    // of the clock, in Hz; the driver's own where it is 0
	// Memory drives gpio pins through the registers of a Raspberry Pi 0 to 4.
	Memory bool `yaml:"memory"`
	// DAP is the debug port of an OpenOCD; the only one that it has where it is empty.
	DAP string `yaml:"dap"`
	// Buffered says that a level shifter or another adapter stands between our pins and the
	// board: what holds a pad may be that.
	Buffered bool `yaml:"buffered"`
	// Golden is the line of the rig that puts an open unit of the model in the DUT's
	// place, on the same wires, while it is asserted.
	Golden string `yaml:"golden"`

	// Never are pads that no search drives: outputs of the board, its reset, its supply.
	Never []string `yaml:"never"`

	order []string
}

// PadsPart names the pads in faults and results.
const PadsPart wire.Part = "pads"

// maxPads is how many pads wire.Pads can have.
const maxPads = 32

// Names gives the pads in the order of the rig file.
func (p *Pads) Names() []string {
	if p == nil {
		return nil
	}
	if len(p.order) == len(p.At) {
		return slices.Clone(p.order)
	}
	return sortedKeys(p.At)
}

// stays says whether what a process drove stays driven when that is killed: past the
// kernel, which else lets go of a line, or at the other end of a connection, where a
// reset may be held.
func (p *Pads) stays() bool { return p != nil && (p.Memory || p.Driver == "remote-bitbang") }

func (l *fileLint) pads() {
	p, at := l.f.Pads, []string{"pads"}
	if p == nil {
		return
	}
	l.driver("pads", at, p.Driver)
	p.order = l.f.Source.Keys("pads", "at")
	if n := len(p.At); n < 2 || n > maxPads {
		l.errorf(append(at, "at"), "write at: {J3.2: GPIO24, J3.4: GPIO25}, with 2 to 32 pads", "%d pads are wired", n)
	}
	if p.Rate < 0 || p.Rate > 50_000_000 {
		l.errorf(append(at, "rate"), "write a number of Hz up to 50000000", "rate is %d", p.Rate)
	}
	// An OpenOCD's commands come in by TCP alone.
	if socket := strings.HasPrefix(p.Address, "/") && p.Driver != "openocd"; p.Address != "" && !socket {
		remedy := "write it as HOST:PORT, or as the path of a socket"
		if p.Driver == "openocd" {
			remedy = "write it as HOST:PORT"
		}
		if _, port, err := net.SplitHostPort(p.Address); err != nil || !portForm(port) {
			l.errorf(append(at, "address"), remedy, "address is %q", p.Address)
		}
	}
	if p.Golden != "" && l.f.Lines[p.Golden] == nil {
		l.errorf(append(at, "golden"), near(p.Golden, sortedKeys(l.f.Lines)), "no line %q is declared", p.Golden)
	}
	for i, pad := range p.Never {
		if _, ok := p.At[pad]; !ok {
			l.errorf([]string{"pads", "never", strconv.Itoa(i)}, near(pad, p.Names()), "no pad %q is wired", pad)
		}
	}
	for _, pad := range p.Names() {
		at := []string{"pads", "at", pad}
		switch pin := p.At[pad]; {
		case pin == "" || strings.TrimSpace(pad) != pad || pad == "":
			l.errorf(at, "write PAD: PIN", "pad %q has no pin", pad)
		case p.Driver == "gpio":
			l.claimLine(at, p.Chip, pin)
		default:
			l.claim(at, p.Driver+" pin "+pin)
		}
	}
}

// gatedPads are pads behind their gate.
type gatedPads struct {
	gate
	raw  wire.Pads
	pins []gpio.PinIO
}

// gatedPlayer are those that take many steps in one call.
type gatedPlayer struct {
	*gatedPads
	player wire.Player
}

func gatePads(g *gatedPads) wire.Pads {
	for _, pin := range g.raw.Pins() {
		g.pins = append(g.pins, &gatedPin{PinIO: pin, g: g})
	}
	if p, ok := g.raw.(wire.Player); ok {
		return &gatedPlayer{g, p}
	}
	if a, ok := g.raw.(dap.Adapter); ok {
		return &gatedAdapter{g, a}
	}
	return g
}

// Pins gives the pins behind the gate. What they do is not metered: a clock is many
// thousands of calls.
func (g *gatedPads) Pins() []gpio.PinIO { return g.pins }

// Close lets all pins go.
func (g *gatedPads) Close() error { return g.shut(g.raw.Close) }

// Play plays a waveform.
func (g *gatedPlayer) Play(ctx context.Context, steps []wire.PadStep, got []uint32) (n int, err error) {
	err = g.do(ctx, "play", func() (err error) { n, err = g.player.Play(ctx, steps, got); return err })
	return n, err
}

// letGo makes inputs of all pads. An adapter drives its own as it likes, and nothing can be
// said to a single one.
func letGo(ctx context.Context, pads wire.Pads) error {
	if _, ok := pads.(dap.Adapter); ok {
		return nil
	}
	if p, ok := pads.(wire.Player); ok {
		if _, err := p.Play(ctx, []wire.PadStep{{}}, nil); err != nil {
			return fmt.Errorf("let the pads go: %w", err)
		}
		return nil
	}
	for _, pin := range pads.Pins() {
		if err := pin.In(gpio.PullNoChange, gpio.NoEdge); err != nil {
			return fmt.Errorf("let pad %s go: %w", pin.Name(), err)
		}
	}
	return nil
}

// gatedPin is one pin behind the gate of its pads.
type gatedPin struct {
	gpio.PinIO
	g *gatedPads
}

func (p *gatedPin) fault(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := wire.AsFault(err); ok || isUnsupported(err) {
		return err
	}
	return &wire.Fault{Part: p.g.part, Op: op + " " + p.Name(), Err: err}
}

// In makes an input of it.
func (p *gatedPin) In(pull gpio.Pull, edge gpio.Edge) error {
	if p.g.closed.Load() {
		return p.fault("in", ErrClosed)
	}
	err := p.PinIO.In(pull, edge)
	if err != nil && (pull == gpio.PullUp || pull == gpio.PullDown || pull == gpio.Float) {
		if _, ok := wire.AsFault(err); !ok { // it has none to switch
			return fmt.Errorf("pad %s with pull %v: %w: %w", p.Name(), pull, wire.ErrUnsupported, err)
		}
	}
	return p.fault("in", err)
}

// Out drives it.
func (p *gatedPin) Out(l gpio.Level) error {
	if p.g.closed.Load() {
		return p.fault("out", ErrClosed)
	}
	return p.fault("out", p.PinIO.Out(l))
}

// brokenPads stand for pads that did not open.
type brokenPads struct {
	err   error
	names []string
}

// Pins gives pins that answer with the fault.
func (b brokenPads) Pins() (out []gpio.PinIO) {
	for _, name := range b.names {
		out = append(out, brokenPin{gpio.INVALID, name, b.err})
	}
	return out
}

// Close does nothing.
func (b brokenPads) Close() error { return nil }

// Play gives the fault.
func (b brokenPads) Play(context.Context, []wire.PadStep, []uint32) (int, error) { return 0, b.err }

type brokenPin struct {
	gpio.PinIO
	name string
	err  error
}

func (p brokenPin) Name() string                  { return p.name }
func (p brokenPin) String() string                { return p.name }
func (p brokenPin) In(gpio.Pull, gpio.Edge) error { return p.err }
func (p brokenPin) Out(gpio.Level) error          { return p.err }

// bindPads opens the pads.
func (b *Bench) bindPads(ctx context.Context, d Drivers, env Env) error {
	if b.File.Pads == nil {
		return nil
	}
	raw, err := bindPart(ctx, b, env.at(PadsPart, ""), d.Pads, b.File.Pads.Driver, b.File.Pads)
	if err != nil {
		return err
	}
	if raw == nil {
		b.Pads = brokenPads{b.Missing[PadsPart], b.File.Pads.Names()}
		return nil
	}
	if n := len(raw.Pins()); n != len(b.File.Pads.At) {
		return fmt.Errorf("%s: driver %s gave %d pins for %d pads", PadsPart, b.File.Pads.Driver, n, len(b.File.Pads.At))
	}
	b.rawPads = raw
	b.Pads = gatePads(&gatedPads{gate: gate{part: PadsPart, meter: b.Meter}, raw: raw})
	return nil
}

// pads says what each pad does while nobody drives it.
func (v *visit) pads() {
	if v.bench == nil || v.bench.Pads == nil || v.bench.Missing[PadsPart] != nil {
		return
	}
	const item = "idle-levels"
	var seen []idle.Pad
	err := v.bounded(lookWithin, func(ctx context.Context) (err error) {
		seen, err = idle.Read(ctx, v.bench.Pads)
		return err
	})
	if err != nil {
		v.broken(item, PadsPart, "%v", err)
		return
	}
	text := make([]string, len(seen))
	untold := 0
	for i, p := range seen {
		text[i] = p.String()
		if p.State == idle.Unread {
			untold++
		}
	}
	if untold == len(seen) {
		v.skipped(item, PadsPart, "our pins have no pulls to switch: what holds a pad cannot be told")
		return
	}
	v.ok(item, PadsPart, "%s", strings.Join(text, ", "))
}

func isUnsupported(err error) bool { return errors.Is(err, wire.ErrUnsupported) }
