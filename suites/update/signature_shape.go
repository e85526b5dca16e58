package update

import (
	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/firmware/mutant"
)

// SignatureShape: what stands where the signature belongs and is none is refused: empty, zeros,
// too short, of another scheme.
var SignatureShape = check.Check{
	ID:      "upd-signature-shape",
	Title:   "What is no signature is not taken for one",
	Clauses: verified,
	From:    states.Onboarded.State,
	Effect:  check.Consumes,
	Allow:   []check.Leave{check.Update},
	Budget:  budget,
	Cases:   mutants(First),
	Run:     tries("no image is taken whose signature is none", harmless, mutant.SignatureShape),
}
