package credential

import (
	"context"
	"fmt"
	"slices"
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

// LockReboot: who has the plug in hand gets no more tries by it. A lock that a restart
// forgets stops nobody who pulls it; one that is over before the device has booted
// shows nothing. It is about the lock: whether wrong tries that did not lock yet are
// forgotten it does not ask.
var LockReboot = check.Check{
	ID:    "cred-lock-reboot",
	Title: "A restart does not end a lock",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.LA3, en303645.V3("5.1-5"), en18031.Code("AUM-6")},
		baseline.Local:   {nist8259a.LA3, en18031.Code("AUM-6")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries, check.Supply},
	Budget: check.Budget{Case: 30 * time.Minute, Cleanup: 2 * time.Minute},
	Cases:  check.Planner(perLock).With(check.NeedsOwner, lockoutDeclared, survivalDeclared, check.NeedsPower),
	Run: func(ctx context.Context, t *check.T) {
		door := t.Device().Login(t.Case().Channel)
		own, lock := owner(t, door), door.Decl().Lockout
		before := unlocked(ctx, t, door, own)
		doors := []*dut.Door{door}
		for _, name := range lockedWith(t.Profile(), door.Name()) {
			other := t.Device().Login(name)
			a := opens(ctx, t, other, owner(t, other))
			if a.Kind == verdict.Accepted {
				doors = append(doors, other)
				continue
			}
			t.Claim("the lock holds on "+name+" after a restart too", func(c *check.Claim) {
				c.Show(t.Keep(name+".txt", "the answer to the owner before anything is locked", a.Raw))
				c.Unknown(verdict.ReasonControlFailed, "the owner does not get in there before anything is locked: %s: %s", a.Kind, a.Detail)
			})
		}
		r := restarts(ctx, t, door, doors, own)
		was, err := t.Device().Fingerprint(ctx)
		t.OK(err)
		for i := range r.asked[1:] {
			if q := &r.asked[1+i]; q.early && lock.Survives.Kept() {
				q.never = !locks(ctx, t, door, q.door, own)
			}
		}
		after, err := overLock(ctx, t, door, own)
		t.OK(err)
		now, err := t.Device().Fingerprint(ctx)
		t.OK(err)
		ref := t.Keep("lock.txt", "answers to the owner: before the wrong tries, behind them, after a restart, and when the lock was over",
			fmt.Appendf(nil, "before: %s\nlocked: %s\n%sthe lock over: %s\n", before.Detail, r.locked.Detail, r.told(), after.Detail))
		t.Claim("a restart does not end the lock", func(c *check.Claim) {
			c.Show(ref)
			c.Expect(fmt.Sprintf("shut after a restart, as the lock of %v goes on (survives-reboot: %s)", lock.Lasts, lock.Survives), strings.TrimSuffix(r.told(), "\n"))
			r.judge(c, lock)
			if now != was && !c.Failed() {
				c.Unknown(verdict.ReasonDUTChanged, "after the restart the DUT was %s, later %s", was, now)
			}
		})
		gone := shut(door, after.Kind) && forgotten(ctx, t)
		t.Claim("the owner gets in again when the lock is over", func(c *check.Claim) {
			c.Show(ref)
			c.Expect("accepted", string(after.Kind)+": "+after.Detail)
			switch {
			case after.Kind == verdict.Accepted:
			case gone: // which cred-persist looks at
				c.Unknown(verdict.ReasonState, "the restart brought the factory state back, in which there is no owner: %s", after.Detail)
			case shut(door, after.Kind):
				c.Fail(verdict.ReasonExpectation, "still shut after a restart and more than twice %v: %s", lock.Lasts, after.Detail)
			default:
				c.Unknown(verdict.ReasonDUTLost, "%s: %s", after.Kind, after.Detail)
			}
		})
	},
}

// survivalDeclared is the need of the check.
var survivalDeclared = check.OfLogin(func(l *profile.Login) *verdict.Judgement {
	if l.Lockout.Survives == "" {
		return check.NotDeclared("the login does not say what a restart makes of its lock (lockout.survives-reboot)")
	}
	return nil
})

// lockedWith gives the logins that have a login's owner and share its lock, those over
// the network first: they are quicker asked.
func lockedWith(p *profile.Profile, name string) (names []string) {
	own := p.Logins.Items[name]
	shares := func(l *profile.Login) bool {
		return l != nil && !l.Declared() && l.Lockout.After > 0 && yes(l.Lockout.Shared)
	}
	if !shares(own) {
		return nil
	}
	for _, other := range check.LoginChannels(p) {
		if l := p.Logins.Items[other]; other != name && shares(l) && l.Owner.User == own.Owner.User {
			names = append(names, other)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return local(p, a) - local(p, b) })
	return names
}

// local is 1 for a login at a console.
func local(p *profile.Profile, name string) int {
	if p.Logins.Items[name].Protocol == "console" {
		return 1
	}
	return 0
}

// perLock plans one case for each login. Logins that lock together are seen in one
// restart, that of the first of them that the rig has.
func perLock(in check.Input) []check.Case {
	cases := check.PerLogin(in)
	with := map[string]string{} // login → the one whose case looks at it
	for i := range cases {
		c := &cases[i]
		if first := with[c.Channel]; first != "" {
			c.Skip = check.DeclaredNone(fmt.Sprintf("its lock is that of %s (lockout.shared), whose case looks at both after one restart", first))
		} else if c.Skip == nil {
			for _, other := range lockedWith(in.Profile, c.Channel) {
				with[other] = c.Channel
			}
		}
	}
	return cases
}

// restarted is what a restart made of a lock of ours.
type restarted struct {
	locked dut.Answer // to the owner, right behind the wrong tries
	slow   bool       // the boot alone takes as long as the lock
	asked  []asked
}

// asked is the first answer of a login to its owner after a restart.
type asked struct {
	door *dut.Door
	a    dut.Answer
	spell
	// early says that the answer let the owner in while the lock had to last.
	early bool
	// never says that the lock did not hold there without a restart either.
	never bool
}

// spell is what is known of the time that a lock has lasted when a login answers after
// a restart. What this computer saw late is no time of the device's: the lock began no
// earlier than what it began with can have been.
type spell struct {
	at    time.Duration // since the lock can have begun, or begun anew, at the earliest
	up    time.Duration // from the last wrong try to when the boot was seen to end
	since time.Duration // from then to the answer
}

// spellOf gives it of an answer at a moment; last is when the last wrong try was sent,
// notUp when the boot had not ended yet, up when it was seen to have.
func spellOf(anew bool, last, notUp, up, answered time.Time) spell {
	begun := last
	if anew {
		begun = notUp
	}
	return spell{at: answered.Sub(begun), up: up.Sub(last), since: answered.Sub(up)}
}

// late gives the logins that let the owner in when the lock may have been over; none
// where one did before.
func (r *restarted) late() (doors []*dut.Door) {
	for _, q := range r.asked {
		switch {
		case q.early:
			return nil
		case q.a.Kind.Opens():
			doors = append(doors, q.door)
		}
	}
	return doors
}

// restarts locks and restarts until each login has answered in time, or lockRounds times
// in a row none more has: a busy rig asks too late.
func restarts(ctx context.Context, t *check.T, door *dut.Door, doors []*dut.Door, own login.Credential) *restarted {
	r := restart(ctx, t, door, doors, own)
	for round, late := 1, r.late(); len(late) > 0 && !r.slow && round < lockRounds; round++ {
		if a, err := overLock(ctx, t, door, own); err != nil || a.Kind != verdict.Accepted {
			t.OK(err)
			break
		}
		again := restart(ctx, t, door, late, own)
		for i, q := range r.asked {
			if at := slices.IndexFunc(again.asked, func(n asked) bool { return n.door == q.door }); at >= 0 {
				r.asked[i] = again.asked[at]
			}
		}
		r.locked, r.slow = again.locked, again.slow
		if left := r.late(); len(left) < len(late) {
			late, round = left, 0
		}
	}
	return r
}

func (r *restarted) told() string {
	var b strings.Builder
	for _, q := range r.asked {
		fmt.Fprintf(&b, "after the restart, by %s: %s: %s\n", q.door.Name(), q.a.Kind, q.a.Detail)
	}
	return b.String()
}

// restart locks the owner's account at a door, restarts the device, and asks doors.
func restart(ctx context.Context, t *check.T, door *dut.Door, doors []*dut.Door, own login.Credential) *restarted {
	lock := door.Decl().Lockout
	must := lock.Lasts               // how long the lock has to last
	if lock.Lasts >= 2*time.Second { // who counts in whole seconds may begin in the middle of one
		must -= grain(lock.Lasts)
	}
	locked, last, err := lockAndTry(ctx, t, door, own, wrongTries)
	t.OK(err)
	needLock(t, door, locked)
	ons := t.Device().PowerOns()
	t.OK(t.Device().ColdBoot(ctx, "a reboot of the onboarded device"))
	if t.Device().PowerOns() == ons { // that one was made before there was a lock
		t.OK(t.Device().PowerCycle(ctx))
	}
	up, notUp := t.Device().UpSince(), t.Device().NotUpAt()
	over := t.Device().DownSince().Sub(last) > must // it may have been, before the supply went
	anew := lock.Survives == profile.SurvivesAnew
	t.Note("the device was up again %v after the last wrong try, of a lock of %v", up.Sub(last).Round(time.Millisecond), lock.Lasts)
	r := &restarted{locked: locked, slow: !anew && up.Sub(last) > must}
	for _, d := range doors {
		a := first(ctx, t, d, own, lock.Lasts)
		s := spellOf(anew, last, notUp, up, time.Now())
		r.asked = append(r.asked, asked{door: d, a: a, spell: s, early: a.Kind.Opens() && s.at <= must && !over})
	}
	return r
}

// first offers the owner's password until the door answers: its service may come up
// behind the end of the boot.
func first(ctx context.Context, t *check.T, door *dut.Door, own login.Credential, within time.Duration) dut.Answer {
	begin := time.Now()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		a := opens(ctx, t, door, own)
		if a.Kind != verdict.Unreachable || shut(door, a.Kind) || time.Since(begin)+wait > within {
			return a
		}
		t.OK(t.Device().Wait(ctx, wait))
	}
}

// locks says whether wrong tries on one door lock the owner out at another, without a
// restart. What came too late to show it counts as a lock.
func locks(ctx context.Context, t *check.T, door, other *dut.Door, own login.Credential) bool {
	a, err := overLock(ctx, t, door, own)
	t.OK(err)
	if a.Kind != verdict.Accepted {
		return true
	}
	locked, last, err := lockAndTry(ctx, t, door, own, wrongTries)
	t.OK(err)
	if !shut(door, locked.Kind) {
		return true
	}
	a = opens(ctx, t, other, own)
	return !a.Kind.Opens() || time.Since(last) > door.Decl().Lockout.Lasts
}

// judge decides about the lock.
func (r *restarted) judge(c *check.Claim, lock profile.Lockout) {
	for _, q := range r.asked {
		switch {
		case !q.early:
		case q.never:
			c.Unknown(verdict.ReasonPrecondition, "wrong tries on the other logins lock nothing on %s, restarted or not: that is for cred-bruteforce to tell", q.door.Name())
		case lock.Survives.Kept():
			c.Fail(verdict.ReasonExpectation, "the owner is let in by %s %v after the device was up, in a lock of %v that is to survive a restart", q.door.Name(), q.since.Round(time.Millisecond), lock.Lasts)
			return
		default:
			c.Unknown(verdict.ReasonNeedsHuman, "a restart ends the lock, as declared, and takes %v of its %v: who has the plug gets %d tries an hour, in place of %d; whether that is few enough is for a person to say",
				q.at.Round(time.Millisecond), lock.Lasts, hourly(lock.After, q.at), hourly(lock.After, lock.Lasts))
			return
		}
	}
	for _, q := range r.asked {
		switch {
		case q.a.Kind.Opens() && lock.Survives.Kept():
			c.Unknown(verdict.ReasonIneffective, "the owner was let in by %s when the lock of %v may have been over: the device was up %v after the last wrong try, and answered %v after that", q.door.Name(), lock.Lasts, q.up.Round(time.Millisecond), q.since.Round(time.Millisecond))
		case q.a.Kind.Opens(): // a restart takes as long as the lock does
		case !shut(q.door, q.a.Kind):
			c.Unknown(verdict.ReasonIneffective, "that the account is still locked on %s is not shown: %s (%s)", q.door.Name(), q.a.Kind, q.a.Detail)
		}
	}
}

// hourly is how many tries there are in an hour with so many in each time.
func hourly(n int, each time.Duration) int64 { return int64(n) * int64(time.Hour/max(each, 1)) }
