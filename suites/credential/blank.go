package credential

import (
	"context"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/login"
)

// Blank: nobody gets in with an empty password, or with nothing at all.
var Blank = check.Check{
	ID:    "cred-blank",
	Title: "A blank password opens nothing",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.LA2, en303645.V3("5.1-1"), en18031.Code("AUM-5-1")},
		baseline.Local:   {nist8259a.LA1, en303645.V3("5.1-1"), en18031.Code("AUM-5-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries},
	Budget: check.Budget{Case: 3 * time.Minute},
	Cases:  check.Planner(check.PerLogin).With(check.NeedsOwner),
	Run: func(ctx context.Context, t *check.T) {
		door := t.Device().Login(t.Case().Channel)
		check.Refute(ctx, t, "no blank password opens it", against(t, door, blanks(owner(t, door).User), stranger(t)))
	},
}

// blanks gives the ways to offer nothing: as the owner, as the accounts that
// devices are born with, and as nobody.
func blanks(owner string) []login.Credential {
	probes := []login.Credential{login.Nobody}
	seen := map[string]bool{}
	for _, user := range []string{owner, "root", "admin", "user", "guest", ""} {
		if seen[user] {
			continue
		}
		seen[user] = true
		probes = append(probes, login.Credential{User: user}, login.Credential{User: user, NoPassword: true})
	}
	return probes
}
