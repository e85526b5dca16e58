// Package credential checks who gets in: published logins, blank passwords,
// the state before and during set-up, lock-out, change of password, and what
// the login gives away.
package credential

import (
	"rigor/harness/check"
)

// Suite is the credential suite.
var Suite = check.Suite{
	Name:  "credential",
	Title: "Default credentials are refused",
	Checks: []*check.Check{
		// Blank tries are old when the others begin, and what the next two show of
		// the lock-out spares the others a lock each.
		&Blank, &LockRecover, &BruteForce, &LockReboot, &KnownList, &FactoryState, &ForcedSet, &Enum,
		&Fallback, &Change, &Policy, &Persist, &Derivable, &Unique, &Transport,
		&BadKeys, &SharedKeys, &KeysReset,
	},
}
