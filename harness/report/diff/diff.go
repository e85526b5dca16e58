// Package diff compares a run with the one before: what is new, fixed, still
// failing and missing.
package diff

import (
	"cmp"
	"fmt"
	"strings"

	"rigor/harness/journal"
	"rigor/harness/verdict"
)

// Change is one case whose verdict somebody wants to hear of.
type Change struct {
	ID  string
	Was verdict.Judgement // zero: the case was not there
	Now verdict.Judgement // zero: the case is not there
	// Moved says that the case ran on another unit than before ("VG1-000124, before
	// VG1-000123"): what looks fixed may be another device.
	Moved string
}

// Diff is how a run differs from the one before. Bad means fail, error or
// inconclusive. Within each list the order is that of the plan.
type Diff struct {
	Before  string   // the id of the run before
	New     []Change // bad now, and before not, or less so
	Fixed   []Change // bad before, and passes now
	Still   []Change // bad before and now
	Waived  []Change // bad before, and not applicable or waived now
	Missing []Change // judged before, and in this plan no more
	Left    []Change // judged before, and left out by this run's selectors
	// Caution says why the two can hardly be compared: another device, unit or
	// firmware.
	Caution string
}

// Compare gives nil without a run before.
func Compare(before, now *journal.Result) *Diff {
	if before == nil || now == nil {
		return nil
	}
	d := &Diff{Before: before.Start.Run, Caution: caution(&before.Start, &now.Start)}
	was := make(map[string]verdict.Judgement, len(before.Cases))
	on := make(map[string]string, len(before.Cases))
	for i := range before.Cases {
		c := &before.Cases[i]
		was[c.ID], on[c.ID] = c.Judgement, unit(before, c)
	}
	for i := range now.Cases {
		c := &now.Cases[i]
		ch := Change{ID: c.ID, Was: was[c.ID], Now: c.Judgement}
		if a, b := on[c.ID], unit(now, c); a != "" && b != "" && a != b {
			ch.Moved = b + ", before " + a
		}
		delete(was, c.ID)
		switch {
		case Bad(ch.Now.Verdict) && !Bad(ch.Was.Verdict), Bad(ch.Now.Verdict) && worse(ch.Now.Verdict, ch.Was.Verdict):
			d.New = append(d.New, ch)
		case Bad(ch.Now.Verdict):
			d.Still = append(d.Still, ch)
		case Bad(ch.Was.Verdict) && ch.Now.Verdict == verdict.Pass:
			d.Fixed = append(d.Fixed, ch)
		case Bad(ch.Was.Verdict):
			d.Waived = append(d.Waived, ch)
		}
	}
	left := make(map[string]bool, len(now.Left))
	for i := range now.Left {
		left[now.Left[i].ID] = true
	}
	for i := range before.Cases {
		id := before.Cases[i].ID
		j, gone := was[id]
		switch {
		case !gone:
		case left[id]:
			d.Left = append(d.Left, Change{ID: id, Was: j})
		default:
			d.Missing = append(d.Missing, Change{ID: id, Was: j})
		}
	}
	return d
}

// Bad says whether a verdict asks for somebody's attention.
func Bad(v verdict.Verdict) bool {
	return v == verdict.Fail || v == verdict.Error || v == verdict.Inconclusive
}

func worse(a, b verdict.Verdict) bool { return a != b && verdict.Worst(a, b) == a }

func caution(was, now *journal.Start) string {
	var out []string
	for _, f := range []struct{ what, was, now string }{
		{"rig", was.Rig, now.Rig}, {"device", was.Device, now.Device}, {"unit", units(was), units(now)}, {"firmware", was.Firmware, now.Firmware},
	} {
		if f.was != f.now {
			out = append(out, fmt.Sprintf("%s %q, now %q", f.what, f.was, f.now))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "the run before was of " + strings.Join(out, ", ")
}

// unit gives the one that a case ran on; nothing where it did not run, and of a device that
// lives in the program itself: those are all alike.
func unit(r *journal.Result, c *journal.Case) string {
	if !c.Ran {
		return ""
	}
	for _, p := range r.Start.Beside {
		if p.Rig == c.Rig && p.File == "" {
			return ""
		}
	}
	return cmp.Or(r.Serial(c.Rig), c.Rig, r.Start.Rig)
}

// units gives those of a run, without devices that live in the program itself: how many
// of them share a run is up to how busy the computer is.
func units(s *journal.Start) string {
	out := []string{s.Serial}
	for _, p := range s.Beside {
		if p.File != "" {
			out = append(out, p.Serial)
		}
	}
	return strings.Join(out, ", ")
}

// Summary gives "2 new, 1 fixed, 3 still, 1 missing", leaving out what is
// none; "no change" when all is.
func (d *Diff) Summary() string {
	var out []string
	for _, l := range d.Lists() {
		if n := len(l.Changes); n > 0 {
			moved := 0
			for _, ch := range l.Changes {
				if ch.Moved != "" {
					moved++
				}
			}
			text := fmt.Sprintf("%d %s", n, l.Word)
			if moved > 0 {
				text += fmt.Sprintf(" (%d on another unit than before)", moved)
			}
			out = append(out, text)
		}
	}
	if len(out) == 0 {
		return "no change"
	}
	return strings.Join(out, ", ")
}

// NotSelected is the word for the cases that somebody chose not to run.
const NotSelected = "not selected now"

// List is one of a diff's lists with its word.
type List struct {
	Word    string
	Changes []Change
}

// Lists gives all lists in the order in which to show them.
func (d *Diff) Lists() []List {
	return []List{{"new", d.New}, {"fixed", d.Fixed}, {"still failing", d.Still}, {"waived or not applicable now", d.Waived},
		{"missing", d.Missing}, {NotSelected, d.Left}}
}
