package reset

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/dut"
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
