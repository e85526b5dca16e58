package credential

import (
	"context"
	"fmt"
	"math"
	"strconv"
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
					case neighbours(a.Label, b.Label) == counting:
						c.Fail(verdict.ReasonExpectation, "the factory passwords of units %s and %s are a common part with a number counted up", a.Serial, b.Serial)
					case neighbours(a.Label, b.Label) == nearby:
						c.Unknown(verdict.ReasonTwoUnits, "the factory passwords of units %s and %s are as close as a counter makes them, and as chance may make numbers so short; compare further units", a.Serial, b.Serial)
					}
				}
			}
		})
	},
}

// alikeness is how alike two factory passwords are.
type alikeness string

const (
	unlike   alikeness = ""
	nearby   alikeness = "nearby"   // as a counter makes them, and chance now and then
	counting alikeness = "counting" // a common part with a number counted up
)

const (
	// leastCommon is how many characters two passwords share outside of their numbers
	// before that is a common part.
	leastCommon = 4
	// mostApart is how far a counter goes from one unit of a bench to the next.
	mostApart = 1000
	// rare is how seldom two numbers drawn at random are as close as those of a counter.
	rare = 1e-3
	// fewDigits are so few that a common part with them is no password of one unit.
	fewDigits = 3
)

// neighbours says whether two passwords differ by a small amount of one number only, as
// a counter makes it. Two short numbers are as close by chance: the share of pairs of n
// digits that differ by d or less is about 2d/10^n.
func neighbours(a, b string) alikeness {
	if len(a) != len(b) {
		return unlike
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
	if first < 0 {
		return unlike
	}
	from, to := first, last+1 // of the number
	for from > 0 && digit(a[from-1]) {
		from--
	}
	for to < len(a) && digit(a[to]) {
		to++
	}
	x, errX := strconv.ParseInt(a[first:to], 10, 64)
	y, errY := strconv.ParseInt(b[first:to], 10, 64)
	if errX != nil || errY != nil || !digit(a[first]) || !digit(b[first]) { // other characters, or too far apart
		return unlike
	}
	d := max(x-y, y-x)
	common := len(a) - (last - first + 1)
	seldom := 2*float64(d)/math.Pow10(to-from) <= rare
	switch {
	case d >= mostApart:
		return unlike
	case common >= leastCommon && (seldom || to-from <= fewDigits):
		return counting
	case common >= leastCommon || seldom:
		return nearby
	}
	return unlike
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
