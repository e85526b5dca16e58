package update

import (
	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/firmware/mutant"
)

// Unsigned: an image that is consistent in itself, and that nobody signed, is refused. A device
// that checks hashes alone refuses each bit that is changed, and takes this.
var Unsigned = check.Check{
	ID:      "upd-unsigned",
	Title:   "An image without a signature is refused",
	Clauses: verified,
	From:    states.Onboarded.State,
	Effect:  check.Consumes,
	Allow:   []check.Leave{check.Update},
	Budget:  budget,
	Cases:   mutants(First),
	Run:     tries("no image without a signature is taken", harmless, mutant.Unsigned),
}
