// Package debugport checks the debug ports and ROM loaders of the device: that nobody
// gets in by them, in any phase of its life and in any way of asking, that the lock is
// the one that is declared and stays, and that no pad answers that nobody declared. A
// port that is silent is not taken for a locked one: that it is wired, and alive, has to
// be shown.
package debugport

import (
	"rigor/harness/check"
)

// Suite is the debugport suite.
var Suite = check.Suite{
	Name:  "debugport",
	Title: "Debug ports and ROM loaders let nobody in",
	Checks: []*check.Check{
		&SWDPresent, &SWDUnderReset, &SWDDormant, &SWDMultidrop, &APEnum, &MemRead, &AuthStatus, &HaltStep, &VendorLock, &LockPersist,
		&JTAGIDCode, &JTAGBypass, &JTAGLocked, &ROMLoaders, &Undeclared,
	},
}
