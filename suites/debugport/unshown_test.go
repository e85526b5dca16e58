package debugport

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/debugport/idle"
	"rigor/harness/debugport/pinsearch"
	"rigor/harness/profile"
)

// TestUnshown: that nothing was found on a pad says something where it was driven and our
// wire is shown to lead to it, and of no other.
func TestUnshown(t *testing.T) {
	p, err := profile.Parse("p.yaml", []byte(`profile: a
debug:
  ports: {swd: {protocol: swd, pads: {clk: C, io: D, vref: V}, level: L1}}
  pads: {R: the reset}
`))
	require.NoError(t, err)
	hit := pinsearch.Hit{Protocol: "swd", Roles: []pinsearch.Role{{Role: "swclk", Pad: "C"}, {Role: "swdio", Pad: "D"}}}
	other := pinsearch.Hit{Protocol: "swd", Roles: []pinsearch.Role{{Role: "swclk", Pad: "D"}, {Role: "swdio", Pad: "X"}}}
	for name, c := range map[string]struct {
		pad     pinsearch.Pad
		off     idle.State
		hit     pinsearch.Hit
		want    string
		between bool
	}{
		"it answers":               {pad: pinsearch.Pad{Name: "C", State: pinsearch.Floats}, hit: hit},
		"another answers on it":    {pad: pinsearch.Pad{Name: "X", State: pinsearch.Floats}, hit: other, want: "nothing holds it"},
		"the reference level":      {pad: pinsearch.Pad{Name: "V", Spared: "it was excepted"}},
		"declared":                 {pad: pinsearch.Pad{Name: "R", Spared: "it was excepted"}},
		"excepted":                 {pad: pinsearch.Pad{Name: "X", State: pinsearch.HeldHigh, Spared: "it was excepted"}, want: "it was not driven"},
		"an output":                {pad: pinsearch.Pad{Name: "X", State: pinsearch.Moves, Spared: "it moves"}},
		"joined":                   {pad: pinsearch.Pad{Name: "X", State: pinsearch.Floats, Same: "C", Spared: "it is joined to C"}},
		"a resistor up":            {pad: pinsearch.Pad{Name: "X", State: pinsearch.HeldHigh}, off: idle.Low},
		"one of an adapter's":      {pad: pinsearch.Pad{Name: "X", State: pinsearch.HeldHigh}, off: idle.Low, want: "an adapter stands in between", between: true},
		"it answers through one":   {pad: pinsearch.Pad{Name: "C", State: pinsearch.HeldLow}, hit: hit, between: true},
		"one of our own":           {pad: pinsearch.Pad{Name: "X", State: pinsearch.HeldHigh}, off: idle.High, want: "without the device's supply too"},
		"a resistor down":          {pad: pinsearch.Pad{Name: "X", State: pinsearch.HeldLow}, off: idle.Low},
		"low without the supply":   {pad: pinsearch.Pad{Name: "X", State: pinsearch.Floats}, off: idle.Low},
		"floats all the time":      {pad: pinsearch.Pad{Name: "X", State: pinsearch.Floats}, off: idle.Floats, want: "nothing holds it"},
		"not looked at without it": {pad: pinsearch.Pad{Name: "X", State: pinsearch.Floats}, want: "nothing holds it"},
		"pins without pulls":       {pad: pinsearch.Pad{Name: "X", State: pinsearch.Unread}, off: idle.Unread, want: "cannot tell"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &pinsearch.Result{Pads: []pinsearch.Pad{c.pad}}
			if c.hit.Protocol != "" {
				r.Hits = append(r.Hits, c.hit)
			}
			got := unshown(p, []searched{{inSystem, r}}, []idle.Pad{{Name: c.pad.Name, State: c.off}}, c.between)
			if c.want == "" {
				assert.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			assert.Contains(t, got[0], c.want)
		})
	}
}

// TestUnfound: each declared port that the rig is wired to has to be found, but one that is
// declared never to answer.
func TestUnfound(t *testing.T) {
	p, err := profile.Parse("p.yaml", []byte(`profile: a
debug:
  ports:
    swd: {protocol: swd, pads: {clk: C, io: D}, level: L1}
    dead: {protocol: swd, pads: {clk: E, io: F}, level: L0}
    both: {protocol: swj, pads: {clk: G, io: H, tdi: I, tdo: J}, level: L1}
`))
	require.NoError(t, err)
	all := []string{"C", "D", "E", "F", "G", "H", "I", "J"}
	hit := func(clk, io string) searched {
		return searched{inSystem, &pinsearch.Result{Hits: []pinsearch.Hit{{Protocol: "swd", Roles: []pinsearch.Role{{Role: "swclk", Pad: clk}, {Role: "swdio", Pad: io}}}}}}
	}
	assert.Equal(t, []string{"swd", "both"}, unfound(p, all, nil))
	assert.Equal(t, []string{"both"}, unfound(p, all, []searched{hit("C", "D")}))
	assert.Equal(t, []string{"swd", "both"}, unfound(p, all, []searched{hit("D", "C")}))
	assert.Empty(t, unfound(p, all, []searched{hit("C", "D"), hit("G", "H")}))
	assert.Equal(t, []string{"swd"}, unfound(p, all[:4], nil))
}
