package matrix

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"rigor/harness/escape"
	"rigor/harness/verdict"
)

// Result is what a catalogue and its runs come to.
type Result struct {
	Matrix string `json:"matrix"`
	Seed   uint64 `json:"seed"`
	Cases  int    `json:"cases"` // planned
	// Part says that some runs had only those of the cases that their entries name.
	Part bool `json:"part,omitempty"`
	// Share says which share of the cases that were to stay as they are was tried, "2/5"; ""
	// is all of them.
	Share string `json:"share,omitempty"`
	Rows  []Row  `json:"rows"`
	// Checks gives for each check the weaknesses of which it is the cause.
	Checks []Caught `json:"checks"`
	// Traps are what the checks of debug ports stand on; nil where none was looked at.
	Traps []Trap `json:"traps,omitempty"`
	// Apart are runs that were not as they should be beside others, and of which each of what
	// was planted had a run of its own then.
	Apart []Apart `json:"apart,omitempty"`
	OK    bool    `json:"ok"`
	// False is how many passes and failures there are that must not be.
	False int `json:"false"`
	// Took is the time from the first run's start to the last one's end.
	Took time.Duration `json:"took"`
}

// Row is one run.
type Row struct {
	Kind   Kind                    `json:"kind"`
	Name   string                  `json:"name,omitempty"`
	With   []string                `json:"with,omitempty"`  // planted in the same device
	Parts  int                     `json:"parts,omitempty"` // runs that had a share of the cases each; 0: one had all
	Cause  string                  `json:"cause,omitempty"` // check that sees it first
	Later  string                  `json:"later,omitempty"`
	Benign bool                    `json:"harmless,omitempty"` // a change that nothing may mind
	Breaks []string                `json:"breaks,omitempty"`
	Fails  []string                `json:"fails,omitempty"` // cases that failed
	Counts map[verdict.Verdict]int `json:"counts"`
	Took   time.Duration           `json:"took"`
	Diffs  []Difference            `json:"differences,omitempty"`
	Why    string                  `json:"why,omitempty"`
}

// Apart is a device with several weaknesses that did not show just what they come to, or
// one that showed less than it should, and nothing wrong, while other runs were under way,
// or one of a share of its cases, which may lean on others. A run alone of all its cases
// decides.
type Apart struct {
	Names []string     `json:"names"`
	Share bool         `json:"share,omitempty"` // it had a share of its cases
	Diffs []Difference `json:"differences"`
}

// Caught is a check and what shows that it can fail.
type Caught struct {
	Check      string   `json:"check"`
	Weaknesses []string `json:"weaknesses"`
}

// Judge compares runs with the catalogue.
func (c *Catalogue) Judge(runs []Run, planned []string, seed uint64) *Result {
	res := &Result{Matrix: c.Matrix, Seed: seed, Cases: len(planned), OK: true}
	caught := map[string][]string{}
	for i := range runs {
		r := &runs[i]
		e := c.Entry(r)
		if e != nil && !r.Whole && (e.Cases != nil || r.Only != nil) {
			of := c.Cases(r, planned)
			r.Cases = slices.DeleteFunc(slices.Clone(r.Cases), func(o Outcome) bool { return !slices.Contains(of, o.Case) })
			res.Part = true
		}
		diffs := c.Compare(r, planned)
		if len(r.With) > 0 {
			r.Cases, e, res.Part = c.own(r), c.Weaknesses[r.Name], true
		}
		row := newRow(r, diffs)
		if e != nil {
			row.Later, row.Benign, row.Breaks, row.Why = e.Later, e.Harmless, e.Breaks, e.Why
			if r.Kind == Weakness {
				row.Cause = e.Cause
				if row.Cause == "" && len(row.Fails) > 0 {
					row.Cause = CheckOf(row.Fails[0])
				}
				if slices.ContainsFunc(row.Fails, func(id string) bool { return CheckOf(id) == row.Cause }) {
					caught[row.Cause] = append(caught[row.Cause], r.Name)
				}
			}
		}
		res.add(row)
	}
	for _, id := range planned {
		check := CheckOf(id)
		if !slices.ContainsFunc(res.Checks, func(x Caught) bool { return x.Check == check }) {
			slices.Sort(caught[check])
			res.Checks = append(res.Checks, Caught{check, caught[check]})
		}
	}
	byName(res.Checks, func(x Caught) string { return x.Check })
	return res
}

// Add adds a run that was compared elsewhere.
func (res *Result) Add(r Run, diffs []Difference) { res.add(newRow(&r, diffs)) }

func (res *Result) add(row Row) {
	for _, d := range row.Diffs {
		res.OK = false
		if d.False {
			res.False++
		}
	}
	res.Rows = append(res.Rows, row)
}

func newRow(r *Run, diffs []Difference) Row {
	row := Row{Kind: r.Kind, Name: r.Name, With: r.With, Parts: r.Parts, Counts: map[verdict.Verdict]int{}, Took: r.Took, Diffs: diffs}
	for _, o := range r.Cases {
		row.Counts[o.Verdict]++
		if o.Verdict == verdict.Fail {
			row.Fails = append(row.Fails, o.Case)
		}
	}
	slices.Sort(row.Fails)
	return row
}

// verdictOf is a row in a word.
func (r *Row) verdictOf() string {
	for _, d := range r.Diffs {
		if d.False {
			return "WRONG"
		}
	}
	switch {
	case len(r.Diffs) > 0:
		return "DIFFERS"
	case r.Later != "":
		return "later"
	case r.Benign:
		return "harmless, as expected" + r.beside()
	}
	return "as expected" + r.beside()
}

// beside says that a row is of a device with more than its weakness, or of more than one
// run.
func (r *Row) beside() string {
	switch {
	case r.Parts > 1:
		return fmt.Sprintf(", in %d parts", r.Parts)
	case len(r.With) == 0:
		return ""
	}
	return fmt.Sprintf(", beside %d more", len(r.With))
}

func (r *Row) counts() string {
	var parts []string
	for _, v := range verdict.All {
		if n := r.Counts[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, short[v]))
		}
	}
	return strings.Join(parts, ", ")
}

var short = map[verdict.Verdict]string{verdict.Fail: "fail", verdict.Error: "error", verdict.Inconclusive: "unclear", verdict.Pass: "pass", verdict.NotApplicable: "n/a"}

// folded shortens a list of cases: "cred-blank[ssh], cred-blank[web]" to
// "cred-blank[ssh, web]".
func folded(ids []string) string {
	var out []string
	for i := 0; i < len(ids); {
		check, channel, ok := strings.Cut(strings.TrimSuffix(ids[i], "]"), "[")
		channels := []string{channel}
		j := i + 1
		for ; ok && j < len(ids) && CheckOf(ids[j]) == check; j++ {
			_, ch, _ := strings.Cut(strings.TrimSuffix(ids[j], "]"), "[")
			channels = append(channels, ch)
		}
		if ok {
			check += "[" + strings.Join(channels, ", ") + "]"
		}
		out, i = append(out, check), j
	}
	return strings.Join(out, ", ")
}

func (res *Result) of(k Kind) []Row {
	var out []Row
	for _, r := range res.Rows {
		if r.Kind == k {
			out = append(out, r)
		}
	}
	return out
}

// summary is the last line.
func (res *Result) summary() string {
	bad, benign, most := 0, 0, 0
	for _, r := range res.Rows {
		most = max(most, len(r.With))
		if r.Benign {
			benign++
		}
		if len(r.Diffs) > 0 {
			bad++
		}
	}
	each := fmt.Sprintf("%d cases each", res.Cases)
	if res.Part {
		each = fmt.Sprintf("of %d cases those that each one names", res.Cases)
	}
	s := fmt.Sprintf("%d weaknesses, %d harmless changes, %d bench faults, %s", len(res.of(Weakness))-benign, benign, len(res.of(Fault)), each)
	if res.Share != "" {
		s += fmt.Sprintf(", and of those that are to stay as they are the share %s", res.Share)
	}
	if most > 0 {
		s += fmt.Sprintf(", up to %d weaknesses in one device", most+1)
	}
	if len(res.Traps) > 0 {
		s += fmt.Sprintf(", %d traps", len(res.Traps))
	}
	if fell := res.wrongTraps(); fell > 0 {
		s += fmt.Sprintf(" of which %d were fallen into", fell)
	}
	if bad == 0 && res.wrongTraps() == 0 {
		return "VALID: " + s + ", all as the catalogue says, in " + res.Took.Round(time.Second).String()
	}
	return fmt.Sprintf("NOT VALID: %s; %d of %d runs differ from the catalogue, %d verdicts are wrong; in %v", s, bad, len(res.Rows), res.False, res.Took.Round(time.Second))
}

// Text writes the table for a terminal.
func (res *Result) Text(w io.Writer) error {
	e := &errWriter{w: w}
	t := tabwriter.NewWriter(e, 2, 0, 2, ' ', 0)
	for _, r := range append(res.of(Hardened), res.of(Golden)...) {
		e.row(t, strings.ToUpper(string(r.Kind)), r.Name, r.counts(), r.verdictOf())
	}
	if rows := res.of(Weakness); len(rows) > 0 {
		e.row(t, "WEAKNESS", "FIRST SEEN BY", "FAILING CASES", "RESULT")
		for _, r := range rows {
			e.row(t, r.Name, or(r.Cause, "-"), or(folded(r.Fails), "-"), r.verdictOf())
		}
	}
	if rows := res.of(Fault); len(rows) > 0 {
		e.row(t, "BENCH FAULT", "BREAKS", "VERDICTS", "RESULT")
		for _, r := range rows {
			e.row(t, r.Name, or(strings.Join(r.Breaks, ", "), "nothing"), r.counts(), r.verdictOf())
		}
	}
	res.trapText(func(cells ...string) { e.row(t, cells...) })
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range res.Rows {
		if len(r.Diffs) == 0 {
			continue
		}
		e.printf("\n%s\n", strings.TrimSpace(string(r.Kind)+" "+r.Name))
		for _, d := range r.Diffs {
			mark := "  "
			if d.False {
				mark = "! "
			}
			e.printf("  %s%s\n", mark, d)
		}
	}
	for _, a := range res.Apart {
		e.printf("\nnot as it should be beside others%s, and looked at alone: %s\n", map[bool]string{true: " and with a share of its cases"}[a.Share], strings.Join(a.Names, ", "))
		for _, d := range a.Diffs {
			e.printf("    %s\n", d)
		}
	}
	e.printf("\n%s\n", res.summary())
	return e.err
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// Markdown writes the table for a page: what each weakness is seen by, what
// each fault breaks, and for each check what shows that it can fail.
func (res *Result) Markdown(w io.Writer) error {
	e := &errWriter{w: w}
	e.printf("# Detection matrix: %s\n\n%s\n", cell(res.Matrix), cell(res.summary()))
	e.printf("\n## Weaknesses\n\n| weakness | first seen by | failing cases | all verdicts | result |\n|---|---|---|---|---|\n")
	for _, r := range slices.Concat(res.of(Hardened), res.of(Golden), res.of(Weakness)) {
		e.printf("| %s | %s | %s | %s | %s |\n", cell(or(r.Name, "*none planted*")), cell(or(r.Cause, "–")), cell(or(folded(r.Fails), "–")), cell(r.counts()), cell(r.verdictOf()))
	}
	e.printf("\n## Bench faults\n\n| fault | breaks | all verdicts | result |\n|---|---|---|---|\n")
	for _, r := range res.of(Fault) {
		e.printf("| %s | %s | %s | %s |\n", cell(r.Name), cell(or(strings.Join(r.Breaks, ", "), "nothing")), cell(r.counts()), cell(r.verdictOf()))
	}
	e.printf("\n## Checks\n\n| check | shown to fail by |\n|---|---|\n")
	for _, c := range res.Checks {
		e.printf("| %s | %s |\n", cell(c.Check), cell(or(strings.Join(c.Weaknesses, ", "), "nothing in these runs")))
	}
	res.trapPage(e)
	for i, a := range res.Apart {
		if i == 0 {
			e.printf("\n## Not as it should be beside others, and looked at alone\n\n| planted | case | wanted | got |\n|---|---|---|---|\n")
		}
		for _, d := range a.Diffs {
			e.printf("| %s | %s | %s | %s |\n", cell(strings.Join(a.Names, ", ")), cell(d.Case), cell(d.Want), cell(d.Got))
		}
	}
	first := true
	for _, r := range res.Rows {
		for _, d := range r.Diffs {
			if first {
				e.printf("\n## Differences\n\n| planted | case | wanted | got | wrong verdict |\n|---|---|---|---|---|\n")
				first = false
			}
			e.printf("| %s | %s | %s | %s | %t |\n", cell(or(r.Name, "nothing")), cell(d.Case), cell(d.Want), cell(d.Got), d.False)
		}
	}
	return e.err
}

// oneLine makes text harmless within a line: a log's reader may obey what a
// line begins with.
func oneLine(s string) string {
	return strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(escape.Terminal(s))
}

func cell(s string) string { return escape.Markdown(s) }

// JSON writes all of it for a program.
func (res *Result) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(res)
}

// errWriter keeps the first error of a series of writes.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) Write(b []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	n, err := e.w.Write(b)
	e.err = err
	return n, err
}

func (e *errWriter) printf(format string, args ...any) { _, _ = fmt.Fprintf(e, format, args...) }

func (e *errWriter) row(w io.Writer, cols ...string) {
	if _, err := fmt.Fprintln(w, strings.Join(cols, "\t")); err != nil && e.err == nil {
		e.err = err
	}
}
