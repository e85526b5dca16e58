package gotest_test

import (
	"context"
	"testing"

	"rigor/harness/check"
	"rigor/harness/gotest"
	"rigor/harness/rig"
)

// A check of a team's own, beside those that Rigor comes with.
var noTelnet = check.Check{
	ID:    "gw-no-telnet",
	Title: "Nothing answers on the Telnet port",
	Cases: check.Planner(check.Device).With(check.NeedsNetwork),
	Run:   func(ctx context.Context, t *check.T) { /* see suites/README.md */ },
}

// In a package of a team's own, suites.All() and rigs.Drivers() stand where
// this one has less: it is below them. suites/gotest_test.go is a whole one,
// which runs anywhere, on the built-in device.
func Example() {
	TestGateway := func(t *testing.T) {
		gotest.Run(t, gotest.Bench{
			Rig:     "bench-a.yaml",
			Suites:  []check.Suite{{Name: "gateway", Title: "The gateway", Checks: []*check.Check{&noTelnet}}},
			Drivers: rig.Drivers{},
			Dir:     "runs",
		}, "gw-*")
	}
	_ = testing.InternalTest{Name: "TestGateway", F: TestGateway} // as go test finds it
}
