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
	"rigor/harness/login"
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
	Budget: check.Budget{Case: 10 * time.Minute},
	Cases:  check.Planner(check.PerLogin).With(check.NeedsOwner, lockoutDeclared),
	Run: func(ctx context.Context, t *check.T) {
		door := t.Device().Login(t.Case().Channel)
		own, lock := owner(t, door), door.Decl().Lockout
		l := &locking{door: door, own: own}
		t.Cleanup(func(ctx context.Context, t *check.T) { // no lock of ours is left to the next case
			if !l.since.IsZero() && time.Since(l.since) < lock.Lasts+lockMargin {
				t.OK(t.Device().Wait(ctx, lock.Lasts+lockMargin))
			}
		})
		check.Refute(ctx, t, "a locked account stays shut for its owner too", check.Negative[*dut.Door]{
			Control: func(ctx context.Context) (dut.Answer, error) { // once our own lock is over
				if !l.since.IsZero() {
					return overLock(ctx, t, door, own)
				}
				return t.Try(ctx, door, own)
			},
			Anti:   door.With(stranger(t)),
			Probes: append([]*dut.Door{door}, sharing(ctx, t, door)...),
			Name: func(d *dut.Door) string {
				return "the owner's password on " + d.Name() + ", right after the wrong tries"
			},
			Try:     func(ctx context.Context, d *dut.Door) (dut.Answer, error) { return l.try(ctx, t, d) },
			Refusal: []verdict.Kind{lockAnswer(door.Decl()), verdict.LockedOut},
			Denies:  door.Refusals(),
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
		if name != door.Name() && d.Protocol != "console" && d.Owner.User == door.Decl().Owner.User {
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

// locking keeps the owner's account locked by wrong tries on one door, for
// probes on others.
type locking struct {
	door  *dut.Door
	own   login.Credential
	since time.Time // the lock was seen
}

// try offers the owner's password on a door while the account is locked.
func (l *locking) try(ctx context.Context, t *check.T, d *dut.Door) (dut.Answer, error) {
	lock := l.door.Decl().Lockout
	for round := 1; ; round++ {
		if l.since.IsZero() || time.Since(l.since) > lock.Lasts/2 || round > 1 {
			if !l.since.IsZero() { // the count begins anew when the lock is over
				if a, err := overLock(ctx, t, l.door, l.own); err != nil {
					return a, err
				} else if a.Kind != verdict.Accepted { // wrong tries behind it would not lock anew
					a.Detail = "the lock before is not over: " + a.Detail
					a.Kind = verdict.Incompatible
					return a, nil
				}
			}
			a, last, err := lockAndTry(ctx, t, l.door, l.own)
			l.since = last
			if err != nil || d.Name() == l.door.Name() || a.Kind.Opens() {
				return a, err
			}
		}
		a, err := t.Try(ctx, d, l.own)
		late := time.Since(l.since)
		if err != nil || !a.Kind.Opens() || late <= lock.Lasts {
			return a, err
		}
		if round == lockRounds {
			t.Inconclusive(verdict.ReasonIneffective, "the owner's try on %s was answered %v after the last wrong one, when a lock of %v may have been over", d.Name(), late.Round(time.Millisecond), lock.Lasts)
		}
	}
}

// lockMargin is added to what is declared to last: two clocks differ.
const lockMargin = 30 * time.Millisecond

// grain is how much longer than declared a lock may last on a device that counts
// in whole seconds, or by a clock of its own.
func grain(lasts time.Duration) time.Duration { return max(time.Second, lasts/50) }

// overLock gives the answer to the owner once a lock is over. Where that is a no,
// it is asked once more a grain later; the whole time anew, since a try in a lock
// makes it longer on some devices.
func overLock(ctx context.Context, t *check.T, door *dut.Door, own login.Credential) (dut.Answer, error) {
	lasts := door.Decl().Lockout.Lasts
	if err := t.Device().Wait(ctx, lasts+lockMargin); err != nil {
		return dut.Answer{}, err
	}
	a, err := t.Try(ctx, door, own)
	if err != nil || a.Kind == verdict.Accepted || !shut(door, a.Kind) {
		return a, err
	}
	if err := t.Device().Wait(ctx, lasts+lockMargin+grain(lasts)); err != nil {
		return a, err
	}
	return t.Try(ctx, door, own)
}

// lockAnswer is how a locked account is declared to answer.
func lockAnswer(l *profile.Login) verdict.Kind {
	if l.Lockout.Answer == "" {
		return verdict.Refused
	}
	return l.Lockout.Answer
}

// shut says whether an answer is how a door says no: to a wrong password, or to
// who is locked out. One that does not answer says nothing.
func shut(door *dut.Door, k verdict.Kind) bool {
	return k == verdict.Refused || k == verdict.LockedOut || k == verdict.Throttled || k == lockAnswer(door.Decl())
}

// lockRounds is how often the wrong tries are made anew that took longer than
// the window in which they count.
const lockRounds = 3

// lockAndTry makes as many wrong tries as lock the account, each on a
// connection of its own, and then offers the owner's password. That it opens
// shows nothing after wrong tries that took longer than the window, or when the
// lock may have been over. It also gives when the last wrong try was sent: the
// lock begins no earlier.
func lockAndTry(ctx context.Context, t *check.T, door *dut.Door, own login.Credential) (dut.Answer, time.Time, error) {
	lock := door.Decl().Lockout
	for round := 1; ; round++ {
		was, err := t.Device().Fingerprint(ctx)
		t.OK(err)
		begin := time.Now()
		a, last, over, err := wrongTries(ctx, t, door, own, lock.After)
		if err != nil || over {
			return a, last, err
		}
		took := time.Since(begin)
		t.Note("%d wrong tries took %v of a window of %v", lock.After, took.Round(time.Millisecond), lock.Window)
		if a, err = t.Try(ctx, door, own); err != nil || !a.Kind.Opens() {
			return a, last, err
		}
		late := time.Since(last)
		// A restart may forget the wrong tries, and it was not asked for.
		now, err := t.Device().Fingerprint(ctx)
		t.OK(err)
		if now != was {
			t.Inconclusive(verdict.ReasonDUTChanged, "before the wrong tries the DUT was %s, afterwards %s", was, now)
		}
		if took <= lock.Window && late <= lock.Lasts {
			return a, last, nil
		}
		if round == lockRounds && took <= lock.Window {
			t.Inconclusive(verdict.ReasonIneffective, "the owner's try was answered %v after the last wrong one, when a lock of %v may have been over", late.Round(time.Millisecond), lock.Lasts)
		}
		if round == lockRounds {
			t.Inconclusive(verdict.ReasonIneffective, "%d wrong tries took %v, longer than the window of %v in which they count", lock.After, took.Round(time.Millisecond), lock.Window)
		}
	}
}

// wrongTries makes n of them; over says that one was answered otherwise than
// with a refusal, and that is the answer.
func wrongTries(ctx context.Context, t *check.T, door *dut.Door, own login.Credential, n int) (a dut.Answer, last time.Time, over bool, err error) {
	for range n {
		last = time.Now()
		a, err = t.Try(ctx, door, login.Credential{User: own.User, Password: t.Secret("wrong", 12)})
		switch {
		case err != nil:
			return a, last, true, err
		case a.Kind.Opens():
			a.Detail = "a wrong password opened it: " + a.Detail
			return a, last, true, nil
		case !shut(door, a.Kind): // it may not have counted
			return a, last, true, nil
		}
	}
	return a, last, false, nil
}
