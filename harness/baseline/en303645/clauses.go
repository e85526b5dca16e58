// Package en303645 names provisions of ETSI EN 303 645, Cyber Security for
// Consumer Internet of Things: Baseline Requirements, in its two editions that
// are in use; their numbers differ.
package en303645

import "rigor/harness/baseline"

// v3 is EN 303 645 V3.1.3 (2024).
var v3 = map[string]string{
	"5.1-1":  "no universal default passwords",
	"5.1-2":  "pre-installed passwords are not predictable",
	"5.1-2A": "machine-to-machine logins use no passwords",
	"5.1-4":  "the user can change how they authenticate",
	"5.1-5":  "guessing by brute force is impracticable",
	"5.3-2":  "updates are secure",
	"5.3-9":  "authenticity and integrity of updates are verified",
	"5.3-16": "the model can be recognised",
	"5.4-1":  "sensitive parameters are stored securely",
	"5.4-3":  "no hard-coded critical parameters",
	"5.5-5":  "changes that bear on security need authentication",
	"5.5-6":  "critical parameters are encrypted in transit",
	"5.5-7":  "critical parameters stay confidential on remote interfaces",
	"5.6-1":  "unused interfaces are disabled",
	"5.6-2":  "interfaces disclose little before authentication",
	"5.6-3":  "hardware exposes no interfaces without need",
	"5.6-4A": "debug interfaces are disabled or protected in software",
	"5.6-4B": "debug ports are protected physically",
	"5.7-1":  "software is verified at boot",
	"5.11-1": "user data can be erased simply",
	"5.13-1": "input is validated",
}

// v2 is EN 303 645 V2.1.1 (2020).
var v2 = map[string]string{
	"5.1-1": v3["5.1-1"], "5.1-2": v3["5.1-2"], "5.1-4": v3["5.1-4"], "5.1-5": v3["5.1-5"], "5.3-2": v3["5.3-2"],
	"5.3-9": v3["5.3-9"], "5.5-5": v3["5.5-5"], "5.5-6": v3["5.5-6"], "5.5-7": v3["5.5-7"], "5.6-1": v3["5.6-1"],
	"5.6-2": v3["5.6-2"], "5.6-3": v3["5.6-3"], "5.6-4": "debug interfaces are disabled in software", "5.7-1": v3["5.7-1"], "5.11-1": v3["5.11-1"],
}

// V3 gives a provision of V3.1.3. It panics for a number that the edition has
// not.
func V3(id string) baseline.Clause { return baseline.New(baseline.EN303645, "V3.1.3", v3, id, true) }

// V2 gives a provision of V2.1.1. It panics for a number that the edition has
// not.
func V2(id string) baseline.Clause { return baseline.New(baseline.EN303645, "V2.1.1", v2, id, true) }
