package credential

import (
	"context"
	"errors"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/steps"
	"rigor/harness/verdict"
)

// judgeLeft decides about a device that does not show its factory state behind a skip.
// It fails when somebody gets in without a password, or when it is in use. When the
// password opens it that the skip had given to a set-up which it was to cut short, the
// cut came behind the end, and nothing can be said. One that opens to nobody may be on its
// way up: a web server answers before what stands behind it. It is asked until it shows
// the factory state, left is false then, or for as long as a boot may take.
func judgeLeft(ctx context.Context, t *check.T, c *check.Claim, door *dut.Door, given string, cut bool) (still dut.Answer, left bool) {
	try := func(ctx context.Context, who login.Credential) (dut.Answer, error) { return t.Try(ctx, door, who) }
	if opened, _ := openedBy(ctx, t, c, door, try); opened {
		return still, true
	}
	switch a := opens(ctx, t, door, login.Credential{User: door.Decl().Owner.User, Password: given}); {
	case a.Kind.Opens() && !cut:
		c.Fail(verdict.ReasonExpectation, "it took what it must not be set up with, and the password that it was given opens: %s", a.Detail)
		return still, true
	case a.Kind.Opens():
		c.Unknown(verdict.ReasonIneffective, "the set-up was whole before it could be skipped: the password that it was given opens: %s", a.Detail)
		return still, true
	}
	still, decided, err := settled(ctx, t, states.Factory.Name)
	t.OK(err)
	if still.Kind == verdict.Accepted {
		return still, false
	}
	opened, answers := openedBy(ctx, t, c, door, spared(t, door))
	if opened {
		return still, true
	}
	used := false
	if home := t.Profile().States.Items[states.Onboarded.Name]; home != nil && len(home.Holds) > 0 {
		a, err := Holds(t, states.Onboarded.Name)(ctx)
		t.OK(err)
		used = a.Kind == verdict.Accepted
	}
	switch {
	case used || decided && answers[verdict.Refused]:
		c.Fail(verdict.ReasonExpectation, "it left the factory state without its password having been set by its owner")
	case len(answers) == 0:
		c.Unknown(verdict.ReasonDUTLost, "it does not show the factory state any more, and its login does not answer")
	default:
		c.Unknown(verdict.ReasonDUTLost, "it does not come to say in which state it is: %s", still.Detail)
	}
	return still, true
}

// openedBy fails the claim where somebody gets in without a password. The answers are
// the kinds of those that came.
func openedBy(ctx context.Context, t *check.T, c *check.Claim, door *dut.Door, try func(context.Context, login.Credential) (dut.Answer, error)) (opened bool, answers map[verdict.Kind]bool) {
	answers = map[verdict.Kind]bool{}
	for _, probe := range skipped(door) {
		a, err := try(ctx, probe)
		t.OK(err)
		if a.Kind.Opens() {
			c.Fail(verdict.ReasonAccess, "it is in use, and %s opens it: %s", name(probe), a.Detail)
			return true, answers
		}
		if a.Kind != verdict.Unreachable && a.Kind != verdict.Silent {
			answers[a.Kind] = true
		}
	}
	return false, answers
}

// settled looks whether the device shows itself in a declared state, until it does or a
// boot had its time: Accepted then, else Refused. It has decided when its last answer was one about
// its state.
func settled(ctx context.Context, t *check.T, state string) (a dut.Answer, decided bool, err error) {
	start := time.Now()
	within, cancel := t.Device().Within(ctx, bootTime(t.Profile()))
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		_, err := t.Device().Steps(ctx, t.Profile().States.Items[state].Holds, nil)
		a = dut.Answer{Kind: verdict.Accepted, Detail: "the DUT shows itself in state " + state, Took: time.Since(start)}
		if err == nil {
			return a, true, nil
		}
		if dut.IsFault(err) || ctx.Err() != nil {
			return dut.Answer{}, false, err
		}
		a.Kind, a.Detail = verdict.Refused, err.Error()
		if t.Device().Wait(within, pause) != nil {
			return a, decides(err), nil
		}
	}
}

// serverTrouble is the least status that tells of a server's own trouble (RFC 9110 section
// 15.6).
const serverTrouble = 500

// decides says whether an answer to what shows a state is one about it: not one that did
// not come, nor not now, nor the trouble of a server with what stands behind it.
func decides(err error) bool {
	var no *steps.StepError
	return errors.As(err, &no) && !no.Unanswered && !no.NotNow() && no.Status < serverTrouble
}

// defaultBoot is how long a boot may take where no console declares it.
const defaultBoot = 2 * time.Minute

// bootTime is how long a boot may take, as declared.
func bootTime(p *profile.Profile) time.Duration {
	longest := time.Duration(0)
	for _, c := range p.Consoles.Items {
		if c != nil {
			longest = max(longest, c.Boot.Within)
		}
	}
	if longest == 0 {
		return defaultBoot
	}
	return longest
}
