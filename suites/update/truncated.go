package update

import (
	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/firmware/mutant"
)

// Truncated: an image that ends early is refused, wherever that is.
var Truncated = check.Check{
	ID:      "upd-truncated",
	Title:   "A truncated image is refused",
	Clauses: verified,
	From:    states.Onboarded.State,
	Effect:  check.Consumes,
	Allow:   []check.Leave{check.Update},
	Budget:  budget,
	Cases:   mutants(First).With(needsWayBack),
	Run:     tries("no image is taken that ends early", mayBrick, mutant.Truncated),
}
