package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/rig"
)

// itemUndo is what the doctor calls that something is left to undo.
const itemUndo = "undo"

// errUnknownLeft says that nothing that alters may be done, since it is not known what an
// earlier run left on the DUT.
var errUnknownLeft = errors.New("what an earlier run left on the DUT is not known, so that nothing is done that alters it")

// undoneUnread are the kinds of intents that are undone also where nobody can say which
// unit the DUT is. A changed password shows it by the derived secret that opens it, slots
// by what they hold; and a device that was made to fail its boots can say nothing before
// it is made to boot again.
var undoneUnread = []string{rig.IntentPassword, rig.IntentSlots, rig.IntentBootFail}

// pending journals what earlier runs left to undo, so that reports show what stays so
// whatever becomes of this run, and remembers whether all of it is known.
func (j *Job) pending(store *rig.Store, rec *record) {
	left, err := store.Pending()
	for _, p := range left {
		_ = rec.w.Append(&journal.Event{Kind: journal.KindIntent, Intent: &journal.Intent{ID: p.ID, What: p.What}}) // the writer's own error ends the job
	}
	j.unknown = unknownLeft(err)
}

// unknownLeft is the finding that an intent cannot be understood.
func unknownLeft(err error) *journal.Doctor {
	if err == nil {
		return nil
	}
	return broken(itemUndo, "what an earlier run left is not known: "+strings.ReplaceAll(err.Error(), "\n", "; "))
}

// undo undoes what runs before left open, the last of it first: a DUT whose memory was
// written past it does not start until that is undone. Where it is not known which unit
// the DUT is, only what needs no knowing is undone. It gives what is left; damaged intents
// are no part of that.
func (j *Job) undo(ctx context.Context, d *dut.Device, in *intents, rec *record, known bool) (left []journal.Doctor) {
	pending, _ := in.store.Pending() // that some are damaged was said before the run
	for _, p := range slices.Backward(pending) {
		f := j.Undo[p.Kind]
		// Power, lines and states have no undoing of their own: the start of a
		// run brings them where they must be.
		if f != nil {
			if !known && !slices.Contains(undoneUnread, p.Kind) {
				left = append(left, *broken(itemUndo, fmt.Sprintf("%q (%s) was left by an earlier run, and is not undone: %v", p.What, p.ID, errUnidentified)))
				continue
			}
			if err := f(ctx, d, p.Undo, in.Secret); err != nil {
				left = append(left, *broken(itemUndo, fmt.Sprintf("%q (%s) was left by an earlier run, and could not be undone: %v", p.What, p.ID, err)))
				continue
			}
		}
		if err := in.store.Done(p.ID); err != nil {
			left = append(left, *broken(itemUndo, fmt.Sprintf("%q was left by an earlier run, and is undone, which could not be written down: %v", p.What, err)))
			continue
		}
		for _, e := range []*journal.Event{
			{Kind: journal.KindNote, Note: &journal.Note{Text: "undid what an earlier run left: " + p.What}},
			{Kind: journal.KindIntent, Intent: &journal.Intent{ID: p.ID, What: p.What, Done: true}},
		} {
			_ = rec.w.Append(e) // the writer's own error ends the job
		}
	}
	return left
}

// undo has undone what earlier runs left, and tells of what could not be. A DUT that could
// not say who it is may be able to once its password is back, or its boot.
func (r *run) undo(ctx context.Context, d *dut.Device) {
	if r.cfg.Undo == nil {
		return
	}
	known := r.identified()
	left := r.cfg.Undo(ctx, d, known)
	if !known && len(left) > 0 && ctx.Err() == nil {
		r.identify(ctx, d)
		if r.identified() {
			left = r.cfg.Undo(ctx, d, true)
		}
	}
	for i := range left {
		r.append(&journal.Event{Kind: journal.KindDoctor, Doctor: &left[i]})
		slog.InfoContext(ctx, "Undoing what an earlier run left did not work", "why", left[i].Detail)
	}
}

// mayAlter says whether a case may do what it does to the DUT, where not all is known that
// earlier runs left on it.
func (r *run) mayAlter(c *check.Check) bool { return !r.cfg.Unknown || !alters(c) }
