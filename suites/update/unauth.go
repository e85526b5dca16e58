package update

import (
	"context"

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
		b := check.Bracketed[*shelf.Image]{
			Probes: []*shelf.Image{img},
			Name:   func(i *shelf.Image) string { return i.String() + ", delivered without a login" },
			Deliver: func(ctx context.Context, i *shelf.Image) (dut.Delivery, error) {
				s.mind()
				return s.u.ByStranger(ctx, dut.Image{Name: i.String(), Bytes: i.Bytes})
			},
			Shows: func(i *shelf.Image, now dut.Running) bool {
				return shelf.Says(now.Version, now.Digest, i.Shows) || now.Pending != "" && shelf.SameVersion(now.Pending, i.Shows.Version)
			},
			Early: true, // who is nobody is told so before anything is taken
			Back:  nil,  // it is genuine
		}
		c := s.claim(img, nil)
		b.Open, b.Anti, b.Genuine, b.Restart, b.Look, b.Recover = c.Open, c.Anti, c.Genuine, c.Restart, c.Look, c.Recover
		check.RefuteBracketed(ctx, t, "a genuine image is not taken from who is not logged in", b)
	},
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
