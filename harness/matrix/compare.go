package matrix

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/harness/strictyaml"
	"rigor/harness/verdict"
)

// Outcome is what one case of a run ended with, and when it ran. A case that
// did not run has no times.
type Outcome struct {
	Case    string          `json:"case"`
	Verdict verdict.Verdict `json:"verdict"`
	Reason  verdict.Reason  `json:"reason,omitempty"`
	Detail  string          `json:"detail,omitempty"`
	From    time.Time       `json:"from,omitzero"`
	To      time.Time       `json:"to,omitzero"`
}

// Kind says what was planted for a run.
type Kind string

// The kinds of run.
const (
	Hardened Kind = "hardened"
	Weakness Kind = "weakness"
	Fault    Kind = "fault"
	Golden   Kind = "golden unit"
)

// Run is one run of all cases.
type Run struct {
	Kind  Kind      `json:"kind"`
	Name  string    `json:"name,omitempty"` // what was planted
	With  []string  `json:"with,omitempty"` // other weaknesses that were planted in the same device
	Cases []Outcome `json:"cases"`
	// Struck are the moments at which a fault that begins in mid run struck. One
	// that stays from then on struck once.
	Struck []time.Time `json:"struck,omitempty"`
	Again  bool        `json:"again,omitempty"` // it is over at once, and comes again
	Whole  bool        `json:"whole,omitempty"` // all cases were run, whatever the entry names
	// Only are the cases that it had where these were a share of those that its entry names.
	Only []string `json:"only,omitempty"`
	// Second says that it was made once more, with nothing beside it.
	Second bool `json:"second,omitempty"`
	// Parts is in how many runs, each of a share of the cases, it was made; 0: in one.
	Parts int `json:"parts,omitempty"`
	// Broken says why there is no result.
	Broken string        `json:"broken,omitempty"`
	Took   time.Duration `json:"took"`
}

// Difference is a case that is not what the catalogue says.
type Difference struct {
	Case string `json:"case"`
	Want string `json:"want"`
	Got  string `json:"got"`
	// False says that the verdict is wrong, and not only less clear or otherwise
	// explained than it should be: a pass or a failure that must not be.
	False bool `json:"false"`
	// Less says that nothing clear was shown where something was to be.
	Less bool `json:"less,omitempty"`
}

func (d Difference) String() string {
	return fmt.Sprintf("%s: want %s, got %s", d.Case, d.Want, oneLine(d.Got))
}

// want is what is to be seen of a case.
type want struct {
	verdict verdict.Verdict
	reasons string // "" any
	neither bool   // neither pass nor fail
	wavers  bool   // as told, or unclear
}

func (w want) String() string {
	switch {
	case w.neither:
		return "neither pass nor fail"
	case w.reasons != "":
		return string(w.verdict) + "." + w.reasons
	}
	return string(w.verdict)
}

func (w want) holds(o Outcome) bool {
	unclear := o.Verdict == verdict.Inconclusive || o.Verdict == verdict.Error
	switch {
	case w.neither:
		return unclear || o.Verdict == verdict.NotApplicable
	case w.wavers && unclear:
		return true
	case o.Verdict != w.verdict:
		return false
	}
	return w.reasons == "" || slices.Contains(strings.Split(w.reasons, "|"), string(o.Reason))
}

// hardened is what the device shows of a case with nothing planted.
func (c *Catalogue) hardened(id string) want {
	for _, kind := range c.Hardened.kinds() {
		if g, ok := closest(kind.cases, id); ok && !kind.free {
			return want{verdict: kind.verdict, reasons: kind.cases[g]}
		}
	}
	return want{verdict: verdict.Pass}
}

// want is what is to be seen of a case under an entry.
func (c *Catalogue) want(e *Entry, id string) want {
	w, best := c.hardened(id), -1
	for _, kind := range e.kinds() {
		g, ok := closest(kind.cases, id)
		if !ok || weight(g) <= best {
			continue
		}
		if w.verdict == verdict.NotApplicable && strings.Contains(g, "*") {
			continue // it is not tried: only its own name changes it
		}
		best = weight(g)
		switch kind.key {
		case "stands":
			w = c.hardened(id)
		case "wavers":
			w = c.hardened(id)
			w.wavers = true
		default:
			w = want{verdict: kind.verdict, reasons: kind.cases[g]}
		}
	}
	if best < 0 && c.breaks(e, id) && w.verdict != verdict.NotApplicable {
		return want{neither: true}
	}
	return w
}

// breaks says whether a bench fault breaks what a case leans on.
func (c *Catalogue) breaks(e *Entry, id string) bool {
	for _, ch := range e.Breaks {
		if slices.ContainsFunc(c.Channels[ch], func(g string) bool { return matches(g, id) }) {
			return true
		}
	}
	return false
}

// Entry gives the entry for a run, of several weaknesses what they come to; nil when there
// is none.
func (c *Catalogue) Entry(r *Run) *Entry {
	switch r.Kind {
	case Hardened:
		return &c.Hardened
	case Weakness:
		if len(r.With) > 0 {
			return c.together(append([]string{r.Name}, r.With...))
		}
		return c.Weaknesses[r.Name]
	}
	return c.Faults[r.Name]
}

// Compare holds a run against the catalogue, for the cases that were planned.
// Every difference counts: a verdict that is wrong, one that is less clear than
// it should be, and another reason.
func (c *Catalogue) Compare(r *Run, planned []string) []Difference {
	e := c.Entry(r)
	if e == nil {
		return []Difference{{Case: "*", Want: "an entry in the catalogue", Got: "none"}}
	}
	if r.Broken != "" {
		return []Difference{{Case: "*", Want: "a run with a result", Got: r.Broken}}
	}
	planned = c.Cases(r, planned)
	if r.Kind == Hardened {
		e = &Entry{}
	}
	var out []Difference
	if e.Begins && len(r.Struck) == 0 {
		out = append(out, Difference{Case: "*", Want: "the fault to strike", Got: "it never did: the run shows nothing", False: true})
	}
	seen := map[string]bool{}
	for _, o := range r.Cases {
		if !slices.Contains(planned, o.Case) {
			continue // it was not run
		}
		seen[o.Case] = true
		w := c.want(e, o.Case)
		if w.neither && e.Begins && !r.struckDuring(o) {
			w = c.hardened(o.Case)
			w.wavers = true // what an earlier case was left with can be unclear
		}
		if w.holds(o) {
			continue
		}
		out = append(out, Difference{Case: o.Case, Want: w.String(), Got: got(o), False: isFalse(w, o), Less: isLess(w, o)})
	}
	for _, id := range planned {
		if !seen[id] {
			out = append(out, Difference{Case: id, Want: c.want(e, id).String(), Got: "not in the run", False: true})
		}
	}
	return out
}

// struckDuring says whether the fault was there while a case ran.
func (r *Run) struckDuring(o Outcome) bool {
	if o.From.IsZero() {
		return true
	}
	return slices.ContainsFunc(r.Struck, func(t time.Time) bool {
		return t.Before(o.To) && (!r.Again || t.After(o.From))
	})
}

// isFalse says whether a verdict that is not the wanted one is a wrong pass or
// a wrong failure.
func isFalse(w want, o Outcome) bool {
	switch o.Verdict {
	case verdict.Pass, verdict.Fail:
		return w.neither || o.Verdict != w.verdict
	}
	return false
}

// isLess says whether an outcome is unclear where a pass or a failure was to be.
func isLess(w want, o Outcome) bool {
	decided := w.verdict == verdict.Pass || w.verdict == verdict.Fail
	return decided && !w.neither && (o.Verdict == verdict.Inconclusive || o.Verdict == verdict.Error)
}

func got(o Outcome) string {
	s := string(o.Verdict)
	if o.Reason != "" {
		s += "." + string(o.Reason)
	}
	if o.Detail != "" {
		s = fmt.Sprintf("%s: %s", s, o.Detail)
	}
	return s
}

// CheckExpect says what is wrong in what a rig file expects of its golden unit:
// a case that its plan has not, a reason that is none. The error is a
// strictyaml.Errors.
func CheckExpect(src *strictyaml.Source, expect map[string]string, cases []string) error {
	var errs strictyaml.Errors
	for _, g := range sorted(expect) {
		at := []string{"expect", g}
		if !slices.ContainsFunc(cases, func(id string) bool { return matches(g, id) }) {
			errs = append(errs, src.Errorf(at, cmp.Or(remedy(g, cases), "see rigor list --rig RIG"), "expect names %q, which is no case of this rig", g))
		}
		_, reasons, given := strings.Cut(expect[g], ".")
		for r := range strings.SplitSeq(reasons, "|") {
			if given && !slices.Contains(verdict.Reasons, verdict.Reason(r)) {
				errs = append(errs, src.Errorf(at, cmp.Or(remedy(r, names(verdict.Reasons)), "leave it out, or take the one that a run shows"), "%q is no reason of a verdict", r))
			}
		}
	}
	if len(errs) > 0 {
		return errs.Arrange()
	}
	return nil
}

// Against holds a run of a physical unit against what its rig file expects: case
// → verdict, or verdict.reason. Cases that it does not name are not compared.
func Against(expect map[string]string, cases []Outcome) []Difference {
	var out []Difference
	seen := map[string]bool{}
	for _, o := range cases {
		g, ok := closest(expect, o.Case)
		if !ok {
			continue
		}
		seen[g] = true
		v, reason, _ := strings.Cut(expect[g], ".")
		w := want{verdict: verdict.Verdict(v), reasons: reason}
		if !w.holds(o) {
			out = append(out, Difference{Case: o.Case, Want: w.String(), Got: got(o), False: isFalse(w, o)})
		}
	}
	for _, g := range sorted(expect) {
		if !seen[g] {
			if slices.ContainsFunc(cases, func(o Outcome) bool { return matches(g, o.Case) }) {
				continue // a closer one decides
			}
			out = append(out, Difference{Case: g, Want: expect[g], Got: "no such case in the run", False: true})
		}
	}
	return out
}
