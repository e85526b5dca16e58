// Package json renders a run as run.json: everything that the fold knows, for
// programs.
package json

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"rigor/harness/baseline"
	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/report/cover"
	"rigor/harness/verdict"
)

// Schema is the version of the document. Fields may be added within a version;
// none changes its meaning.
const Schema = 1

// Run is the document. Times are in microseconds since the start, on a
// monotonic clock, if not said otherwise.
type Run struct {
	Schema   int                     `json:"schema"`
	Verdict  verdict.Verdict         `json:"verdict"`
	Exit     int                     `json:"exit"`
	At       time.Time               `json:"at"` // UTC
	TookUS   int64                   `json:"took_us"`
	Planned  int                     `json:"planned"`  // selected or not
	Selected int                     `json:"selected"` // those in cases
	Counts   map[verdict.Verdict]int `json:"counts"`
	Start    journal.Start           `json:"start"`
	End      *journal.End            `json:"end"` // null: the run was cut short
	Signal   string                  `json:"signal,omitempty"`
	Journal  Journal                 `json:"journal"`
	Trouble  []verdict.Judgement     `json:"trouble"`
	Broken   []string                `json:"broken,omitempty"`
	Undone   []journal.Intent        `json:"undone,omitempty"`
	Doctor   []journal.Doctor        `json:"doctor,omitempty"`
	Units    []journal.Unit          `json:"units,omitempty"`
	States   []Timed[journal.State]  `json:"states,omitempty"`
	Faults   []Timed[journal.Fault]  `json:"faults,omitempty"`
	Losses   []Timed[journal.Lost]   `json:"losses,omitempty"`
	Observed []journal.Observe       `json:"observed,omitempty"`
	Clauses  []Clause                `json:"clauses"`
	Left     []Left                  `json:"not_selected,omitempty"`
	Files    []journal.Evidence      `json:"evidence"`
	Cases    []Case                  `json:"cases"`
}

// Journal says what the result was read from.
type Journal struct {
	SHA256 string `json:"sha256"` // of its last good line
	Damage string `json:"damage,omitempty"`
	Torn   bool   `json:"torn,omitempty"`
}

// Timed is something that happened in the run, outside or within a case.
type Timed[T any] struct {
	OffUS int64  `json:"off_us"`
	Case  string `json:"case,omitempty"`
	Rig   string `json:"rig,omitempty"`
	What  T      `json:"what"`
}

// Clause is one row of the matrix.
type Clause struct {
	Clause        string        `json:"clause"`
	Word          baseline.Word `json:"word"`
	Findings      []string      `json:"findings,omitempty"`
	Passed        []string      `json:"passed,omitempty"`
	Open          []string      `json:"open,omitempty"`
	NotApplicable []string      `json:"not_applicable,omitempty"`
	Remains       string        `json:"remains"`
}

// Case is one case with all that backs its verdict.
type Case struct {
	ID string `json:"id"`
	journal.Plan
	Judgement verdict.Judgement  `json:"judgement"`
	Raw       *verdict.Judgement `json:"raw,omitempty"` // before a waiver
	Waiver    *journal.Waiver    `json:"waiver,omitempty"`
	Ran       bool               `json:"ran"`
	Finished  bool               `json:"finished"`
	Rig       string             `json:"rig,omitempty"` // beside the run's own, which a start names
	Unit      string             `json:"unit,omitempty"`
	State     string             `json:"state,omitempty"`
	AtUS      int64              `json:"at_us"`
	TookUS    int64              `json:"took_us"`
	Tries     int                `json:"tries,omitempty"`
	Disabled  string             `json:"disabled,omitempty"`
	End       *journal.CaseEnd   `json:"end,omitempty"`
	Claims    []Claim            `json:"claims,omitempty"`
	Timeline  []Moment           `json:"timeline,omitempty"`
	Excerpts  []journal.Excerpt  `json:"excerpts,omitempty"`
	Faults    []journal.Fault    `json:"faults,omitempty"`
	Rerun     string             `json:"rerun,omitempty"`
}

// Claim is a claim with its controls and probes.
type Claim struct {
	journal.Claim
	Try       int               `json:"try"`
	Judgement verdict.Judgement `json:"judgement"`
	Controls  []journal.Control `json:"controls,omitempty"`
	Probes    *journal.Probes   `json:"probes,omitempty"`
}

// Moment is one line of a case's timeline, since the case began.
type Moment struct {
	OffUS int64  `json:"off_us"`
	Text  string `json:"text"`
}

// Left is a case that was planned and not selected.
type Left struct {
	ID string `json:"id"`
	journal.Plan
}

// Of gives the document of a result.
func Of(res *journal.Result) *Run {
	r := headOf(res)
	r.Files = nonNil(res.Files)
	for i := range res.Cases {
		r.Cases = append(r.Cases, caseOf(res, &res.Cases[i]))
	}
	return r
}

// headOf gives the document without its two long lists.
func headOf(res *journal.Result) *Run {
	r := &Run{Schema: Schema, Verdict: res.Worst, Exit: res.Exit, At: res.At.UTC(), TookUS: res.Took.Microseconds(), Planned: res.Planned,
		Selected: len(res.Cases), Counts: map[verdict.Verdict]int{}, Start: res.Start, End: res.End, Signal: res.Signal,
		Journal: Journal{res.Hash, res.Damage, res.Torn}, Trouble: nonNil(res.Trouble), Broken: res.Broken, Undone: res.Open, Doctor: res.Doctor, Units: res.Units,
		States: timed(res.States), Faults: timed(res.Faults), Losses: timed(res.Losses), Observed: res.Observe,
		Clauses: []Clause{}, Files: []journal.Evidence{}, Cases: []Case{}}
	for _, v := range verdict.All {
		r.Counts[v] = res.Counts[v]
	}
	for _, row := range cover.Rows(res) {
		r.Clauses = append(r.Clauses, Clause{row.Clause, row.Word, row.Findings, row.Passed, row.Open, row.NotApplicable, row.Remains})
	}
	for i := range res.Left {
		r.Left = append(r.Left, Left{res.Left[i].ID, res.Left[i].Plan})
	}
	return r
}

func caseOf(res *journal.Result, c *journal.Case) Case {
	out := Case{ID: c.ID, Plan: c.Plan, Judgement: c.Judgement, Waiver: c.Waiver, Ran: c.Ran, Finished: c.Finished, Rig: c.Rig, Unit: res.Unit(c), State: c.State,
		AtUS: c.At.Microseconds(), TookUS: c.Took.Microseconds(), Tries: c.Tries, Disabled: c.Disabled, End: c.End, Excerpts: c.Excerpts, Faults: c.Faults,
		Rerun: res.Rerun(c.ID)}
	if c.Waiver != nil {
		out.Raw = &c.Raw
	}
	for i := range c.Claims {
		cl := &c.Claims[i]
		out.Claims = append(out.Claims, Claim{cl.Claim, cl.Try, cl.Judgement, cl.Controls, cl.Probes})
	}
	for _, m := range c.Timeline {
		out.Timeline = append(out.Timeline, Moment{m.Off.Microseconds(), m.Text})
	}
	return out
}

// Write renders the document, each case and each file of evidence on a line of
// its own. Equal results give equal bytes.
func Write(w io.Writer, res *journal.Result) error {
	bw := bufio.NewWriterSize(w, 1<<16)
	if err := write(bw, res); err != nil {
		return fmt.Errorf("run.json: %w", err)
	}
	if err := bw.Flush(); err != nil {
		return fmt.Errorf("run.json: %w", err)
	}
	return nil
}

// write streams the long lists, so that a long run is never in memory as text.
func write(w *bufio.Writer, res *journal.Result) error {
	const tail = `,"evidence":[],"cases":[]}`
	head, err := json.Marshal(headOf(res))
	if err != nil {
		return err
	}
	if !bytes.HasSuffix(head, []byte(tail)) {
		return fmt.Errorf("the lists do not stand at the end")
	}
	_, _ = w.Write(escape.JSONLine(head[:len(head)-len(tail)]))
	if err := list(w, "evidence", len(res.Files), func(i int) any { return &res.Files[i] }); err != nil {
		return err
	}
	if err := list(w, "cases", len(res.Cases), func(i int) any { return caseOf(res, &res.Cases[i]) }); err != nil {
		return err
	}
	_, err = w.WriteString("}\n")
	return err
}

func list(w *bufio.Writer, name string, n int, item func(i int) any) error {
	_, _ = w.WriteString(",\n\"" + name + "\":[")
	for i := range n {
		data, err := json.Marshal(item(i))
		if err != nil {
			return err
		}
		if i > 0 {
			_ = w.WriteByte(',')
		}
		_ = w.WriteByte('\n')
		if _, err := w.Write(escape.JSONLine(data)); err != nil {
			return err
		}
	}
	_, err := w.WriteString("]")
	return err
}

func timed[T any](in []journal.Timed[T]) []Timed[T] {
	var out []Timed[T]
	for _, t := range in {
		out = append(out, Timed[T]{t.Off.Microseconds(), t.Case, t.Rig, t.What})
	}
	return out
}

// nonNil makes an empty list an empty list, where a reader may rely on it.
func nonNil[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}
