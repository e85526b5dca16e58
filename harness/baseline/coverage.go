package baseline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"rigor/harness/verdict"
)

// Word is what a clause can read in a report. A clause is never "met".
type Word string

// The words, worst first.
const (
	Finding      Word = "finding"
	NoFinding    Word = "no finding in what was tested"
	PartlyTested Word = "partly tested"
	NotTested    Word = "not tested"
)

// Tested is one case as coverage sees it.
type Tested struct {
	Case    string
	Clauses []string // as Clause.String gives them
	Verdict verdict.Verdict
	Reason  verdict.Reason
}

// Row is one clause of the matrix.
type Row struct {
	Clause string
	Word   Word
	// Findings, Passed and Open are the cases that failed, that passed, and
	// that said nothing (inconclusive, error, left out); NotApplicable those
	// for which the profile declares that there is nothing to test.
	Findings, Passed, Open, NotApplicable []string
	// Remains is what is left for a person.
	Remains string
}

// Cover gives a row for each clause that a case names, and for each of the
// others given, in the clauses' order. It is pure: its rows do not depend on
// the order of the cases, but for the order of their names.
func Cover(cases []Tested, also ...Clause) []Row {
	rows := map[string]*Row{}
	for _, c := range also {
		rows[c.String()] = &Row{Clause: c.String()}
	}
	for _, c := range cases {
		for _, cl := range c.Clauses {
			r := rows[cl]
			if r == nil {
				r = &Row{Clause: cl}
				rows[cl] = r
			}
			switch {
			case c.Verdict == verdict.Fail, c.Reason == verdict.ReasonWaived:
				r.Findings = append(r.Findings, c.Case) // a waived finding is still one
			case c.Verdict == verdict.Pass:
				r.Passed = append(r.Passed, c.Case)
			case c.Verdict == verdict.NotApplicable && c.Reason == verdict.ReasonDeclaredNone:
				r.NotApplicable = append(r.NotApplicable, c.Case)
			default:
				r.Open = append(r.Open, c.Case)
			}
		}
	}
	out := make([]Row, 0, len(rows))
	for _, r := range rows {
		r.finish()
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b Row) int { return compareClause(a.Clause, b.Clause) })
	return out
}

// finish gives the row its word and what remains.
func (r *Row) finish() {
	switch {
	case len(r.Findings) > 0:
		r.Word = Finding
	case len(r.Passed) == 0:
		r.Word = NotTested
	case len(r.Open) > 0:
		r.Word = PartlyTested
	default:
		r.Word = NoFinding
	}
	var rest []string
	if len(r.Open) > 0 {
		rest = append(rest, fmt.Sprintf("%s not decided: %s", plural(len(r.Open), "case"), strings.Join(r.Open, ", ")))
	}
	if len(r.NotApplicable) > 0 {
		rest = append(rest, fmt.Sprintf("%s declared not applicable: hold the reason against the device", plural(len(r.NotApplicable), "case")))
	}
	if len(r.Findings)+len(r.Passed)+len(r.Open)+len(r.NotApplicable) == 0 {
		rest = append(rest, "no check bears on it")
	}
	rest = append(rest, "what no case of this tool looks at: documents, design, and other ways in")
	r.Remains = strings.Join(rest, "; ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// compareClause orders by standard and edition, then by the numbers within the
// clause, so that 5.10 comes after 5.2.
func compareClause(a, b string) int {
	pa, pb := parts(a), parts(b)
	for i := range min(len(pa), len(pb)) {
		if c := cmp.Compare(len(pa[i]), len(pb[i])); c != 0 && isDigit(pa[i]) && isDigit(pb[i]) {
			return c
		}
		if c := strings.Compare(pa[i], pb[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(pa), len(pb))
}

func isDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

// parts cuts a text where digits begin and end.
func parts(s string) []string {
	var out []string
	start := 0
	for i := 1; i <= len(s); i++ {
		if i == len(s) || isDigit(s[i:]) != isDigit(s[start:]) {
			out = append(out, s[start:i])
			start = i
		}
	}
	return out
}
