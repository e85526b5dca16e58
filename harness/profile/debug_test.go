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
    jtag: {protocol: jtag, pads: {tck: J4.1, tms: J4.2, tdi: J4.3, tdo: J4.4}, taps: [0x4ba00477, {id: 0x06413041, boundary: 'RM0090, 38.6'}, 0], level: L1}
  loaders: {uart: {rom: stm32, console: main, enter: [{power: cycle}], permits: [erase]}}
`
	p, err := profile.Parse("p.yaml", []byte(good))
	require.NoError(t, err)
	swd := p.Debug.Ports.Items["swd"]
	assert.Equal(t, []string{"J3.1", "J3.2", "J3.4", "J4.1", "J4.2", "J4.3", "J4.4"}, p.Debug.PadNames())
	assert.Equal(t, []profile.DebugTAP{{ID: 0x4ba00477}, {ID: 0x06413041, Boundary: "RM0090, 38.6"}, {}}, p.Debug.Ports.Items["jtag"].TAPs)
	assert.Equal(t, profile.DefaultSweep, swd.SweepTime())
	assert.True(t, swd.Memory[0].Known())
	assert.True(t, p.Debug.Ports.Items["old"].Declared())
	port := "protocol: swd, pads: {clk: a, io: b}, level: L1"
	chain := "protocol: jtag, pads: {tck: a, tms: b, tdi: c, tdo: d}, level: L1"
	both, err := profile.Parse("p.yaml", []byte("profile: a\ndebug: {ports: {x: {protocol: swj, pads: {clk: a, io: b, tdi: c, tdo: d, vref: v}, level: L1}}}\n"))
	require.NoError(t, err)
	x := both.Debug.Ports.Items["x"]
	assert.Equal(t, []string{profile.SWD, profile.JTAG}, x.Speaks())
	assert.Equal(t, map[string]string{"clk": "a", "io": "b", "vref": "v"}, x.As(profile.SWD).Pads)
	assert.Equal(t, map[string]string{"tck": "a", "tms": "b", "tdi": "c", "tdo": "d", "vref": "v"}, x.As(profile.JTAG).Pads)
	assert.Equal(t, profile.JTAG, x.As(profile.JTAG).Protocol)
	assert.Equal(t, []string{profile.SWD}, swd.Speaks())
	assert.Same(t, swd, swd.As(profile.SWD))
	for name, c := range map[string]struct{ debug, want string }{
		"nothing":             {"{}", "debug says nothing"},
		"no protocol":         {"{ports: {swd: {level: L1}}}", `port swd speaks ""`},
		"no data":             {"{ports: {swd: {protocol: swd, pads: {clk: a}, level: L1}}}", "does not say which pad is io"},
		"another's pad":       {"{ports: {swd: {protocol: swd, pads: {clk: a, io: b, tdo: c}, level: L1}}}", `has no pad "tdo"`},
		"one pad twice":       {"{ports: {swd: {" + port + "}, two: {" + port + "}}}", "pad a is clk of swd already"},
		"no level":            {"{ports: {swd: {protocol: swd, pads: {clk: a, io: b}}}}", "how far port swd lets in is not said"},
		"no such level":       {"{ports: {swd: {protocol: swd, pads: {clk: a, io: b}, level: L6}}}", `level is "L6"`},
		"no DPIDR":            {"{ports: {swd: {" + port + ", dp: {version: 2, id: 0x2ba01477}}}}", "is no DPIDR of it"},
		"no TARGETID":         {"{ports: {swd: {" + port + ", dp: {version: 1, target: 0x01002927}}}}", "is no TARGETID of it"},
		"no target":           {"{ports: {swd: {" + port + ", dp: {targets: [2]}}}}", "is no target"},
		"no IDCODE":           {"{ports: {j: {" + chain + ", taps: [2]}}}", "is no IDCODE"},
		"a TAP and no id":     {"{ports: {j: {" + chain + ", taps: [{boundary: here}]}}}", "which TAP it is, is not said"},
		"a port that scans":   {"{ports: {j: {" + chain + ", taps: [{id: 0x4ba00477, boundary: here}]}}}", "does more than scan the boundary"},
		"no such phase":       {"{ports: {swd: {" + port + ", phases: {lunch: {none: never}}}}}", `no phase "lunch"`},
		"a phase and no way":  {"{ports: {swd: {" + port + ", phases: {sleep: {}}}}}", "how phase sleep begins is not said"},
		"an odd length":       {"{ports: {swd: {" + port + ", memory: [{at: 0, length: 3}]}}}", "has 3 bytes"},
		"an odd digest":       {"{ports: {swd: {" + port + ", memory: [{at: 0, length: 4, sha256: abc}]}}}", "in 64 small hex digits"},
		"a pad, and not what": {"{ports: {none: none}, pads: {x: ''}}", "what pad x is, is not said"},
		"a port's pad":        {"{ports: {swd: {" + port + "}}, pads: {a: the reset}}", "pad a is clk of swd already"},
		"no ROM":              {"{loaders: {u: {console: main, enter: [{power: cycle}]}}}", "what loader u speaks is not said"},
		"no such console":     {"{loaders: {u: {rom: stm32, console: mian, enter: [{power: cycle}]}}}", `no console "mian"`},
		"no way in":           {"{loaders: {u: {rom: stm32, console: main}}}", "how loader u is come to is not said"},
		"permits unlocking":   {"{loaders: {u: {rom: stm32, console: main, enter: [{power: cycle}], permits: [unlock]}}}", `a loader permits no "unlock"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := profile.Parse("p.yaml", []byte("profile: a\nconsoles: {main: {}}\ndebug: "+c.debug+"\n"))
			assert.ErrorContains(t, err, c.want)
		})
	}
}
