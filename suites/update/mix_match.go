package update

import (
	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/firmware/mutant"
)

// MixMatch: parts of two genuine images are refused together.
var MixMatch = check.Check{
	ID:      "upd-mix-match",
	Title:   "Parts of several genuine images are refused together",
	Clauses: secure,
	From:    states.Onboarded.State,
	Effect:  check.Consumes,
	Allow:   []check.Leave{check.Update},
	Budget:  budget,
	Cases:   mutants(First).With(needsComponents, needsWayBack),
	Run:     tries("no image is taken that is put together of several genuine ones", mayBrick, mutant.MixMatch),
}
