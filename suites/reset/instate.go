package reset

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/late"
	"rigor/harness/profile"
	"rigor/harness/steps"
	"rigor/harness/verdict"
)

// firstLook and lastLook are how long it takes from one look at a device that does not say
// yet what it is to the next, at first and at last: a look may be a login.
const (
	firstLook = 100 * time.Millisecond
	lastLook  = 5 * time.Second
)

// usualBoot is how long a boot may take where no console declares it.
const usualBoot = 2 * time.Minute

// bootTime is how long a boot may take.
func bootTime(p *profile.Profile) (longest time.Duration) {
	for _, c := range p.Consoles.Items {
		if c != nil {
			longest = max(longest, c.Boot.Within)
		}
	}
	if longest == 0 {
		return usualBoot
	}
	return longest
}

// heardOf says what a device said by an error of steps that ask it something: Refused
// where it said something else, Throttled where it cannot say yet, Silent where it said
// nothing.
func heardOf(err error) verdict.Kind {
	var no *steps.StepError
	var shut *dut.NoEntryError
	switch {
	case errors.As(err, &shut) && !shut.Answered(), unanswered(err), errors.Is(err, dut.ErrLost):
		return verdict.Silent
	case errors.As(err, &shut) && shut.Answer.Kind != verdict.Refused, errors.As(err, &no) && (no.NotNow() || no.Status >= 500):
		return verdict.Throttled
	}
	return verdict.Refused
}

// inState asks once whether the device shows itself in a state. The error is none of the
// device's.
func inState(ctx context.Context, t *check.T, name string) (dut.Answer, error) {
	began := time.Now()
	s := t.Profile().States.Items[name]
	if s == nil || len(s.Holds) == 0 {
		t.Inconclusive(verdict.ReasonProfileMissing, "the profile does not say how state %s is recognised", name)
	}
	_, err := t.Device().Steps(ctx, s.Holds, nil)
	switch {
	case err == nil:
		return dut.Answer{Kind: verdict.Accepted, Detail: "the device shows itself in state " + name, Took: time.Since(began)}, nil
	case ours(err) != nil || ctx.Err() != nil:
		return dut.Answer{}, err
	}
	return dut.Answer{Kind: heardOf(err), Detail: err.Error(), Took: time.Since(began)}, nil
}

// whichState asks for the first of some states that the device shows itself in, where d is
// the device told to be in each by turns; "" for none of them. A device that answers, or
// cannot say yet, is asked on for as long as within; then one that has answered is in none,
// and of one that has not nobody knows: dut.ErrLost. The answer is that to the last question.
func whichState(ctx context.Context, t *check.T, within time.Duration, names ...string) (string, dut.Answer, error) {
	d := t.Device()
	limit, cancel := d.Within(ctx, within)
	defer cancel()
	for no, wait := 0, firstLook; ; wait = min(2*wait, lastLook) {
		over := limit.Err()
		open, last := false, dut.Answer{}
		for _, name := range names {
			d.In(name)
			a, err := inState(ctx, t, name)
			if err != nil || a.Kind == verdict.Accepted {
				return name, a, err
			}
			if open = open || a.Kind != verdict.Refused; last.Kind != verdict.Silent {
				last = a
			}
		}
		if no++; open {
			no = 0
		}
		switch {
		case no == lookTries, over != nil && last.Kind != verdict.Silent:
			return "", last, nil
		case over != nil:
			return "", last, late.Because(limit, fmt.Errorf("%w: in which state it is it does not say within %v: %s", dut.ErrLost, within, last.Detail))
		}
		if err := d.Wait(ctx, wait); err != nil {
			return "", last, err
		}
	}
}

// lookTries is how often a device that answers, and shows itself in no state, is asked: what
// has just booted may begin its services one by one.
const lookTries = 3
