package network

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
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// UnauthMap: what the maker declares to need a login gives nothing without one,
// in none of the disguises by which servers are known to be fooled. What a status
// says decides nothing: there are errors with 200, and redirects with the page in
// them. What only the owner gets to see must not be seen, what is written must not
// have been written.
var UnauthMap = check.Check{
	ID:    "net-unauth-map",
	Title: "Routes that need a login give nothing without one",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.LA2, en303645.V3("5.5-4"), en303645.V3("5.5-5"), en18031.Code("ACM-1"), en18031.Code("ACM-2")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Budget: check.Budget{Case: 15 * time.Minute, Cleanup: 30 * time.Second},
	Cases: check.Planner(check.Device).With(check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
		l := p.Logins.Items[p.Routes.Login]
		switch {
		case p.Routes.Declared():
			return check.DeclaredNone(p.Routes.None.None)
		case p.Routes.Login == "" || len(p.Routes.Protected) == 0:
			return check.NotDeclared("the profile does not say which routes need a login (routes.login, routes.protected)")
		case l == nil || l.Declared() || l.Owner.User == "" && l.Owner.Password == "":
			return check.NotDeclared("login %s, whose routes these are, has no owner: nothing shows what a login would give", p.Routes.Login)
		case !strings.HasPrefix(l.Protocol, "http"):
			return check.RigLacks("login %s speaks %s, and routes are asked by HTTP", p.Routes.Login, l.Protocol)
		}
		return nil
	}), check.NeedsNetwork),
	Run: func(ctx context.Context, t *check.T) {
		g := enter(ctx, t)
		defer g.leave()
		for _, r := range inOrder(t.Profile().Routes.Protected) {
			if lacks := g.lacks(r); lacks != "" {
				t.Claim("nobody gets "+r.Request+" without a login", func(c *check.Claim) {
					c.Unknown(verdict.ReasonRigLacks, "it was not tried: the rig does not allow %q for this unit", lacks)
				})
				continue
			}
			switch {
			case r.Shows != nil:
				g.write(ctx, r)
			case r.Alters():
				g.act(ctx, r)
			default:
				g.read(ctx, r)
			}
		}
	},
}

// inOrder gives the routes with those first that only tell something, and those
// last of which nobody can see what they did.
func inOrder(routes []profile.Route) []*profile.Route {
	out := make([]*profile.Route, len(routes))
	for i := range routes {
		out[i] = &routes[i]
	}
	rank := func(r *profile.Route) int {
		switch {
		case !r.Alters():
			return 0
		case r.Shows != nil:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(out, func(a, b *profile.Route) int { return rank(a) - rank(b) })
	return out
}

// lacks gives a word that the rig does not allow and the route needs; "" for none.
func (g *gate) lacks(r *profile.Route) string {
	for _, need := range r.Leaves() {
		if !slices.Contains(g.t.Input().Allow, check.Leave(need)) {
			return need
		}
	}
	return ""
}

// read is the claim about a route that tells something.
func (g *gate) read(ctx context.Context, r *profile.Route) {
	s, why := g.sight(ctx, r)
	if s == nil {
		g.t.Claim("nobody gets "+r.Request+" without a login", func(c *check.Claim) {
			c.Unknown(verdict.ReasonControlFailed, "%s", why)
		})
		return
	}
	check.Refute(ctx, g.t, "nobody gets "+r.Request+" without a login", check.Negative[disguise]{
		Control: func(ctx context.Context) (dut.Answer, error) { return g.owner(ctx, r, s) },
		Anti:    func(ctx context.Context) (dut.Answer, error) { return g.look(ctx, g.nowhere(), s) },
		Probes:  g.disguises(r),
		Try: func(ctx context.Context, d disguise) (dut.Answer, error) {
			d, err := g.dressed(r, d, "")
			if err != nil {
				return dut.Answer{}, err
			}
			return g.look(ctx, d, s)
		},
		Name:    disguise.String,
		Every:   manyTries,
		Refusal: []verdict.Kind{verdict.Refused},
	})
}

// manyTries is how many tries may lie between two controls: on one connection they
// are quickly made.
const manyTries = 50

// write is the claim about a route that writes what can be read back.
func (g *gate) write(ctx context.Context, r *profile.Route) {
	old, err := g.shown(ctx, r)
	g.t.OK(err)
	done := g.t.Intent(IntentRoute, "strangers try to write by "+r.Request, map[string]string{"request": r.Request, "marker": old})
	g.t.Cleanup(func(ctx context.Context, t *check.T) {
		t.OK(restore(ctx, t.Device(), r, old))
		done()
	})
	n := 0
	marker := func() string {
		n++
		return g.t.Secret(fmt.Sprintf("%s %d", r.Request, n), 10)
	}
	check.Refute(ctx, g.t, "nobody writes by "+r.Request+" without a login", check.Negative[disguise]{
		Control: func(ctx context.Context) (dut.Answer, error) { return g.ownerWrites(ctx, r, marker()) },
		Anti: func(ctx context.Context) (dut.Answer, error) {
			return g.written(ctx, r, marker(), "nothing was sent")
		},
		Probes: g.writing(r),
		Try: func(ctx context.Context, d disguise) (dut.Answer, error) {
			return g.strangerWrites(ctx, r, d, marker())
		},
		Name:    disguise.String,
		Every:   manyTries,
		Refusal: []verdict.Kind{verdict.Refused},
	})
}

// act is the claim about a route that does something which nobody can read back: a
// stranger must be told no, and nothing that only the owner is told.
func (g *gate) act(ctx context.Context, r *profile.Route) {
	check.Refute(ctx, g.t, "nobody is served by "+r.Request+" without a login", check.Negative[disguise]{
		// That the service takes the owner for the owner is all that can be shown
		// without doing it.
		Control: g.ownerIsIn,
		Anti:    func(ctx context.Context) (dut.Answer, error) { return g.told(ctx, g.nowhere(), r.Match) },
		Probes:  g.acting(r),
		Try: func(ctx context.Context, d disguise) (dut.Answer, error) {
			if d.method == r.Method() {
				var err error
				if d, err = g.dressed(r, d, g.t.Secret(r.Request, 10)); err != nil {
					return dut.Answer{}, err
				}
			}
			return g.told(ctx, d, r.Match)
		},
		Name:    disguise.String,
		Every:   manyTries,
		Refusal: []verdict.Kind{verdict.Refused},
	})
}
