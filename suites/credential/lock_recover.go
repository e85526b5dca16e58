package credential

import (
	"context"
	"fmt"
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

// LockRecover: the lock ends when it is declared to end, and not before.
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
	// Five locks of some minutes are waited out where one does not end in time.
	Budget: check.Budget{Case: 30 * time.Minute, Cleanup: restBudget},
	Cases:  check.Planner(check.PerLogin).With(check.NeedsOwner, lockoutDeclared),
	Run: func(ctx context.Context, t *check.T) {
		door := t.Device().Login(t.Case().Channel)
		own, lock := owner(t, door), door.Decl().Lockout
		before := unlocked(ctx, t, door, own)
		was, err := t.Device().Fingerprint(ctx)
		t.OK(err)
		timely := notEarly(ctx, t, door, own)
		l := lockUp(ctx, t, door, own)
		if l.short {
			ref := t.Keep("lock.txt", "answers before, in and near the end of the lock", []byte("before: "+before.Detail+"\nlocked: "+l.locked.Detail+"\nnear its end: "+l.end.Detail+"\n"))
			now, err := t.Device().Fingerprint(ctx)
			t.OK(err)
			t.Claim(staysShut, func(c *check.Claim) {
				c.Show(ref)
				c.Expect("shut until "+lock.Lasts.String()+" after the last wrong try", fmt.Sprintf("%s after %v: %s", l.end.Kind, l.at.Round(time.Millisecond), l.end.Detail))
				if now != was { // a restart ends a lock too
					c.Unknown(verdict.ReasonDUTChanged, "before the lock the DUT was %s, afterwards %s", was, now)
					return
				}
				c.Fail(verdict.ReasonExpectation, "the owner is let in %v after the last wrong try, when the lock was to last %v", l.at.Round(time.Millisecond), lock.Lasts)
			})
			return
		}
		after, hold := recovered(ctx, t, door, own, l.since, timely)
		now, err := t.Device().Fingerprint(ctx)
		t.OK(err)
		if hold > 0 && now == was { // a restart ends a lock, and forgets
			t.ShowLock(check.PaceOf(door.Decl()), hold)
		}
		ref := t.Keep("lock.txt", "answers before, in and after the lock", []byte("before: "+before.Detail+"\nlocked: "+l.locked.Detail+"\nnear its end: "+l.end.Detail+"\nafter: "+after.Detail+"\n"))
		t.Claim(staysShut, func(c *check.Claim) {
			c.Show(ref)
			c.Expect("shut until "+lock.Lasts.String()+" after the last wrong try", fmt.Sprintf("%s after %v: %s", l.end.Kind, l.at.Round(time.Millisecond), l.end.Detail))
			switch {
			case l.end.Kind.Opens():
				c.Unknown(verdict.ReasonIneffective, "the owner's try near the end of the lock was answered %v after the last wrong one, when the lock of %v may have been over", l.at.Round(time.Millisecond), lock.Lasts)
			case !shut(door, l.end.Kind):
				c.Unknown(verdict.ReasonIneffective, "that the account is still locked near the end is not shown: %s (%s)", l.end.Kind, l.end.Detail)
			}
		})
		t.Claim("the owner gets in again when the lock is over", func(c *check.Claim) {
			c.Show(ref)
			c.Expect("accepted after "+lock.Lasts.String(), string(after.Kind)+": "+after.Detail)
			switch {
			case after.Kind == verdict.Accepted && now != was: // a restart ends a lock too
				c.Unknown(verdict.ReasonDUTChanged, "before the lock the DUT was %s, afterwards %s", was, now)
			case after.Kind == verdict.Accepted:
			case after.Kind == verdict.Refused, after.Kind == verdict.LockedOut, after.Kind == verdict.Throttled:
				c.Fail(verdict.ReasonExpectation, "still shut %v after the lock was to be over: %s", lockMargin+grain(lock.Lasts), after.Detail)
			default:
				c.Unknown(verdict.ReasonDUTLost, "%s: %s", after.Kind, after.Detail)
			}
		})
	},
}

// staysShut is the claim about a lock's length.
const staysShut = "the lock does not end before its time"

// lockedUp is a lock of ours.
type lockedUp struct {
	locked dut.Answer    // to the owner, right behind the wrong tries
	since  time.Time     // of that answer
	end    dut.Answer    // to the owner, near the end of the declared lock
	at     time.Duration // of that answer, after the last wrong try
	short  bool          // the owner was let in when the lock had to last
}

// lockUp locks the account and offers the owner's password once near the end of
// the declared lock. That it opens shows nothing when the answer came so late that
// the lock may have been over: then it is locked and tried anew, earlier, but never
// so early that a lock of half the time would not show (see nearEnd).
func lockUp(ctx context.Context, t *check.T, door *dut.Door, own login.Credential) lockedUp {
	lasts := door.Decl().Lockout.Lasts
	must := lasts
	if lasts >= 2*time.Second { // who counts in whole seconds may begin in the middle of one
		must -= grain(lasts)
	}
	early, earliest := min(must/5, 2*time.Second), must/3
	for round := 1; ; round++ {
		l := lockedUp{}
		var last time.Time
		var err error
		l.locked, last, err = lockWhole(ctx, t, door, own)
		t.OK(err)
		needLock(t, door, l.locked)
		l.since = time.Now()
		// The owner's try begins when the last wrong one is answered, or later.
		t.OK(t.Device().Wait(ctx, max(0, time.Until(nearEnd(last, l.since.Add(-l.locked.Took), must, early)))))
		l.end = opens(ctx, t, door, own)
		l.at = time.Since(last)
		l.short = l.end.Kind.Opens() && l.at <= must
		if l.short || !l.end.Kind.Opens() || round == lockRounds {
			return l
		}
		early = min(4*early, earliest) // a try takes its time, and the device looks at it at its end
	}
}

// lockWhole is lockAndTry for who asks how long the lock lasts: it begins with the last of
// these wrong tries. Those of before that still count, as where no login of the owner's
// clears them, would have it begin, and end, with an earlier one.
func lockWhole(ctx context.Context, t *check.T, door *dut.Door, own login.Credential) (dut.Answer, time.Time, error) {
	if err := t.Spare(ctx, check.PaceOf(door.Decl()), own.User, door.Decl().Lockout.After); err != nil {
		return dut.Answer{}, time.Time{}, err
	}
	return lockAndTry(ctx, t, door, own, wrongTries)
}

// nearEnd gives when to look whether a lock still lasts that must last so long. A device
// counts a wrong try at any time between when it was sent and when it was answered, and
// under load that is far apart: the look comes early before the end of a lock that began
// with the first, and in one that began with the second no sooner than behind two thirds,
// since a refusal before that would show half a lock.
func nearEnd(sent, answered time.Time, must, early time.Duration) time.Time {
	at, shown := sent.Add(must-early), answered.Add(must-must/3)
	if shown.After(at) {
		return shown
	}
	return at
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
// it again: hold is then how long it was waited out.
//
// If not, the look near the end may have made the lock longer, or the device
// counts in whole seconds: it is locked anew, without that look, and waited for a
// grain longer. At last it is the lock alone that is asked about.
func recovered(ctx context.Context, t *check.T, door *dut.Door, own login.Credential, since time.Time, timely bool) (a dut.Answer, hold time.Duration) {
	lasts := door.Decl().Lockout.Lasts
	whole := lasts + lockMargin + grain(lasts)
	for _, r := range []struct {
		hold  time.Duration
		wrong bool
	}{{lasts + lockMargin, timely}, {whole, timely}, {whole, false}} {
		t.OK(t.Device().Wait(ctx, max(0, time.Until(since.Add(r.hold)))))
		over := false
		if r.wrong {
			var err error
			_, _, over, err = wrongTries(ctx, t, door, own, 1)
			t.OK(err)
		}
		a = opens(ctx, t, door, own)
		switch {
		case a.Kind == verdict.Accepted && r.wrong && !over:
			return a, time.Since(since)
		case a.Kind == verdict.Accepted && !r.wrong:
			return a, 0
		case r.hold == whole && !r.wrong:
			return a, 0
		}
		t.Note("%v after the lock began the owner is answered with %s (%s); once more", time.Since(since).Round(time.Millisecond), a.Kind, a.Detail)
		if a.Kind != verdict.Accepted { // the lock may be a new one, or a longer one; it has to be over before the next
			t.OK(t.Device().Wait(ctx, whole))
			if a = opens(ctx, t, door, own); a.Kind != verdict.Accepted {
				return a, 0
			}
		}
		locked, _, err := lockWhole(ctx, t, door, own)
		t.OK(err)
		needLock(t, door, locked)
		since = time.Now()
	}
	return a, 0
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

// unlocked gives the answer to the owner before anything is locked, which lets them in,
// and has the case leave nobody locked.
func unlocked(ctx context.Context, t *check.T, door *dut.Door, own login.Credential) dut.Answer {
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
	return before
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
	if lock := door.Decl().Lockout; lock.Survives.Kept() {
		t.OK(t.Device().Wait(ctx, lock.Lasts+lockMargin))
	}
}
