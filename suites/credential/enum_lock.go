package credential

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/verdict"
)

// compareLocked claims that known and unknown accounts are refused alike once they are
// locked. Of each there is one answer: where those to tries that do not lock, known and
// unknown, cannot be compared, these two cannot either, and nobody is locked for them.
func compareLocked(ctx context.Context, t *check.T, door *dut.Door, own login.Credential, rng *rand.Rand, names []string, known, unknown []dut.Answer, was string) {
	const claim = "known and unknown accounts are refused alike when they are locked"
	if reason, why := incomparable(names, known, unknown); why != "" {
		t.Claim(claim, func(c *check.Claim) {
			c.Unknown(reason, "no tries were made that lock, since those before cannot be compared: %s", why)
		})
		return
	}
	names = []string{own.User, nobodys(rng, own.User)}
	over, late := overTried(ctx, t, door, names[0])
	other, later := overTried(ctx, t, door, names[1])
	locked, nobody := []dut.Answer{over}, []dut.Answer{other}
	a, err := overLock(ctx, t, door, own)
	t.OK(err)
	if a.Kind != verdict.Accepted {
		t.Inconclusive(verdict.ReasonControlFailed, "the owner does not get in after the lock: %s", a.Detail)
	}
	ks, us := faces(names, locked, nobody)
	ref := t.Keep("locked.txt", "the answers once the wrong tries lock", fmt.Appendf(nil, "known: %s\nunknown: %s\n", ks[0], us[0]))
	now, err := t.Device().Fingerprint(ctx)
	t.OK(err)
	t.Claim(claim, func(c *check.Claim) {
		c.Show(ref)
		if why := cmp.Or(late, later); why != "" && !over.Kind.Opens() && !other.Kind.Opens() {
			c.Unknown(verdict.ReasonIneffective, "%s", why)
			return
		}
		judgeSamples(c, names, locked, nobody, was, now)
	})
}

// overTried gives the answer to one wrong try more than locks the account, and why that
// account may not have been locked then: the tries took longer than the window in which
// they count, or the lock may have been over. It is tried anew where there is time.
func overTried(ctx context.Context, t *check.T, door *dut.Door, user string) (a dut.Answer, late string) {
	lock := door.Decl().Lockout
	rest := max(lock.Window, lock.Lasts) + lockMargin
	for round := 1; ; round++ {
		begin := time.Now()
		var took time.Duration // by those that lock
		var last time.Time     // the last of those was sent
		for n, c := range wrongPasswords(t, login.Credential{User: user}, lock.After+1) {
			if n < lock.After {
				last = time.Now()
			}
			if a = opens(ctx, t, door, c); a.Kind.Opens() {
				return a, ""
			}
			if n < lock.After {
				took = time.Since(begin)
			}
		}
		switch over := time.Since(last); {
		case lock.Window > 0 && took > lock.Window:
			late = fmt.Sprintf("%d wrong tries took %v, longer than the window of %v in which they count", lock.After, took.Round(time.Millisecond), lock.Window)
		case lock.Lasts > 0 && over > lock.Lasts:
			late = fmt.Sprintf("the try behind those that lock was answered %v after the last of them, when a lock of %v may have been over", over.Round(time.Millisecond), lock.Lasts)
		default:
			return a, ""
		}
		if round == lockRounds || rest > enumWaits/lockRounds {
			return a, late
		}
		t.OK(t.Device().Wait(ctx, rest))
	}
}
