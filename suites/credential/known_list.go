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

// KnownList: no login that is published for this kind of device opens it. Those
// with a blank password are cred-blank's.
var KnownList = check.Check{
	ID:    "cred-known-list",
	Title: "Published logins open nothing",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.LA2, en303645.V3("5.1-1"), en18031.Code("AUM-5-1")},
		baseline.Local:   {nist8259a.LA1, en303645.V3("5.1-1"), en18031.Code("AUM-5-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries},
	// A hundred tries, on devices that hold each refusal back for three seconds.
	Budget: check.Budget{Case: 15 * time.Minute, Cleanup: 30 * time.Second},
	Cases:  check.Planner(check.PerLogin).With(check.NeedsOwner),
	Run: func(ctx context.Context, t *check.T) {
		door := t.Device().Login(t.Case().Channel)
		probes := byHand(t, door, withPassword(published(t, door)))
		check.Refute(ctx, t, "no published login opens it", against(t, door, probes, login.Nobody))
		others, err := door.OtherMethods(ctx, owner(t, door).User)
		t.OK(err)
		for _, m := range others {
			check.Refute(ctx, t, "no published login opens it by "+m, against(t, door.By(m), probes, login.Nobody))
		}
	},
}
