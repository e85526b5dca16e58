package credential

import (
	"context"
	"errors"
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
	"rigor/harness/steps"
	"rigor/harness/verdict"
)

// weak is one password that a device must not let its owner choose.
type weak struct{ why, password string }

// Policy: the device lets nobody choose a password that is none.
var Policy = check.Check{
	ID:    "cred-policy",
	Title: "Weak passwords cannot be chosen",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.CFG1, en303645.V3("5.1-1"), en18031.Code("AUM-5-2")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries, check.Configure},
	// A lock that the passwords bring about is waited out, and another at the end.
	Budget: check.Budget{Case: 30 * time.Minute, Cleanup: 20 * time.Minute},
	Cases:  check.Planner(check.Device).With(changeDeclared, check.NeedsNetwork),
	Run: func(ctx context.Context, t *check.T) {
		door := ownerDoor(t)
		own := owner(t, door)
		good := t.Secret("changed", 16)
		done := t.Intent(IntentPassword, "passwords are tried out as the owner's", map[string]string{"login": door.Name(), "label": t.ID() + "/changed"})
		t.Cleanup(func(ctx context.Context, t *check.T) {
			p := check.PaceOf(door.Decl())
			t.OK(t.Spare(ctx, p, own.User, 1))
			err := restore(ctx, t.Device(), t.Device().Login(door.Name()), own, good)
			if err != nil && p.After > 0 {
				// A wrong old password is a wrong try on some devices, and no login: of
				// those nobody keeps count. What they may have locked is waited out.
				t.OK(t.Device().Wait(ctx, max(p.Window, p.Lasts)+lockMargin))
				err = restore(ctx, t.Device(), t.Device().Login(door.Name()), own, good)
			}
			t.OK(err)
			done()
		})
		check.Refute(ctx, t, "no weak password is taken", check.Negative[weak]{
			// A good password is taken, opens, and is taken back: the same path.
			Control: func(ctx context.Context) (dut.Answer, error) {
				a, err := choose(ctx, t, door, own, good)
				if err != nil || !a.Kind.Opens() {
					return a, err
				}
				return choose(ctx, t, door, login.Credential{User: own.User, Password: good}, own.Password)
			},
			// With a wrong old password nothing is taken.
			Anti: func(ctx context.Context) (dut.Answer, error) {
				return choose(ctx, t, door, login.Credential{User: own.User, Password: t.Secret("wrong", 12)}, t.Secret("never-set", 16))
			},
			Probes:  weakPasswords(t, own),
			Name:    func(w weak) string { return w.why },
			Refusal: []verdict.Kind{verdict.Refused},
			Try: func(ctx context.Context, w weak) (dut.Answer, error) {
				a, err := choose(ctx, t, door, own, w.password)
				if err == nil && a.Kind.Opens() { // a finding; the owner gets the own one back at once
					err = restore(ctx, t.Device(), door, own, w.password)
				}
				return a, err
			},
		})
	},
}

// weakPasswords gives what must not be taken, by the declared minimum length.
func weakPasswords(t *check.T, own login.Credential) []weak {
	least := t.Profile().Password.MinLength
	if least == 0 {
		least = 8 // NIST SP 800-63B 5.1.1.2: at least eight characters
	}
	out := []weak{
		{"an empty one", ""},
		{"a single letter", "k"},
		{"one letter less than the least", t.Secret("short", least-1)},
		{"the user's name", own.User},
	}
	out = append(out, listed(least)...)
	if label := t.Device().Unit().Label; label != "" {
		out = append(out, weak{"the password of the label", label})
	}
	return out
}

// listed gives the first words of every list of common passwords, with the digits counted on
// to at least so many characters, as those do whom a minimum asks for more: a list
// without what its device's minimum lets through is none (NIST SP 800-63B 5.1.1.2:
// dictionary words, sequential characters).
func listed(least int) []weak {
	var out []weak
	for _, w := range []string{"password", "12345678"} {
		next := byte('1')
		if w[len(w)-1] == '8' {
			next = '9'
		}
		why := "the first of every list: "
		if len(w) < least {
			why = "the first of every list, counted on: "
		}
		for len(w) < least {
			w += string(rune(next))
			next = '0' + (next-'0'+1)%10
		}
		out = append(out, weak{why + w, w})
	}
	return out
}

// choose tries to change the owner's password and looks whether the new one
// opens: what the device answered to the change decides nothing.
func choose(ctx context.Context, t *check.T, door *dut.Door, old login.Credential, password string) (dut.Answer, error) {
	start := time.Now()
	_, err := t.Device().Steps(ctx, t.Profile().Password.Change, map[string]string{"old": old.Password, "new": password})
	var refused *steps.StepError
	if err != nil && !errors.As(err, &refused) {
		return dut.Answer{}, err
	}
	// A password that was not taken is a wrong one: behind some of them no other would
	// be let in either.
	if err := t.Spare(ctx, check.PaceOf(door.Decl()), old.User, 1); err != nil {
		return dut.Answer{}, err
	}
	a, tryErr := t.Try(ctx, door, login.Credential{User: old.User, Password: password})
	if tryErr != nil {
		return a, tryErr
	}
	if a.Kind.Opens() {
		return a, nil
	}
	if refused != nil && refused.Unanswered {
		return dut.Answer{Kind: verdict.Silent, Detail: "the change was not answered: " + strings.TrimSpace(refused.Got), Took: time.Since(start)}, nil
	}
	if refused != nil {
		return dut.Answer{Kind: verdict.Refused, Detail: "the change was refused: " + strings.TrimSpace(refused.Got), Took: time.Since(start)}, nil
	}
	return dut.Answer{Kind: verdict.Garbled, Detail: "the change was said to be done, and the new password does not open: " + a.Detail, Took: time.Since(start)}, nil
}

// ownerDoor gives the login by which a device-wide check looks whether a
// password opens: the first over the network that declares an owner.
func ownerDoor(t *check.T) *dut.Door {
	for _, name := range check.LoginChannels(t.Profile()) {
		l := t.Profile().Logins.Items[name]
		if l != nil && !l.Declared() && l.Protocol != "console" && l.Owner.User != "" {
			return t.Device().Login(name)
		}
	}
	t.Inconclusive(verdict.ReasonProfileMissing, "no login over the network declares an owner")
	return nil
}
