package profile_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/profile"
)

// TestDebug: what can be declared of debug ports, and what cannot.
func TestDebug(t *testing.T) {
	const good = `profile: a
consoles: {main: {}}
debug:
  ports:
    swd: {protocol: swd, pads: {clk: J3.2, io: J3.4, vref: J3.1}, dp: {version: 2, targets: [0x01002927]}, level: L1, lock: nrf52, reset: reset,
      phases: {sleep: {none: never}}, memory: [{at: 0x0, length: 64, what: flash, image: 512}]}
    old: {none: left out since rev B}
    chain: {protocol: jtag, pads: {tck: J4.1, tms: J4.2, tdi: J4.3, tdo: J4.4}, level: L1, taps: [0x4ba00477, 0]}
  loaders: {uart: {rom: stm32, console: main, enter: [{power: cycle}], permits: [erase]}}
`
	p, err := profile.Parse("p.yaml", []byte(good))
	require.NoError(t, err)
	swd := p.Debug.Ports.Items["swd"]
	assert.Equal(t, []string{"J3.1", "J3.2", "J3.4", "J4.1", "J4.2", "J4.3", "J4.4"}, p.Debug.PadNames())
	assert.Equal(t, []int64{0x4ba00477, 0}, p.Debug.Ports.Items["chain"].TAPs, "the second has no IDCODE")
	assert.Equal(t, profile.DefaultSweep, swd.SweepTime())
	assert.True(t, swd.Memory[0].Known())
	assert.True(t, p.Debug.Ports.Items["old"].Declared())
	port := "protocol: swd, pads: {clk: a, io: b}, level: L1"
	for name, c := range map[string]struct{ debug, want string }{
		"nothing":            {"{}", "debug says nothing"},
		"no protocol":        {"{ports: {swd: {level: L1}}}", `port swd speaks ""`},
		"no data":            {"{ports: {swd: {protocol: swd, pads: {clk: a}, level: L1}}}", "does not say which pad is io"},
		"another's pad":      {"{ports: {swd: {protocol: swd, pads: {clk: a, io: b, tdo: c}, level: L1}}}", `has no pad "tdo"`},
		"one pad twice":      {"{ports: {swd: {" + port + "}, two: {" + port + "}}}", "pad a is clk of swd already"},
		"no level":           {"{ports: {swd: {protocol: swd, pads: {clk: a, io: b}}}}", "how far port swd lets in is not said"},
		"no such level":      {"{ports: {swd: {protocol: swd, pads: {clk: a, io: b}, level: L6}}}", `level is "L6"`},
		"no target":          {"{ports: {swd: {" + port + ", dp: {targets: [2]}}}}", "is no target"},
		"no IDCODE":          {"{ports: {j: {protocol: jtag, pads: {tck: a, tms: b, tdi: c, tdo: d}, level: L1, taps: [2]}}}", "0x00000002 is no IDCODE"},
		"no such phase":      {"{ports: {swd: {" + port + ", phases: {lunch: {none: never}}}}}", `no phase "lunch"`},
		"a phase and no way": {"{ports: {swd: {" + port + ", phases: {sleep: {}}}}}", "how phase sleep begins is not said"},
		"an odd length":      {"{ports: {swd: {" + port + ", memory: [{at: 0, length: 3}]}}}", "has 3 bytes"},
		"an odd digest":      {"{ports: {swd: {" + port + ", memory: [{at: 0, length: 4, sha256: abc}]}}}", "in 64 small hex digits"},
		"no ROM":             {"{loaders: {u: {console: main, enter: [{power: cycle}]}}}", "what loader u speaks is not said"},
		"no such console":    {"{loaders: {u: {rom: stm32, console: mian, enter: [{power: cycle}]}}}", `no console "mian"`},
		"no way in":          {"{loaders: {u: {rom: stm32, console: main}}}", "how loader u is come to is not said"},
		"permits unlocking":  {"{loaders: {u: {rom: stm32, console: main, enter: [{power: cycle}], permits: [unlock]}}}", `a loader permits no "unlock"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := profile.Parse("p.yaml", []byte("profile: a\nconsoles: {main: {}}\ndebug: "+c.debug+"\n"))
			assert.ErrorContains(t, err, c.want)
		})
	}
}
