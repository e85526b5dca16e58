// Package matrix holds what a method of checking has to see: for each weakness
// that is planted in a reference device, and each fault of a bench, the verdict
// of every case. It compares runs with that and writes the table.
//
// It knows neither devices nor runners: a run is a list of outcomes.
package matrix

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rigor/harness/strictyaml"
	"rigor/harness/verdict"
)

// Catalogue says what is to be seen in a reference device.
type Catalogue struct {
	Matrix string `yaml:"matrix" strict:"required"` // its name
	// Channels gives for each thing that a bench fault breaks the cases that
	// lean on it, as globs.
	Channels map[string][]string `yaml:"channels"`
	// Suites are those whose cases a run has with something planted whose entry names no
	// others; all where it is left out. The hardened device has all.
	Suites []string `yaml:"suites"`
	// Unseen are checks that are not applicable to this device, each with the reason: none
	// of its weaknesses can show that they fail.
	Unseen map[string]string `yaml:"unseen"`
	// Hardened is the device with nothing planted. What it does not name passes.
	Hardened   Entry             `yaml:"hardened"`
	Weaknesses map[string]*Entry `yaml:"weaknesses"`
	Faults     map[string]*Entry `yaml:"faults"`

	source *strictyaml.Source
	file   string
}

// Entry is what is different from the hardened device. A key is a case, or a glob
// of cases in which * stands for anything; a case beats a glob, a longer glob a
// shorter one. A reason is a code of package verdict; where more than one can
// decide, they are separated by |.
type Entry struct {
	// Cause is the check that the weakness is there for, where it is not the
	// only one that fails.
	Cause string `yaml:"cause"`
	// Alone says why a weakness is not planted beside others.
	Alone string `yaml:"alone"`
	// Leans says what a case of its is left with by another one, so that what is to be seen
	// holds where all cases are run, and not for a share of them.
	Leans string `yaml:"leans"`
	// Later says why nothing has to see the weakness yet.
	Later string `yaml:"later"`
	// Harmless says that it is no weakness but a change that nothing may mind.
	Harmless      bool              `yaml:"harmless"`
	Fails         map[string]string `yaml:"fails"`
	Unclear       map[string]string `yaml:"unclear"` // inconclusive
	Errors        map[string]string `yaml:"errors"`
	NotApplicable map[string]string `yaml:"not-applicable"`
	// Breaks names the channels that a bench fault breaks: none of their cases
	// may pass or fail.
	Breaks []string `yaml:"breaks"`
	// Begins says that the fault begins in mid run, or comes again and again: a
	// case at whose time it was not there stands.
	Begins bool `yaml:"begins"`
	// Stands names cases of a broken channel that do not lean on what is
	// broken, each with the reason; Wavers those of a sound one that the fault
	// may or may not make unclear.
	Stands map[string]string `yaml:"stands"`
	Wavers map[string]string `yaml:"wavers"`
	// Cases are all that a run with this planted has, as globs, for a device that
	// takes its time over each; all of them where it is left out. What is to be seen
	// of others counts in a run that is asked to have all.
	Cases []string `yaml:"cases"`
	// Suites are those whose cases a run with this planted has, in place of the
	// catalogue's own.
	Suites []string `yaml:"suites"`
	// Family is what it belongs to, for those who want to run a part.
	Family string `yaml:"family"`
	// Takes is about how long a run with this planted takes, where that is much longer than
	// others do: what takes longest begins first. It changes no verdict.
	Takes time.Duration `yaml:"takes"`
	// Parts is in how many runs, each of a share of the cases, a bench fault may be shown
	// that makes the cases wait for minutes; 0: one.
	Parts int `yaml:"parts"`
	// Why is for the reader.
	Why string `yaml:"why"`

	looks []string // the suites of the cases that it has
	named bool     // it names its cases where others have those of whole suites
}

// Parse reads a catalogue. The error has every mistake with its place.
func Parse(file string, data []byte) (*Catalogue, error) {
	c := &Catalogue{file: file}
	src, err := strictyaml.Decode(file, data, c)
	if err != nil {
		return nil, err
	}
	c.source = src
	return c, nil
}

// Known is what there is to be named.
type Known struct {
	Weaknesses, Faults []string
	Cases              []string // "cred-blank[ssh]", as planned
	// Checks are id → suite, of which each needs a weakness that it sees. Nil: what
	// this catalogue does not show, another one does.
	Checks map[string]string
	// Counted are the faults that begin in mid run.
	Counted []string
}

// Lint holds a catalogue against what there is: every weakness and fault has its
// entry and every entry its weakness or fault, every case that is named exists,
// every reason is one, and each check is the sole failure or the cause for a
// weakness at least. The error is a strictyaml.Errors.
func (c *Catalogue) Lint(k Known) error {
	l := &linter{c: c, k: k}
	c.scope(k)
	l.suites([]string{"suites"}, c.Suites)
	for _, name := range sorted(c.Channels) {
		for i, g := range c.Channels[name] {
			l.glob([]string{"channels", name, fmt.Sprint(i)}, g)
		}
	}
	l.entry([]string{"hardened"}, &c.Hardened)
	if len(c.Hardened.Fails) > 0 {
		l.errorf([]string{"hardened", "fails"}, "repair it, or plant it as a weakness", "the hardened device fails")
	}
	caught := map[string]bool{}
	for _, name := range sorted(c.Weaknesses) {
		at, e := []string{"weaknesses", name}, c.Weaknesses[name]
		if !slices.Contains(k.Weaknesses, name) {
			l.errorf(at, remedy(name, k.Weaknesses), "the device has no weakness %q", name)
		}
		l.weakness(at, e, caught)
	}
	for _, name := range k.Weaknesses {
		if c.Weaknesses[name] == nil {
			l.errorf([]string{"weaknesses"}, "write what is to be seen of it", "weakness %s has no entry", name)
		}
	}
	for _, name := range sorted(c.Faults) {
		at, e := []string{"faults", name}, c.Faults[name]
		if !slices.Contains(k.Faults, name) {
			l.errorf(at, remedy(name, k.Faults), "the bench has no fault %q", name)
		}
		l.fault(at, name, e)
	}
	for _, name := range k.Faults {
		if c.Faults[name] == nil {
			l.errorf([]string{"faults"}, "write what it breaks", "bench fault %s has no entry", name)
		}
	}
	for _, id := range sorted(c.Unseen) {
		switch at := []string{"unseen", id}; {
		case k.Checks[id] == "" && len(k.Checks) > 0:
			l.errorf(at, remedy(id, sorted(k.Checks)), "no check is called %q", id)
		case caught[id]:
			l.errorf(at, "leave it out", "a weakness shows it")
		case slices.ContainsFunc(k.Cases, func(cs string) bool { return CheckOf(cs) == id && c.hardened(cs).verdict != verdict.NotApplicable }):
			l.errorf(at, "plant a weakness", "a case of it is tried on this device")
		}
	}
	for _, id := range sorted(k.Checks) {
		if !caught[id] && c.Unseen[id] == "" {
			l.errorf([]string{"weaknesses"}, "plant one", "no weakness has check %s as its sole failure or its cause: nothing shows that it can fail", id)
		}
	}
	if len(l.errs) == 0 {
		return nil
	}
	return l.errs
}

type linter struct {
	c    *Catalogue
	k    Known
	errs strictyaml.Errors
}

func (l *linter) errorf(at []string, remedy, format string, args ...any) {
	l.errs = append(l.errs, l.c.source.Errorf(at, remedy, format, args...))
}

func (l *linter) weakness(at []string, e *Entry, caught map[string]bool) {
	if e == nil {
		l.errorf(at, "write what is to be seen", "the entry is empty")
		return
	}
	l.entry(at, e)
	if len(e.Breaks)+len(e.Stands)+len(e.Wavers) > 0 || e.Begins {
		l.errorf(at, "name the cases under fails, unclear, errors", "breaks, begins, stands and wavers are for bench faults")
	}
	if e.Parts != 0 {
		l.errorf(append(slices.Clone(at), "parts"), "leave it out", "what one case sees of a weakness another one may lean on: its cases have one run")
	}
	checks := l.failing(e)
	switch {
	case e.Later != "" && len(checks) > 0:
		l.errorf(append(at, "later"), "leave it out", "it is to be seen later, and fails cases now")
	case e.Harmless && len(checks) > 0:
		l.errorf(append(at, "harmless"), "leave it out", "it is harmless, and fails cases")
	case e.Later != "", e.Harmless:
	case len(checks) == 0:
		l.errorf(at, "name the cases that fail, or say why it is for later", "nothing detects it")
	case e.Cause == "" && len(checks) > 1:
		l.errorf(at, "name the first one under cause", "cases of %d checks fail: %s", len(checks), strings.Join(checks, ", "))
	case e.Cause == "":
		caught[checks[0]] = true
	case !slices.Contains(checks, e.Cause):
		l.errorf(append(at, "cause"), remedy(e.Cause, checks), "no case of %s is to fail", e.Cause)
	default:
		caught[e.Cause] = true
	}
}

func (l *linter) fault(at []string, name string, e *Entry) {
	if e == nil {
		l.errorf(at, "write what it breaks", "the entry is empty")
		return
	}
	l.entry(at, e)
	if e.Alone != "" {
		l.errorf(append(slices.Clone(at), "alone"), "leave it out", "a fault of the bench is always alone")
	}
	switch {
	case e.Parts < 0 || e.Parts == 1:
		l.errorf(append(slices.Clone(at), "parts"), "leave it out for one run", "%d is no number of parts", e.Parts)
	case e.Parts > 0 && e.Begins:
		l.errorf(append(slices.Clone(at), "parts"), "leave it out", "the fault begins at one moment of a run, and not of each part")
	}
	if e.Begins != slices.Contains(l.k.Counted, name) {
		l.errorf(at, "", "begins is %t, of the fault it is %t", e.Begins, !e.Begins)
	}
	for _, ch := range e.Breaks {
		if l.c.Channels[ch] == nil {
			l.errorf(append(at, "breaks"), remedy(ch, sorted(l.c.Channels)), "no channel is called %q", ch)
		}
	}
	for _, g := range sorted(e.Stands) {
		if !slices.ContainsFunc(l.k.Cases, func(id string) bool { return matches(g, id) && l.c.breaks(e, id) }) {
			l.errorf(append(at, "stands", g), "leave it out", "none of its cases is broken by the fault")
		}
	}
}

// entry lints what all entries have.
func (l *linter) entry(at []string, e *Entry) {
	l.suites(append(slices.Clone(at), "suites"), e.Suites)
	for i, g := range e.Cases {
		l.glob(append(slices.Clone(at), "cases", fmt.Sprint(i)), g)
	}
	if e.Cases != nil && len(e.Cases) == 0 {
		l.errorf(append(slices.Clone(at), "cases"), "leave it out for all of them", "a run without cases shows nothing")
	}
	for _, kind := range e.kinds() {
		for _, g := range sorted(kind.cases) {
			where := append(slices.Clone(at), kind.key, g)
			l.glob(where, g)
			if kind.free {
				if strings.TrimSpace(kind.cases[g]) == "" {
					l.errorf(where, "say why", "no reason is given")
				}
				continue
			}
			for _, r := range strings.Split(kind.cases[g], "|") {
				if !slices.Contains(verdict.Reasons, verdict.Reason(r)) {
					l.errorf(where, remedy(r, names(verdict.Reasons)), "%q is no reason", r)
				}
			}
		}
	}
}

func (l *linter) glob(at []string, g string) {
	if !slices.ContainsFunc(l.k.Cases, func(id string) bool { return matches(g, id) }) {
		l.errorf(at, remedy(g, l.k.Cases), "no case is called %q", g)
	}
}

// failing gives the checks of which a case is to fail.
func (l *linter) failing(e *Entry) []string {
	var out []string
	for _, id := range e.Of(l.k.Cases) {
		if w := l.c.want(e, id); w.verdict == verdict.Fail && !slices.Contains(out, CheckOf(id)) {
			out = append(out, CheckOf(id))
		}
	}
	return out
}

// covers says whether a run with this planted has a case.
func (e *Entry) covers(id string) bool {
	return e.Cases == nil || slices.ContainsFunc(e.Cases, func(g string) bool { return matches(g, id) })
}

// Of gives those of the planned cases that a run with this planted has.
func (e *Entry) Of(planned []string) []string {
	return slices.DeleteFunc(slices.Clone(planned), func(id string) bool { return !e.covers(id) })
}

// kindOf is one of an entry's lists.
type kindOf struct {
	key     string
	verdict verdict.Verdict
	cases   map[string]string
	free    bool // the reason is text for a reader
}

func (e *Entry) kinds() []kindOf {
	return []kindOf{
		{"fails", verdict.Fail, e.Fails, false},
		{"unclear", verdict.Inconclusive, e.Unclear, false},
		{"errors", verdict.Error, e.Errors, false},
		{"not-applicable", verdict.NotApplicable, e.NotApplicable, false},
		{"stands", "", e.Stands, true},
		{"wavers", "", e.Wavers, true},
	}
}

// CheckOf gives the check of a case: "cred-blank" of "cred-blank[ssh]".
func CheckOf(id string) string {
	check, _, _ := strings.Cut(id, "[")
	return check
}

// matches says whether a glob names a case. * stands for anything, all else for
// itself.
func matches(glob, id string) bool {
	head, rest, star := strings.Cut(glob, "*")
	if !star {
		return glob == id
	}
	if !strings.HasPrefix(id, head) {
		return false
	}
	id = id[len(head):]
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(id, part)
		}
		i := strings.Index(id, part)
		if i < 0 {
			return false
		}
		id, rest = id[i+len(part):], next
	}
}

// closest gives the key of m that names the case most closely.
func closest(m map[string]string, id string) (glob string, ok bool) {
	for g := range m { // of two that are as close the first by name, in whatever order they come
		if matches(g, id) && (!ok || weight(g) > weight(glob) || weight(g) == weight(glob) && g < glob) {
			glob, ok = g, true
		}
	}
	return glob, ok
}

func weight(glob string) int {
	if !strings.Contains(glob, "*") {
		return 1 << 20
	}
	return len(glob)
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func names[S ~string](in []S) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = string(s)
	}
	return out
}

func remedy(name string, known []string) string {
	if best := strictyaml.Nearest(name, known); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return ""
}

// byName sorts by a name.
func byName[T any](in []T, name func(T) string) {
	slices.SortStableFunc(in, func(a, b T) int { return cmp.Compare(name(a), name(b)) })
}
