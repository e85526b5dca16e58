package reset

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/dut"
	"rigor/harness/profile"
)

// TestClearer: of a second reset counts what was missed in the first, be it seen then, not
// seen, or missed again; what the first one showed stands.
func TestClearer(t *testing.T) {
	t.Parallel()
	seen, absent, late := dut.SignSeen{Seen: true, Detail: "1"}, dut.SignSeen{Detail: "1"}, dut.SignSeen{Late: true, Detail: "1"}
	of := func(s dut.SignSeen) dut.SignSeen { s.Detail = "2"; return s }
	for _, c := range []struct{ first, second, want dut.SignSeen }{
		{late, of(seen), of(seen)},
		{late, of(absent), of(absent)},
		{late, of(late), of(late)},
		{seen, of(absent), seen},
		{absent, of(seen), absent},
	} {
		assert.Equal(t, []dut.SignSeen{c.want}, clearer([]dut.SignSeen{c.first}, []dut.SignSeen{c.second}))
	}
	assert.Equal(t, []dut.SignSeen{late}, clearer([]dut.SignSeen{late}, nil))
}

// TestLatePress: a press that was to be too short and was held too long is what it was to
// be too short for; only that can be ended, and a reset cannot.
func TestLatePress(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	leave := []profile.Step{{Verb: "power", Power: "cycle"}}
	all := []profile.Press{
		{ID: "pairing", Hold: 250 * ms, Until: 400 * ms, Effect: "pairing", Leave: leave},
		{ID: "reset", Hold: 550 * ms, Effect: profile.EffectReset},
	}
	ends := map[string]bool{}
	for _, w := range wrongPresses(all, false) {
		ends[w.name] = w.ends()
	}
	assert.Equal(t, map[string]bool{
		"held for 200ms, four fifths of what pairing takes": true,
		"held for 440ms, a tenth longer than pairing takes": false,
	}, ends)
	short := wrongPresses(all, false)[0]
	assert.False(t, short.late(dut.Held{Least: 200 * ms, Most: 201 * ms}, 40*ms))
	assert.True(t, short.late(dut.Held{Least: 200 * ms, Most: 201 * ms}, 50*ms))
	assert.True(t, short.late(dut.Held{Least: 200 * ms, Most: 260 * ms}, 0))
}

// TestMistaken: a reset that comes of a press for pairing is no lateness of the rig, as
// long as that cannot have made one press into the other.
func TestMistaken(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	seen := func(what string) []dut.SignSeen {
		return []dut.SignSeen{{Sign: profile.Sign{Console: "main", Seen: profile.Pattern{Literal: what}}, Seen: true}}
	}
	of := func(what string) []profile.Sign { return []profile.Sign{seen(what)[0].Sign} }
	f := &finger{early: of("reset started"), all: []profile.Press{
		{ID: "pairing", Hold: 250 * ms, Until: 400 * ms, Effect: "pairing", Sign: of("pairing: open")},
		{ID: "reset", Hold: 550 * ms, Effect: profile.EffectReset, Sign: of("not set up")},
	}}
	for _, c := range []struct {
		seen string
		held time.Duration
		late time.Duration
		want bool
	}{
		{"not set up", 275 * ms, 200 * ms, false},
		{"not set up", 275 * ms, 275 * ms, true},
		{"reset started", 275 * ms, 200 * ms, false},
		{"reset started", 275 * ms, 300 * ms, true},
		{"pairing: open", 605 * ms, 200 * ms, false},
		{"pairing: open", 605 * ms, 210 * ms, true},
		{"what nobody declares", 275 * ms, 300 * ms, false},
	} {
		assert.Equal(t, c.want, f.mistaken(seen(c.seen), dut.Held{Least: c.held, Most: c.held}, c.late), "%+v", c)
	}
}
