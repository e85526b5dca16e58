package credential

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/badkeys"
	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/login"
	"rigor/harness/verdict"
	"rigor/suites/secrets"
)

// BadKeys: none of the keys that a service shows is one whose private key is
// published, or can be computed from it.
var BadKeys = check.Check{
	ID:    "cred-bad-keys",
	Title: "No key of a service is published or weak",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.DP1, en303645.V3("5.4-3"), en18031.Code("CCK-1"), en18031.Code("CCK-3")},
	},
	From:   states.Onboarded.State,
	Effect: check.Reads,
	Allow:  []check.Leave{check.LoginTries},
	Budget: check.Budget{Case: 3 * time.Minute},
	Cases:  check.Planner(check.PerLogin).With(check.NeedsKeys, check.NeedsOwner),
	Run: func(ctx context.Context, t *check.T) {
		s, ref := shownKeys(ctx, t, t.Case().Channel)
		t.Claim("no key is published, short or factored", func(c *check.Claim) {
			c.Show(ref)
			var all []string
			for _, k := range s.Keys {
				all = append(all, k.String())
				if bad, ok := badkeys.Find(k.Fingerprint); ok {
					c.Fail(verdict.ReasonExpectation, "the private key of %s is published: %s (%s)", k, bad.What, bad.Source)
				}
				for _, f := range k.Faults() {
					c.Fail(verdict.ReasonExpectation, "%s: %s", k, f)
				}
			}
			c.Expect(fmt.Sprintf("none of %d published keys, no RSA key of under 2048 bits or with a known flaw", len(badkeys.All())), strings.Join(all, "; "))
			unread(c, s)
		})
	},
}

// shownKeys gives the keys that the service of a login shows, and keeps them. It claims
// that it is the DUT's own service.
func shownKeys(ctx context.Context, t *check.T, channel string) (dut.Shown, journal.Ref) {
	o, ref, ok := secrets.Own(ctx, t, channel)
	s, err := t.Device().ShownKeys(ctx, channel)
	t.OK(err)
	secrets.ClaimOwn(t, o, ref, ok, func(facts map[string]string) bool {
		return slices.Contains(s.Facts, facts[login.FactHostKey]) || slices.Contains(s.Facts, facts[login.FactTLS])
	})
	return s, t.Keep("keys.txt", "the public keys that the service shows, as a rig file takes them for a further unit (units: keys)", []byte(s.Text()))
}

// unread leaves a claim about all keys open where not all were seen.
func unread(c *check.Claim, s dut.Shown) {
	switch {
	case len(s.Keys) == 0:
		c.Unknown(verdict.ReasonPrecondition, "the service showed no key: %s", strings.Join(s.Unread, "; "))
	case len(s.Unread) > 0:
		c.Unknown(verdict.ReasonCoverageGap, "not every key was shown: %s", strings.Join(s.Unread, "; "))
	}
}
