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

// KnownList: no login that is published for this kind of device opens it.
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
		check.Refute(ctx, t, "no published login opens it", against(t, door, published(t, door), login.Nobody))
		// A server that takes a password in two ways may check it in two ways.
		methods, err := door.Methods(ctx, owner(t, door).User)
		t.OK(err)
		for _, m := range methods[min(len(methods), 1):] {
			check.Refute(ctx, t, "no published login opens it by "+m, against(t, door.By(m), published(t, door), login.Nobody))
		}
	},
}
