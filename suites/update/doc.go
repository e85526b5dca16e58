// Package update checks what firmware a device takes: a genuine one by each channel, and
// none that its maker did not sign, or signed for something else, or long ago.
//
// Each channel has one bracket: a genuine image is taken before the first mutant and
// behind the last. What a mutant is, what was changed in it and what verifiers say of it
// is in the evidence of its case.
package update

import (
	"rigor/harness/check"
)

// Suite is the update suite.
var Suite = check.Suite{
	Name:  "update",
	Title: "Unsigned and wrong firmware is refused",
	Checks: []*check.Check{
		&Genuine, &BitFlip, &Unsigned, &SignatureShape, &WrongKey, &DevKey, &OtherProduct, &Downgrade, &VersionForge,
		&MixMatch, &Structure, &Truncated, &EveryChannel, &UnauthTrigger, &Toctou, &Resource, &AuthorisedRollback, &Append,
		&BootSelfConsistent, &FailedBootRevert, &BootVerify,
		&PowerCut, // the last: what it leaves of a weak device may take no image any more
	},
}
