package credential_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/profile"
)

// counting is a keypad that counts wrong tries of everybody, and forgets none for the
// owner's right one. It takes its time to answer.
type counting struct {
	keypad
	lock  profile.Lockout
	takes time.Duration

	mu    sync.Mutex
	wrong []time.Time
	until time.Time
}

func (k *counting) answer(ctx context.Context, question string) (string, error) {
	said, err := k.keypad.answer(ctx, question)
	if err != nil || said != "in" && said != "no" {
		return said, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if now.Before(k.until) {
		said, k.keypad.last = "no", false
	} else if said == "no" {
		recent := k.wrong[:0]
		for _, at := range k.wrong {
			if now.Sub(at) < k.lock.Window {
				recent = append(recent, at)
			}
		}
		if k.wrong = append(recent, now); len(k.wrong) >= k.lock.After {
			k.wrong, k.until = nil, now.Add(k.lock.Lasts)
		}
	}
	<-time.After(k.takes)
	return said, nil
}

// TestLockRecoverBehindOtherTries: wrong tries of a case before, which no login of the
// owner's clears, lock before the last of this case's does. The lock is as long as declared.
func TestLockRecoverBehindOtherTries(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("locks that are waited out")
	}
	lock := profile.Lockout{After: 4, Window: 3 * time.Second, Lasts: 1900 * time.Millisecond, Scope: "source"}
	who := &counting{lock: lock, takes: 300 * time.Millisecond}
	res := run(t, planted{AskSecret: who.answer, Profile: func(p *profile.Profile) {
		l := &profile.Login{Protocol: "ask", Ask: "the keypad beside the door", Owner: p.Logins.Items["api"].Owner, Lockout: lock}
		l.Proof.Match = profile.Pattern{Literal: "Welcome"}
		p.Logins.Order = append(p.Logins.Order, "keypad")
		p.Logins.Items["keypad"] = l
		p.States.Items["onboarded"].Logins = append(p.States.Items["onboarded"].Logins, "keypad")
	}}, "cred-blank[keypad]", "cred-lock-recover[keypad]")
	assert.Equal(t, pass, judged(t, res, "cred-blank[keypad]"))
	assert.Equal(t, pass, judged(t, res, "cred-lock-recover[keypad]"))
}
