package credential_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/profile"
	"rigor/rigs/rigtest"
)

// What is judged of the unit's keys, by weakness, fault and declaration.
func TestKeys(t *testing.T) {
	t.Parallel()
	reset := func(how string) func(*profile.Profile) {
		return func(p *profile.Profile) { p.Keys = profile.Keys{Reset: how} }
	}
	for _, c := range []struct {
		name string
		p    planted
		want map[string]string
	}{
		{"a reset of its own", planted{}, map[string]string{"cred-keys-reset": "pass"}},
		{"the reset of a set-up before", planted{}, map[string]string{"cred-forced-set": "", "cred-keys-reset": "pass", "cred-bad-keys[ssh]": "pass"}},
		{"the host key survives", planted{Weaknesses: []string{"host-key-survives-reset"}}, map[string]string{"cred-forced-set": "", "cred-keys-reset": "fail.contradiction"}},
		{"the host key survives, a reset of its own", planted{Weaknesses: []string{"host-key-survives-reset"}}, map[string]string{"cred-keys-reset": "fail.contradiction"}},
		{"it is declared to", planted{Weaknesses: []string{"host-key-survives-reset"}, Profile: reset("kept")}, map[string]string{"cred-keys-reset": "not-applicable.declared-none"}},
		{"nobody says", planted{Profile: reset("")}, map[string]string{"cred-keys-reset": "inconclusive.profile-missing"}},
		{"one key for all", planted{Weaknesses: []string{"host-key-shared"}}, map[string]string{"cred-bad-keys[ssh]": "fail.expectation", "cred-shared-keys[ssh]": "fail.expectation", "cred-shared-keys[api]": "pass"}},
		{"another device on the port", planted{Faults: []string{"port-squatted"}}, map[string]string{"cred-bad-keys[ssh]": "inconclusive.control-failed", "cred-shared-keys[ssh]": "inconclusive.control-failed", "cred-keys-reset": "inconclusive.control-failed"}},
		{"the button is stuck, and the device resets itself", planted{Faults: []string{"button-stuck"}}, map[string]string{"cred-keys-reset": "error.broken-part"}},
		{"RSA", planted{Weaknesses: []string{"harmless-rsa-keys"}}, map[string]string{"cred-bad-keys[ssh]": "pass", "cred-bad-keys[api]": "pass", "cred-shared-keys[ssh]": "pass"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && c.name != "another device on the port" {
				t.Skip("resets the device, in real time")
			}
			var ids []string
			for id := range c.want {
				ids = append(ids, id)
			}
			res := run(t, c.p, ids...)
			for i := range res.Cases {
				if got := &res.Cases[i]; c.want[got.ID] != "" { // the set-up's own case is judged elsewhere
					assert.Equal(t, c.want[got.ID], rigtest.Judged(got), "%s: %s", got.ID, got.Judgement)
				}
			}
		})
	}
}
