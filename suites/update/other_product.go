package update

import (
	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/firmware/mutant"
	"rigor/harness/profile"
)

// OtherProduct: a genuine image of another product is refused.
var OtherProduct = check.Check{
	ID:      "upd-other-product",
	Title:   "Another product's image is refused",
	Clauses: secure,
	From:    states.Onboarded.State,
	Effect:  check.Consumes,
	Allow:   []check.Leave{check.Update},
	Budget:  budget,
	Cases:   mutants(First).With(needsGiven("other-product", func(m *profile.Images) int { return len(m.OtherProduct) }), needsWayBack),
	Run:     tries("no genuine image of another product is taken", mayBrick, mutant.OtherProduct),
}
