package matrix

import (
	"fmt"
	"slices"
)

// scope has each entry run the cases of its suites alone, or of those that the catalogue
// names for entries that name none: what is planted in one family need not be looked for
// in another. Names of cases go before.
func (c *Catalogue) scope(k Known) {
	if len(k.Checks) == 0 {
		return
	}
	set := func(e *Entry) {
		suites := c.Suites
		if e != nil && e.Suites != nil {
			suites = e.Suites
		}
		if e == nil || e.Cases != nil || suites == nil {
			return
		}
		for _, id := range k.Cases {
			if slices.Contains(suites, k.Checks[CheckOf(id)]) {
				e.Cases = append(e.Cases, id)
			}
		}
	}
	for _, name := range sorted(c.Weaknesses) {
		set(c.Weaknesses[name])
	}
	for _, name := range sorted(c.Faults) {
		set(c.Faults[name])
	}
}

// suites holds the names of suites against those that there are.
func (l *linter) suites(at []string, names []string) {
	var known []string
	for _, s := range l.k.Checks {
		if !slices.Contains(known, s) {
			known = append(known, s)
		}
	}
	slices.Sort(known)
	for i, s := range names {
		if len(known) > 0 && !slices.Contains(known, s) {
			l.errorf(append(slices.Clone(at), fmt.Sprint(i)), remedy(s, known), "no suite is called %q", s)
		}
	}
}
