package credential

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/credentials"
	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// factorySecret is the need of checks about the secret that a unit is born
// with.
func factorySecret(in check.Input, _ *check.Case) *verdict.Judgement {
	if p := in.Profile.Password; p.Declared() {
		return check.DeclaredNone(p.None.None)
	} else if p.Generation == "" {
		return check.NotDeclared("the profile does not say how the factory secret of a unit is made (password.generation)")
	}
	if in.Units == 0 {
		return check.RigLacks("the rig does not give the label-password of its unit")
	}
	return nil
}

// ofLabel plans one case about the unit's label. It passes only if the label is
// shown to be the unit's, by a set-up that takes it.
func ofLabel(in check.Input) []check.Case {
	cases := check.Device(in)
	for i := range cases {
		cases[i].Bracket = check.LabelTaken
	}
	return cases
}

// Derivable: who knows what a unit tells everybody does not know its password.
var Derivable = check.Check{
	ID:    "cred-derivable",
	Title: "The factory password does not follow from what everybody sees",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.LA2, en303645.V3("5.1-2")},
	},
	From:   states.Onboarded.State,
	Effect: check.Reads,
	Budget: check.Budget{Case: time.Minute},
	Cases:  check.Planner(ofLabel).With(factorySecret),
	Run: func(ctx context.Context, t *check.T) {
		u := t.Device().Unit()
		ids := map[string]string{"serial": u.Serial, "mac": u.MAC, "model": t.Profile().Model, "maker": t.Profile().Maker}
		for k, v := range u.Values {
			ids[k] = v
		}
		for i, name := range t.Profile().Password.Identifiers { // what a unit has besides, by its own values or as it stands
			if _, ok := ids[name]; !ok {
				ids[fmt.Sprintf("identifier %d", i+1)] = name
			}
		}
		derived := credentials.Derivable(ids)
		// The search is shown to find a password that does follow, and not to
		// find one that does not, with the same code.
		sum := sha256.Sum256([]byte(u.Serial))
		search := func(password, only string) (dut.Answer, error) {
			for _, d := range derived {
				if (only == "" || d.How == only) && d.Value == password {
					return dut.Answer{Kind: verdict.Accepted, Detail: "it is " + d.How}, nil
				}
			}
			return dut.Answer{Kind: verdict.Refused, Detail: "it is not among what follows"}, nil
		}
		held := check.Refute(ctx, t, "the password of the label is no function of the unit's identifiers", check.Negative[credentials.Derived]{
			Control: func(context.Context) (dut.Answer, error) { return search(hex.EncodeToString(sum[:])[:8], "") },
			Anti:    func(context.Context) (dut.Answer, error) { return search(t.Secret("underivable", 12), "") },
			Probes:  derived,
			Try: func(_ context.Context, d credentials.Derived) (dut.Answer, error) {
				if d.Value == u.Label {
					return dut.Answer{Kind: verdict.Accepted, Detail: "the password of the label is " + d.How}, nil
				}
				return dut.Answer{Kind: verdict.Refused}, nil
			},
			Name:    func(d credentials.Derived) string { return d.How },
			Refusal: []verdict.Kind{verdict.Refused},
			Every:   len(derived) + 1, // it is arithmetic: nothing can wear out in between
			Same:    func(context.Context) (string, error) { return u.Serial, nil },
		})
		if gaps := unnamed(t.Profile(), ids); held && len(gaps) > 0 {
			t.Claim("what follows from each of the unit's identifiers was tried", func(c *check.Claim) {
				c.Unknown(verdict.ReasonCoverageGap, "neither rig nor profile gives %s", strings.Join(gaps, ", "))
			})
		}
	},
}

// unnamed lists identifiers that everybody sees and that nobody gave: what
// follows from them was not tried. A unit without a network has no address.
func unnamed(p *profile.Profile, ids map[string]string) (gaps []string) {
	for _, name := range []string{"serial", "mac", "model", "maker"} {
		onNet := slices.ContainsFunc(p.Logins.Order, func(l string) bool { return p.Logins.Items[l].Protocol != "console" })
		if ids[name] == "" && (name != "mac" || onNet) {
			gaps = append(gaps, name)
		}
	}
	return gaps
}
