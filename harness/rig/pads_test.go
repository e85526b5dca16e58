package rig

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"periph.io/x/conn/v3/gpio"

	"rigor/harness/profile"
	"rigor/harness/wire"
)

const padRig = "rig: a\nprofile: p.yaml\n"

// TestPadsAreParsed: in the order of the file, and with what is wrong about them.
func TestPadsAreParsed(t *testing.T) {
	f, err := Parse("r.yaml", []byte(padRig+"pads: {driver: gpio, at: {J3.4: GPIO25, J3.2: GPIO24, TP1: GPIO23}}\n"))
	require.NoError(t, err)
	assert.Equal(t, []string{"J3.4", "J3.2", "TP1"}, f.Pads.Names())
	var keys []string
	for _, r := range Resources(f) {
		keys = append(keys, r.Key)
	}
	assert.Equal(t, []string{"gpio GPIO23", "gpio GPIO24", "gpio GPIO25", "rig a"}, keys)
	assert.Nil(t, (*Pads)(nil).Names())
	for name, c := range map[string]struct{ text, want string }{
		"one pad":          {"pads: {driver: gpio, at: {J3.4: GPIO25}}", "1 pads are wired"},
		"two on one pin":   {"pads: {driver: gpio, at: {J3.4: GPIO25, J3.2: GPIO25}}", "claimed twice"},
		"a line's pin":     {"lines: {led: {driver: gpio, line: GPIO25, active: high}}\npads: {driver: gpio, at: {J3.4: GPIO25, J3.2: GPIO24}}", "claimed twice"},
		"no such line":     {"pads: {driver: gpio, golden: mux, at: {J3.4: GPIO25, J3.2: GPIO24}}", `no line "mux" is declared`},
		"nowhere":          {"pads: {driver: remote-bitbang, at: {J3.4: tck, J3.2: tms}}", "has no address"},
		"an odd address":   {"pads: {driver: remote-bitbang, address: here, at: {J3.4: tck, J3.2: tms}}", `address is "here"`},
		"a socket's path":  {"pads: {driver: openocd, address: /run/ocd, at: {J3.4: TCK, J3.2: TMS}}", `address is "/run/ocd"; write it as HOST:PORT`},
		"no OpenOCD":       {"pads: {driver: openocd, at: {J3.4: TCK, J3.2: TMS}}", "has no address"},
		"somebody's key":   {"pads: {driver: virtual, chip: a, at: {J3.4: tck, J3.2: tms}}", "driver virtual has no chip"},
		"nobody drives it": {"pads: {driver: jlink, at: {J3.4: tck, J3.2: tms}}", `driver is "jlink"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("r.yaml", []byte(padRig+c.text+"\n"))
			assert.ErrorContains(t, err, c.want)
		})
	}
}

// padPin is a pin that remembers what was done to it.
type padPin struct {
	gpio.PinIO
	name string
	out  []gpio.Level
	ins  int
	err  error
}

func (p *padPin) Name() string                  { return p.name }
func (p *padPin) Read() gpio.Level              { return gpio.Low }
func (p *padPin) In(gpio.Pull, gpio.Edge) error { p.ins++; return p.err }
func (p *padPin) Out(l gpio.Level) error        { p.out = append(p.out, l); return p.err }

type fakePads struct {
	pins   []gpio.PinIO
	closed bool
}

func (p *fakePads) Pins() []gpio.PinIO { return p.pins }
func (p *fakePads) Close() error       { p.closed = true; return nil }

// TestPadsAreBound: behind a gate that makes faults of errors, and that is shut with the
// bench; each pin is let go when the rig is made safe.
func TestPadsAreBound(t *testing.T) {
	f, err := Parse("r.yaml", []byte(padRig+"pads: {driver: gpio, at: {J3.4: GPIO25, J3.2: GPIO24}}\n"))
	require.NoError(t, err)
	pin := &padPin{name: "J3.4"}
	raw := &fakePads{pins: []gpio.PinIO{pin, &padPin{name: "J3.2"}}}
	drivers := Drivers{Pads: map[string]func(context.Context, *Pads, Env) (wire.Pads, error){
		"gpio": func(_ context.Context, p *Pads, env Env) (wire.Pads, error) {
			assert.Equal(t, PadsPart, env.Part)
			return raw, nil
		}}}
	b, err := Bind(t.Context(), f, nil, drivers, Env{})
	require.NoError(t, err)
	assert.Contains(t, b.Parts(), PadsPart)
	require.NoError(t, b.Pads.Pins()[0].Out(gpio.High))
	assert.Equal(t, []gpio.Level{gpio.High}, pin.out)
	pin.err = errors.New("gone")
	_, fault := wire.AsFault(b.Pads.Pins()[0].Out(gpio.Low))
	assert.True(t, fault)
	pin.err = nil
	before := pin.ins
	acts, err := Safe(t.Context(), b)
	require.NoError(t, err)
	require.Len(t, acts, 1)
	assert.Equal(t, SafeAct{Part: PadsPart, Do: "release", Took: acts[0].Took}, acts[0])
	assert.Equal(t, before+1, pin.ins)
	found := Doctor(t.Context(), PhaseBefore, b, f, &profile.Profile{}, Probe{})
	says := ""
	for _, d := range found {
		if d.Item == "idle-levels" {
			says = d.Status + ": " + d.Detail
		}
	}
	assert.Equal(t, "ok: J3.4 held-low, J3.2 held-low", says)
	require.NoError(t, b.Close())
	assert.True(t, raw.closed)
	require.ErrorIs(t, b.Pads.Pins()[0].Out(gpio.High), ErrClosed)

	drivers.Pads["gpio"] = func(context.Context, *Pads, Env) (wire.Pads, error) {
		return nil, &wire.Fault{Part: PadsPart, Op: "open", Err: errors.New("no chip")}
	}
	b, err = Bind(t.Context(), f, nil, drivers, Env{})
	require.NoError(t, err)
	require.Error(t, b.Missing[PadsPart])
	require.Len(t, b.Pads.Pins(), 2)
	assert.Equal(t, "J3.4", b.Pads.Pins()[0].Name())
	_, fault = wire.AsFault(b.Pads.Pins()[0].Out(gpio.High))
	assert.True(t, fault, "pads that did not open say so")
	require.NoError(t, b.Close())

	// What is driven past the kernel stays driven when its process is killed.
	f.Pads.Memory = true
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = MakeSafe(short, f, drivers, Env{})
	require.ErrorContains(t, err, "no chip")
	drivers.Pads["gpio"] = func(context.Context, *Pads, Env) (wire.Pads, error) { return raw, nil }
	before = pin.ins
	acts, err = MakeSafe(t.Context(), f, drivers, Env{})
	require.NoError(t, err)
	require.Len(t, acts, 1)
	assert.Equal(t, PadsPart, acts[0].Part)
	assert.Equal(t, before+1, pin.ins)

	drivers.Pads["gpio"] = func(context.Context, *Pads, Env) (wire.Pads, error) { return &fakePads{}, nil }
	_, err = Bind(t.Context(), f, nil, drivers, Env{})
	assert.ErrorContains(t, err, "gave 0 pins for 2 pads")
}
