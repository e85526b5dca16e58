package update

import (
	"context"
	"strings"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// UnauthTrigger: who is not logged in installs nothing, however genuine.
var UnauthTrigger = check.Check{
	ID: "upd-unauth-trigger", Title: "Nobody updates the device without a login",
	Clauses: baseline.PerChannel{baseline.Network: {nist8259a.SU4, en303645.V3("5.5-5")}, baseline.Local: {nist8259a.LA1}},
	From:    states.Onboarded.State, Effect: check.Consumes, Allow: []check.Leave{check.Update}, Budget: budget,
	Cases: mutants(PerChannel).With(needsStranger),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(ctx, t)
		s.opened(ctx)
		img := s.next()
		guises := inGuises(ctx, t, s.u.Guises)
		b := check.Bracketed[dut.Guise]{
			Probes: guises,
			Name:   func(g dut.Guise) string { return img.String() + ", delivered " + g.Name },
			Deliver: func(ctx context.Context, g dut.Guise) (dut.Delivery, error) {
				s.mind()
				return s.u.In(ctx, g, dut.Image{Name: img.String(), Bytes: img.Bytes})
			},
			Shows: func(_ dut.Guise, now dut.Running) bool {
				return shelf.Says(now.Version, now.Digest, img.Shows) || now.Pending != "" && shelf.SameVersion(now.Pending, img.Shows.Version)
			},
			Early: true, // who is nobody is told so before anything is taken
			Back:  nil,  // it is genuine
			One:   true,
		}
		c := s.claim(img, nil)
		b.Open, b.Anti, b.Genuine, b.Restart, b.Look, b.Recover, b.Restarts = c.Open, c.Anti, c.Genuine, c.Restart, c.Look, c.Recover, c.Restarts
		check.RefuteBracketed(ctx, t, "a genuine image is not taken from who is not logged in", b)
	},
}

// inGuises gives how somebody comes who is not logged in. What cannot be tried is claimed to
// be open.
func inGuises(ctx context.Context, t *check.T, of func(ctx context.Context, token string) ([]dut.Guise, []string, error)) []dut.Guise {
	guises, gaps, err := of(ctx, t.Secret("token", 32))
	for _, g := range guises {
		for _, a := range g.Over {
			t.Cleanup(func(context.Context, *check.T) { _ = a.Close() }) // it is over
		}
	}
	t.OK(err)
	if len(gaps) > 0 {
		t.Claim("it was tried in a session that is over, too", func(c *check.Claim) {
			c.Unknown(verdict.ReasonCoverageGap, "%s", strings.Join(gaps, "; "))
		})
	}
	return guises
}

// needsStranger: the channel asks for a login, and it is said how who has none is told.
func needsStranger(in check.Input, c *check.Case) *verdict.Judgement {
	u := in.Profile.Updates.Items[c.Channel]
	switch {
	case u.Stranger.Declared():
		return check.DeclaredNone(u.Stranger.None.None)
	case u.Stranger.Refused.Zero():
		return check.NotDeclared("the profile does not say how who is not logged in is told no (updates.%s.stranger.refused), nor that no login is asked for (stranger: {none: …})", c.Channel)
	}
	if len(u.Stranger.Steps) == 0 {
		if _, ok := profile.WithoutLogin(u.Steps); !ok {
			return check.NotDeclared("the profile does not say how an image is delivered without a login (updates.%s.stranger.steps)", c.Channel)
		}
	}
	return nil
}
