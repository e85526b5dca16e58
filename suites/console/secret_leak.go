package console

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	hc "rigor/harness/console"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/verdict"
	"rigor/suites/secrets"
)

// SecretLeak: no secret of the unit is seen on the console, in any phase.
var SecretLeak = check.Check{
	ID:    "con-secret-leak",
	Title: "No secret is seen on the console",
	Clauses: baseline.PerChannel{
		baseline.Local: {nist8259a.DP1, en303645.V3("5.6-2"), en303645.V3("5.4-1"), en18031.Code("SCM-3"), en18031.Code("SSM-3")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries, check.Configure, check.Supply},
	Budget: check.Budget{Case: 10 * time.Minute, Cleanup: 3 * time.Minute},
	Cases:  check.Planner(check.PerConsole).With(needsEar, check.NeedsPower),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(t)
		t.Cleanup(recovered)
		h := &hunt{seat: s}
		h.mute = s.door == nil && s.con.Decl().Answer.Declared()
		h.secrets, h.gaps = secrets.OfUnit(t)
		held := check.Refute(ctx, t, "no secret of the unit comes out of the console, in any encoding", check.Negative[scene]{
			Control: h.sees,
			Anti: func(context.Context) (dut.Answer, error) {
				return h.search(0, nil, []secrets.Secret{{Name: "what was never sent", Value: t.Secret("never sent", 20), Piece: secrets.DrawnPiece}})
			},
			Probes:  h.scenes(),
			Try:     h.play,
			Name:    func(c scene) string { return c.name },
			Refusal: []verdict.Kind{verdict.Refused},
			Opened:  verdict.ReasonLeak,
			Same:    identity(t),
		})
		if len(h.gaps) > 0 && held {
			t.Claim("all secrets of the unit, and all moments at which one is handled, were looked at", func(c *check.Claim) {
				c.Unknown(verdict.ReasonCoverageGap, "%s", strings.Join(h.gaps, "; "))
			})
		}
	},
}

// hunt is the search for secrets on one console.
type hunt struct {
	*seat
	secrets []secrets.Secret
	gaps    []string // what cannot be looked at
	mute    bool     // it takes no input: a boot is what shows that it is heard
}

// scene is a part of the device's life in which its secrets are handled.
type scene struct {
	name string
	run  func(ctx context.Context) error // nil: all that came before
}

// lineQuiet is how long nothing may come at the end of a scene: longer than a USB
// adapter holds bytes back. What is later yet is looked at with all that came.
const lineQuiet = 20 * time.Millisecond

// play goes through a scene and looks at what came meanwhile.
func (h *hunt) play(ctx context.Context, c scene) (dut.Answer, error) {
	from := hc.Cursor(0)
	if c.run == nil {
		if _, err := h.con.Quiet(ctx, promptQuiet); err != nil {
			return dut.Answer{}, err
		}
	} else {
		from = h.con.Mark()
		if err := c.run(ctx); err != nil {
			return dut.Answer{}, fmt.Errorf("%s: %w", c.name, err)
		}
		if _, err := h.con.Quiet(ctx, lineQuiet); err != nil { // the last line of it
			return dut.Answer{}, err
		}
	}
	return h.search(from, h.con.Typed(from), h.secrets)
}

// search looks for secrets in the transcript from a cursor on: Accepted where
// one is found, but in the echo of what we typed ourselves; Unproven where it stands
// in nothing but what may be that echo.
func (h *hunt) search(from hc.Cursor, typed []hc.Typed, list []secrets.Secret) (dut.Answer, error) {
	text, err := h.con.Since(from)
	if errors.Is(err, hc.ErrForgotten) {
		return dut.Answer{Kind: verdict.Unproven, Detail: err.Error()}, nil
	}
	if err != nil {
		return dut.Answer{}, err
	}
	said, rest := unechoed(text, from, typed)
	if what, found := secrets.Find(said, list); found {
		if _, found = secrets.Find(rest, list); !found {
			return dut.Answer{Kind: verdict.Unproven, Detail: "in what may be the echo of our own typing, behind other output, " + what}, nil
		}
		return dut.Answer{Kind: verdict.Accepted, Detail: what}, nil
	}
	return dut.Answer{Kind: verdict.Refused, Detail: fmt.Sprintf("none of %d secrets in %d bytes", len(list), len(text))}, nil
}

// sees is the control: what the device says on this console is found by the same
// search, encoded too. The owner types a marker in base64 and the device
// echoes it; where there is no login, the declared answer is found.
func (h *hunt) sees(ctx context.Context) (dut.Answer, error) {
	from := h.con.Mark()
	if h.mute {
		return h.boots(ctx, from)
	}
	if h.door == nil {
		a, err := h.answer(ctx)
		if err != nil || a.Kind != verdict.Accepted {
			return a, err
		}
		raw, err := h.con.Since(from)
		if err == nil && !shows(h.con.Decl().Answer.Expect, raw) {
			a.Kind, a.Detail = verdict.Silent, "the declared answer is not in the transcript"
		}
		return a, err
	}
	if a, err := h.ready(ctx); err != nil || a.Kind != verdict.Accepted {
		return a, err
	}
	session, a, err := h.door.Open(ctx, h.own)
	if err != nil || session == nil {
		return a, err
	}
	defer func() { _ = session.Close() }() // the next look at the console sees to it
	m := h.t.Secret("seen", 18)
	// What the device makes of it does not matter: its echo is what is looked for.
	if _, err := session.Do(ctx, login.Request{Command: "echo " + base64.StdEncoding.EncodeToString([]byte(m))}); err != nil && dut.IsFault(err) {
		return a, err
	}
	found, err := h.search(from, nil, []secrets.Secret{{Name: "the marker that was typed", Value: m}})
	if err == nil && found.Kind != verdict.Accepted {
		found.Kind, found.Detail = verdict.Silent, "a marker that was typed on this console is not found in its transcript"
	}
	return found, err
}

// boots is the control of a console that takes no input: a cold boot is in its
// transcript up to the declared end.
func (h *hunt) boots(ctx context.Context, from hc.Cursor) (dut.Answer, error) {
	if err := h.t.Device().PowerCycle(ctx); err != nil {
		return dut.Answer{}, err
	}
	raw, err := h.con.Since(from)
	switch {
	case err != nil:
		return dut.Answer{}, err
	case !shows(h.con.Boot().Done, raw):
		return dut.Answer{Kind: verdict.Silent, Detail: "the declared end of a boot is not in the transcript"}, nil
	}
	return dut.Answer{Kind: verdict.Accepted, Detail: fmt.Sprintf("a cold boot was heard up to its declared end, %d bytes", len(raw))}, nil
}

// scenes gives what is gone through. What cannot be is a gap.
func (h *hunt) scenes() []scene {
	p := h.t.Profile()
	out := []scene{{name: "the run so far"}}
	switch {
	case p.Stores.Declared():
	case len(p.Stores.Order) == 0:
		h.gaps = append(h.gaps, "the profile does not say what the device stores (stores)")
	}
	for _, name := range p.Stores.Order {
		s := p.Stores.Items[name]
		if s.Declared() || !s.IsSecret() {
			continue
		}
		m, piece, ok := secrets.Marker(h.t.Rand(), s)
		if !ok || len(s.Plant) == 0 {
			h.gaps = append(h.gaps, fmt.Sprintf("store %s takes no marker that could be told from chance", name))
			continue
		}
		h.secrets = append(h.secrets, secrets.Secret{Name: "what was put into store " + name, Value: m, Piece: piece})
		out = append(out, scene{"store " + name + " is written", func(ctx context.Context) error {
			h.t.Note("store %s holds a marker from now on", name)
			_, err := h.t.Device().Steps(ctx, s.Plant, map[string]string{"marker": m})
			return err
		}})
	}
	if pw := p.Password; len(pw.Change) > 0 && h.passwordDoor() != nil {
		out = append(out, scene{"the owner's password is changed and changed back", h.change})
	} else if !pw.Declared() {
		h.gaps = append(h.gaps, "the profile does not say how the owner's password is changed (password.change)")
	}
	out = append(out, scene{"a cold boot", func(ctx context.Context) error { return h.t.Device().PowerCycle(ctx) }})
	if !h.mute {
		out = append(out, scene{"the declared way in", func(ctx context.Context) error {
			_, err := h.owner(ctx)
			return err
		}})
	}
	return append(out, scene{name: "all that came"})
}

// intentPassword is the kind of intent of an owner's password that is changed
// for a while, as the credential suite undoes it.
const intentPassword = "password"

// passwordDoor gives a login by which the owner's password can be looked at.
func (h *hunt) passwordDoor() *dut.Door {
	for _, name := range check.LoginChannels(h.t.Profile()) {
		l := h.t.Profile().Logins.Items[name]
		if l != nil && !l.Declared() && l.Owner.User != "" {
			return h.t.Device().Login(name)
		}
	}
	return nil
}

// change sets another password and the owner's own again: moments at which a
// device has both in its hands.
func (h *hunt) change(ctx context.Context) error {
	name := h.passwordDoor().Name()
	temp := h.t.Secret("changed", 16)
	old, err := h.passwordDoor().Owner()
	if err != nil {
		return err
	}
	h.secrets = append(h.secrets, secrets.Secret{Name: "a password that was set", Value: temp, Piece: secrets.DrawnPiece})
	done := h.t.Intent(intentPassword, "the owner's password is changed for "+h.t.ID(), map[string]string{"login": name, "label": h.t.ID() + "/changed"})
	h.t.Cleanup(func(ctx context.Context, t *check.T) {
		door := t.Device().Login(name)
		a, err := door.Try(ctx, old)
		t.OK(err)
		if a.Kind != verdict.Accepted {
			t.OK(h.set(ctx, t.Device(), temp, old.Password))
		}
		done()
	})
	if err := h.set(ctx, h.t.Device(), old.Password, temp); err != nil {
		return err
	}
	return h.set(ctx, h.t.Device(), temp, old.Password)
}

func (h *hunt) set(ctx context.Context, d *dut.Device, from, to string) error {
	_, err := d.Steps(ctx, d.Profile.Password.Change, map[string]string{"old": from, "new": to})
	return err
}
