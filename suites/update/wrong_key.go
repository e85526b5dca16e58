package update

import (
	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/firmware/mutant"
)

// WrongKey: an image that somebody else signed is refused, whatever it says of the key.
var WrongKey = check.Check{
	ID:      "upd-wrong-key",
	Title:   "An image that somebody else signed is refused",
	Clauses: verified,
	From:    states.Onboarded.State,
	Effect:  check.Consumes,
	Allow:   []check.Leave{check.Update},
	Budget:  budget,
	Cases:   mutants(First),
	Run:     tries("no image is taken that somebody else signed", harmless, mutant.WrongKey),
}
