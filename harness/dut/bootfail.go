package dut

import (
	"context"
	"fmt"

	"rigor/harness/console"
	"rigor/harness/profile"
)

// IntentBootFail is the kind of intent of a boot that was made to fail; its data
// names the console whose profile section says how that is undone.
const IntentBootFail = "boot-fail"

// FailingConsole gives the console whose profile section says how a boot is made
// to fail: the first that the rig has.
func (d *Device) FailingConsole() (*Console, error) {
	for _, name := range d.Profile.Consoles.Order {
		if c := d.Profile.Consoles.Items[name]; c != nil && d.bench.Consoles[name] != nil && c.Boot.Fail.Given() {
			return d.Console(name)
		}
	}
	return nil, fmt.Errorf("how a boot is made to fail, on a console that the rig has: %w (boot.fail)", ErrNotDeclared)
}

// FailBoot makes a boot fail as the console's section declares it, and gives the
// cursor from before. The caller has written an intent, and sees to MendBoot.
func (d *Device) FailBoot(ctx context.Context, con *Console) (console.Cursor, error) {
	from := con.Mark()
	provoke := con.Boot().Fail.Provoke
	if _, err := d.Steps(ctx, provoke, nil); err != nil {
		return from, fmt.Errorf("make a boot fail: %w", err)
	}
	if switches(provoke) {
		return from, nil
	}
	if err := d.PowerOff(ctx); err != nil {
		return from, err
	}
	return from, d.PowerOn(ctx)
}

// ComeUp lets the device come up in the boot that failed, as declared, and waits
// for the end of the boot. From is behind the sign of the failure.
func (d *Device) ComeUp(ctx context.Context, con *Console, from console.Cursor) error {
	if _, err := d.Steps(ctx, con.Boot().Fail.ComesUp.After, nil); err != nil {
		return fmt.Errorf("let the device come up in the boot that failed: %w", err)
	}
	done, ok := Pattern("the end of the boot that failed", con.Boot().Done)
	if !ok {
		return fmt.Errorf("the end of a boot: %w (boot.done)", ErrNotDeclared)
	}
	_, err := con.AwaitBoot(ctx, from, d.bootTime(), done)
	return err
}

// MendBoot undoes what makes boots fail, and shows that the device boots.
func (d *Device) MendBoot(ctx context.Context, con *Console) error {
	restore := con.Boot().Fail.Restore
	if _, err := d.Steps(ctx, restore, nil); err != nil {
		return fmt.Errorf("make the device boot again: %w", err)
	}
	if switches(restore) {
		return nil
	}
	return d.PowerCycle(ctx)
}

// switches says whether the steps restart the device themselves.
func switches(ss []profile.Step) bool {
	for _, s := range ss {
		if s.Verb == "power" || switches(s.Steps) {
			return true
		}
	}
	return false
}
