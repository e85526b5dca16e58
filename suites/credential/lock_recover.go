package credential

import (
	"context"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/verdict"
)

// LockRecover: the lock ends when it is declared to end.
var LockRecover = check.Check{
	ID:    "cred-lock-recover",
	Title: "A lock ends as declared",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.LA3, en18031.Code("AUM-6")},
		baseline.Local:   {nist8259a.LA3, en18031.Code("AUM-6")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries},
	// Three locks of some minutes are waited out where one does not end in time.
	Budget: check.Budget{Case: 20 * time.Minute, Cleanup: time.Minute},
	Cases:  check.Planner(check.PerLogin).With(check.NeedsOwner, lockoutDeclared),
	Run: func(ctx context.Context, t *check.T) {
		door := t.Device().Login(t.Case().Channel)
		own, lock := owner(t, door), door.Decl().Lockout
		before := opens(ctx, t, door, own)
		if before.Kind != verdict.Accepted {
			// A lock that an earlier case left may be the very one that never ends.
			unlock(ctx, t)
			before = opens(ctx, t, door, own)
		}
		if before.Kind != verdict.Accepted {
			t.Inconclusive(verdict.ReasonControlFailed, "the owner does not get in before anything is locked: %s", before.Detail)
		}
		t.Cleanup(func(ctx context.Context, t *check.T) { unlock(ctx, t) })
		was, err := t.Device().Fingerprint(ctx)
		t.OK(err)
		timely := notEarly(ctx, t, door, own)
		locked, _, err := lockAndTry(ctx, t, door, own)
		t.OK(err)
		needLock(t, door, locked)
		after, hold := recovered(ctx, t, door, own, timely)
		now, err := t.Device().Fingerprint(ctx)
		t.OK(err)
		if hold > 0 && now == was { // a restart ends a lock, and forgets
			t.ShowLock(check.PaceOf(door.Decl()), hold)
		}
		ref := t.Keep("lock.txt", "answers before, in and after the lock", []byte("before: "+before.Detail+"\nlocked: "+locked.Detail+"\nafter: "+after.Detail+"\n"))
		t.Claim("the owner gets in again when the lock is over", func(c *check.Claim) {
			c.Show(ref)
			c.Expect("accepted after "+lock.Lasts.String(), string(after.Kind)+": "+after.Detail)
			switch {
			case after.Kind == verdict.Accepted && now != was: // a restart ends a lock too
				c.Unknown(verdict.ReasonDUTChanged, "before the lock the DUT was %s, afterwards %s", was, now)
			case after.Kind == verdict.Accepted:
			case after.Kind == verdict.Refused, after.Kind == verdict.LockedOut, after.Kind == verdict.Throttled:
				c.Fail(verdict.ReasonExpectation, "still shut %v after the lock was to be over: %s", lockMargin, after.Detail)
			default:
				c.Unknown(verdict.ReasonDUTLost, "%s: %s", after.Kind, after.Detail)
			}
		})
	},
}

// notEarly says whether it is shown that one wrong try less than locks does not
// lock. It is where the owner's success clears the count, so that nothing of it
// is left to the lock behind it, and only when the owner came while a lock would
// still have lasted.
func notEarly(ctx context.Context, t *check.T, door *dut.Door, own login.Credential) bool {
	p := check.PaceOf(door.Decl())
	if p.After < 2 || p.Source || !p.SuccessClears {
		return false
	}
	begin := time.Now()
	_, _, over, err := wrongTries(ctx, t, door, own, p.After-1)
	t.OK(err)
	a := opens(ctx, t, door, own)
	took := time.Since(begin)
	t.Note("%d wrong tries in %v, then the owner's login: %s", p.After-1, took.Round(time.Millisecond), a.Kind)
	return !over && a.Kind == verdict.Accepted && took < p.Lasts
}

// recovered waits for the lock to end and gives the answer to the owner. Where
// all before was as declared, one more wrong try comes first: it locks again
// where the count was not forgotten. If the owner is let in behind it, the whole
// lock-out is shown to be the declared one, and the cases behind need not show
// it again: hold is then how long it was waited out. If not, it is the lock alone
// that is asked about.
func recovered(ctx context.Context, t *check.T, door *dut.Door, own login.Credential, timely bool) (a dut.Answer, hold time.Duration) {
	lasts := door.Decl().Lockout.Lasts
	since := time.Now()
	t.OK(t.Device().Wait(ctx, lasts+lockMargin))
	if !timely {
		return opens(ctx, t, door, own), 0
	}
	_, _, over, err := wrongTries(ctx, t, door, own, 1)
	t.OK(err)
	a = opens(ctx, t, door, own)
	if !over && a.Kind == verdict.Accepted {
		return a, time.Since(since)
	}
	t.Note("behind one wrong try after the lock the owner is answered with %s (%s); once more without it", a.Kind, a.Detail)
	if a.Kind != verdict.Accepted { // the lock may be a new one
		t.OK(t.Device().Wait(ctx, lasts+lockMargin))
	}
	locked, _, err := lockAndTry(ctx, t, door, own)
	t.OK(err)
	needLock(t, door, locked)
	t.OK(t.Device().Wait(ctx, lasts+lockMargin))
	return opens(ctx, t, door, own), 0
}

// needLock ends the case where the answer to the owner, after the wrong tries,
// does not show a lock.
func needLock(t *check.T, door *dut.Door, locked dut.Answer) {
	switch {
	case locked.Kind.Opens():
		t.Inconclusive(verdict.ReasonPrecondition, "%d wrong tries lock nothing, so there is no lock to recover from", door.Decl().Lockout.After)
	case !shut(door, locked.Kind):
		t.Inconclusive(verdict.ReasonIneffective, "that the account is locked is not shown: a try was answered with %s (%s)", locked.Kind, locked.Detail)
	}
}

// unlock leaves no locked account behind: where waiting did not help, a power
// cycle does, if the rig may.
func unlock(ctx context.Context, t *check.T) {
	door := t.Device().Login(t.Case().Channel)
	if opens(ctx, t, door, owner(t, door)).Kind == verdict.Accepted {
		return
	}
	t.Note("the account is still locked; switching the power off and on")
	t.OK(t.Device().PowerCycle(ctx))
}
