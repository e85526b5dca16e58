package network

import (
	"time"

	"rigor/fixtures/states"
	"rigor/harness/check"
)

// PortsFactory: before somebody has set the device up, the ports that answer are
// those that are declared for that state. Ports that only the set-up opens must be
// shown to be reachable then: else a filter on the way would look the same.
var PortsFactory = check.Check{
	ID:      "net-ports-factory",
	Title:   "Before set-up the declared services answer and no others",
	Clauses: clauses,
	From:    states.Factory.State,
	Effect:  check.Disturbs,
	Budget:  check.Budget{Case: 30 * time.Minute, Cleanup: 2 * time.Minute},
	Cases:   portCases(states.Factory.Name),
	Run:     portsIn(states.Factory.Name),
}
