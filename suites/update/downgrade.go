package update

import (
	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/firmware/mutant"
	"rigor/harness/profile"
)

// Downgrade: a genuine image that is older than what runs is refused, by its version and by
// its security counter.
var Downgrade = check.Check{
	ID:      "upd-downgrade",
	Title:   "An older image is refused",
	Clauses: secure,
	From:    states.Onboarded.State,
	Effect:  check.Consumes,
	Allow:   []check.Leave{check.Update},
	Budget:  budget,
	Cases:   mutants(First).With(needsFresh, needsGiven("older", func(m *profile.Images) int { return len(m.Older) })),
	Run:     tries("no genuine image is taken that is older than what runs", harmless, mutant.Downgrade),
}
