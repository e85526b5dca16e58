package debugport_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"periph.io/x/conn/v3/gpio"

	"rigor/fixtures/virtual/chip"
	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/wire"
	"rigor/rigs/rigtest"
	"rigor/suites/debugport"
)

// mux is a relay that puts an open unit in the place of the device on the pads while its
// line is asserted. It sticks there at the release that is counted out.
type mux struct {
	open    *chip.Net
	sticksN int // the release at which it sticks; 0: never

	mu       sync.Mutex
	over     bool
	releases int
}

func newMux(t *testing.T, sticks int) *mux {
	t.Helper()
	c, err := chip.Part("nrf52", chip.Open)
	require.NoError(t, err)
	return &mux{open: chip.OnPads(c), sticksN: sticks}
}

func (m *mux) is() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.over
}

// plant has the rig and the table of drivers know it.
func (m *mux) plant() rigtest.Planted {
	return rigtest.Planted{
		File: func(f *rig.File) {
			f.Lines["mux"] = &rig.Line{Driver: "virtual", Line: "mux"}
			f.Pads.Golden = "mux"
		},
		Drivers: func(d rig.Drivers) {
			lines, pads := d.Line["virtual"], d.Pads["virtual"]
			d.Line["virtual"] = func(ctx context.Context, l *rig.Line, env rig.Env) (wire.Line, error) {
				if l.Line == "mux" {
					return muxLine{m}, nil
				}
				return lines(ctx, l, env)
			}
			d.Pads["virtual"] = func(ctx context.Context, p *rig.Pads, env rig.Env) (wire.Pads, error) {
				dut, err := pads(ctx, p, env)
				if err != nil {
					return nil, err
				}
				return m.pads(dut.(wire.Player), p.Names(), p.At), nil
			}
		},
	}
}

type muxLine struct{ *mux }

func (l muxLine) Assert(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	return nil
}

func (l muxLine) Release(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		l.releases++
	}
	l.over = l.over && l.sticksN > 0 && l.releases >= l.sticksN
	return nil
}

// Asserted tells what the line is, as a relay's coil does; where its contact is nobody reads.
func (l muxLine) Asserted(context.Context) (bool, error)        { return false, nil }
func (l muxLine) Wait(context.Context, bool) (time.Time, error) { return time.Now(), nil }
func (l muxLine) Close() error                                  { return nil }

// muxPads are the pads behind the relay.
type muxPads struct {
	wire.Player
	m    *mux
	to   map[int]int // our pin: that of the open unit's board
	pins []gpio.PinIO
}

func (m *mux) pads(dut wire.Player, names []string, at map[string]string) wire.Pads {
	p := &muxPads{Player: dut, m: m, to: map[int]int{}}
	for i, name := range names {
		for j, pin := range m.open.Pads().Pins() {
			if pin.Name() == at[name] {
				p.to[i] = j
			}
		}
		pin := &muxPin{PinIO: dut.Pins()[i], m: m}
		if j, ok := p.to[i]; ok {
			pin.open = m.open.Pads().Pins()[j]
		}
		p.pins = append(p.pins, pin)
	}
	return p
}

func (p *muxPads) Pins() []gpio.PinIO { return p.pins }

func (p *muxPads) Play(ctx context.Context, steps []wire.PadStep, got []uint32) (int, error) {
	if !p.m.is() {
		return p.Player.Play(ctx, steps, got)
	}
	turned := make([]wire.PadStep, len(steps))
	for k, s := range steps {
		turned[k].Read = s.Read
		for i, j := range p.to {
			turned[k].Drive |= s.Drive >> i & 1 << j
			turned[k].Level |= s.Level >> i & 1 << j
		}
	}
	n, err := p.m.open.Pads().Play(ctx, turned, got)
	for k := range min(n, len(got)) {
		v := uint32(0)
		for i, j := range p.to {
			v |= got[k] >> j & 1 << i
		}
		got[k] = v
	}
	return n, err
}

type muxPin struct {
	gpio.PinIO
	m    *mux
	open gpio.PinIO
}

func (p *muxPin) now() gpio.PinIO {
	if p.open != nil && p.m.is() {
		return p.open
	}
	return p.PinIO
}
func (p *muxPin) In(pull gpio.Pull, edge gpio.Edge) error { return p.now().In(pull, edge) }
func (p *muxPin) Out(l gpio.Level) error                  { return p.now().Out(l) }
func (p *muxPin) Read() gpio.Level                        { return p.now().Read() }

// TestGolden: an open unit that stays on the pads where the device is to be is not the
// device: what it lets in is no failure of that.
func TestGolden(t *testing.T) {
	if testing.Short() {
		t.Skip("some seconds")
	}
	const present, persist = "dbg-swd-present", "dbg-lock-persist[reboot]"
	for name, c := range map[string]struct {
		sticks            int
		present, persists string
	}{
		"the relay works":                      {0, "pass", "pass"},
		"it sticks behind the first look":      {1, "inconclusive.control-failed", "inconclusive.control-failed"},
		"it sticks behind the second, at once": {2, "pass", "inconclusive.control-failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := map[string]string{}
			for i, res := 0, rigtest.Run(t, debugport.Suite, newMux(t, c.sticks).plant(), present, persist); i < len(res.Cases); i++ {
				got[res.Cases[i].ID] = rigtest.Judged(&res.Cases[i])
			}
			assert.Equal(t, c.present, got[present])
			assert.Equal(t, c.persists, got[persist])
		})
	}
}

// TestChainThatNobodyDeclared: a chain that answers where the profile knows of serial wire
// alone contradicts that the checks of JTAG do not apply.
func TestChainThatNobodyDeclared(t *testing.T) {
	if testing.Short() {
		t.Skip("some seconds")
	}
	t.Parallel()
	res := rigtest.Run(t, debugport.Suite, rigtest.Planted{Profile: func(p *profile.Profile) {
		delete(p.Debug.Ports.Items, "radio")
		p.Debug.Ports.Items["jtag"] = &profile.DebugPort{None: profile.None{None: "its pads are not led out"}}
		p.Debug.Ports.Order = []string{"swd", "jtag"}
	}}, "dbg-undeclared", "dbg-jtag-locked", "dbg-swd-multidrop")
	got := map[string]string{}
	for i := range res.Cases {
		got[res.Cases[i].ID] = rigtest.Judged(&res.Cases[i])
	}
	assert.Equal(t, "fail.undeclared", got["dbg-undeclared"])
	assert.Equal(t, "fail.contradiction", got["dbg-jtag-locked"])
	assert.Equal(t, "pass", got["dbg-swd-multidrop"])
}
