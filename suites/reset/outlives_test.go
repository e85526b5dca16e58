package reset_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/rig"
	"rigor/rigs/rigtest"
	"rigor/suites/reset"
)

// TestLostByTheCut: what any loss of power takes, a reset that was cut has not taken: the
// device is as it was.
func TestLostByTheCut(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("resets a device")
	}
	undone, inRAM := "harmless-reset-undone", "harmless-log-in-ram"
	long := "harmless-reset-longer" // so that a busy computer cuts before anything is erased
	for name, planted := range map[string]rigtest.Planted{
		"the reset is undone":                 {Weaknesses: []string{long, undone}},
		"it is, and the log was in RAM alone": {Weaknesses: []string{long, undone, inRAM}},
		"it was, and no memory is read": {Weaknesses: []string{long, undone, inRAM}, File: func(f *rig.File) {
			f.Storages = nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := rigtest.Run(t, reset.Suite, planted, "rst-power-cut")
			for i := range res.Cases {
				if k := &res.Cases[i]; k.ID == "rst-power-cut" {
					assert.Equal(t, "pass", rigtest.Judged(k), "%s", k.Judgement)
				}
			}
		})
	}
}
