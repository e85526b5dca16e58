// Package identity checks what the device says of itself: its identifier, its
// model and firmware, what a stranger learns, and what its log keeps.
package identity

import "rigor/harness/check"

// Suite is the identity suite.
var Suite = check.Suite{
	Name:   "identity",
	Title:  "The device tells who it is, and to whom",
	Checks: []*check.Check{&Logical, &ModelFirmware, &Info, &AuthEvents},
}
