package reset

import (
	"context"
	"slices"
	"strings"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/verdict"
)

// OldCredential: what opened the device for one owner does not open it for him once it was
// reset and another one has set it up: not his password, not a session or token of his, not
// a connection that he is logged in on, not a key that the device gave him; neither at once
// nor behind a restart, with which a copy may come back.
var OldCredential = check.Check{
	ID:    "rst-old-credential",
	Title: "What opened the device before a factory reset opens it no more",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.DP2, en303645.V3("5.11-1"), en303645.V3("5.1-1"), en18031.Code("DLM-1")},
		baseline.Local:   {nist8259a.DP2, en303645.V3("5.11-1"), en303645.V3("5.1-1"), en18031.Code("DLM-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  tourLeaves,
	Budget: check.Budget{Case: tourTime, Cleanup: cleanupTime},
	Cases:  check.Planner(check.PerLogin).With(resets, check.NeedsOwner, check.NeedsNetwork, needsReset),
	Run: func(ctx context.Context, t *check.T) {
		for _, tr := range made(ctx, t).list {
			tr.claimShut(ctx, t, t.Case().Channel)
		}
	},
}

func (tr *tour) claimShut(ctx context.Context, t *check.T, channel string) {
	text := tr.by() + " what opened " + channel + " before opens it no more"
	if !tr.whole(t, text) && tr.doors[channel] == nil {
		return
	}
	f := tr.doors[channel]
	if f == nil {
		t.Claim(text, func(c *check.Claim) {
			c.Unknown(verdict.ReasonRigLacks, "the login was not tried: the rig does not reach it")
		})
		return
	}
	gone := []verdict.Kind{verdict.Refused, verdict.Unreachable}
	if isConnection(t.Device().Login(channel).Protocol()) { // what has started anew knows nothing of it, and its service is shown to answer
		gone = append(gone, verdict.Silent)
	}
	for _, p := range f.early {
		check.Refute(ctx, t, tr.by()+" "+p.name+" opens "+channel+" not before the next set-up either", check.Negative[tried]{
			Control: replay(tr.factory, tr.again()), Anti: replay(tr.nobody), Probes: []tried{p}, Try: tryTried, Name: nameTried, Same: tr.same,
			// It is asked to be set up, or shown the page for that.
			Refusal: append(slices.Clone(gone), verdict.Unproven, verdict.Restricted),
			Denies:  []verdict.Kind{verdict.Refused, verdict.Unreachable},
		})
	}
	door := t.Device().Login(channel)
	for _, p := range f.probes {
		n := check.Negative[tried]{
			Control: replay(f.control[:]...), Anti: replay(f.anti), Probes: []tried{p}, Try: tryTried, Name: nameTried,
			Same: tr.same, Refusal: door.Refusals(), Channel: channel,
		}
		if p.control.Kind != "" {
			n.Control, n.Anti = replay(p.control), replay(p.anti)
		}
		if p.session { // a device that ends one closes its connection, or shows the page to log in
			n.Refusal = append(append(n.Refusal, gone...), verdict.Unproven)
		}
		check.Refute(ctx, t, tr.by()+" "+p.name+" opens "+channel+" no more", n)
	}
	if len(f.gaps) > 0 {
		t.Claim(text+", of every kind", func(c *check.Claim) {
			c.Unknown(verdict.ReasonCoverageGap, "%s", strings.Join(f.gaps, "; "))
		})
	}
}
