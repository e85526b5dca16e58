// Package nist8425 names the outcomes of NISTIR 8425, Profile of the IoT Core
// Baseline for Consumer IoT Products (September 2022), that a device alone can
// show something about. The profile is of the product: the device, its app and
// its services together. The codes are capability and place within it.
package nist8425

import (
	"maps"
	"slices"

	"rigor/harness/baseline"
)

var table = map[string]string{
	"AI-1":   "the product can be identified",
	"AI-2":   "its components are inventoried",
	"PC-1":   "settings can be changed by those who may",
	"PC-2":   "a secure default can be restored",
	"PC-3":   "settings apply to the components",
	"DP-1":   "stored data is protected",
	"DP-2":   "data can be deleted or made inaccessible",
	"DP-3":   "data in transit is protected",
	"IAC-1a": "only interfaces that are needed are there",
	"IAC-1b": "access to each interface is controlled, those inside too",
	"IAC-1c": "privileges are limited to what is needed",
	"IAC-2a": "data between components is validated",
	"IAC-2b": "unauthorised transmissions are prevented",
	"IAC-2c": "control is kept at onboarding and when a connection returns",
	"SU-1":   "software can be updated securely",
	"SU-2":   "updates are applied in time",
	"CSA-1":  "the product records its cybersecurity state",
}

var unverified = map[string]bool{"SU-1": true, "SU-2": true, "CSA-1": true}

// ID gives an outcome by its code. It panics for one that is not known.
func ID(id string) baseline.Clause {
	return baseline.New(baseline.NISTIR8425, "", table, id, !unverified[id])
}

// All gives every outcome that is known here.
func All() []baseline.Clause {
	var out []baseline.Clause
	for _, id := range slices.Sorted(maps.Keys(table)) {
		out = append(out, ID(id))
	}
	return out
}
