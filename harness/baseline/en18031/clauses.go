// Package en18031 names mechanisms of EN 18031-1/-2/-3 (2024), the harmonised
// standards under the Radio Equipment Directive. Most mappings were not held
// against the standards' own text.
package en18031

import (
	"maps"
	"slices"

	"rigor/harness/baseline"
)

var table = map[string]string{
	"ACM-1":   "access control mechanisms are there",
	"ACM-2":   "access control mechanisms are appropriate",
	"AUM-1-1": "authentication on network interfaces",
	"AUM-1-2": "authentication on user interfaces",
	"AUM-2":   "authentication mechanisms are appropriate",
	"AUM-3":   "authenticators are validated",
	"AUM-4":   "authenticators can be changed",
	"AUM-5-1": "factory default passwords are strong",
	"AUM-5-2": "passwords set by the user are strong",
	"AUM-6":   "protection against brute force",
	"CCK-1":   "cryptographic keys are strong",
	"CCK-2":   "cryptographic keys are made well",
	"CCK-3":   "no static default keys",
	"CRY-1":   "cryptography is of good practice",
	"DLM-1":   "data can be deleted",
	"GEC-1":   "no known exploitable vulnerabilities",
	"GEC-2":   "few services are exposed",
	"GEC-3":   "optional services can be configured",
	"GEC-4":   "exposed services are documented",
	"GEC-5":   "no external interfaces without need",
	"GEC-6":   "input is validated",
	"GEC-7":   "sensing is documented",
	"GEC-8":   "the equipment's integrity is kept",
	"LGM-1":   "events are logged",
	"LGM-2":   "logged events are kept",
	"LGM-3":   "a least number of events is kept",
	"LGM-4":   "events are logged with their time",
	"NMM-1":   "network traffic is monitored",
	"RLM-1":   "the equipment withstands overload",
	"SCM-1":   "secure communication mechanisms are there",
	"SCM-2":   "communication stays whole and authentic",
	"SCM-3":   "communication stays confidential",
	"SCM-4":   "replay is prevented",
	"SSM-1":   "secure storage mechanisms are there",
	"SSM-2":   "stored parameters stay whole",
	"SSM-3":   "stored parameters stay confidential",
	"SUM-1":   "update mechanisms are there",
	"SUM-2":   "updates are verified",
	"SUM-3":   "updates can be automatic",
	"TCM-1":   "network traffic is controlled",
	"UNM-1":   "users are notified",
	"UNM-2":   "notifications are appropriate",
}

var verified = map[string]bool{
	"ACM-1": true, "ACM-2": true, "AUM-1-1": true, "AUM-1-2": true, "AUM-2": true, "AUM-3": true, "AUM-4": true, "AUM-5-1": true, "AUM-5-2": true, "AUM-6": true,
	"GEC-1": true, "SUM-1": true, "SUM-2": true, "SUM-3": true,
}

// Code gives a mechanism by its code. It panics for one that is not known.
func Code(id string) baseline.Clause {
	return baseline.New(baseline.EN18031, "2024", table, id, verified[id])
}

// All gives every mechanism that is known here.
func All() []baseline.Clause {
	var out []baseline.Clause
	for _, id := range slices.Sorted(maps.Keys(table)) {
		out = append(out, Code(id))
	}
	return out
}
