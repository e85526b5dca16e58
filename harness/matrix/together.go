package matrix

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Together puts runs into groups of which one run can show all: weaknesses of which no
// two change the verdict of the same case, at most so many of them in one device. What
// an entry wants to have for itself, one that names the few cases that can be said of it,
// a fault of the bench and the hardened device stay alone. Each group gives the places of its runs in the list; each run is in one.
//
// A group shows less than its runs: that two weaknesses need each other to be seen it
// cannot tell, nor what one of them leaves as it is where another one changes it. One that
// is not as it should be does not say whose doing it is, and has to be taken apart.
func (c *Catalogue) Together(runs []Run, planned []string, most int) [][]int {
	type group struct {
		of      []int
		scope   string
		touched map[string]bool
	}
	var groups []*group
	touched := make([]map[string]bool, len(runs)) // by what is planted in each
	order := make([]int, len(runs))
	for i := range runs {
		order[i], touched[i] = i, map[string]bool{}
		for _, id := range planned {
			if e := c.Entry(&runs[i]); e != nil && c.touches(e, id) {
				touched[i][id] = true
			}
		}
	}
	// Those that leave the least room for others come first, where there is most.
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(touched[b]), len(touched[a])) })
	for _, i := range order {
		e := c.Entry(&runs[i])
		alone := e == nil || runs[i].Kind != Weakness || e.Alone != "" || e.named || e.Later != "" || runs[i].Whole
		var scope string
		if !alone {
			// Beside a weakness that changes many cases a change that nothing may mind is
			// minded unseen; beside one that leans on others all would have to have them.
			scope = fmt.Sprint(strings.Join(e.looks, ","), e.Harmless, e.Leans != "")
		}
		at := -1
		if !alone {
			at = slices.IndexFunc(groups, func(g *group) bool {
				return len(g.of) < most && g.scope == scope && g.touched != nil && disjoint(g.touched, touched[i])
			})
		}
		if at < 0 {
			g := &group{scope: scope}
			if !alone {
				g.touched = map[string]bool{}
			}
			groups, at = append(groups, g), len(groups)
		}
		groups[at].of = append(groups[at].of, i)
		if !alone {
			maps.Copy(groups[at].touched, touched[i])
		}
	}
	out := make([][]int, len(groups))
	for n, g := range groups {
		slices.Sort(g.of)
		out[n] = g.of
	}
	slices.SortFunc(out, func(a, b []int) int { return cmp.Compare(a[0], b[0]) })
	return out
}

// Changed gives how many cases what is planted in a run has end otherwise than in the
// hardened device.
func (c *Catalogue) Changed(r *Run, planned []string) (n int) {
	e := c.Entry(r)
	for _, id := range planned {
		if e != nil && c.touches(e, id) {
			n++
		}
	}
	return n
}

// touches says whether an entry has a case end otherwise than in the hardened device.
func (c *Catalogue) touches(e *Entry, id string) bool {
	return e != &c.Hardened && c.want(e, id) != c.hardened(id)
}

func disjoint(a, b map[string]bool) bool {
	for k := range b {
		if a[k] {
			return false
		}
	}
	return true
}

// together is what is to be seen of weaknesses that are planted in one device. No two of
// them touch the same case, so that each case is told by one of them at most.
func (c *Catalogue) together(names []string) *Entry {
	all := &Entry{Cases: []string{}, Fails: map[string]string{}, Unclear: map[string]string{}, Errors: map[string]string{}, NotApplicable: map[string]string{}}
	whole := false
	for _, name := range names {
		e := c.Weaknesses[name]
		if e == nil {
			return nil
		}
		whole = whole || e.Cases == nil
		all.Leans = cmp.Or(all.Leans, e.Leans)
		all.Cases = append(all.Cases, e.Cases...)
		maps.Copy(all.Fails, e.Fails)
		maps.Copy(all.Unclear, e.Unclear)
		maps.Copy(all.Errors, e.Errors)
		maps.Copy(all.NotApplicable, e.NotApplicable)
	}
	if whole {
		all.Cases = nil
	}
	return all
}

// own gives the outcomes of a run that its weakness alone would have, and that are not what
// another one in its device makes of them.
func (c *Catalogue) own(r *Run) []Outcome {
	e := c.Weaknesses[r.Name]
	return slices.DeleteFunc(slices.Clone(r.Cases), func(o Outcome) bool {
		return !e.covers(o.Case) || slices.ContainsFunc(r.With, func(name string) bool { return c.touches(c.Weaknesses[name], o.Case) })
	})
}
