// Package catalogue finds clauses across all standards that are known.
package catalogue

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/istg"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/baseline/nist8425"
)

// ErrUnknown says that a selector names no clause.
var ErrUnknown = errors.New("no such clause")

// All gives every clause of every standard, standard by standard.
func All() []baseline.Clause {
	return slices.Concat(nist8259a.All(), nist8425.All(), en303645.All(), en18031.All(), istg.All())
}

// Find gives the clauses that a selector names: "LA-2", "5.1-1" (in every
// edition), "EN303645:5.1-1", "EN303645:V3.1.3:5.1-1", or a standard alone,
// which means all of its clauses. Case does not matter. An error that wraps
// ErrUnknown says what there is.
func Find(selector string) ([]baseline.Clause, error) {
	all := All()
	sel := strings.TrimSpace(selector)
	var out []baseline.Clause
	for _, c := range all {
		if c.Named(sel) || strings.EqualFold(c.Standard, sel) || c.Edition != "" && strings.EqualFold(c.Standard+":"+c.Edition, sel) {
			out = append(out, c)
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	standard, _, ok := strings.Cut(sel, ":")
	var ids, standards []string
	for _, c := range all {
		if ok && strings.EqualFold(c.Standard, standard) && !slices.Contains(ids, c.ID) {
			ids = append(ids, c.ID)
		}
		if !slices.Contains(standards, c.Standard) {
			standards = append(standards, c.Standard)
		}
	}
	if len(ids) > 0 {
		return nil, fmt.Errorf("clause %q: %w; %s has %s", selector, ErrUnknown, strings.ToUpper(standard), strings.Join(ids, ", "))
	}
	return nil, fmt.Errorf("clause %q: %w; the standards are %s", selector, ErrUnknown, strings.Join(standards, ", "))
}
