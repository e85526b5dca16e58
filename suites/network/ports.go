package network

import (
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
)

// clauses are those of both checks of ports.
var clauses = baseline.PerChannel{
	baseline.Network: {nist8259a.LA1, en303645.V3("5.6-1"), en303645.V3("5.6-5"), en18031.Code("GEC-2"), en18031.Code("GEC-4")},
}

// Ports: with its owner's settings, the ports that answer are the declared ones.
// Silence of a port says something only while the path is shown to be alive, and
// what answers is the device's only if that is shown.
var Ports = check.Check{
	ID:      "net-ports",
	Title:   "In normal use the declared services answer and no others",
	Clauses: clauses,
	From:    states.Onboarded.State,
	Effect:  check.Disturbs, // a scan is more than a small stack may bear
	// All of TCP, at a careful pace, on a device that drops what it does not serve.
	Budget: check.Budget{Case: 30 * time.Minute, Cleanup: 2 * time.Minute},
	Cases:  portCases(states.Onboarded.Name),
	Run:    portsIn(states.Onboarded.Name),
}
