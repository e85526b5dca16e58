// Package suites lists what Rigor checks. The list is explicit: what is not in
// it does not run, and nothing registers itself.
package suites

import (
	"context"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/suites/console"
	"rigor/suites/credential"
	"rigor/suites/debugport"
	"rigor/suites/identity"
	"rigor/suites/network"
	"rigor/suites/protection"
	"rigor/suites/reset"
	"rigor/suites/update"
)

// All gives every suite, in the order of the reports.
func All() []check.Suite {
	return []check.Suite{console.Suite, network.Suite, credential.Suite, identity.Suite, protection.Suite, update.Suite, reset.Suite, debugport.Suite}
}

// Undo gives how an intent of an earlier run is undone, by its kind.
func Undo() map[string]func(ctx context.Context, d *dut.Device, data map[string]string, secret func(string, int) string) error {
	return map[string]func(context.Context, *dut.Device, map[string]string, func(string, int) string) error{
		credential.IntentPassword: credential.Undo,
		credential.IntentSetup:    credential.UndoSetup,
		dut.IntentBootFail:        console.Undo,
		network.IntentRoute:       network.Undo,
		update.IntentUpdate:       update.Undo,
		update.IntentSlots:        update.UndoSlots,
	}
}
