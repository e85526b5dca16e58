package reset_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/verdict"
	"rigor/rigs/rigtest"
	"rigor/suites/reset"
)

// The device in its forms: what each case says is the matrix's, here is that the suite
// stands by itself.
func TestForms(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("resets a device many times")
	}
	var mu sync.Mutex
	selected := map[string]bool{} // on a hardened device
	t.Cleanup(func() {
		for id, was := range selected {
			assert.True(t, was, "%s is selected for no hardened device", id)
		}
	})
	for _, c := range []struct {
		name      string
		planted   rigtest.Planted
		selectors []string
		want      map[string]string // every other case passes, or does not apply
	}{
		// What takes longest is on devices of its own: all of it has to be on one of them.
		{"hardened", rigtest.Planted{}, []string{"rst-default-state", "rst-canaries", "rst-crypto-erase", "rst-old-credential", "rst-keys-renewed", "rst-firmware-kept",
			"rst-identity-kept", "rst-confirm", "rst-log", "rst-unauth-trigger"}, nil},
		{"hardened, and held to its trust", rigtest.Planted{}, []string{"rst-trust-kept", "rst-press"}, nil},
		{"hardened, and cut off", rigtest.Planted{}, []string{"rst-power-cut"}, nil},
		{"the wifi key stays in the flash", rigtest.Planted{Weaknesses: []string{"reset-psk-base64"}}, []string{"rst-canaries*", "rst-log"},
			map[string]string{"rst-canaries[wifi.storage]": "fail.residue"}},
		{"the clip is loose", rigtest.Planted{Faults: []string{"storage-loose"}}, []string{"rst-canaries[wifi.storage]"},
			map[string]string{"rst-canaries[wifi.storage]": "error"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			res := rigtest.Run(t, reset.Suite, c.planted, c.selectors...)
			seen := 0
			for i := range res.Cases {
				k := &res.Cases[i]
				if len(c.planted.Weaknesses)+len(c.planted.Faults) == 0 {
					mu.Lock()
					selected[k.ID] = selected[k.ID] || !k.Unselected
					mu.Unlock()
				}
				if k.Unselected {
					continue
				}
				seen++
				switch want := c.want[k.ID]; {
				case want == string(verdict.Error): // whichever part is named
					assert.Equal(t, verdict.Error, k.Judgement.Verdict, "%s: %s", k.ID, k.Judgement)
				case want != "":
					assert.Equal(t, want, rigtest.Judged(k), "%s: %s", k.ID, k.Judgement)
				default:
					assert.Contains(t, []verdict.Verdict{verdict.Pass, verdict.NotApplicable}, k.Judgement.Verdict, "%s: %s", k.ID, k.Judgement)
				}
			}
			assert.Positive(t, seen)
		})
	}
}
