package matrix

import "slices"

// Share gives the cases of a run of which one share of the others is left out: those that
// what is planted in it is to change, and the nth of so many shares of those that are to be
// as they always are, 0 the first. Cases of one bracket stay together; bracket names it for
// those that have one. With each share in turn all cases are tried. Nil: the run has all of
// its cases, as the hardened device, a fault that begins when so many cases are over, and an
// entry that names its cases anyway, or one that leans on the others.
func (c *Catalogue) Share(r *Run, planned []string, bracket map[string]string, nth, shares int) []string {
	e := c.Entry(r)
	if e == nil || shares < 2 || r.Kind == Hardened || r.Whole || e.Begins {
		return nil
	}
	if e.named || e.Leans != "" {
		return nil
	}
	var out []string
	of, next := map[string]int{}, 0 // of: the share of a bracket
	for _, id := range e.Of(planned) {
		at, ok := of[bracket[id]]
		if !ok || bracket[id] == "" {
			at, next = next%shares, next+1
			of[bracket[id]] = at
		}
		if at == nth%shares || c.touches(e, id) {
			out = append(out, id)
		}
	}
	return out // nil where nothing is left: it has all then
}

// Cases gives those of the planned cases that a run has: all, those of its entry, or of
// these its share.
func (c *Catalogue) Cases(r *Run, planned []string) []string {
	e := c.Entry(r)
	if e == nil || r.Whole {
		return planned
	}
	of := e.Of(planned)
	if r.Only == nil {
		return of
	}
	return slices.DeleteFunc(of, func(id string) bool { return !slices.Contains(r.Only, id) })
}
