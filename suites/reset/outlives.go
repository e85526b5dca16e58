package reset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rigor/fixtures/states"
	"rigor/harness/dut"
	"rigor/harness/powercut"
)

// A loss of power takes what is in RAM, or was not written yet, with a reset and without
// one. What a device is to have kept behind a cut is what it keeps by itself.

// outlives has the device lose its power once, before any reset, and notes what of its
// owner's does not outlive that. Where memories are read the device is off for that.
func (r *cutReset) outlives(ctx context.Context) error {
	if err := r.give(ctx); err != nil {
		return err
	}
	dark, err := r.witnesses(ctx)
	if err == nil && !dark {
		err = r.blink(ctx)
	}
	if err != nil {
		return err
	}
	state, said, err := r.state(ctx)
	switch {
	case err != nil:
		return err
	case state != states.Onboarded.Name:
		return fmt.Errorf("behind a loss of power without a reset it is not in use any more (%q): %s: %w", state, said.Detail, dut.ErrLost)
	}
	r.frail = nil
	for _, name := range r.way.Cut.Stores {
		there, err := r.holds(ctx, name)
		if err != nil {
			return err
		}
		if !there {
			r.frail = append(r.frail, "store "+name)
		}
	}
	for _, c := range r.t.Profile().Reset.Credentials {
		_, err := r.t.Device().Steps(ctx, c.Use, map[string]string{"credential": r.given[c.ID]})
		switch {
		case err == nil:
		case ours(err) != nil, unanswered(err):
			return err
		default:
			r.frail = append(r.frail, c.ID)
		}
	}
	now, err := r.entries(ctx)
	if err != nil {
		return err
	}
	if lostLog(r.logged, now) {
		r.frail = append(r.frail, theLog)
	}
	if len(r.frail) > 0 {
		r.t.Note("a loss of power without a reset takes by itself: %s; behind a power cut in a reset by %s it is not asked for", strings.Join(r.frail, ", "), r.way.ID)
	}
	return nil
}

// theLog stands for the log in what does not outlive a loss of power.
const theLog = "the log"

// lostLog says whether a log has lost entries but for those that made room for new ones.
func lostLog(before, now []string) bool {
	there := func(e string) bool { return slices.Contains(now, e) }
	return len(now) < len(before) || len(before) > 0 && !slices.ContainsFunc(before, there)
}

// keeps says whether something of the owner's outlives a loss of power.
func (r *cutReset) keeps(what string) bool { return !slices.Contains(r.frail, what) }

// blink has the device lose its power, and come up again.
func (r *cutReset) blink(ctx context.Context) error {
	d := r.t.Device()
	dark, err := d.Blackout(ctx)
	if err != nil {
		return err
	}
	from, err := dark.End(ctx, nil, nil)
	if err != nil && !errors.Is(err, powercut.ErrNotOff) { // what is still there then is asked for
		return err
	}
	up, last, err := d.CameUp(ctx, from, r.way.Cut.Within)
	if err == nil && !up {
		err = fmt.Errorf("%w: behind a loss of power without a reset it does not come up; it showed last %s", dut.ErrLost, last)
	}
	return err
}
