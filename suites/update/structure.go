package update

import (
	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/firmware/mutant"
)

// Structure: lengths that are wrong are refused, and the device goes on.
var Structure = check.Check{
	ID:      "upd-structure",
	Title:   "An image whose lengths are wrong is refused",
	Clauses: baseline.PerChannel{baseline.Network: {nist8259a.SU2, en303645.V3("5.13-1")}, baseline.Local: {nist8259a.SU2, en303645.V3("5.13-1")}},
	From:    states.Onboarded.State,
	Effect:  check.Consumes,
	Allow:   []check.Leave{check.Update},
	Budget:  budget,
	Cases:   mutants(First).With(needsWayBack),
	Run:     tries("no image is taken whose lengths are wrong", mayBrick, mutant.Malformed),
}
