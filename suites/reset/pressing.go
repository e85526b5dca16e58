package reset

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// A press is held a tenth longer than it has to be where it must work, and a fifth less
// where it must not.
func over(d time.Duration) time.Duration  { return d + d/10 }
func under(d time.Duration) time.Duration { return d - d/5 }

// pressTries is how often a press is made until the rig has held it for the time that it
// was to be held: a computer that is busy lets go late.
const pressTries = 8

// pressWithin is how long the sign of a press may take where the profile does not say.
const pressWithin = 5 * time.Second

// finger makes presses on one line, and sees what they do.
type finger struct {
	t     *check.T
	all   []profile.Press // of its line
	early []profile.Sign  // of a reset: they come before a press of that kind is over
	lag   time.Duration   // how long after the release the sign of one came, at most
	works bool            // a press has had its effect
	slow  bool            // a press lasted longer than it was to, and may have changed the device's state
	boot  bool            // the last press was ended by a start, whose last words may still come
}

// window is when a press has to be over: longer than least, and shorter than most.
type window struct{ least, most time.Duration }

// past says whether a press lasted for so long that it may have been another one.
func (w window) past(h dut.Held) bool { return w.most > 0 && h.Most >= w.most }

// effective is the window in which a press has its effect.
func effective(p profile.Press, all []profile.Press) window {
	w := window{p.Hold, p.Until}
	for _, o := range all { // what begins later ends it too
		if o.PowerOn() == p.PowerOn() && o.Hold > p.Hold && (w.most == 0 || o.Hold < w.most) {
			w.most = o.Hold
		}
	}
	return w
}

// does makes a press that must have its effect, and ends that: Accepted where each sign
// of it was seen.
func (f *finger) does(ctx context.Context, p profile.Press) (dut.Answer, error) {
	w := effective(p, f.all)
	for try := 1; ; try++ {
		a, h, err := f.once(ctx, p)
		if err != nil || a.Kind == verdict.Garbled || a.Kind != verdict.Accepted && w.past(h) { // it may be on its way to another state
			return a, err
		}
		if err := f.leave(ctx, p); err != nil {
			return a, err
		}
		if a.Kind == verdict.Accepted || try == pressTries || h.Least >= w.least && (w.most == 0 || h.Most < w.most) {
			return a, nil
		}
	}
}

// once makes the press once, and sees what it does: Garbled where that is what another
// press does.
func (f *finger) once(ctx context.Context, p profile.Press) (a dut.Answer, h dut.Held, err error) {
	d := f.t.Device()
	watch, err := d.WatchSigns(ctx, p.Sign)
	if err != nil {
		return a, h, err
	}
	defer watch.Close()
	others, err := d.WatchSigns(ctx, f.others(p))
	if err != nil {
		return a, h, err
	}
	defer others.Close()
	if h, err = d.Press(ctx, p, over(p.Hold)); err != nil {
		return a, h, err
	}
	let := time.Now()
	seen, err := watch.Await(ctx, cmp.Or(p.Within, pressWithin))
	if err != nil {
		return a, h, err
	}
	a = ofSigns(p, h, seen)
	wrong, err := others.Look()
	if err != nil {
		return a, h, err
	}
	by, came := watch.Late(), shown(wrong)
	past := effective(p, f.all).past(h)
	f.slow = f.slow || past
	switch {
	case a.Kind == verdict.Accepted:
		f.works, f.lag = true, max(f.lag, time.Since(let))
	case past:
		a.Kind, a.Detail = verdict.Unproven, a.Detail+"; it was held for longer than it was to be: the rig is too slow"
	case a.Kind == verdict.Silent && came != "" && !f.slow && !f.mistaken(wrong, h, by):
		a.Kind, a.Detail = verdict.Garbled, a.Detail+"; in its place: "+came
	case a.Kind == verdict.Silent && (f.slow || by > p.Hold/20):
		a.Kind, a.Detail = verdict.Unproven, fmt.Sprintf("%s; the rig is too slow: it was late by up to %v", a.Detail, by.Round(time.Millisecond))
	case came != "":
		a.Kind, a.Detail = verdict.Garbled, a.Detail+"; in its place: "+came
	}
	return a, h, nil
}

// mistaken says whether a press that is known to have been held for h, on a computer that
// was late by so much, can have been one of those to which a sign belongs that was seen: a
// device that lives in that computer is as late.
func (f *finger) mistaken(seen []dut.SignSeen, h dut.Held, by time.Duration) bool {
	return slices.ContainsFunc(seen, func(s dut.SignSeen) bool {
		text := dut.SignText(s.Sign)
		same := func(o profile.Sign) bool { return dut.SignText(o) == text }
		early := slices.ContainsFunc(f.early, same)
		return s.Seen && slices.ContainsFunc(f.all, func(o profile.Press) bool {
			w := effective(o, f.all)
			return (early && o.Effect == profile.EffectReset || slices.ContainsFunc(o.Sign, same)) &&
				h.Most+by >= w.least && (w.most == 0 || h.Least-by < w.most)
		})
	})
}

// signs are those of all presses of the line.
func (f *finger) signs() []profile.Sign {
	out := slices.Clone(f.early)
	for _, p := range f.all {
		out = append(out, p.Sign...)
	}
	return out
}

// others are the signs of the line's other presses.
func (f *finger) others(p profile.Press) []profile.Sign {
	return slices.DeleteFunc(f.signs(), func(s profile.Sign) bool {
		return slices.ContainsFunc(p.Sign, func(o profile.Sign) bool { return dut.SignText(o) == dut.SignText(s) })
	})
}

// shown says which signs were seen.
func shown(seen []dut.SignSeen) string {
	var came []string
	for _, s := range seen {
		if s.Seen {
			came = append(came, dut.SignText(s.Sign))
		}
	}
	return strings.Join(came, "; ")
}

// onlyOf says whether no sign was seen but those of a press.
func (f *finger) onlyOf(p profile.Press, seen []dut.SignSeen) bool {
	others := f.others(p)
	return !slices.ContainsFunc(seen, func(s dut.SignSeen) bool {
		return s.Seen && slices.ContainsFunc(others, func(o profile.Sign) bool { return dut.SignText(o) == dut.SignText(s.Sign) })
	})
}

// leave brings the device back into use.
func (f *finger) leave(ctx context.Context, p profile.Press) error {
	f.boot = p.PowerOn()
	if len(p.Leave) > 0 {
		if _, err := f.t.Device().Steps(ctx, p.Leave, nil); err != nil {
			f.t.OK(ours(err))
			f.t.Note("what ends press %s does not work: %v", p.ID, err)
		}
	}
	return f.t.Device().Reachable(ctx)
}

// ofSigns says whether all signs of a press were seen.
func ofSigns(p profile.Press, h dut.Held, seen []dut.SignSeen) dut.Answer {
	a := dut.Answer{Kind: verdict.Accepted}
	var said []string
	for _, s := range seen {
		what := "seen"
		switch {
		case (s.Late || s.Idle) && a.Kind != verdict.Silent:
			what, a.Kind = "not seen ("+s.Detail+")", verdict.Unproven
		case !s.Seen:
			what, a.Kind = "not seen ("+s.Detail+")", verdict.Silent
		}
		said = append(said, dut.SignText(s.Sign)+": "+what)
	}
	if a.Detail = strings.Join(said, "; "); h.Most > 0 {
		a.Detail = fmt.Sprintf("press %s held for %v to %v; %s", p.ID, h.Least.Round(time.Millisecond), h.Most.Round(time.Millisecond), a.Detail)
	}
	return a
}

// wrongPress is a press that does nothing.
type wrongPress struct {
	press profile.Press // that it is like
	hold  time.Duration
	in    window
	name  string
}

// wrongPresses gives those that are next to the declared ones: a little too short, and a
// little too long where one has an end.
func wrongPresses(all []profile.Press, powerOn bool) (out []wrongPress) {
	mine := slices.DeleteFunc(slices.Clone(all), func(p profile.Press) bool { return p.PowerOn() != powerOn })
	slices.SortFunc(mine, func(a, b profile.Press) int { return int(a.Hold - b.Hold) })
	room := func(w wrongPress) bool {
		return !slices.ContainsFunc(mine, func(p profile.Press) bool {
			e := effective(p, mine)
			return w.hold >= e.least && (e.most == 0 || w.hold < e.most)
		})
	}
	for i, p := range mine {
		before := window{0, p.Hold}
		for _, o := range mine[:i] {
			before.least = max(before.least, o.Until)
		}
		twice := func(hold time.Duration) bool { // a little too long for one is a little too short for the next
			return slices.ContainsFunc(out, func(w wrongPress) bool { return w.hold == hold })
		}
		short := wrongPress{press: p, hold: under(p.Hold), in: before, name: fmt.Sprintf("held for %v, four fifths of what %s takes", under(p.Hold), p.ID)}
		if room(short) && !twice(short.hold) && short.hold > before.least {
			out = append(out, short)
		}
		if p.Until == 0 {
			continue
		}
		long := wrongPress{press: p, hold: over(p.Until), in: window{p.Until, 0}, name: fmt.Sprintf("held for %v, a tenth longer than %s takes", over(p.Until), p.ID)}
		if i+1 < len(mine) {
			long.in.most = mine[i+1].Hold
		}
		if room(long) && !twice(long.hold) && (long.in.most == 0 || long.hold <= under(long.in.most)) {
			out = append(out, long)
		}
	}
	return out
}

// late says whether a press may have been another one than was wanted: the computer was
// late by so much, and a device that lives in it may have been as slow.
func (w wrongPress) late(h dut.Held, by time.Duration) bool {
	return h.Most+by >= w.in.most && w.in.most > 0 || h.Least-by <= w.in.least && w.in.least > 0
}

// ends says whether what comes of a press that lasted too long is what it was to be too
// short for, and can be ended.
func (w wrongPress) ends() bool {
	return w.in.most == w.press.Hold && w.press.Effect != profile.EffectReset && len(w.press.Leave) > 0
}

// watchLeast is how long the device is watched behind a press that must do nothing, at
// the least.
const watchLeast = 100 * time.Millisecond

// idle makes a press that must do nothing: Accepted where a sign of any press of the line
// was seen.
func (f *finger) idle(ctx context.Context, w wrongPress) (dut.Answer, error) {
	d := f.t.Device()
	for try := 1; ; try++ {
		watch, err := d.WatchSigns(ctx, f.signs())
		if err != nil {
			return dut.Answer{}, err
		}
		h, err := d.Press(ctx, w.press, w.hold)
		gone := err == nil && w.press.PowerOn() && w.late(h, watch.Late()) && w.ends() // it may be elsewhere by now
		switch {
		case gone:
			err = f.leave(ctx, w.press)
		case err == nil && w.press.PowerOn():
			err = d.Reachable(ctx)
		}
		if err == nil {
			err = d.Wait(ctx, max(watchLeast, 2*f.lag))
		}
		var seen []dut.SignSeen
		if err == nil {
			seen, err = watch.Look()
		}
		watch.Close()
		if err != nil {
			return dut.Answer{}, err
		}
		late, came := gone || w.late(h, watch.Late()), shown(seen)
		late = late || f.slow && came != "" // what comes now may come of a press that lasted too long
		f.slow = f.slow || late
		detail := fmt.Sprintf("held for %v to %v", h.Least.Round(time.Millisecond), h.Most.Round(time.Millisecond))
		switch {
		case late && try < pressTries && came == "":
			continue
		case late && try < pressTries && w.ends() && f.onlyOf(w.press, seen):
			if !gone {
				err = f.leave(ctx, w.press)
			}
			if err != nil {
				return dut.Answer{}, err
			}
			continue
		case late:
			return dut.Answer{Kind: verdict.Unproven, Detail: detail + ", which is not what was wanted: the rig is too slow"}, nil
		case came != "":
			return dut.Answer{Kind: verdict.Accepted, Detail: detail + ", and it does something: " + came}, nil
		}
		return dut.Answer{Kind: verdict.Refused, Detail: detail + ", and nothing was seen"}, nil
	}
}

// untouched watches for as long without a press: what is seen then comes of none. A
// device that was reset by a press before says in each start that it is not set up.
func (f *finger) untouched(ctx context.Context) (dut.Answer, error) {
	d := f.t.Device()
	if f.boot {
		if err := d.Wait(ctx, max(watchLeast, 2*f.lag)); err != nil {
			return dut.Answer{}, err
		}
	}
	watch, err := d.WatchSigns(ctx, f.signs())
	if err != nil {
		return dut.Answer{}, err
	}
	defer watch.Close()
	if err := d.Wait(ctx, max(watchLeast, 2*f.lag)); err != nil {
		return dut.Answer{}, err
	}
	seen, err := watch.Look()
	if err != nil {
		return dut.Answer{}, err
	}
	switch came := shown(seen); {
	case came != "" && f.slow:
		return dut.Answer{Kind: verdict.Unproven, Detail: "without a press: " + came + "; it may come of one that lasted too long: the rig is too slow"}, nil
	case came != "":
		return dut.Answer{Kind: verdict.Accepted, Detail: "without a press: " + came}, nil
	}
	return dut.Answer{Kind: verdict.Refused, Detail: "without a press nothing was seen"}, nil
}

// stirred looks whether the line of a press that did not reset the device reaches its
// button: another press of it has an effect.
func (tr *tour) stirred(ctx context.Context, t *check.T) {
	p := t.Profile().Press(tr.way.Press)
	if p == nil || tr.stimulus != "" {
		return
	}
	f := fingerOn(t, p.Line)
	for _, o := range f.all {
		if o.Effect == profile.EffectReset || o.PowerOn() {
			continue
		}
		a, err := f.does(ctx, o)
		t.OK(err)
		tr.say("%s", a.Detail)
		if a.Kind == verdict.Accepted {
			tr.stimulus = "the button works: " + a.Detail
			return
		}
	}
}

// fingerOn gives what makes presses on a line.
func fingerOn(t *check.T, line string) *finger {
	f := &finger{t: t, all: ofLine(t.Profile(), line)}
	for _, w := range t.Profile().Reset.Ways {
		for _, s := range w.Sign {
			if !slices.ContainsFunc(f.early, func(o profile.Sign) bool { return dut.SignText(o) == dut.SignText(s) }) {
				f.early = append(f.early, s)
			}
		}
	}
	return f
}

// ofLine gives the presses of a line.
func ofLine(p *profile.Profile, line string) []profile.Press {
	return slices.DeleteFunc(slices.Clone(p.Presses.Items), func(o profile.Press) bool { return o.Line != line })
}
