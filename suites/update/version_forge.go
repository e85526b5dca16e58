package update

import (
	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/firmware/mutant"
)

// VersionForge: a version or a security counter that was changed behind the signature is
// refused.
var VersionForge = check.Check{
	ID:      "upd-version-forge",
	Title:   "A forged version is refused",
	Clauses: verified,
	From:    states.Onboarded.State,
	Effect:  check.Consumes,
	Allow:   []check.Leave{check.Update},
	Budget:  budget,
	Cases:   mutants(First),
	Run:     tries("no image is taken whose version or security counter was forged", harmless, mutant.VersionForge),
}
