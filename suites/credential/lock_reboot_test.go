package credential_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/profile"
)

// TestLockReboot: a lock that is declared to be there after a restart has to be seen
// there; one that may have been over shows nothing; and a restart that takes as long as
// the lock gives nobody more tries.
func TestLockReboot(t *testing.T) {
	t.Parallel()
	const id = "cred-lock-reboot[api]"
	declared := func(s profile.Survival, lasts time.Duration) func(*profile.Profile) {
		return func(p *profile.Profile) {
			for _, l := range p.Logins.Items {
				l.Lockout.Survives, l.Lockout.Lasts = s, lasts
			}
		}
	}
	const brief = 100 * time.Millisecond // no boot is so quick
	forgets := []string{"lock-forgotten-at-reboot"}
	for _, c := range []struct {
		name  string
		p     planted
		want  string
		says  string
		short bool // also with -short
	}{
		{"kept", planted{}, pass, "refused", false},
		{"forgotten", planted{Weaknesses: forgets}, "fail.expectation", "is let in by api", false},
		{"the time goes on", planted{Weaknesses: forgets, Profile: declared(profile.SurvivesYes, brief)}, "inconclusive.ineffective", "may have been over", false},
		{"declared to be forgotten, and slow", planted{Weaknesses: forgets, Profile: declared(profile.SurvivesNo, brief)}, pass, "", false},
		{"declared to be forgotten, and quick", planted{Weaknesses: forgets, Profile: declared(profile.SurvivesNo, 2500*time.Millisecond)}, "inconclusive.needs-human", "an hour", false},
		{"nobody says", planted{Profile: declared("", brief)}, "inconclusive.profile-missing", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && !c.short {
				t.Skip("boots, and locks that are waited out")
			}
			t.Parallel()
			res := inTime(t, c.p, id)
			assert.Equal(t, c.want, judged(t, res, id))
			var got []string
			for _, cl := range res.Case(id).Claims {
				got = append(got, cl.Claim.Got)
			}
			assert.Contains(t, strings.Join(got, "\n"), c.says)
		})
	}
}
