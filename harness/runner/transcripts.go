package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"rigor/harness/check"
	"rigor/harness/console"
	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/rig"
	"rigor/harness/verdict"
)

// consoles opens a console on each port: one owner, from before power-on to
// the end. The error is that what one of them says cannot be kept; those that are
// open by then are given all the same.
func (j *Job) consoles(ctx context.Context, bench *rig.Bench, rec *record, red *escape.Redactor) (map[string]*console.Console, error) {
	cons := map[string]*console.Console{}
	for _, name := range slices.Sorted(maps.Keys(bench.Consoles)) {
		opts := j.consoleOptions(name)
		opts.Redact = red
		raw, err := rec.private(place(rec.rig, "console-"+name+".raw"))
		if err != nil {
			return cons, fmt.Errorf("record console %s: %w", name, err)
		}
		cast, err := rec.cab.Create("", place(rec.rig, "console-"+name+".cast"), journal.OnRig("transcript of console "+name, rec.rig), "application/x-asciicast")
		if err != nil {
			return cons, fmt.Errorf("record console %s: %w", name, err)
		}
		rec.casts = append(rec.casts, cast)
		opts.Raw, opts.Cast = raw, cast
		cons[name] = console.Open(ctx, bench.Consoles[name], opts)
	}
	return cons, nil
}

// private makes a file that stays with the rig.
func (r *record) private(name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(r.dir, "private", name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) // read back for what left the window
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	r.raws = append(r.raws, f)
	return f, nil
}

// unrecorded gives, of each console that is not recorded to its end, why.
func unrecorded(cons map[string]*console.Console) map[string]error {
	out := map[string]error{}
	for name, c := range cons {
		if err := c.RecordErr(); err != nil {
			out[name] = fmt.Errorf("console %s is not recorded any more: %w", name, err)
		}
	}
	return out
}

// hearRecordings hears of each console of which no more is kept: what the rig's disk does
// not take is missing in what a case leans on that looks at it. It gives what the case's
// end means then.
func (r *run) hearRecordings(p *Planned, j *verdict.Judgement) *verdict.Judgement {
	if r.cfg.Unrecorded == nil {
		return j
	}
	lost := r.cfg.Unrecorded()
	for _, name := range slices.Sorted(maps.Keys(lost)) {
		r.breakPart(partDisk, p.ID, lost[name].Error())
		if slices.Contains(p.Case.Parts, check.PartConsole(name)) && (j == nil || j.Verdict != verdict.Error) {
			j = &verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonDisk, Detail: lost[name].Error()}
		}
	}
	return j
}

// closeTranscripts ends the consoles' files, so that their hashes are in the
// journal before its end. The error is that one of them is not whole.
func (r *record) closeTranscripts() error {
	var errs []error
	for _, c := range r.casts {
		if err := c.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close a transcript: %w", err))
		}
	}
	for _, f := range r.raws {
		if err := f.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close a raw transcript: %w", err))
		}
	}
	r.casts, r.raws = nil, nil
	return errors.Join(errs...)
}

// unkept has the report say that evidence of the run is missing: a disk that does not take
// it is trouble of the rig, also where no case was at it.
func (r *record) unkept(phase string, err error) {
	if err == nil || r.w.Err() != nil { // the run ends with what the journal says
		return
	}
	slog.Error("What the consoles say is not kept", "error", err)
	_ = r.w.Append(&journal.Event{Kind: journal.KindDoctor, Doctor: &journal.Doctor{
		Phase: phase, Item: "disk", Part: string(partDisk), Status: "broken", Detail: err.Error()}}) // the writer's own error ends the job
}
