package credential

import (
	"context"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// lockoutDeclared is the need of checks about the lock-out.
var lockoutDeclared = check.OfLogin(func(l *profile.Login) *verdict.Judgement {
	switch {
	case l.Lockout.Declared():
		return check.DeclaredNone(l.Lockout.None.None)
	case l.Lockout.After == 0:
		return check.NotDeclared("the login declares no lockout")
	}
	return nil
})

// restBudget is what a cleanup has that waits for a lock to be over, as a device that is
// on sale has one: half a minute was less than most of them last.
const restBudget = 6 * time.Minute

// BruteForce: after the declared number of wrong tries even the right password
// is not let in.
var BruteForce = check.Check{
	ID:    "cred-bruteforce",
	Title: "Guessing is stopped by a lock",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.LA3, en303645.V3("5.1-5"), en18031.Code("AUM-6")},
		baseline.Local:   {nist8259a.LA3, en18031.Code("AUM-6")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries},
	// A device that does not count what comes together is asked for some windows
	// whether it looks at it.
	Budget: check.Budget{Case: 30 * time.Minute, Cleanup: restBudget},
	Cases:  check.Planner(check.PerLogin).With(check.NeedsOwner, lockoutDeclared),
	Run: func(ctx context.Context, t *check.T) {
		door := t.Device().Login(t.Case().Channel)
		own, lock := owner(t, door), door.Decl().Lockout
		l := &locking{door: door, own: own}
		t.Cleanup(func(ctx context.Context, t *check.T) { // no lock of ours is left to the next case
			if left := lock.Lasts + lockMargin - time.Since(l.since); !l.since.IsZero() && left > 0 {
				t.OK(t.Device().Wait(ctx, left))
			}
		})
		check.Refute(ctx, t, "a locked account stays shut for its owner too", check.Negative[way]{
			Control: func(ctx context.Context) (dut.Answer, error) { // once our own lock is over
				if !l.since.IsZero() {
					return overLock(ctx, t, door, own)
				}
				return t.Try(ctx, door, own)
			},
			Anti:   door.With(stranger(t)),
			Probes: ways(ctx, t, door),
			Name: func(w way) string {
				return "the owner's password on " + w.door.Name() + ", right after the wrong tries" + w.how()
			},
			Try:     func(ctx context.Context, w way) (dut.Answer, error) { return l.try(ctx, t, w) },
			Refusal: []verdict.Kind{lockAnswer(door.Decl()), verdict.LockedOut},
			Denies:  door.Refusals(),
			Mute:    mute(door),
		})
		if others := unsaid(t, door); len(others) > 0 {
			t.Claim("the lock holds on the owner's other logins too", func(c *check.Claim) {
				c.Unknown(verdict.ReasonProfileMissing, "the profile does not say whether wrong tries on %s count on %s as well (lockout.shared: true or false)", door.Name(), strings.Join(others, ", "))
			})
		}
	},
}

// unsaid lists the owner's other logins of which the profile does not say whether
// this one's lock holds on them: those of this login say nothing, or theirs.
func unsaid(t *check.T, door *dut.Door) (names []string) {
	own := door.Decl().Lockout.Shared
	for _, name := range sameOwner(t, door) {
		if other := t.Device().Login(name).Decl().Lockout; own == nil || *own && other.Shared == nil && !other.Declared() {
			names = append(names, name)
		}
	}
	return names
}

// sameOwner lists the other logins over the network that the same owner has: ways
// around a lock, perhaps.
func sameOwner(t *check.T, door *dut.Door) (names []string) {
	for _, name := range check.LoginChannels(t.Profile()) {
		d := t.Device().Login(name).Decl()
		if name != door.Name() && d.Protocol != "console" && d.Accounts() && d.Owner.User == door.Decl().Owner.User {
			names = append(names, name)
		}
	}
	return names
}

func yes(b *bool) bool { return b != nil && *b }

// sharing gives the other logins over the network that are declared to count
// wrong tries together with this one: a way around the lock, if they do not.
// One that does not let the owner in now shows nothing; it has a case of its own.
func sharing(ctx context.Context, t *check.T, door *dut.Door) []*dut.Door {
	if !yes(door.Decl().Lockout.Shared) {
		return nil
	}
	var out []*dut.Door
	for _, name := range sameOwner(t, door) {
		other := t.Device().Login(name)
		if !yes(other.Decl().Lockout.Shared) {
			continue
		}
		if a := opens(ctx, t, other, owner(t, other)); a.Kind != verdict.Accepted {
			t.Note("%s is no way around the lock that could be tried: the owner does not get in: %s", name, a.Detail)
			continue
		}
		out = append(out, other)
	}
	return out
}
