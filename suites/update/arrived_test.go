package update

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/dut"
	"rigor/harness/verdict"
)

// TestArrived: a refusal is held for or against a DUT only where what it refused is shown
// to have got there; what nobody counts is not delivered again and again.
func TestArrived(t *testing.T) {
	t.Parallel()
	d := func(kind verdict.Kind, n int, early, taken bool) dut.Delivery {
		return dut.Delivery{Answer: dut.Answer{Kind: kind, Detail: "no"}, Carried: n, Of: 10, Early: early, Taken: taken}
	}
	for _, c := range []struct {
		name     string
		d        dut.Delivery
		kind     verdict.Kind
		answered bool
	}{
		{"all of it", d(verdict.Refused, 10, false, false), verdict.Refused, true},
		{"a piece", d(verdict.Refused, 9, false, false), verdict.Unreachable, false},
		{"a piece, and it may say so early", d(verdict.Refused, 9, true, false), verdict.Refused, true},
		{"nobody tells", d(verdict.Refused, -1, false, false), verdict.Unreachable, true},
		{"taken", d(verdict.Unproven, -1, false, true), verdict.Unproven, true},
		{"broken", d(verdict.Unreachable, 3, false, false), verdict.Unreachable, false},
	} {
		assert.Equal(t, c.answered, answered(c.d), c.name)
		assert.Equal(t, c.kind, arrived(c.d).Kind, c.name)
	}
	assert.Contains(t, arrived(d(verdict.Refused, 9, false, false)).Detail, "9 of its 10 bytes")
}
