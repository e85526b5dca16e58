package update

import (
	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/firmware/mutant"
)

// DevKey: an image that was signed with a key that is published for development is refused. A
// device that trusts one can be given anything by anybody.
var DevKey = check.Check{
	ID:      "upd-dev-key",
	Title:   "An image signed with a published development key is refused",
	Clauses: baseline.PerChannel{baseline.Network: {nist8259a.SU2, en303645.V3("5.4-3")}, baseline.Local: {nist8259a.SU2, en303645.V3("5.4-3")}},
	From:    states.Onboarded.State,
	Effect:  check.Consumes,
	Allow:   []check.Leave{check.Update},
	Budget:  budget,
	Cases:   mutants(First),
	Run:     tries("no image is taken that is signed with a published key", harmless, mutant.DevKey),
}
