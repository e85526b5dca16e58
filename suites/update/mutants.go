package update

import (
	"context"
	"strings"
	"time"

	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/mutant/ofmcuboot"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// budget is that of a case with many deliveries.
var budget = check.Budget{Case: 30 * time.Minute, Cleanup: 10 * time.Minute}

// Clauses of what is verified, and of what a device may take besides.
var (
	verified = baseline.PerChannel{
		baseline.Network: {nist8259a.SU2, en303645.V3("5.3-9")},
		baseline.Local:   {nist8259a.SU2, en303645.V3("5.3-9")},
	}
	secure = baseline.PerChannel{
		baseline.Network: {nist8259a.SU2, en303645.V3("5.3-2")},
		baseline.Local:   {nist8259a.SU2, en303645.V3("5.3-2")},
	}
)

// Whether a DUT that takes one of a check's mutants may not start any more.
const (
	harmless = false
	mayBrick = true
)

// tries is the run of a check that mutants of some kinds are refused.
func tries(text string, bricks bool, kinds ...mutant.Kind) func(context.Context, *check.T) {
	return func(ctx context.Context, t *check.T) { tryAll(ctx, t, text, bricks, kinds) }
}

// tryAll gives whether the claim was recorded as holding.
func tryAll(ctx context.Context, t *check.T, text string, bricks bool, kinds []mutant.Kind) (holds bool) {
	s := sit(ctx, t)
	s.opened(ctx)
	if bricks {
		s.provenWayBack(ctx)
	}
	parent := s.next()
	m := s.make(parent, kinds...)
	s.keep(parent, parent.Shows, m)
	for _, why := range m.unmade {
		if strings.Contains(why, ofmcuboot.PublishedIsMakers) {
			t.Claim("the maker's images are not signed with a key that everybody has", func(c *check.Claim) {
				c.Show(s.list)
				c.Fail(verdict.ReasonAccess, "%s", why)
			})
		}
	}
	if len(m.refused)+len(m.harmless) == 0 {
		t.Inconclusive(verdict.ReasonCoverageGap, "none of these mutants can be made of %s: %s", parent, strings.Join(m.unmade, "; "))
	}
	holds = true
	if len(m.refused) > 0 {
		holds = s.refute(ctx, text, parent, m.refused)
	}
	if holds && len(m.harmless) > 0 {
		s.either(ctx, parent, m.harmless)
	}
	return holds
}

// needsWayBack: it is declared how a unit that does not start any more gets a genuine
// image. Without that, what may brick it is not tried.
func needsWayBack(in check.Input, _ *check.Case) *verdict.Judgement {
	w := in.Profile.Images.WayBack
	switch {
	case w.Declared():
		return check.RigLacks("what may leave the unit without a firmware that starts is not tried: there is no way back (%s)", w.None.None)
	case w.Over == "":
		return check.NotDeclared("what may leave the unit without a firmware that starts is not tried: the profile names no way back (images.way-back)")
	}
	if c := channelCase(in, w.Over); c.Skip != nil {
		return check.RigLacks("what may leave the unit without a firmware that starts is not tried: the way back over %s is not to be had: %s", w.Over, c.Skip.Detail)
	}
	return nil
}

// needsGiven: the profile gives such images.
func needsGiven(key string, count func(*profile.Images) int) check.Need {
	return check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
		if count(&p.Images) == 0 {
			return check.NotDeclared("the profile gives no such image (images.%s)", key)
		}
		return nil
	})
}

// needsFresh: older images are not taken on purpose.
var needsFresh = check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
	if d := p.Images.Downgrade; d.Declared() {
		return check.DeclaredNone(d.None)
	}
	return nil
})

// needsComponents: an image has several parts that are installed on their own.
var needsComponents = check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
	if n := p.Images.Components; n < 2 {
		return check.DeclaredNone("an image is declared to have one component: there is nothing to mix")
	}
	return nil
})
