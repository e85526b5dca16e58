// Package en303645 names provisions of ETSI EN 303 645, Cyber Security for
// Consumer Internet of Things: Baseline Requirements, in its two editions that
// are in use; their numbers differ. A provision that was not held against a
// published list of the edition's numbers is marked unverified.
package en303645

import (
	"maps"
	"slices"

	"rigor/harness/baseline"
)

// Editions.
const (
	V211 = "V2.1.1" // 2020
	V313 = "V3.1.3" // 2024
)

// v2 is EN 303 645 V2.1.1 (2020).
var v2 = map[string]string{
	"5.1-1":  "no universal default passwords",
	"5.1-2":  "pre-installed passwords are not predictable",
	"5.1-3":  "authentication uses cryptography of good practice",
	"5.1-4":  "the user can change how they authenticate",
	"5.1-5":  "guessing by brute force is impracticable",
	"5.2-1":  "a policy to disclose vulnerabilities is published",
	"5.2-2":  "disclosed vulnerabilities are acted on in time",
	"5.2-3":  "vulnerabilities are looked for through the support period",
	"5.3-1":  "software can be updated securely",
	"5.3-2":  "updates are secure",
	"5.3-3":  "updates are simple for the user",
	"5.3-4":  "updates can be automatic",
	"5.3-5":  "updates are looked for after set-up and then regularly",
	"5.3-6":  "automatic updates and their notices can be configured",
	"5.3-7":  "updates use cryptography of good practice",
	"5.3-8":  "security updates are timely",
	"5.3-9":  "authenticity and integrity of updates are verified",
	"5.3-10": "updates over a network rest on a trust relationship",
	"5.3-11": "the user is told of a needed security update",
	"5.3-12": "the user is told when an update disrupts the device",
	"5.3-13": "the support period is published",
	"5.3-14": "for a device without updates: reasons and plan are published",
	"5.3-15": "a device without updates can be isolated or replaced",
	"5.3-16": "the model can be recognised",
	"5.4-1":  "sensitive parameters are stored securely",
	"5.4-2":  "a hard-coded identity resists tampering",
	"5.4-3":  "no hard-coded critical parameters",
	"5.4-4":  "parameters for updates and services are unique to the device",
	"5.5-1":  "communication uses cryptography of good practice",
	"5.5-2":  "reviewed implementations serve network and security",
	"5.5-3":  "cryptographic algorithms can be updated",
	"5.5-4":  "functions on network interfaces need authentication",
	"5.5-5":  "changes that bear on security need authentication",
	"5.5-6":  "critical parameters are encrypted in transit",
	"5.5-7":  "critical parameters stay confidential on remote interfaces",
	"5.5-8":  "critical parameters are managed securely through their life",
	"5.6-1":  "unused interfaces are disabled",
	"5.6-2":  "interfaces disclose little before authentication",
	"5.6-3":  "hardware exposes no interfaces without need",
	"5.6-4":  "debug interfaces are disabled in software",
	"5.6-5":  "only services that are needed are on",
	"5.6-6":  "code is kept to what is needed",
	"5.6-7":  "software runs with least privilege",
	"5.6-8":  "hardware controls access to memory",
	"5.6-9":  "development follows a secure process",
	"5.7-1":  "software is verified at boot",
	"5.7-2":  "an unauthorised change alerts and limits communication",
	"5.8-1":  "personal data is confidential in transit",
	"5.8-2":  "sensitive personal data is confidential towards services",
	"5.8-3":  "external sensing is documented",
	"5.9-1":  "outages of network and power are designed for",
	"5.9-2":  "the device works locally without a network and recovers",
	"5.9-3":  "the device connects in an orderly way",
	"5.10-1": "telemetry is examined for anomalies",
	"5.11-1": "user data can be erased simply",
	"5.11-2": "personal data can be removed from services",
	"5.11-3": "removal of data is explained",
	"5.11-4": "removal of data is confirmed",
	"5.12-1": "set-up asks few decisions and follows good practice",
	"5.12-2": "secure set-up is explained",
	"5.12-3": "the user can check that the set-up is secure",
	"5.13-1": "input is validated",
}

// changed is what V3.1.3 has in place of provisions of V2.1.1 ("" where there
// is nothing in its place), and what it adds.
var changed = map[string]string{
	"5.1-2A":  "machine-to-machine logins use no passwords",
	"5.3-4":   "",
	"5.3-4A":  "updates can be automatic",
	"5.3-4B":  "automatic updates are on after set-up",
	"5.3-6":   "",
	"5.3-6A":  "automatic updates can be configured",
	"5.3-6B":  "notices of updates can be configured",
	"5.3-15":  "",
	"5.3-15A": "a device without updates can be isolated",
	"5.3-15B": "the hardware of a device without updates can be replaced",
	"5.6-4":   "",
	"5.6-4A":  "debug interfaces are disabled or protected in software",
	"5.6-4B":  "debug ports are protected physically",
}

var v3 = edition3()

func edition3() map[string]string {
	out := maps.Clone(v2)
	for id, title := range changed {
		if title == "" {
			delete(out, id)
		} else {
			out[id] = title
		}
	}
	return out
}

// unverified are provisions whose number or wording is from memory of the
// standard alone.
var unverified = map[string]bool{
	"5.2-2": true, "5.2-3": true, "5.3-3": true, "5.3-4B": true, "5.3-8": true, "5.3-11": true, "5.3-12": true, "5.4-4": true,
	"5.5-3": true, "5.5-8": true, "5.6-6": true, "5.6-7": true, "5.6-8": true, "5.6-9": true, "5.10-1": true,
}

// V3 gives a provision of V3.1.3. It panics for a number that the edition has
// not.
func V3(id string) baseline.Clause {
	return baseline.New(baseline.EN303645, V313, v3, id, !unverified[id])
}

// V2 gives a provision of V2.1.1. It panics for a number that the edition has
// not.
func V2(id string) baseline.Clause {
	return baseline.New(baseline.EN303645, V211, v2, id, !unverified[id])
}

// All gives every provision of both editions.
func All() []baseline.Clause {
	var out []baseline.Clause
	for _, id := range slices.Sorted(maps.Keys(v3)) {
		out = append(out, V3(id))
	}
	for _, id := range slices.Sorted(maps.Keys(v2)) {
		out = append(out, V2(id))
	}
	return out
}
