// Package reset checks the factory reset: who can make one, that it is one, and that
// nothing of the owner before is left behind it, seen from every side.
//
// A reset costs boots, and a flash wears, so that the run makes one by each declared way
// and all cases look at what it showed (Tour). A reset that did not happen decides
// nothing about what it leaves behind: each case is told by something else than what it
// looks at that it did.
package reset

import (
	"rigor/harness/check"
)

// Suite is the reset suite.
var Suite = check.Suite{
	Name:  "reset",
	Title: "A factory reset leaves nothing of the owner",
	Checks: []*check.Check{
		&TrustKept, // the first, see there
		&DefaultState, &Canaries, &CryptoErase, &OldCredential, &KeysRenewed, &FirmwareKept, &IdentityKept,
		&Confirmed, &Logged, &Press, &UnauthTrigger, &PowerCut,
	},
}
