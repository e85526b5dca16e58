package credential

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/verdict"
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
		if !check.Refute(ctx, t, "after a cold boot no default login opens it", n) {
			keepsOwner(ctx, t)
		}
	},
}

// writtenBy is how long a device may take until a set-up is in its memory: a kernel
// writes what waits within 30 s.
const writtenBy = 35 * time.Second

// forgets is what one case shows for all: a set-up that had its time is forgotten.
const forgets = "a set-up does not outlast a cold boot"

// keepsOwner fails a device that was set up and is back in its factory state behind a
// cold boot, where whoever comes first is its owner. One that was set up a moment
// before it lost its power may not have written it down: once in a run it is set up
// anew, and has its time. What else became of it is not for here to say.
func keepsOwner(ctx context.Context, t *check.T) {
	if !forgotten(ctx, t) || !t.Done(forgets) && !forgetsInTime(ctx, t) {
		return
	}
	said := fmt.Sprintf("behind a cold boot it shows itself in state %s, and not in state %s; so it does when it had %v from its set-up on", states.Factory.Name, states.Onboarded.Name, writtenBy)
	ref := t.Keep("forgotten.txt", "what the DUT showed behind a cold boot", []byte(said+"\n"))
	t.Claim("a cold boot leaves the device to its owner", func(c *check.Claim) {
		c.Show(ref)
		c.Expect("state "+states.Onboarded.Name, said)
		c.Fail(verdict.ReasonExpectation, "%s", said)
	})
}

// forgetsInTime sets the device up, gives it its time, and says whether it is back in
// its factory state behind one more cold boot.
func forgetsInTime(ctx context.Context, t *check.T) bool {
	way := setUpWay(t)
	if way == nil {
		t.Note("the device is back in its factory state; whether it had the time to write its set-up down cannot be said: the rig allows no way to set it up, or none is declared")
		return false
	}
	t.OK(t.Device().Walk(ctx, way, func() { t.Device().In(states.Onboarded.Name) }))
	home, err := Holds(t, states.Onboarded.Name)(ctx)
	t.OK(err)
	if home.Kind != verdict.Accepted {
		return false
	}
	t.OK(t.Device().Wait(ctx, writtenBy))
	t.OK(t.Device().PowerCycle(ctx))
	if !forgotten(ctx, t) {
		return false
	}
	t.Once(forgets, func() {})
	return true
}

// forgotten says whether the device shows itself in the factory state, and not in that
// of normal use too.
func forgotten(ctx context.Context, t *check.T) bool {
	s := t.Profile().States.Items
	for _, name := range []string{states.Factory.Name, states.Onboarded.Name} {
		if s[name] == nil || len(s[name].Holds) == 0 {
			return false
		}
	}
	fresh, err := Holds(t, states.Factory.Name)(ctx)
	t.OK(err)
	if fresh.Kind != verdict.Accepted {
		return false
	}
	home, err := Holds(t, states.Onboarded.Name)(ctx)
	t.OK(err)
	return home.Kind != verdict.Accepted
}

// setUpWay gives the declared way from the factory state into use, if the rig may walk
// it.
func setUpWay(t *check.T) *profile.Way {
	for i, w := range t.Profile().Ways {
		if w.From == states.Factory.Name && w.To == states.Onboarded.Name && !slices.ContainsFunc(w.Needs, func(n string) bool { return !slices.Contains(t.Input().Allow, check.Leave(n)) }) {
			return &t.Profile().Ways[i]
		}
	}
	return nil
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
