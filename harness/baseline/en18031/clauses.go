// Package en18031 names mechanisms of EN 18031-1/-2/-3 (2024), the harmonised
// standards under the Radio Equipment Directive. Most mappings were not held
// against the standards' own text.
package en18031

import "rigor/harness/baseline"

var table = map[string]string{
	"ACM-1":   "access control mechanisms are there",
	"ACM-2":   "access control mechanisms are appropriate",
	"AUM-1-1": "authentication on network interfaces",
	"AUM-1-2": "authentication on user interfaces",
	"AUM-4":   "authenticators can be changed",
	"AUM-5-1": "factory default passwords are strong",
	"AUM-5-2": "passwords set by the user are strong",
	"AUM-6":   "protection against brute force",
	"CCK-3":   "no static default keys",
	"GEC-2":   "few services are exposed",
	"GEC-5":   "no external interfaces without need",
	"GEC-6":   "input is validated",
	"LGM-1":   "events are logged",
	"SCM-3":   "communication stays confidential",
	"SSM-3":   "stored parameters stay confidential",
	"SUM-2":   "updates are verified",
}

var verified = map[string]bool{"ACM-1": true, "ACM-2": true, "AUM-1-1": true, "AUM-1-2": true, "AUM-4": true, "AUM-5-1": true, "AUM-5-2": true, "AUM-6": true}

// Code gives a mechanism by its code. It panics for one that is not known.
func Code(id string) baseline.Clause {
	return baseline.New(baseline.EN18031, "2024", table, id, verified[id])
}
