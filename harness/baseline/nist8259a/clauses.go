// Package nist8259a names the elements of NISTIR 8259A, IoT Device
// Cybersecurity Capability Core Baseline (May 2020). The document does not
// number them; the codes are capability and place within it, as others write
// them too.
package nist8259a

import (
	"slices"
	"strings"

	"rigor/harness/baseline"
)

var table = map[string]string{
	"ID-1":  "a unique logical identifier",
	"ID-2":  "a unique physical identifier",
	"CFG-1": "settings can be changed",
	"CFG-2": "only authorised entities change settings",
	"CFG-3": "authorised entities can restore a secure configuration",
	"DP-1":  "stored and transmitted data is protected by sound cryptography",
	"DP-2":  "authorised entities can make all data inaccessible",
	"DP-3":  "the use of cryptography can be configured",
	"LA-1":  "interfaces that are not needed can be disabled",
	"LA-2":  "network interfaces are open to authorised entities only",
	"LA-3":  "thresholds against guessing can be set",
	"SU-1":  "software can be updated",
	"SU-2":  "an update is verified and authenticated before it is installed",
	"SU-3":  "authorised entities can roll back",
	"SU-4":  "only authorised entities update",
	"SU-5":  "updating can be enabled and disabled",
	"SU-6":  "updates can be automatic or not, with notification",
	"CSA-1": "the device reports its cybersecurity state",
	"CSA-2": "normal and degraded operation can be told apart",
	"CSA-3": "only authorised entities read the state",
	"CSA-4": "nobody edits the state but who maintains it",
	"CSA-5": "the state is given to another device",
}

func clause(id string, verified bool) baseline.Clause {
	return baseline.New(baseline.NISTIR8259A, "", table, id, verified)
}

// The elements that checks name. Numbering of identification and state
// awareness was not held against the text again.
var (
	ID1  = clause("ID-1", false)
	ID2  = clause("ID-2", false)
	CFG1 = clause("CFG-1", true)
	CFG2 = clause("CFG-2", true)
	CFG3 = clause("CFG-3", true)
	DP1  = clause("DP-1", true)
	DP2  = clause("DP-2", false)
	DP3  = clause("DP-3", false)
	LA1  = clause("LA-1", true)
	LA2  = clause("LA-2", true)
	LA3  = clause("LA-3", true)
	SU1  = clause("SU-1", true)
	SU2  = clause("SU-2", true)
	SU3  = clause("SU-3", true)
	SU4  = clause("SU-4", true)
	SU5  = clause("SU-5", true)
	SU6  = clause("SU-6", true)
	CSA1 = clause("CSA-1", false)
	CSA2 = clause("CSA-2", false)
	CSA3 = clause("CSA-3", false)
	CSA4 = clause("CSA-4", false)
	CSA5 = clause("CSA-5", false)
)

// All gives every element.
func All() []baseline.Clause {
	out := []baseline.Clause{DP3, SU5, SU6, CSA4, CSA5, ID1, ID2, CFG1, CFG2, CFG3, DP1, DP2, LA1, LA2, LA3, SU1, SU2, SU3, SU4, CSA1, CSA2, CSA3}
	slices.SortFunc(out, func(a, b baseline.Clause) int { return strings.Compare(a.ID, b.ID) })
	return out
}
