package credential

import (
	"context"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
)

// persistProbes is how many of the likeliest published logins are tried again
// after a power cycle: what a device falls back to is its own default, so the
// head of the list and the label are enough.
const persistProbes = 12

// Persist: a cold boot does not bring a default login back.
var Persist = check.Check{
	ID:    "cred-persist",
	Title: "A reboot brings no default login back",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.LA2, en303645.V3("5.1-1")},
		baseline.Local:   {nist8259a.LA1, en303645.V3("5.1-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries, check.Supply},
	Budget: check.Budget{Case: 10 * time.Minute},
	Cases:  check.Planner(check.PerLogin).With(check.NeedsOwner, check.NeedsPower),
	Run: func(ctx context.Context, t *check.T) {
		door := t.Device().Login(t.Case().Channel)
		probes := defaults(t, door)
		t.OK(t.Device().ColdBoot(ctx, "a reboot of the onboarded device"))
		n := against(t, door, probes, stranger(t))
		n.Whole = true
		check.Refute(ctx, t, "after a cold boot no default login opens it", n)
	},
}

// defaults gives what a device may fall back to: the likeliest published logins,
// blank ones among them, and the password of its label.
func defaults(t *check.T, door *dut.Door) []login.Credential {
	probes := published(t, door)
	probes = probes[:min(len(probes), persistProbes)]
	if label := t.Device().Unit().Label; label != "" {
		for _, user := range []string{owner(t, door).User, "admin", "root"} {
			probes = append(probes, login.Credential{User: user, Password: label})
		}
	}
	return probes
}
