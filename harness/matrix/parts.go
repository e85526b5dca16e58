package matrix

import (
	"fmt"
	"slices"
	"strings"
)

// Parts shares the cases of a run out to so many runs as its entry says: a run that takes
// minutes is over in a part of them, on a device of its own for each part. Cases of one
// bracket lean on each other, and stay in one part; bracket names it for those that have
// one. The others are dealt out in turns, so that a check's cases, one for each channel,
// come to different parts. Each case is in one of them. Nil: it is one run.
func (c *Catalogue) Parts(r *Run, planned []string, bracket map[string]string) [][]string {
	e := c.Entry(r)
	if e == nil || e.Parts < 2 {
		return nil
	}
	planned = c.Cases(r, planned)
	n := min(e.Parts, len(planned))
	out, of, next := make([][]string, n), map[string]int{}, 0 // of: the part of a bracket
	for _, id := range planned {
		at, ok := of[bracket[id]]
		if !ok || bracket[id] == "" {
			at, next = next, (next+1)%n
			of[bracket[id]] = at
		}
		out[at] = append(out[at], id)
	}
	out = slices.DeleteFunc(out, func(p []string) bool { return len(p) == 0 })
	if len(out) < 2 {
		return nil
	}
	return out
}

// Join puts together what the parts of a run came to: of each part the cases that were
// its own. One that has no result leaves the run without one.
func (r *Run) Join(parts []Run, own [][]string) {
	r.Cases, r.Parts = nil, len(parts)
	var broken []string
	for i := range parts {
		p := &parts[i]
		if p.Broken != "" {
			broken = append(broken, fmt.Sprintf("part %d of %d: %s", i+1, len(parts), p.Broken))
		}
		for _, o := range p.Cases {
			if slices.Contains(own[i], o.Case) { // the others are there, and did not run
				r.Cases = append(r.Cases, o)
			}
		}
		r.Struck, r.Again = append(r.Struck, p.Struck...), r.Again || p.Again
	}
	r.Broken = strings.Join(broken, "; ")
}
