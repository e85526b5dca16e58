package credential

import (
	"context"
	"fmt"
	"slices"

	"rigor/fixtures/credentials"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/verdict"
)

// owner gives the credential that must open the door; without it the case
// cannot be decided.
func owner(t *check.T, door *dut.Door) login.Credential {
	c, err := door.Owner()
	t.OK(err)
	return c
}

// published gives the logins that are published for the door's protocol,
// likeliest first.
func published(t *check.T, door *dut.Door) []login.Credential {
	vendor := door.Decl().Vendor
	if vendor == "" {
		vendor = t.Profile().Maker
	}
	out := slices.Clone(t.Input().Credentials)
	for _, e := range credentials.For(door.Protocol(), vendor) {
		out = append(out, login.Credential{User: e.User, Password: e.Password})
	}
	return out
}

// handTries is how many logins somebody is asked to try by hand in one claim.
const handTries = 12

// byHand leaves of the probes as many as somebody can be asked to try by hand, the
// likeliest. That the others were not tried is a claim of its own.
func byHand(t *check.T, door *dut.Door, probes []login.Credential) []login.Credential {
	if door.Protocol() != "ask" || len(probes) <= handTries {
		return probes
	}
	t.Claim("the other published logins open nothing either", func(c *check.Claim) {
		c.Unknown(verdict.ReasonCoverageGap, "%d of %d logins were tried, the likeliest: a person tries them by hand", handTries, len(probes))
	})
	return probes[:handTries]
}

// withPassword gives those of a list that offer a password.
func withPassword(list []login.Credential) []login.Credential {
	return slices.DeleteFunc(slices.Clone(list), func(c login.Credential) bool { return c.Password == "" })
}

// against is the negative claim that none of the credentials opens the door:
// the owner's opens it, what the anti-control offers does not, and the
// declared lock-out says which tries count.
func against(t *check.T, door *dut.Door, probes []login.Credential, anti login.Credential) check.Negative[login.Credential] {
	own := owner(t, door)
	return check.Negative[login.Credential]{
		Control:  door.With(own),
		Anti:     door.With(anti),
		Wrong:    door.With(login.Credential{User: own.User, Password: t.Secret("wrong", 12)}),
		Probes:   probes,
		Try:      door.Try,
		Name:     name,
		Account:  func(c login.Credential) string { return c.User },
		Doubtful: check.Doubtful,
		Owner:    own.User,
		Channel:  door.Name(),
		Refusal:  door.Refusals(),
		Mute:     mute(door),
		Pace:     check.PaceOf(door.Decl()),
	}
}

// mute says whether the door is declared to say no by silence.
func mute(door *dut.Door) bool { return slices.Contains(door.Refusals(), verdict.Silent) }

// stranger is a login that nobody was given.
func stranger(t *check.T) login.Credential {
	return login.Credential{User: "u" + t.Secret("stranger-user", 9), Password: t.Secret("stranger", 14)}
}

// name shows a probe in the record. A published password is no secret; the
// owner's is taken out by value when it is one.
func name(c login.Credential) string {
	switch {
	case c.Anonymous():
		return "nobody"
	case c.NoPassword:
		return fmt.Sprintf("%q without a password", c.User)
	}
	return fmt.Sprintf("%q with %q", c.User, c.Password)
}

// opens says whether a credential opens the door now.
func opens(ctx context.Context, t *check.T, door *dut.Door, c login.Credential) dut.Answer {
	a, err := t.Try(ctx, door, c)
	t.OK(err)
	return a
}
