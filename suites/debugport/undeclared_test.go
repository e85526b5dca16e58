package debugport

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/debugport/pinsearch"
	"rigor/harness/profile"
)

// TestDeclaredAs: a hit is a declared port where its pads are, each in its role. Whatever
// stops a TAP is found as nTRST, and need not be declared.
func TestDeclaredAs(t *testing.T) {
	p, err := profile.Parse("p.yaml", []byte(`profile: a
debug:
  ports:
    jtag: {protocol: jtag, pads: {tck: a, tms: b, tdi: c, tdo: d}, level: L1}
    swd: {protocol: swd, pads: {clk: e, io: f}, level: L1}
    both: {protocol: swj, pads: {clk: g, io: h, tdi: i, tdo: j}, level: L1}
`))
	require.NoError(t, err)
	roles := func(r ...string) (out []pinsearch.Role) {
		for i := 0; i < len(r); i += 2 {
			out = append(out, pinsearch.Role{Role: r[i], Pad: r[i+1]})
		}
		return out
	}
	for name, c := range map[string]struct {
		hit   pinsearch.Hit
		is    string
		among string
	}{
		"as declared":             {pinsearch.Hit{Protocol: "jtag", Roles: roles("tck", "a", "tms", "b", "tdo", "d", "tdi", "c")}, "jtag", "jtag"},
		"a reset that stops it":   {pinsearch.Hit{Protocol: "jtag", Roles: roles("tck", "a", "tms", "b", "tdo", "d", "tdi", "c", "ntrst", "x")}, "jtag", ""},
		"exchanged":               {pinsearch.Hit{Protocol: "swd", Roles: roles("swclk", "f", "swdio", "e")}, "", "swd"},
		"serial wire":             {pinsearch.Hit{Protocol: "swd", Roles: roles("swclk", "e", "swdio", "f")}, "swd", "swd"},
		"of both, serial wire":    {pinsearch.Hit{Protocol: "swd", Roles: roles("swclk", "g", "swdio", "h")}, "both", "both"},
		"of both, JTAG":           {pinsearch.Hit{Protocol: "jtag", Roles: roles("tck", "g", "tms", "h", "tdo", "j", "tdi", "i")}, "both", "both"},
		"of both, exchanged":      {pinsearch.Hit{Protocol: "jtag", Roles: roles("tck", "h", "tms", "g", "tdo", "j")}, "", "both"},
		"another port":            {pinsearch.Hit{Protocol: "swd", Roles: roles("swclk", "x", "swdio", "y")}, "", ""},
		"of one and of no other":  {pinsearch.Hit{Protocol: "jtag", Roles: roles("tck", "a", "tms", "b", "tdo", "x")}, "", ""},
		"another protocol's pads": {pinsearch.Hit{Protocol: "swd", Roles: roles("swclk", "a", "swdio", "b")}, "", "jtag"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.is, declaredAs(p, c.hit))
			assert.Equal(t, c.among, onPadsOf(p, c.hit))
		})
	}
}
