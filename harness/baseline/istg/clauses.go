// Package istg names test cases of the OWASP IoT Security Testing Guide that
// the checks of this project bear on, without the guide's own prefix ISTG-.
package istg

import (
	"maps"
	"slices"

	"rigor/harness/baseline"
)

var table = map[string]string{
	"DES-AUTHZ-001":       "unauthorised access to what an interface offers",
	"DES-AUTHZ-002":       "more privileges than were given",
	"DES-CONF-001":        "outdated software",
	"DES-CONF-002":        "interfaces or functions that are not needed",
	"DES-INFO-001":        "details of the implementation are disclosed",
	"DES-INFO-002":        "details of the surroundings are disclosed",
	"DES-INFO-003":        "user data is disclosed",
	"DES-INPV-001":        "input is not validated",
	"DES-INPV-002":        "code or commands can be injected",
	"DES-LOGIC-001":       "the intended order of work can be got around",
	"FW-SCRT-003":         "hard-coded secrets",
	"INT-AUTHZ-001":       "unauthorised access to an internal interface",
	"INT[UART]-AUTHZ-001": "unauthorised access over a UART",
	"INT[UART]-AUTHZ-002": "more privileges over a UART",
	"INT[UART]-INFO-001":  "a UART is there",
	"INT[UART]-INFO-002":  "a UART discloses information",
	"INT[UART]-INPV-001":  "input at a UART is not validated",
	"MEM-INFO-004":        "data of the user in memory",
	"MEM-SCRT-001":        "unencrypted secrets in memory",
	"PHY-AUTHZ-001":       "unauthorised access over a physical interface",
	"PROC-AUTHZ-001":      "unauthorised access to the processor",
}

// ID gives a test case by its id ("DES-AUTHZ-001"). It panics for one that is
// not known.
func ID(id string) baseline.Clause { return baseline.New(baseline.ISTG, "", table, id, true) }

// All gives every test case that is known here.
func All() []baseline.Clause {
	var out []baseline.Clause
	for _, id := range slices.Sorted(maps.Keys(table)) {
		out = append(out, ID(id))
	}
	return out
}
