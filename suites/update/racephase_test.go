package update

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/dut"
)

// TestWithout: a stretch is without one unless one lies in it as a whole: where in its time a
// delivery came to the DUT, nobody knows.
func TestWithout(t *testing.T) {
	for name, c := range map[string]struct {
		came []dut.Phase
		want float64
	}{
		"none":                         {nil, 1},
		"one in the middle":            {[]dut.Phase{{From: 0.5, To: 0.5}}, 0.5},
		"one at the beginning":         {[]dut.Phase{{From: 0.1, To: 0.2}}, 0.9},
		"one that is longer than half": {[]dut.Phase{{From: 0.2, To: 0.8}}, 0.8},
		"one that was answered behind": {[]dut.Phase{{From: 0.1, To: 1.5}}, 1},
		"in no order":                  {[]dut.Phase{{From: 0.7, To: 0.75}, {From: 0.2, To: 0.3}}, 0.55},
		"one within another":           {[]dut.Phase{{From: 0.2, To: 0.9}, {From: 0.4, To: 0.5}}, 0.6},
		"all along":                    {[]dut.Phase{{From: 0, To: 0.25}, {From: 0.25, To: 0.5}, {From: 0.5, To: 0.75}, {From: 0.75, To: 1}}, 0.5},
	} {
		assert.InDelta(t, c.want, without(c.came), 1e-9, name)
	}
}
