package credential

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// failedBootDeclared: the profile says how a boot is made to fail, on a console
// that the rig has.
func failedBootDeclared(in check.Input, c *check.Case) *verdict.Judgement {
	var none string
	if in.Profile.Consoles.Declared() {
		return check.RigLacks("a failed boot shows on a console, and the device has none: %s", in.Profile.Consoles.None.None)
	}
	shown := false // that one is declared that shows anything
	for _, name := range in.Profile.Consoles.Order {
		con := in.Profile.Consoles.Items[name]
		shown = shown || !con.Declared() && !con.Silent
		switch f := con.Boot.Fail; {
		case f.Declared():
			none = f.None.None
		case con.Boot.Declared():
			none = con.Boot.None.None
		case !f.Given():
		case con.Boot.Done.Zero():
			return check.NotDeclared("console %s does not declare the end of a boot (boot.done)", name)
		case !slices.Contains(in.Consoles, name):
			return check.RigLacks("the rig has no console %s, on which a failed boot shows", name)
		default:
			c.Parts = append(c.Parts, check.PartConsole(name))
			return nil
		}
	}
	switch {
	case none != "":
		return check.DeclaredNone(none)
	case !shown && len(in.Profile.Consoles.Order) > 0:
		return check.RigLacks("a failed boot shows on a console, and the device is declared to have none that says anything")
	}
	return check.NotDeclared("the profile does not say how a boot is made to fail and what is then seen (boot.fail)")
}

// everyDoor: the profile declares a login with its owner, and the rig has a way
// to each of them. The case leans on all.
func everyDoor(in check.Input, c *check.Case) *verdict.Judgement {
	doors := 0
	for _, d := range check.PerLogin(in) {
		l := in.Profile.Logins.Items[d.Channel]
		switch {
		case d.Skip != nil && d.Skip.Verdict == verdict.NotApplicable && d.Channel != "":
		case d.Skip != nil:
			return d.Skip
		case !owned(l):
		default:
			doors++
			c.Parts = append(c.Parts, d.Parts...)
		}
	}
	if doors == 0 {
		return check.NotDeclared("no login declares an owner: nothing can be refused for certain without a login that opens")
	}
	slices.Sort(c.Parts)
	c.Parts = slices.Compact(c.Parts)
	return nil
}

func owned(l *profile.Login) bool { return l.Owner.User != "" || l.Owner.Password != "" }

// Fallback: a boot that failed brings no default login back, neither in itself,
// where the device comes up from another slot or by trying again, nor in the
// next. One failed boot serves all logins.
var Fallback = check.Check{
	ID:    "cred-fallback",
	Title: "A failed boot brings no default login back",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.LA1, nist8259a.LA2, en303645.V3("5.1-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries, check.Configure, check.Supply},
	Budget: check.Budget{Case: 15 * time.Minute, Cleanup: 5 * time.Minute},
	Cases:  check.Planner(check.Device).With(failedBootDeclared, check.NeedsPower, everyDoor),
	Run: func(ctx context.Context, t *check.T) {
		f := &fallback{doors: doors(t)}
		con, err := t.Device().FailingConsole()
		t.OK(err)
		for _, door := range f.doors {
			if a := opens(ctx, t, door, owner(t, door)); a.Kind != verdict.Accepted {
				t.Inconclusive(verdict.ReasonControlFailed, "the owner does not get in by %s before a boot fails: %s", door.Name(), a.Detail)
			}
		}
		mended := false
		done := t.Intent(dut.IntentBootFail, "a boot was made to fail for "+t.ID(), map[string]string{"console": con.Name()})
		t.Cleanup(func(ctx context.Context, t *check.T) {
			if !mended {
				con, err := t.Device().FailingConsole()
				t.OK(err)
				t.OK(t.Device().MendBoot(ctx, con))
			}
			done()
		})
		later := f.room
		if f.failed(ctx, t, con) {
			f.look(ctx, t, "in the boot that failed", f.room)
			later = func(*dut.Door) int { return leastAfter }
		}
		t.OK(t.Device().MendBoot(ctx, con))
		mended = true
		f.look(ctx, t, "in the boot after it", later)
		f.persists(ctx, t)
	},
}

// fallback is what is seen of the logins after a boot that failed.
type fallback struct {
	doors []*dut.Door
	lines []string // of each door and boot, for the record
	shut  []string // where the owner did not get in
}

// doors gives every login that declares its owner.
func doors(t *check.T) (out []*dut.Door) {
	for _, name := range check.LoginChannels(t.Profile()) {
		if l := t.Profile().Logins.Items[name]; l != nil && !l.Declared() && owned(l) {
			out = append(out, t.Device().Login(name))
			continue
		}
		t.Note("login %s is not tried: it declares no owner", name)
	}
	return out
}

// failed makes a boot fail and says whether the device came up in it.
func (f *fallback) failed(ctx context.Context, t *check.T, con *dut.Console) bool {
	from, err := t.Device().FailBoot(ctx, con)
	t.OK(err)
	sign, _ := dut.Pattern("the sign of a failed boot", con.Boot().Fail.Sign)
	m, err := con.Await(ctx, from, con.Boot().Within, sign)
	t.OK(err)
	switch up := con.Boot().Fail.ComesUp; {
	case up.Declared():
		t.Note("it does not come up in a boot that failed: %s", up.None.None)
		return false
	case !up.Itself && len(up.After) == 0:
		ref := t.Keep("sign.txt", "the sign of the failed boot", m.Text)
		t.Claim("in the boot that failed no default login opens", func(c *check.Claim) {
			c.Show(ref)
			c.Unknown(verdict.ReasonProfileMissing, "the profile does not say whether the device comes up in a boot that failed (boot.fail.comes-up)")
		})
		return false
	}
	t.OK(t.Device().ComeUp(ctx, con, m.To))
	return true
}

// look tries what a device may fall back to on every door, most tries on each
// account.
func (f *fallback) look(ctx context.Context, t *check.T, when string, most func(*dut.Door) int) {
	for _, door := range f.doors {
		a := opens(ctx, t, door, owner(t, door))
		f.lines = append(f.lines, fmt.Sprintf("%s, the owner by %s: %s: %s", when, door.Name(), a.Kind, a.Detail))
		if a.Kind != verdict.Accepted {
			f.shut = append(f.shut, door.Name())
			without(ctx, t, door, when, a)
			continue
		}
		n := against(t, door, shortlist(t, door, most(door)), stranger(t))
		n.Whole = true
		check.Refute(ctx, t, when+" no default login opens "+door.Name(), n)
	}
}

// shortlist gives what a device may fall back to, what defaults look like most of
// all first: the user's name, nothing, the label. No account gets more than most
// tries.
func shortlist(t *check.T, door *dut.Door, most int) []login.Credential {
	label := t.Device().Unit().Label
	rank := func(c login.Credential) int {
		switch c.Password {
		case c.User:
			return 0
		case "":
			return 1
		case label:
			return 2
		}
		return 3
	}
	probes := defaults(t, door)
	slices.SortStableFunc(probes, func(a, b login.Credential) int { return rank(a) - rank(b) })
	return capped(probes, most)
}

// Tries that an account gets at least, in the boot that failed and in the next.
const (
	leastAtOnce = 3
	leastAfter  = 1
)

// room gives how many tries an account may get on a door in the boot that failed:
// all, or as many as fit in before the lock-out, which doors share, so that a run
// need not wait for a lock on each of them.
func (f *fallback) room(door *dut.Door) int {
	p := check.PaceOf(door.Decl())
	if p.After == 0 { // none is declared, or nothing at all: Refute sees to that
		return persistProbes
	}
	most := p.After
	if s := door.Decl().Lockout.Shared; s == nil || *s {
		most /= len(f.doors)
	}
	return max(most-leastAfter, leastAtOnce)
}

// without tries the probes on a door that answers and does not let its owner in:
// nothing can be refused for certain there, but what gets in does. A device that
// lost its settings has its defaults.
func without(ctx context.Context, t *check.T, door *dut.Door, when string, own dut.Answer) {
	var text strings.Builder
	fmt.Fprintf(&text, "the owner: %s: %s\n", own.Kind, own.Detail)
	last, reason, opened := own, verdict.ReasonAccess, ""
	for i, c := range append([]login.Credential{stranger(t)}, few(door, defaults(t, door))...) {
		if !says(last.Kind) { // a path that is broken is not walked to its end
			break
		}
		last = opens(ctx, t, door, c)
		fmt.Fprintf(&text, "%s: %s: %s\n", name(c), last.Kind, last.Detail)
		if last.Kind.Opens() {
			opened = fmt.Sprintf("the owner does not get in, and %s opened it: %s", name(c), last.Detail)
			if i == 0 {
				reason = verdict.ReasonOpenToAll
			}
			break
		}
	}
	ref := t.Keep("without-owner.txt", "what was tried where the owner does not get in", []byte(text.String()))
	t.Claim(when+" no default login opens "+door.Name(), func(c *check.Claim) {
		c.Show(ref)
		c.Expect("refused, and the owner gets in", "the owner does not get in")
		if opened != "" {
			c.Fail(reason, "%s", opened)
			return
		}
		c.Unknown(verdict.ReasonControlFailed, "the owner does not get in (%s: %s), so that what else was refused says nothing", own.Kind, own.Detail)
	})
}

// says tells an answer that is a no from none.
func says(k verdict.Kind) bool {
	return k == verdict.Refused || k == verdict.LockedOut || k == verdict.Throttled
}

// persists claims that the owner's password is what it was. That it is refused
// can have other reasons, a lock among them; that the device is as it was before
// its set-up has none.
func (f *fallback) persists(ctx context.Context, t *check.T) {
	ref := t.Keep("owner.txt", "the owner's logins after the failed boot", []byte(strings.Join(f.lines, "\n")+"\n"))
	t.Claim("the owner's password outlives the failed boot", func(c *check.Claim) {
		c.Show(ref)
		c.Expect("the owner gets in by every login", fmt.Sprintf("%d logins looked at", len(f.doors)))
		if len(f.shut) == 0 {
			return
		}
		if s := t.Profile().States.Items[states.Factory.Name]; s != nil && len(s.Holds) > 0 {
			if _, err := t.Device().Steps(ctx, s.Holds, nil); err == nil {
				c.Fail(verdict.ReasonExpectation, "the device is in its factory state: whoever comes first sets it up")
				return
			}
		}
		c.Unknown(verdict.ReasonControlFailed, "the owner does not get in by %s", strings.Join(f.shut, ", "))
	})
}
