package credential

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	"rigor/harness/steps"
	"rigor/harness/verdict"
)

// changeDeclared is the need of checks that change the owner's password.
var changeDeclared = check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
	switch {
	case p.Password.Declared():
		return check.DeclaredNone(p.Password.None.None)
	case len(p.Password.Change) == 0:
		return check.NotDeclared("the profile does not say how the owner's password is changed (password.change)")
	}
	return nil
})

// Change: after a change of password the old one opens nothing, and what was
// opened with it is shut.
var Change = check.Check{
	ID:    "cred-change",
	Title: "A changed password leaves nothing of the old one",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.CFG1, en303645.V3("5.1-4"), en18031.Code("AUM-4")},
		baseline.Local:   {nist8259a.CFG1, en18031.Code("AUM-4")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries, check.Configure},
	Budget: check.Budget{Case: 15 * time.Minute, Cleanup: 5 * time.Minute}, // with a cold boot
	Cases:  check.Planner(check.PerLogin).With(check.NeedsOwner, changeDeclared),
	Run: func(ctx context.Context, t *check.T) {
		door := t.Device().Login(t.Case().Channel)
		old := owner(t, door)
		session := sessionOf(ctx, t, door, old)
		if door.Protocol() != "console" { // there the next prompt ends it
			defer func() { _ = session.Close() }() // it is over, whatever the close says
		}
		displaced := displacing(ctx, t, door, session)
		if displaced != "" && displaced != ownConsole(door) {
			_ = session.Close() // our own login has ended it
			session = sessionOf(ctx, t, door, old)
		}
		fresh := changeTo(ctx, t, door, t.Secret("changed", 16))
		// It is looked at before the controls are: on many devices an account has one
		// session, and whoever logs in ends the one before.
		look := stillOpen
		if door.Protocol() == "console" { // where there is one for everybody
			look = func(ctx context.Context, _ login.Access) (dut.Answer, error) { return door.Knock(ctx) }
		}
		seen, err := look(ctx, session)
		t.OK(err)
		n := against(t, door, []login.Credential{old}, stranger(t))
		n.Control, n.Wrong, n.Name = door.With(fresh), nil, func(login.Credential) string { return "the old password" }
		if !stale(ctx, t, door, old, fresh) {
			check.Refute(ctx, t, "the old password opens it no more", n)
		}
		const shut = "a session from before the change is shut"
		if displaced != "" && !seen.Kind.Opens() {
			t.Claim(shut, func(c *check.Claim) {
				c.Unknown(verdict.ReasonIneffective, "the steps of the change log in on %s, and a login there alone ends the session: that the change ends it is not shown", displaced)
			})
		} else {
			check.Refute(ctx, t, shut, check.Negative[login.Access]{
				Control: func(ctx context.Context) (dut.Answer, error) { return newSession(ctx, door, fresh) },
				Anti:    door.With(stranger(t)),
				Probes:  []login.Access{session},
				Try:     func(context.Context, login.Access) (dut.Answer, error) { return seen, nil },
				Name:    func(login.Access) string { return "the session opened with the old password" },
				// A device that ends the session closes its connection.
				Refusal: append(door.Refusals(), verdict.Unreachable, verdict.Unproven),
				Mute:    mute(door),
			})
		}
		t.Once("the old password after a cold boot", func() {
			if t.Input().Power && slices.Contains(t.Input().Allow, check.Supply) {
				afterReboot(ctx, t, old, fresh)
				return
			}
			t.Claim("after a cold boot the old password opens nothing", func(c *check.Claim) {
				c.Unknown(verdict.ReasonRigLacks, "the rig has no power switch, or does not allow %q for this unit: what is only forgotten in memory comes back from flash", check.Supply)
			})
		})
	},
}

// stale looks, where the new password does not open a login, whether it opens another
// one of the same owner: then it was changed, and a login that the old one still opens
// goes by what it remembers. Where the new one opens none, nothing shows that it was
// changed at all. It says whether that was found, and claims it then.
func stale(ctx context.Context, t *check.T, door *dut.Door, old, fresh login.Credential) bool {
	if opens(ctx, t, door, fresh).Kind != verdict.Refused {
		return false
	}
	for _, name := range sameOwner(t, door) {
		in := opens(ctx, t, t.Device().Login(name), fresh)
		if in.Kind != verdict.Accepted {
			continue
		}
		still := opens(ctx, t, door, old)
		if still.Kind != verdict.Accepted {
			return false
		}
		ref := t.Keep("stale.txt", "what the new and the old password open", fmt.Appendf(nil, "the new one on %s: %s\n%s\nthe old one on %s: %s\n%s\n", name, in.Detail, in.Raw, door.Name(), still.Detail, still.Raw))
		t.Claim("the old password opens it no more", func(c *check.Claim) {
			c.Show(ref)
			c.Expect("the new password opens it, and the old one does not", "the old one opens it, the new one is refused")
			c.Fail(verdict.ReasonAccess, "the old password opens %s: %s; the new one, which opens %s, does not", door.Name(), still.Detail, name)
		})
		return true
	}
	return false
}

// sessionOf opens a session that shows itself.
func sessionOf(ctx context.Context, t *check.T, door *dut.Door, own login.Credential) login.Access {
	session, a, err := door.Open(ctx, own)
	t.OK(err)
	if session == nil {
		t.Inconclusive(verdict.ReasonControlFailed, "the owner does not get in before the change: %s", a.Detail)
	}
	alive, err := session.Proof(ctx)
	t.OK(err)
	if alive.Kind != verdict.Accepted {
		t.Inconclusive(verdict.ReasonControlFailed, "a session of the owner does not show itself before the change: %s", alive.Detail)
	}
	return session
}

// displacing names the login that ends an open session by itself, among those
// that the steps of the change make use of; none: "". Such a one would look as if
// the change had ended the session.
func displacing(ctx context.Context, t *check.T, door *dut.Door, session login.Access) string {
	for _, name := range loginsOf(t.Profile(), t.Profile().Password.Change) {
		other := t.Device().Login(name)
		if name == ownConsole(door) {
			return name
		}
		if !owned(other.Decl()) {
			continue
		}
		// Where the proof opens to everybody, it is the change itself that shows such
		// a login to be taken.
		if a := opens(ctx, t, other, owner(t, other)); a.Kind != verdict.Accepted && a.Kind != verdict.Unproven {
			t.Inconclusive(verdict.ReasonControlFailed, "the owner does not get in on %s before the change: %s", name, a.Detail)
		}
		still, err := session.Proof(ctx)
		t.OK(err)
		if still.Kind != verdict.Accepted {
			t.Note("a login on %s alone ends the session: %s", name, still.Detail)
			return name
		}
	}
	return ""
}

// ownConsole names the door where it is a console: there is one session for
// everybody there, and whoever logs in ends it.
func ownConsole(door *dut.Door) string {
	if door.Protocol() != "console" {
		return ""
	}
	return door.Name()
}

// loginsOf lists the logins that steps log in on: in the owner's session, by a
// request for the page that takes the login, or at a console.
func loginsOf(p *profile.Profile, ss []profile.Step) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(p.Logins.Items)) {
		l := p.Logins.Items[name]
		if slices.ContainsFunc(ss, func(s profile.Step) bool {
			_, path, _ := strings.Cut(s.HTTP, " ")
			return s.Login == name && (s.As != "" || s.Run != "" || l.Page != "" && path == l.Page) ||
				l.Protocol == "console" && s.Console != "" && s.Console == l.Console || len(s.Steps) > 0 && slices.Contains(loginsOf(p, s.Steps), name)
		}) {
			names = append(names, name)
		}
	}
	return names
}

// afterReboot tries the old password once more on every channel when the device
// has started anew: what is only forgotten in memory comes back from flash. One
// case does it for all channels, for the price of one boot.
func afterReboot(ctx context.Context, t *check.T, old, fresh login.Credential) {
	t.OK(t.Device().PowerCycle(ctx))
	for _, name := range check.LoginChannels(t.Profile()) {
		door := t.Device().Login(name)
		if door.Decl().Protocol == "" || door.Decl().Owner.User == "" {
			continue
		}
		n := against(t, door, []login.Credential{old}, stranger(t))
		n.Control, n.Wrong, n.Name = door.With(fresh), nil, func(login.Credential) string { return "the old password" }
		check.Refute(ctx, t, "after a cold boot the old password does not open "+name, n)
	}
}

// stillOpen asks a session for its proof.
func stillOpen(ctx context.Context, s login.Access) (dut.Answer, error) {
	o, err := s.Proof(ctx)
	return dut.Answer{Kind: o.Kind, Detail: o.Detail, Raw: o.Evidence, Took: o.Took}, err
}

// newSession opens a session and asks it for its proof once more, on the same
// path as the session under test.
func newSession(ctx context.Context, door *dut.Door, c login.Credential) (dut.Answer, error) {
	s, a, err := door.Open(ctx, c)
	if err != nil || s == nil {
		return a, err
	}
	defer func() { _ = s.Close() }()
	o, err := s.Proof(ctx)
	return dut.Answer{Kind: o.Kind, Detail: o.Detail, Raw: o.Evidence, Took: o.Took}, err
}

// IntentPassword is the kind of intent of a changed password; its data says
// under which label the temporary password was derived.
const IntentPassword = "password"

// changeTo changes the owner's password and takes care that it is changed
// back, in this run or by the next start.
func changeTo(ctx context.Context, t *check.T, door *dut.Door, password string) login.Credential {
	old := owner(t, door)
	done := t.Intent(IntentPassword, "the owner's password was changed for "+t.ID(), map[string]string{"login": door.Name(), "label": t.ID() + "/changed"})
	t.Cleanup(func(ctx context.Context, t *check.T) {
		t.OK(restore(ctx, t.Device(), t.Device().Login(door.Name()), old, password))
		done()
	})
	_, err := t.Device().Steps(ctx, t.Profile().Password.Change, map[string]string{"old": old.Password, "new": password})
	t.OK(err)
	return login.Credential{User: old.User, Password: password}
}

// restore brings the owner's password back if it is not what it was.
func restore(ctx context.Context, d *dut.Device, door *dut.Door, old login.Credential, changed string) error {
	a, err := door.Try(ctx, old)
	if err != nil {
		return err
	}
	temp, err := door.Try(ctx, login.Credential{User: old.User, Password: changed})
	if err != nil {
		return err
	}
	if a.Kind == verdict.Accepted && temp.Kind != verdict.Accepted {
		elsewhere, err := opensElsewhere(ctx, d, door, login.Credential{User: old.User, Password: changed})
		if err != nil || !elsewhere {
			return err // it was never changed, or is back already
		}
		// One of the two goes by a password that it remembers. If it is the other, the
		// change back was made already, and is refused.
		var refused *steps.StepError
		if err := changeBack(ctx, d, old, changed); errors.As(err, &refused) && !refused.Unanswered && !refused.NotNow() {
			return nil
		} else if err != nil {
			return err
		}
		return opensAgain(ctx, door, old)
	}
	if temp.Kind == verdict.Refused {
		// A wire that garbles has a console say no to who is let in: what another login
		// takes is the DUT's password all the same, and not to be left there.
		taken := false
		if door.Protocol() == "console" {
			if taken, err = opensElsewhere(ctx, d, door, login.Credential{User: old.User, Password: changed}); err != nil {
				return err
			}
		}
		if !taken {
			return fmt.Errorf("neither the owner's password nor the temporary one opens %s: %s", door.Name(), temp.Detail)
		}
	}
	// Where the login shows nothing, the change itself has to.
	if err := changeBack(ctx, d, old, changed); err != nil {
		return err
	}
	return opensAgain(ctx, door, old)
}

func changeBack(ctx context.Context, d *dut.Device, old login.Credential, changed string) error {
	if _, err := d.Steps(ctx, d.Profile.Password.Change, map[string]string{"old": changed, "new": old.Password}); err != nil {
		return fmt.Errorf("change the owner's password back: %w", err)
	}
	return nil
}

func opensAgain(ctx context.Context, door *dut.Door, old login.Credential) error {
	a, err := door.Try(ctx, old)
	if err == nil && a.Kind != verdict.Accepted && a.Kind != verdict.Unproven {
		err = fmt.Errorf("the owner's password was changed back and does not open %s: %s", door.Name(), a.Detail)
	}
	return err
}

// opensElsewhere says whether a credential opens another login of the same owner over
// the network: one login may go by a password that it remembers.
func opensElsewhere(ctx context.Context, d *dut.Device, door *dut.Door, c login.Credential) (bool, error) {
	for _, name := range check.LoginChannels(d.Profile) {
		other := d.Login(name)
		if name == door.Name() || other.Decl().Protocol == "console" || !other.Decl().Accounts() || other.Decl().Owner.User != c.User {
			continue
		}
		if a, err := other.Try(ctx, c); err != nil || a.Kind == verdict.Accepted {
			return err == nil, err
		}
	}
	return false, nil
}

// Undo brings back the password that a killed run left changed; data is that
// of the intent, secret derives the temporary password again. A device that was reset
// meanwhile, as an emulated one is with each run, has no owner whose password that was.
func Undo(ctx context.Context, d *dut.Device, data map[string]string, secret func(label string, length int) string) error {
	door := d.Login(data["login"])
	old, err := door.Owner()
	if err != nil {
		return err
	}
	temporary := secret(data["label"], 16)
	if err = restore(ctx, d, door, old, temporary); err == nil {
		return nil
	}
	s := d.Profile.States.Items[states.Factory.Name]
	if s == nil || len(s.Holds) == 0 {
		return err
	}
	if a, tryErr := door.Try(ctx, login.Credential{User: old.User, Password: temporary}); tryErr != nil || a.Kind.Opens() {
		return err
	}
	if _, no := d.Steps(ctx, s.Holds, nil); no != nil {
		return err
	}
	return nil
}
