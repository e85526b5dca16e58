package reset

import (
	"context"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/verdict"
)

// tourTime is how long the resets of a run may take: a device may need minutes for one,
// and for each of its boots.
const (
	tourTime    = 30 * time.Minute
	cleanupTime = 5 * time.Minute
)

// tourLeaves is what the rig has to allow for them.
var tourLeaves = []check.Leave{check.Reset, check.Configure, check.LoginTries}

// DefaultState: each declared way to reset the device brings it back to the state in
// which it left its maker: it wants to be set up, the owner's password opens nothing, and
// behind the next set-up its settings are the maker's.
var DefaultState = check.Check{
	ID:    "rst-default-state",
	Title: "A factory reset brings the maker's defaults back",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.CFG3, en303645.V3("5.11-1"), en303645.V3("5.1-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  tourLeaves,
	Budget: check.Budget{Case: tourTime, Cleanup: cleanupTime},
	Cases:  perDevice,
	Run: func(ctx context.Context, t *check.T) {
		for _, tr := range made(ctx, t).list {
			if tr.didIt(ctx, t) {
				tr.judgeDefaults(ctx, t)
			}
		}
	},
}

// didIt claims that the device was reset.
func (tr *tour) didIt(ctx context.Context, t *check.T) (did bool) {
	if !tr.happened() && tr.lost == nil {
		tr.stirred(ctx, t)
	}
	ref := tr.evidence(t)
	t.Claim("way "+tr.way.ID+" resets the device to its factory state", func(c *check.Claim) {
		c.Show(ref)
		c.Expect("a sign of the reset, and the factory state", tr.factory.Detail)
		switch {
		case tr.factory.Kind == "" && tr.over != "":
			c.Unknown(verdict.ReasonPrecondition, "%s", tr.over)
		case tr.lost != nil: // by the bench as well
			c.Unknown(verdict.ReasonDUTLost, "%s", tr.over)
		case !tr.happened() && tr.stimulus != "":
			c.Fail(verdict.ReasonAbsent, "nothing happens, though %s: %s", tr.stimulus, tr.whyNot())
		case !tr.happened():
			c.Unknown(verdict.ReasonPrecondition, "the reset did not happen, and nothing shows that the device was told to: %s", tr.whyNot())
		case tr.factory.Kind != verdict.Accepted:
			c.Fail(verdict.ReasonExpectation, "there are signs of a reset, and the device is not in its factory state: %s", tr.factory.Detail)
		default:
			did = true
		}
	})
	return did && tr.proven(t, "that way "+tr.way.ID+" reset the device is seen by more than its state", nil)
}

// again is what the device made of the next set-up.
func (tr *tour) again() dut.Answer {
	if tr.setUp != nil {
		return dut.Answer{Kind: verdict.Refused, Detail: tr.setUp.Error()}
	}
	return dut.Answer{Kind: verdict.Accepted, Detail: "the device took the next set-up"}
}

func (tr *tour) judgeDefaults(ctx context.Context, t *check.T) {
	check.Refute(ctx, t, tr.by()+" the owner's password opens nothing", check.Negative[tried]{
		Control: replay(tr.factory, tr.again()), Anti: replay(tr.nobody), Probes: tr.shut, Try: tryTried, Name: nameTried, Same: tr.same,
		Refusal: []verdict.Kind{verdict.Refused, verdict.Unreachable},
	})
	tr.claimPorts(ctx, t)
	if !tr.whole(t, tr.by()+" the settings are the maker's") {
		return
	}
	f := tr.door(tr.knownAt)
	check.Refute(ctx, t, tr.by()+" no published login opens it", check.Negative[tried]{
		Control: replay(f.control[:]...), Anti: replay(f.anti), Probes: tr.known, Try: tryTried, Name: nameTried, Same: tr.same,
		Refusal: []verdict.Kind{verdict.Refused},
	})
	ref := tr.evidence(t)
	t.Claim(tr.by()+" the settings are the maker's", func(c *check.Claim) {
		c.Show(ref)
		switch {
		case len(t.Profile().Reset.Defaults) == 0:
			c.Unknown(verdict.ReasonProfileMissing, "the profile does not say what the settings are behind a reset (reset.defaults)")
		case tr.defaults != nil:
			c.Expect("what the steps of reset.defaults say", tr.defaults.Error())
			c.Fail(verdict.ReasonExpectation, "%v", tr.defaults)
		}
	})
}
