package identity

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/profile"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// ModelFirmware: the owner can read the model and the firmware's version, and
// they are what is installed.
var ModelFirmware = check.Check{
	ID:    "idn-model-fw",
	Title: "Model and firmware version can be read, and are true",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.ID1, en303645.V3("5.3-16")},
	},
	From:   states.Onboarded.State,
	Effect: check.Reads,
	Budget: check.Budget{Case: time.Minute},
	Cases: check.Planner(check.Device).With(check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
		switch {
		case p.Firmware.Declared():
			return check.DeclaredNone(p.Firmware.None.None)
		case len(p.Firmware.Read) == 0 || p.Firmware.Version == "":
			return check.NotDeclared("the profile does not say which firmware is installed and how its version is read (firmware.version, firmware.read)")
		}
		return nil
	})),
	Run: func(ctx context.Context, t *check.T) {
		p := t.Profile()
		got, err := t.Device().Steps(ctx, p.Firmware.Read, nil)
		t.OK(err)
		ref := t.Keep("version.txt", "what the device says of itself", fmt.Appendf(nil, "model: %s\nversion: %s\n", got["model"], got["version"]))
		t.Claim("the firmware version is the one that is installed", func(c *check.Claim) {
			c.Show(ref)
			c.Expect(p.Firmware.Version, got["version"])
			if got["version"] != p.Firmware.Version && !declared(t, got["version"], got["digest"]) {
				c.Fail(verdict.ReasonExpectation, "installed is %q, the device says %q", p.Firmware.Version, got["version"])
			}
		})
		if model, ok := got["model"]; ok {
			t.Claim("the model is the one that its maker declares", func(c *check.Claim) {
				c.Show(ref)
				c.Expect(p.Model, model)
				if model != p.Model {
					c.Fail(verdict.ReasonExpectation, "declared is %q, the device says %q", p.Model, model)
				}
			})
		}
	},
}

// declared says whether a version is that of an image which the profile declares, from
// the current one upwards: the unit may have been updated to it. Where the DUT tells the
// digest of what runs, it has to be that image's.
func declared(t *check.T, version, digest string) bool {
	images, err := t.Device().Images()
	if err != nil {
		return false // none are declared
	}
	for _, img := range images.Ladder {
		if shelf.SameVersion(version, img.Version()) && (digest == "" || img.Shows.Hash == "" || strings.EqualFold(digest, img.Shows.Hash)) {
			t.Note("%s is the version of %s: the unit was updated", version, img.Ref)
			return true
		}
	}
	return false
}
