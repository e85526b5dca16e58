package protection

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/login"
	"rigor/harness/login/sshkex"
	"rigor/harness/verdict"
	"rigor/suites/secrets"
)

// SSHServer: an SSH server offers no algorithm under the floor that its maker
// declares. Its own first packet lists them all, so what is not in it is not offered.
var SSHServer = check.Check{
	ID:    "dat-ssh-server",
	Title: "SSH servers offer nothing under the floor",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.DP1, en303645.V3("5.5-1"), en18031.Code("CRY-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Reads,
	Allow:  []check.Leave{check.LoginTries},
	Budget: check.Budget{Case: time.Minute},
	Cases:  check.Planner(check.PerLogin).With(check.NeedsSSH, check.NeedsOwner),
	Run: func(ctx context.Context, t *check.T) {
		met, shown, own := secrets.Own(ctx, t, t.Case().Channel)
		o, err := t.Device().SSHOffer(ctx, t.Device().Login(t.Case().Channel).Decl().Port)
		t.OK(err)
		ref := t.Keep("offer.txt", "the algorithms that the server offers, from its own first packet", []byte(o.String()))
		secrets.ClaimOwn(t, met, shown, own, func(facts map[string]string) bool { return facts[login.FactServer] == o.Version })
		t.Claim("the server offers nothing under the floor", func(c *check.Claim) {
			c.Show(ref)
			if o.Kind != verdict.Accepted {
				c.Unknown(verdict.ReasonPrecondition, "the server offered nothing (%s)", o.Kind)
				return
			}
			var bad, unknown []string
			for _, a := range o.All() {
				switch sshkex.GradeOf(a.Kind, a.Name) {
				case sshkex.Broken:
					bad = append(bad, fmt.Sprintf("%s %s, which is broken", a.Kind, a.Name))
				case sshkex.Weak:
					if !slices.Contains(t.Profile().SSH.Allow, a.Name) {
						bad = append(bad, fmt.Sprintf("%s %s", a.Kind, a.Name))
					}
				case sshkex.Unknown:
					if !slices.Contains(t.Profile().SSH.Allow, a.Name) {
						unknown = append(unknown, fmt.Sprintf("%s %s", a.Kind, a.Name))
					}
				case sshkex.Good:
				}
			}
			c.Expect("nothing old but what the profile allows (ssh.allow)", fmt.Sprintf("%d algorithms", len(o.All())))
			switch {
			case len(bad) > 0:
				c.Fail(verdict.ReasonExpectation, "it offers %s", strings.Join(bad, ", "))
			case len(unknown) > 0:
				c.Unknown(verdict.ReasonAmbiguous, "nothing is known here of %s (ssh.allow declares what is well)", strings.Join(unknown, ", "))
			}
		})
	},
}
