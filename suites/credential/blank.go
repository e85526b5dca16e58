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
	"rigor/harness/dut"
	"rigor/harness/login"
)

// Blank: nobody gets in with an empty password, or with nothing at all. It tries
// the published logins that have none, which cred-known-list leaves to it: most
// devices do not count such a try as a wrong one, so that among others nobody
// could say which of those are sent into a lock.
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
		own := owner(t, door).User
		var users []string
		for _, c := range published(t, door) {
			if c.Password == "" {
				users = append(users, c.User)
			}
		}
		probes := blanks(door, own, users...)
		check.Refute(ctx, t, "no blank password opens it", against(t, door, probes, stranger(t)))
		others, err := door.OtherMethods(ctx, own)
		t.OK(err)
		for _, m := range others {
			check.Refute(ctx, t, "no blank password opens it by "+m, against(t, door.By(m), probes, stranger(t)))
		}
	},
}

// blanks gives the ways to offer nothing: as the owner, as the accounts that
// devices are born with, as others, and as nobody. Where there are no accounts
// these are one.
func blanks(door *dut.Door, owner string, others ...string) []login.Credential {
	probes := []login.Credential{login.Nobody}
	if !door.Decl().Accounts() {
		return probes
	}
	seen := map[string]bool{}
	for _, user := range append([]string{owner, "root", "admin", "user", "guest", ""}, others...) {
		if seen[user] {
			continue
		}
		seen[user] = true
		probes = append(probes, login.Credential{User: user}, login.Credential{User: user, NoPassword: true})
	}
	return probes
}
