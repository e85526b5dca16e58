package credential

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/verdict"
)

// Unique: two units do not share their factory password, nor do they count it
// up.
var Unique = check.Check{
	ID:    "cred-unique",
	Title: "Factory passwords differ from unit to unit",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.LA2, en303645.V3("5.1-1"), en303645.V3("5.1-2"), en18031.Code("CCK-3")},
	},
	From:   states.Onboarded.State,
	Effect: check.Reads,
	Budget: check.Budget{Case: time.Minute},
	Cases: check.Planner(ofLabel).With(factorySecret, func(in check.Input, _ *check.Case) *verdict.Judgement {
		if in.Units < 2 {
			return &verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonTwoUnits, Detail: "one unit cannot show that its password is its own; give a second label in the rig's units"}
		}
		return nil
	}),
	Run: func(_ context.Context, t *check.T) {
		units := append([]dut.Unit{t.Device().Unit()}, t.Device().Unit().Others...)
		var text strings.Builder
		for _, u := range units {
			fmt.Fprintf(&text, "unit %s: factory password %s\n", u.Serial, u.Label)
		}
		ref := t.Keep("labels.txt", "the units that were compared", []byte(text.String()))
		// Of the others only the rig file tells; this unit's is tried in its set-up.
		t.Claim("no two units share a factory password, by their labels", func(c *check.Claim) {
			c.Show(ref)
			c.Expect("all different, and none next to another", fmt.Sprintf("%d units compared", len(units)))
			for i, a := range units {
				for _, b := range units[i+1:] {
					switch {
					case a.Serial == b.Serial:
						c.Unknown(verdict.ReasonTwoUnits, "the rig names unit %s twice", a.Serial)
					case a.Label == b.Label:
						c.Fail(verdict.ReasonExpectation, "units %s and %s have the same factory password", a.Serial, b.Serial)
					case neighbours(a.Label, b.Label):
						c.Fail(verdict.ReasonExpectation, "the factory passwords of units %s and %s are a common part with a number counted up", a.Serial, b.Serial)
					}
				}
			}
		})
	},
}

// neighbours says whether two passwords are alike but for one group of digits:
// a counter.
func neighbours(a, b string) bool {
	if len(a) != len(b) || len(a) == 0 {
		return false
	}
	first, last := -1, -1
	for i := range len(a) {
		if a[i] != b[i] {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	for i := first; i >= 0 && i <= last; i++ {
		if a[i] < '0' || a[i] > '9' || b[i] < '0' || b[i] > '9' {
			return false
		}
	}
	// Short differences of digits only: by chance this is rare in a password
	// that is long enough.
	return last-first < 4
}
