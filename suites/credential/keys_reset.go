package credential

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login/pubkey"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// KeysReset: a factory reset does to the unit's keys what its maker declares: who had
// the device before does not keep a key of the new owner's.
var KeysReset = check.Check{
	ID:    "cred-keys-reset",
	Title: "A factory reset replaces the keys as declared",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.DP1, en303645.V3("5.4-3"), en18031.Code("CCK-3")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  []check.Leave{check.LoginTries, check.Reset, check.Configure},
	Budget: check.Budget{Case: 10 * time.Minute},
	Cases:  check.Planner(check.Device).With(check.NeedsNetwork, check.NeedsWayTo(states.Factory.Name), KeysRenewable),
	Run: func(ctx context.Context, t *check.T) {
		channels := KeyChannels(t.Input())
		if len(channels) == 0 {
			t.Inconclusive(verdict.ReasonProfileMissing, "the profile declares no login whose service has a key")
		}
		after := readKeys(ctx, t, channels)
		// A reset that the run has made already is as good as one more.
		before := map[string][]pubkey.Key{}
		for _, ch := range channels {
			before[ch] = t.Device().KeysBeforeReset(ch)
		}
		if slices.ContainsFunc(channels, func(ch string) bool { return len(before[ch]) == 0 }) {
			resetAndBack(ctx, t)
			for _, ch := range channels {
				before[ch] = after[ch].Keys
			}
			after = readKeys(ctx, t, channels)
		}
		ClaimRenewed(t, "", before, after)
	},
}

// KeysRenewable: the profile declares that a factory reset makes other keys.
var KeysRenewable = check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
	switch {
	case p.Keys.Declared():
		return check.DeclaredNone(p.Keys.None.None)
	case p.Keys.Reset == profile.KeysKept:
		return check.DeclaredNone("the profile declares that a factory reset leaves the keys as they are")
	case p.Keys.Reset == "":
		return check.NotDeclared("the profile does not say what a factory reset does to the keys (keys: {reset: new}, or kept)")
	}
	return nil
})

// ClaimRenewed claims of each channel that its service has no key behind a factory reset
// that it had before; by says by which way it was reset, where there are several.
func ClaimRenewed(t *check.T, by string, before map[string][]pubkey.Key, after map[string]dut.Shown) {
	for _, ch := range slices.Sorted(maps.Keys(before)) {
		var text strings.Builder
		for _, k := range before[ch] {
			fmt.Fprintf(&text, "before a factory reset: %s\n", k)
		}
		fmt.Fprintf(&text, "behind it:\n%s", after[ch].Text())
		ref := t.Keep("keys-"+ch+".txt", "the public keys that the service of login "+ch+" showed before a factory reset and behind it", []byte(text.String()))
		t.Claim("login "+ch+" has no key that it had before a factory reset"+by, func(c *check.Claim) {
			c.Show(ref)
			c.Expect("other keys", fmt.Sprintf("%d keys before, %d behind", len(before[ch]), len(after[ch].Keys)))
			for _, old := range before[ch] {
				for _, k := range after[ch].Keys {
					if what := pubkey.Shared(old, k); what != "" {
						c.Fail(verdict.ReasonContradicted, "%s before the reset, %s behind it: %s", old, k, what)
					}
				}
			}
			if len(before[ch]) == 0 {
				c.Unknown(verdict.ReasonPrecondition, "the service showed no key before the reset")
			}
			unread(c, after[ch])
		})
	}
}

// KeyChannels gives the logins whose services have keys, one for each port.
func KeyChannels(in check.Input) (out []string) {
	for _, c := range check.Planner(check.PerLogin).With(check.NeedsKeys)(in) {
		if c.Skip == nil {
			out = append(out, c.Channel)
		}
	}
	return out
}

func readKeys(ctx context.Context, t *check.T, channels []string) map[string]dut.Shown {
	out := map[string]dut.Shown{}
	for _, ch := range channels {
		out[ch], _ = shownKeys(ctx, t, ch)
	}
	return out
}

// noteKeys notes which keys the device shows, for a comparison behind the reset that
// comes next. What it does not show is not noted.
func noteKeys(ctx context.Context, t *check.T) {
	for _, ch := range KeyChannels(t.Input()) {
		if _, err := t.Device().ShownKeys(ctx, ch); dut.IsFault(err) {
			t.OK(err)
		}
	}
}

// resetAndBack brings the device to its factory state and into use again.
func resetAndBack(ctx context.Context, t *check.T) {
	id := wayBack(t)
	if id == "" {
		t.Inconclusive(verdict.ReasonRigLacks, "no way to the factory state is declared that the rig allows")
	}
	done := t.Intent(IntentSetup, "the device is reset in "+t.ID(), map[string]string{"way": id})
	t.OK(walk(ctx, t.Device(), id))
	t.Device().In(states.Factory.Name) // it may have another address there
	factory := Holds(t, states.Factory.Name)
	a, err := factory(ctx)
	t.OK(err)
	if a.Kind != verdict.Accepted {
		t.Inconclusive(verdict.ReasonState, "behind the reset the device is not in its factory state: %s", a.Detail)
	}
	t.Device().WasReset()
	for _, w := range t.Profile().Ways {
		if w.From != states.Factory.Name || w.To != states.Onboarded.Name {
			continue
		}
		t.OK(t.Device().Walk(ctx, &w, func() { t.Device().In(states.Onboarded.Name) }))
		a, err := Holds(t, states.Onboarded.Name)(ctx)
		t.OK(err)
		if a.Kind != verdict.Accepted {
			t.Inconclusive(verdict.ReasonState, "behind the set-up the device is not in use: %s", a.Detail)
		}
		done()
		return
	}
	t.Inconclusive(verdict.ReasonProfileMissing, "the profile declares no way from the factory state into use")
}
