package reset

import (
	"context"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// FirmwareKept: a factory reset leaves the firmware as it is: it brings back none that is
// older, as a copy that the maker put into the device once.
var FirmwareKept = check.Check{
	ID:    "rst-firmware-kept",
	Title: "A factory reset leaves the firmware as it is",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.SU2, en303645.V3("5.3-2"), en303645.V3("5.11-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  tourLeaves,
	Budget: check.Budget{Case: tourTime, Cleanup: cleanupTime},
	Cases: perDevice.With(check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
		switch {
		case p.Firmware.Declared():
			return check.DeclaredNone(p.Firmware.None.None)
		case len(p.Firmware.Read) == 0:
			return check.NotDeclared("the profile does not say how the firmware's version is read (firmware.read)")
		}
		return nil
	})),
	Run: func(ctx context.Context, t *check.T) {
		for _, tr := range made(ctx, t).list {
			tr.claimKept(t, "the firmware is what it was", tr.firmware)
		}
	},
}
