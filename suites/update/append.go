package update

import (
	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/firmware/mutant"
)

// Append: what is put behind an image, or among what no signature covers, is refused or has
// no effect.
var Append = check.Check{
	ID:      "upd-append",
	Title:   "What is added to a genuine image has no effect",
	Clauses: secure,
	From:    states.Onboarded.State,
	Effect:  check.Consumes,
	Allow:   []check.Leave{check.Update},
	Budget:  budget,
	Cases:   mutants(First),
	Run:     tries("nothing is taken that was added to an image", harmless, mutant.Append, mutant.Unprotected),
}
