package update

import (
	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/firmware/mutant"
)

// BitFlip: one bit changed in each region of an image is noticed. It shows little by itself: a
// device that has a hash and no key notices it too.
var BitFlip = check.Check{
	ID:      "upd-bitflip",
	Title:   "An image with one changed bit is refused",
	Clauses: verified,
	From:    states.Onboarded.State,
	Effect:  check.Consumes,
	Allow:   []check.Leave{check.Update},
	Budget:  budget,
	Cases:   mutants(First).With(needsWayBack),
	Run:     tries("no image with a changed bit is taken", mayBrick, mutant.BitFlip),
}
