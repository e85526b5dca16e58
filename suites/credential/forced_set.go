package credential

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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

// ForcedSet: there is no way into normal use that leaves the password unset, and
// none for who does not know what stands on the unit's label, where its set-up asks
// for that.
var ForcedSet = check.Check{
	ID:    "cred-forced-set",
	Title: "Nobody gets past the setting of a password",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.LA2, en303645.V3("5.1-1"), en18031.Code("AUM-5-1"), en18031.Code("AUM-5-2")},
	},
	From:   states.Factory.State,
	Effect: check.Consumes,
	Allow:  []check.Leave{check.LoginTries, check.Configure, check.Supply},
	// Locks that wrong labels bring about are waited out, twice with most devices.
	Budget: check.Budget{Case: 15 * time.Minute, Cleanup: time.Minute},
	Cases:  check.Planner(check.Device).With(setupDeclared, check.NeedsNetwork, check.NeedsPower),
	Run: func(ctx context.Context, t *check.T) {
		door := t.Device().Login(t.Profile().Setup.Login)
		alive := Holds(t, states.Factory.Name)
		done := t.Intent(IntentSetup, "the set-up is tried in "+t.ID(), map[string]string{"way": wayBack(t)})
		t.Cleanup(func(ctx context.Context, t *check.T) {
			backToFactory(ctx, t)
			done()
		})
		// A set-up that is refused because of what others tried before shows
		// nothing: a lock of then is waited out.
		t.OK(t.Spare(ctx, check.PaceOf(door.Decl()), door.Decl().Owner.User, 1))
		for _, skip := range t.Profile().Setup.Skips {
			given := t.Secret("skip", 16)
			_, err := t.Device().Steps(ctx, skip.Steps, map[string]string{"new": given})
			var refused *steps.StepError
			lost := false // it is not shown that the device was asked
			switch {
			case errors.As(err, &refused) && refused.Unanswered:
				lost = !afterPower(skip.Steps, refused.At)
				t.Note("skip %s: not answered: %s", skip.ID, refused)
			case errors.As(err, &refused):
				t.Note("skip %s: refused: %s", skip.ID, refused)
			case err != nil:
				t.OK(err)
			default:
				t.Note("skip %s: all %d steps went through", skip.ID, len(skip.Steps))
			}
			t.OK(t.Device().Reachable(ctx))
			still, err := alive(ctx)
			t.OK(err)
			ref := t.Keep("skip-"+skip.ID+".txt", "what the DUT showed after the skip", []byte(still.Detail+"\n"))
			left := false
			t.Claim("after "+skip.ID+" the device still wants to be set up", func(c *check.Claim) {
				c.Show(ref)
				c.Expect("the factory state", still.Detail)
				if still.Kind != verdict.Accepted {
					still, left = judgeLeft(ctx, t, c, door, given, cutShort(skip.Steps))
					c.Expect("the factory state", still.Detail)
				}
				if !left && lost {
					c.Unknown(verdict.ReasonIneffective, "nothing shows that the device was asked: %s", refused)
				}
			})
			if left {
				return // what else could be skipped is moot: the state is another
			}
			n := check.Negative[login.Credential]{
				Control: alive, Anti: door.With(stranger(t)), Probes: skipped(door), Try: spared(t, door), Name: name,
				Refusal: factoryRefusals(t, door),
			}
			check.Refute(ctx, t, "after "+skip.ID+" nobody gets in without a password", n)
		}
		takesOnlyGood(ctx, t, door, alive)
	},
}

// afterPower says whether a step that failed comes behind one that switches the
// power: then that explains why the device did not answer.
func afterPower(ss []profile.Step, failed string) bool {
	power := false
	var upTo func(ss []profile.Step) (found bool)
	upTo = func(ss []profile.Step) bool {
		for i := range ss {
			if ss[i].At == failed || upTo(ss[i].Steps) {
				return true
			}
			power = power || ss[i].Power != ""
		}
		return false
	}
	return upTo(ss) && power
}

// IntentSetup is the kind of intent of set-ups that are tried; its data names the
// way by which the rig may bring the device back to its factory state.
const IntentSetup = "setup"

// wayBack names a declared way to the factory state that the rig may walk.
func wayBack(t *check.T) string {
	for _, w := range t.Profile().Ways {
		if w.To == states.Factory.Name && !slices.ContainsFunc(w.Needs, func(n string) bool { return !slices.Contains(t.Input().Allow, check.Leave(n)) }) {
			return wayName(w)
		}
	}
	return ""
}

func wayName(w profile.Way) string { return cmp.Or(w.ID, w.From+" to "+w.To) }

// backToFactory leaves no device behind that is in use and has an owner whom
// nobody knows: other cases would take it for one that is set up. It walks a
// declared way to the factory state, if the rig may.
func backToFactory(ctx context.Context, t *check.T) {
	alive := Holds(t, states.Factory.Name)
	if a, err := alive(ctx); err == nil && a.Kind == verdict.Accepted {
		return
	}
	id := wayBack(t)
	if id == "" {
		t.Note("the device left the factory state, and no way that the rig allows leads back")
		return
	}
	t.Note("the device left the factory state; way %s leads back", id)
	noteKeys(ctx, t)
	t.OK(walk(ctx, t.Device(), id))
	if a, err := alive(ctx); err == nil && a.Kind == verdict.Accepted {
		t.Device().WasReset()
	}
}

// walk walks a declared way to the factory state.
func walk(ctx context.Context, d *dut.Device, id string) error {
	for _, w := range d.Profile.Ways {
		if w.To != states.Factory.Name || wayName(w) != id {
			continue
		}
		return d.Walk(ctx, &w, func() {})
	}
	return fmt.Errorf("the profile has no way %q to the factory state", id)
}

// UndoSetup brings back a device on which a killed run was trying the set-up: it
// may be in use, with a password that nobody keeps. One that its owner opens, or
// that still wants to be set up, is left as it is.
func UndoSetup(ctx context.Context, d *dut.Device, data map[string]string, _ func(label string, length int) string) error {
	door := d.Login(d.Profile.Setup.Login)
	own, err := door.Owner()
	if err != nil {
		return err
	}
	if a, err := door.Try(ctx, own); err != nil || a.Kind == verdict.Accepted {
		return err
	}
	if s := d.Profile.States.Items[states.Factory.Name]; s != nil && len(s.Holds) > 0 {
		if _, err := d.Steps(ctx, s.Holds, nil); err == nil {
			return nil
		}
	}
	if data["way"] == "" {
		return fmt.Errorf("the owner's password does not open %s, and no way that the rig allows leads back to the factory state", door.Name())
	}
	return walk(ctx, d, data["way"])
}

// spared tries a credential once it counts: behind some skips an account may have
// been locked by what was tried behind those before. Where nobody hears it nothing
// counts, and nothing is waited for until somebody does.
func spared(t *check.T, door *dut.Door) func(context.Context, login.Credential) (dut.Answer, error) {
	return sparing(
		func(ctx context.Context, c login.Credential) (dut.Answer, error) { return t.Try(ctx, door, c) },
		func(ctx context.Context, user string) error { return t.Spare(ctx, check.PaceOf(door.Decl()), user, 1) })
}

func sparing(try func(context.Context, login.Credential) (dut.Answer, error), spare func(context.Context, string) error) func(context.Context, login.Credential) (dut.Answer, error) {
	shut := false
	return func(ctx context.Context, c login.Credential) (a dut.Answer, err error) {
		if shut { // what opens has opened, whatever it says the next time
			if a, err = try(ctx, c); err != nil || check.Unheard(a) || a.Kind.Opens() {
				return a, err
			}
		}
		if err := spare(ctx, c.User); err != nil {
			return dut.Answer{}, err
		}
		a, err = try(ctx, c)
		shut = err == nil && check.Unheard(a)
		return a, err
	}
}

// skipped gives who might get in when no password was set.
func skipped(door *dut.Door) []login.Credential {
	return blanks(door, door.Decl().Owner.User)
}

// cutShort says whether a skip may come into the middle of a set-up: by the power, a
// line, a request that is given up, or by what nobody but its program or person knows.
// Requests alone do not.
func cutShort(ss []profile.Step) bool {
	return slices.ContainsFunc(ss, func(s profile.Step) bool {
		return s.Power != "" || s.Assert != "" || s.Interrupt > 0 || s.Break || s.Send != "" || len(s.Exec) > 0 || s.Ask != "" || cutShort(s.Steps)
	})
}
