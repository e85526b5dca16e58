package runner

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"rigor/harness/baseline"
)

// ErrSelector says that a selector selects nothing that exists.
var ErrSelector = errors.New("unknown selector")

// ErrNothing says that the only selector, a glob, selects nothing.
var ErrNothing = errors.New("nothing is selected")

// Select marks as unselected what no selector names. A selector is a case
// ("cred-known-list[ssh]"), a check's id, a glob of ids ("cred-*"), a suite
// ("console") or a clause ("LA-2", "EN303645:5.1-1"). None selects all.
func Select(plan []Planned, selectors []string) error {
	if len(selectors) == 0 {
		return nil
	}
	hit := make([]bool, len(plan))
	for _, sel := range selectors {
		match, err := matcher(sel)
		if err != nil {
			return err
		}
		found := false
		for i := range plan {
			if match(&plan[i]) {
				hit[i], found = true, true
			}
		}
		if !found && len(selectors) == 1 && strings.ContainsAny(sel, "*?") {
			return fmt.Errorf("%w: %w %q: the glob matches no case and no check of this plan; see rigor list", ErrNothing, ErrSelector, sel)
		}
		if !found {
			return fmt.Errorf("%w %q: it is no case, check, glob, suite or clause of this plan; %s", ErrSelector, sel, near(sel, names(plan)))
		}
	}
	for i := range plan {
		plan[i].Unselected = !hit[i]
	}
	return nil
}

func matcher(sel string) (func(*Planned) bool, error) {
	glob := strings.ContainsAny(sel, "*?")
	// "[" is part of a case's id, not of a glob.
	pattern := strings.NewReplacer("[", `\[`, "]", `\]`).Replace(sel)
	if glob {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("%w %q: %w", ErrSelector, sel, err)
		}
	}
	return func(p *Planned) bool {
		if p.ID == sel || p.Check.ID == sel || p.Suite == sel {
			return true
		}
		if glob {
			id, _ := path.Match(pattern, p.ID)
			check, _ := path.Match(pattern, p.Check.ID)
			return id || check
		}
		return baseline.Names(p.Clauses, sel)
	}, nil
}

func names(plan []Planned) []string {
	out := ids(plan)
	for _, p := range plan {
		out = append(out, p.Suite)
	}
	return out
}
