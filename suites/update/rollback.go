package update

import (
	"context"
	"fmt"

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

// AuthorisedRollback: the owner can go back to the version before, as far as that is
// declared, and nobody else can.
var AuthorisedRollback = check.Check{
	ID: "upd-authorised-rollback", Title: "The owner can go back to the version before, and nobody else",
	Clauses: baseline.PerChannel{baseline.Network: {nist8259a.SU3, en303645.V3("5.5-5")}, baseline.Local: {nist8259a.SU3}},
	From:    states.Onboarded.State, Effect: check.Consumes, Allow: []check.Leave{check.Update}, Budget: budget,
	Cases: mutants(First).With(needsReturn),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(ctx, t)
		s.opened(ctx)
		s.toReturnable(ctx)
		before := s.running
		up := s.shelf.Newer(before.Rank)
		if len(up) == 0 {
			t.Inconclusive(verdict.ReasonCoverageGap, exhausted, s.now.Version)
		}
		a, err := s.install(ctx, up[0])
		t.OK(err)
		if a.Kind != verdict.Accepted {
			t.Inconclusive(verdict.ReasonControlFailed, "the newer version that is to be gone back from was not taken: %s: %s", a.Kind, a.Detail)
		}
		if !s.refusesStranger(ctx, before) {
			return
		}
		s.goesBack(ctx, before)
	},
}

// toReturnable goes up one version where the next one cannot be gone back from: a security
// counter that rises is committed for good.
func (s *seat) toReturnable(ctx context.Context) {
	up := s.shelf.Newer(s.running.Rank)
	if len(up) == 0 || up[0].Shows.Counter == s.running.Shows.Counter {
		return
	}
	a, err := s.install(ctx, up[0])
	s.t.OK(err)
	if a.Kind != verdict.Accepted {
		s.t.Inconclusive(verdict.ReasonControlFailed, "a newer version was not taken: %s: %s", a.Kind, a.Detail)
	}
}

// refusesStranger claims that nobody goes back who is not logged in. That the way back is
// there and works, the owner shows behind it.
func (s *seat) refusesStranger(ctx context.Context, before *shelf.Image) bool {
	now := s.now
	c := s.claim(before, nil)
	return check.RefuteBracketed(ctx, s.t, "who is not logged in does not go back to the version before", check.Bracketed[dut.Guise]{
		Probes:  inGuises(ctx, s.t, s.d.ReturnGuises),
		Name:    func(g dut.Guise) string { return "the way back, " + g.Name },
		Deliver: s.d.ReturnIn,
		Shows: func(_ dut.Guise, is dut.Running) bool {
			return !is.Same(now) && shelf.Says(is.Version, is.Digest, before.Shows)
		},
		Open: c.Open, Anti: c.Anti, Genuine: c.Genuine, Restart: c.Restart, Look: c.Look, Recover: c.Recover, Early: true, One: true,
	})
}

// goesBack claims that the owner does, or is told why not.
func (s *seat) goesBack(ctx context.Context, before *shelf.Image) {
	was := s.now
	err := s.d.ReturnTo(ctx)
	if err != nil && check.Judge(err).Verdict == verdict.Error {
		s.t.OK(err)
	}
	s.begin(ctx)
	ref := s.t.Keep("rollback.txt", "what ran before the owner went back, and behind it", fmt.Appendf(nil, "before: %s\nafter: %s\nwanted: %s\n%s\n", was, s.now, before, errText(err)))
	s.t.Claim("the owner goes back to the version before", func(c *check.Claim) {
		c.Show(ref)
		c.Expect(before.String()+" runs", s.now.String())
		switch {
		case shelf.Says(s.now.Version, s.now.Digest, before.Shows) && s.now.Pending == "":
		case err != nil:
			c.Fail(verdict.ReasonExpectation, "it is declared to be possible, and: %v", err)
		case shelf.Says(s.now.Version, s.now.Digest, before.Shows) && s.now.OnTrial():
			c.Unknown(verdict.ReasonAmbiguous, "it runs, and %v behind its start it is still to be confirmed: %s", s.d.ConfirmTime(), s.now)
		default:
			c.Fail(verdict.ReasonExpectation, "behind the way back runs %s", s.now)
		}
	})
	if s.running != nil && s.now.Pending == "" {
		s.notBelow(ctx)
	}
}

// notBelow claims that no way back leads below the committed security counter.
func (s *seat) notBelow(ctx context.Context) {
	from := s.running
	up := s.shelf.Newer(max(rankOf(from), 0))
	var over *shelf.Image
	for _, img := range up {
		if from != nil && img.Shows.Counter != "" && img.Shows.Counter != from.Shows.Counter {
			over = img
			break
		}
	}
	if over == nil {
		s.t.Note("no image that is given has a higher security counter: whether it stops the way back was not looked at")
		return
	}
	if s.d.Profile.Images.ReturnTo.Below.Zero() {
		s.t.Note("how the way back below a committed security counter is refused is not declared (images.return-to.below): it was not looked at")
		return
	}
	a, err := s.install(ctx, over)
	s.t.OK(err)
	if a.Kind != verdict.Accepted {
		s.t.Inconclusive(verdict.ReasonControlFailed, "the version with a higher security counter was not taken: %s: %s", a.Kind, a.Detail)
	}
	d, err := s.d.ReturnBelow(ctx)
	s.t.OK(err)
	s.read(ctx)
	ref := s.t.Keep("rollback-below.txt", "the way back from an image with a higher security counter", fmt.Appendf(nil, "from: %s\nanswer: %s: %s\nruns: %s\n%s", over, d.Kind, d.Detail, s.now, d.Raw))
	s.t.Claim("no way back leads below the committed security counter", func(c *check.Claim) {
		c.Show(ref)
		c.Expect(over.String()+" runs still, and the way back is refused", fmt.Sprintf("%s: %s; %s runs", d.Kind, d.Detail, s.now))
		switch {
		case s.running != nil && s.running.Shows.Counter != over.Shows.Counter:
			c.Fail(verdict.ReasonAccess, "from %s with security counter %s the owner went back to %s with %s", over, over.Shows.Counter, s.running, s.running.Shows.Counter)
		case s.running != over:
			c.Unknown(verdict.ReasonDUTChanged, "%s runs", s.now)
		case d.Kind != verdict.Refused:
			c.Unknown(verdict.ReasonIneffective, "it was answered with %s (%s)", d.Kind, d.Detail)
		}
	})
}

func rankOf(i *shelf.Image) int {
	if i == nil {
		return 0
	}
	return i.Rank
}

func errText(err error) string {
	if err == nil {
		return "the steps went well"
	}
	return err.Error()
}

// needsReturn: the way back is declared, and how a stranger is told no.
var needsReturn = check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
	r := p.Images.ReturnTo
	switch {
	case r.Declared():
		return check.DeclaredNone(r.None.None)
	case len(r.Steps) == 0:
		return check.NotDeclared("the profile does not say how an owner goes back to the version before (images.return-to), nor that none can")
	case r.Refused.Zero():
		return check.NotDeclared("the profile does not say how who is not logged in is told no (images.return-to.refused)")
	}
	return nil
})
