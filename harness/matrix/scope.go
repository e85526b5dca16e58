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
		if e == nil {
			return
		}
		suites := c.Suites
		if e.Suites != nil {
			suites = e.Suites
		}
		defer func() { e.looks = looks(e.Cases, k) }()
		e.named = e.Cases != nil
		if e.Cases != nil || suites == nil {
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

// looks gives the suites of the cases that globs name.
func looks(globs []string, k Known) []string {
	var in []string
	for _, id := range k.Cases {
		if suite := k.Checks[CheckOf(id)]; !slices.Contains(in, suite) && slices.ContainsFunc(globs, func(g string) bool { return matches(g, id) }) {
			in = append(in, suite)
		}
	}
	return in
}

// families gives what an entry belongs to: what it says itself, or else the suites that
// look for it. The hardened device belongs to none.
func (c *Catalogue) families(r *Run) []string {
	e := c.Entry(r)
	switch {
	case e == nil || r.Kind == Hardened:
		return nil
	case e.Family != "":
		return []string{e.Family}
	}
	return e.looks
}

// Belongs says whether what is planted in a run belongs to one of the families.
func (c *Catalogue) Belongs(r *Run, families []string) bool {
	return slices.ContainsFunc(c.families(r), func(f string) bool { return slices.Contains(families, f) })
}

// Families gives all that there are, sorted.
func (c *Catalogue) Families() []string {
	all := map[string]bool{}
	for kind, entries := range map[Kind]map[string]*Entry{Weakness: c.Weaknesses, Fault: c.Faults} {
		for name := range entries {
			for _, f := range c.families(&Run{Kind: kind, Name: name}) {
				all[f] = true
			}
		}
	}
	return sorted(all)
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
