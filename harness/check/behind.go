package check

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/verdict"
)

// settle restarts the DUT once for all that was refused, and looks whether it is what it
// was. Where something lies in its memory that may be a probe, or one was written over
// before a start could show it, each of them is tried once more, with a restart behind it.
func (r *bracketed[P]) settle(ctx context.Context) bool {
	again := r.unseen
	if r.n.Held == nil || len(r.batch) < 2 || r.n.One {
		r.restart(ctx)
	} else {
		ps := make([]P, len(r.batch))
		for i, at := range r.batch {
			ps[i] = r.n.Probes[at]
		}
		batch := r.batch
		held := r.restartBy(ctx, func(ctx context.Context) (string, error) { return r.n.Held(ctx, ps) })
		if held != "" {
			r.t.Note("behind what was refused %s: each is tried once more, with a restart behind it", held)
			again = append(again, batch...)
		}
	}
	if r.rec.Holds == journal.No || !r.see(ctx) {
		return false
	}
	for _, i := range again {
		if !r.alone(ctx, i) {
			return false
		}
	}
	return true
}

// alone delivers a probe that was refused before once more, and restarts the DUT.
func (r *bracketed[P]) alone(ctx context.Context, i int) bool {
	p := r.n.Probes[i]
	d, err := r.patient(ctx, r.names[i], func(ctx context.Context) (dut.Delivery, error) { return r.n.Deliver(ctx, p) }, r.detail(p))
	r.t.OK(err)
	switch {
	case d.Kind != verdict.Refused && !d.Taken:
		r.unknown(verdict.ReasonIneffective, "%s was answered with %s (%s) when it was tried alone", r.names[i], d.Kind, d.Detail)
		return false
	case d.Kind == verdict.Refused && !d.Refuses() && !r.n.Early:
		r.unknown(verdict.ReasonIneffective, "%s was refused when %s, when it was tried alone", r.names[i], d.Reach())
		return false
	}
	r.batch, r.lastTaken = []int{i}, d.Taken
	defer func() { r.lastTaken = false }()
	r.restart(ctx)
	return r.rec.Holds != journal.No && r.see(ctx)
}

// see looks what runs behind a restart. What is no image of the maker's is there because
// a probe was taken, whatever was answered.
func (r *bracketed[P]) see(ctx context.Context) bool {
	now, err := r.n.Look(ctx)
	r.t.OK(err)
	r.looked("behind a restart", now)
	if r.toldOther(ctx, now) {
		return false
	}
	if now.Same(r.before) {
		if r.gone != nil {
			r.unknown(verdict.ReasonDUTLost, "behind %s the DUT did not start until it was brought back: %v", r.delivered(), r.gone)
			return false
		}
		r.batch = nil
		return true
	}
	var shown []string
	at := -1 // the last of them
	for _, i := range r.batch {
		if r.n.Shows(r.n.Probes[i], now) {
			shown, at = append(shown, r.names[i]), i
		}
	}
	last := len(shown) - 1
	if last < 0 && !r.lastTaken { // it may have waited for more than one start
		for _, i := range r.sent {
			if r.n.Shows(r.n.Probes[i], now) && !r.n.Shows(r.n.Probes[i], r.before) {
				r.rec.Unchanged = journal.No
				r.fail(ctx, "%s was taken, though it was answered as refused, and runs at a later start: %s ran before, and %s now%s", r.names[i], r.before, now, r.differs(i))
				return false
			}
		}
		if what := r.t.Unasked(now); what != "" {
			r.rec.Unchanged = journal.No
			r.unknown(verdict.ReasonDUTChanged, "%s ran before the probes, and %s now: that is %s", r.before, now, what)
			return false
		}
	}
	switch {
	case last >= 0 && r.lastTaken && r.n.Shows(r.n.Probes[r.batch[len(r.batch)-1]], now):
		r.rec.Unchanged = journal.No
		r.fail(ctx, "%s was taken: %s ran before, and %s now%s", r.names[at], r.before, now, r.differs(at))
	case last == 0:
		r.rec.Unchanged = journal.No
		r.fail(ctx, "%s was taken, though it was answered as refused: %s ran before, and %s now%s", r.names[at], r.before, now, r.differs(at))
	case last > 0:
		r.rec.Unchanged = journal.No
		r.fail(ctx, "one of these was taken, though each was answered as refused: %s; %s ran before, and %s now", strings.Join(shown, ", "), r.before, now)
	case r.lastTaken && r.foreign(ctx, now):
		r.rec.Unchanged = journal.No
		r.fail(ctx, "%s was taken: %s ran before, and %s now, which is no image of the maker's%s", r.names[r.batch[len(r.batch)-1]], r.before, now, r.differs(r.batch[len(r.batch)-1]))
	case r.foreign(ctx, now):
		r.rec.Unchanged = journal.No
		r.fail(ctx, "%s ran before, and %s now, which is no image of the maker's; delivered were: %s", r.before, now, r.delivered())
	default:
		r.rec.Unchanged = journal.No
		r.unknown(verdict.ReasonDUTChanged, "%s ran before the probes, and %s now", r.before, now)
	}
	return false
}

// toldOther says whether the restart told that it started a probe, whatever is told of
// what runs.
func (r *bracketed[P]) toldOther(ctx context.Context, now dut.Running) bool {
	if r.n.Told == nil {
		return false
	}
	told, ok := r.n.Told()
	if !ok || r.n.Genuine(told) {
		return false
	}
	r.looked("by what the start told", told)
	i := r.shownLast(told)
	if i < 0 || r.shownLast(now) >= 0 { // the DUT says so itself
		return false
	}
	r.rec.Unchanged = journal.No
	r.fail(ctx, "%s was taken: the start behind it tells that it starts %s, whatever the DUT says that it runs (%s)%s", r.names[i], told, now, r.differs(i))
	return true
}

// shownLast gives the last probe since the restart before that something shows, -1 for
// none: of several that show alike, the one that came last lay there.
func (r *bracketed[P]) shownLast(now dut.Running) int {
	for _, i := range slices.Backward(r.batch) {
		if r.n.Shows(r.n.Probes[i], now) {
			return i
		}
	}
	return -1
}

// foreign says whether what runs is shown to be none of the maker's images: by a digest
// that is well-formed, and read twice.
func (r *bracketed[P]) foreign(ctx context.Context, now dut.Running) bool {
	if len(r.batch) == 0 || now.Digest == "" || len(now.Digest) != len(r.before.Digest) || r.n.Genuine(now) {
		return false
	}
	if _, err := hex.DecodeString(now.Digest); err != nil {
		return false
	}
	again, err := r.n.Look(ctx)
	r.t.OK(err)
	r.looked("once more", again)
	return again.Same(now)
}

func (r *bracketed[P]) delivered() string {
	names := []string{"what is no image"}
	for _, i := range r.batch {
		names = append(names, r.names[i])
	}
	return strings.Join(names, ", ")
}
