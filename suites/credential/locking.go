package credential

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// guessing makes n wrong tries on the owner's account. Over says that one was
// answered otherwise than with a refusal, and that is the answer; last is no later
// than the one that locks was sent.
type guessing func(ctx context.Context, t *check.T, door *dut.Door, own login.Credential, n int) (a dut.Answer, last time.Time, over bool, err error)

// way is one way to guess, and the door at which the owner asks behind it.
type way struct {
	door *dut.Door
	// together has the wrong tries made some at a time, as who is in a hurry does: a
	// device may read its count, look the password up, and only then write it.
	together bool
}

func (w way) how() string {
	if w.together {
		return fmt.Sprintf(", up to %d of them at a time", atOnce)
	}
	return ""
}

// ways lists how the account of a door is locked, and where the owner asks then. A
// lock by tries that come one after the other needs no showing twice.
func ways(ctx context.Context, t *check.T, door *dut.Door) (out []way) {
	d := door.Decl()
	together := d.Protocol != "console" && !d.Aside() && d.Lockout.After > 1
	in := t.LockShown(check.PaceOf(d))
	if together && in != "" {
		t.Note("that wrong tries lock which are made one after the other was shown in %s", in)
	} else {
		out = append(out, way{door: door})
	}
	if together {
		out = append(out, way{door, true})
	}
	for _, other := range sharing(ctx, t, door) {
		out = append(out, way{door: other})
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
func (l *locking) try(ctx context.Context, t *check.T, w way) (dut.Answer, error) {
	lock := l.door.Decl().Lockout
	for round := 1; ; round++ {
		if l.since.IsZero() || time.Since(l.since) > lock.Lasts/2 || round > 1 || w.together {
			if !l.since.IsZero() { // the count begins anew when the lock is over
				if a, err := overLock(ctx, t, l.door, l.own); err != nil {
					return a, err
				} else if a.Kind != verdict.Accepted { // wrong tries behind it would not lock anew
					a.Detail = "the lock before is not over: " + a.Detail
					a.Kind = verdict.Incompatible
					return a, nil
				}
			}
			if w.together {
				return l.together(ctx, t)
			}
			a, last, err := lockAndTry(ctx, t, l.door, l.own, wrongTries)
			l.since = last
			if err != nil || w.door.Name() == l.door.Name() || a.Kind.Opens() {
				return a, err
			}
		}
		a, err := t.Try(ctx, w.door, l.own)
		late := time.Since(l.since)
		if err != nil || !a.Kind.Opens() || late <= lock.Lasts {
			return a, err
		}
		if round == lockRounds {
			t.Inconclusive(verdict.ReasonIneffective, "the owner's try on %s was answered %v after the last wrong one, when a lock of %v may have been over", w.door.Name(), late.Round(time.Millisecond), lock.Lasts)
		}
	}
}

// together offers the owner's password behind wrong tries that were made some at a
// time. That it opens counts only when the device looks at each of those that come
// together: one that looks at the first and says no to the others unseen gives
// nobody more tries, and gets fewer at a time.
func (l *locking) together(ctx context.Context, t *check.T) (dut.Answer, error) {
	lock := l.door.Decl().Lockout
	for width := min(atOnce, lock.After); width > 1; width /= 2 {
		a, last, err := lockAndTry(ctx, t, l.door, l.own, wrongAtOnce(width))
		l.since = last
		if err != nil || !a.Kind.Opens() {
			return a, err
		}
		no, err := unseen(ctx, t, l.door, l.own, width)
		if err != nil {
			return dut.Answer{}, err
		}
		if no == nil {
			a.Detail = fmt.Sprintf("%d wrong tries, %d at a time, did not lock: %s", lock.After+(lock.After+1)/2, width, a.Detail)
			return a, nil
		}
		t.Note("%d tries at a time did not lock, and not each of so many is looked at: the right password among them was %s (%s)", width, no.Kind, no.Detail)
		if err := t.Device().Wait(ctx, max(lock.Window, lock.Lasts)+lockMargin); err != nil {
			return dut.Answer{}, err
		}
	}
	a, last, err := lockAndTry(ctx, t, l.door, l.own, wrongTries)
	l.since = last
	return a, err
}

// unseen gives the answer to the right password among wrong ones that came at the
// same time where that is not let in, and nil when it always is. A device that did
// not lock, and looks at all that it counts, has seen less than two of three: so
// many rounds it lets pass once in a hundred times.
func unseen(ctx context.Context, t *check.T, door *dut.Door, own login.Credential, width int) (*dut.Answer, error) {
	lock, wrong := door.Decl().Lockout, 0
	for round := range 12 {
		if wrong += width - 1; round == 0 || !lock.SuccessClears && wrong >= lock.After { // no lock of ours in between
			if err := t.Device().Wait(ctx, max(lock.Window, lock.Lasts)+lockMargin); err != nil {
				return nil, err
			}
			wrong = width - 1
		}
		cs := wrongPasswords(t, own, width)
		place := round % width
		cs[place] = own
		as, err := t.TryAtOnce(ctx, door, cs)
		if err != nil {
			return nil, err
		}
		if a := as[place]; a.Kind != verdict.Accepted {
			return &a, nil
		}
	}
	return nil, nil
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
	return k == verdict.LockedOut || k == verdict.Throttled || k == lockAnswer(door.Decl()) || slices.Contains(door.Refusals(), k)
}

// lockRounds is how often the wrong tries are made anew that took longer than
// the window in which they count.
const lockRounds = 3

// lockAndTry makes as many wrong tries as lock the account, each on a connection
// of its own, and then offers the owner's password. That it opens
// shows nothing after wrong tries that took longer than the window, or when the
// lock may have been over. It also gives when the last wrong try was sent: the
// lock begins no earlier.
func lockAndTry(ctx context.Context, t *check.T, door *dut.Door, own login.Credential, guess guessing) (dut.Answer, time.Time, error) {
	lock := door.Decl().Lockout
	for round := 1; ; round++ {
		if round > 1 { // what the round before left would have the lock begin too early
			t.OK(t.Spare(ctx, check.PaceOf(door.Decl()), own.User, lock.After))
		}
		was, err := t.Device().Fingerprint(ctx)
		t.OK(err)
		begin := time.Now()
		a, last, over, err := guess(ctx, t, door, own, lock.After)
		if err != nil || over {
			return a, last, err
		}
		took := time.Since(begin)
		t.Note("the wrong tries took %v of a window of %v", took.Round(time.Millisecond), lock.Window)
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

// wrongPasswords gives n wrong credentials of the owner's account, each another:
// some devices do not count the same wrong password twice.
func wrongPasswords(t *check.T, own login.Credential, n int) (out []login.Credential) {
	for i := range n {
		out = append(out, login.Credential{User: own.User, Password: t.Secret(fmt.Sprintf("wrong-%d", i+1), 12)})
	}
	return out
}

// wrongTries makes them one after the other.
func wrongTries(ctx context.Context, t *check.T, door *dut.Door, own login.Credential, n int) (a dut.Answer, last time.Time, over bool, err error) {
	for _, c := range wrongPasswords(t, own, n) {
		last = time.Now()
		if a, err = t.Try(ctx, door, c); err != nil {
			return a, last, true, err
		}
		if a, over = wrongOpens(a); over || !shut(door, a.Kind) { // the latter may not have counted
			return a, last, true, nil
		}
	}
	return a, last, false, nil
}

func wrongOpens(a dut.Answer) (dut.Answer, bool) {
	if a.Kind.Opens() {
		a.Detail = "a wrong password opened it: " + a.Detail
		return a, true
	}
	return a, false
}

// atOnce is how many wrong tries are made at the same time: fewer than the
// connections that dropbear holds open for one address before a login (5), and
// than those with which OpenSSH begins to drop some (10).
const atOnce = 4

// wrongAtOnce makes them so many at a time, and half as many more: whoever does not
// lock then has not counted at least a third. Those that were not answered with a
// refusal may not have counted and are made anew, fewer at a time: the device has
// no more connections.
func wrongAtOnce(width int) guessing {
	return func(ctx context.Context, t *check.T, door *dut.Door, own login.Credential, n int) (a dut.Answer, last time.Time, over bool, err error) {
		cs, width := wrongPasswords(t, own, n+(n+1)/2), width
		more := (n + 1) / 2
		for len(cs) > 0 {
			wave := cs[:min(width, len(cs))]
			if len(cs) > more { // those behind may be sent into the lock
				last = time.Now()
			}
			as, err := t.TryAtOnce(ctx, door, wave)
			if err != nil {
				return a, last, true, err
			}
			var again []login.Credential
			var unshut dut.Answer
			for i, c := range wave {
				if a, over = wrongOpens(as[i]); over {
					return a, last, true, nil
				}
				if !shut(door, a.Kind) {
					again, unshut = append(again, c), a
				}
			}
			if len(again) > 0 && width == 1 {
				return unshut, last, true, nil
			}
			if len(again) > 0 {
				t.Note("%d of %d tries at a time were not answered with a refusal: fewer at a time from here", len(again), len(wave))
				width = max(1, width-len(again))
			}
			cs = append(again, cs[len(wave):]...)
		}
		return a, last, false, nil
	}
}
