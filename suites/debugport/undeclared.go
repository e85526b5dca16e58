package debugport

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/istg"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/debugport/idle"
	"rigor/harness/debugport/ladder"
	"rigor/harness/debugport/pinsearch"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// Undeclared: no pads that the rig is wired to answer as a debug port but those of a declared
// one. That the search finds a port is shown by a declared one that answers; where there
// is none, finding nothing says nothing, and so it does on a pad that was not driven or is
// not shown to be wired.
var Undeclared = check.Check{
	ID:    "dbg-undeclared",
	Title: "No pads answer that nobody declared",
	Clauses: baseline.PerChannel{
		baseline.Local: {nist8259a.LA1, en303645.V3("5.6-4A"), en303645.V3("5.6-3"), en18031.Code("GEC-4"), en18031.Code("GEC-5"), istg.ID("INT-AUTHZ-001")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  attaches,
	Budget: lookTime,
	Cases:  check.Planner(once).With(saysOfDebug, together, hasPads, check.NeedsPower),
	Run: func(ctx context.Context, t *check.T) {
		astray := "" // where the pads lead is shown by a declared port
		if declared("")(t.Input(), &check.Case{}) == nil {
			for _, s := range made(ctx, t).list {
				astray += s.Astray
			}
		}
		v := newSearcher(t)
		end := v.clean(ctx)
		found, off := v.search(ctx)
		end()
		claimDeclared(t, found, off, astray)
	},
}

// saysOfDebug: it is said which ports there are, or that there are none.
var saysOfDebug = check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
	if d := &p.Debug; !d.Declared() && !d.Ports.Given {
		return check.NotDeclared("the profile does not say which debug ports there are (debug.ports)")
	}
	return nil
})

// hasPads: the rig is wired to pads. A model that is declared to have no port, on a rig
// that is wired to none, has nothing to be looked at.
var hasPads check.Need = func(in check.Input, c *check.Case) *verdict.Judgement {
	d := &in.Profile.Debug
	switch {
	case len(in.Pads) > 0:
	case d.Declared():
		return check.DeclaredNone(d.None.None)
	case d.Ports.Declared():
		return check.DeclaredNone(d.Ports.None.None)
	default:
		return check.RigLacks("the rig is wired to no pads (pads)")
	}
	c.Lean(dut.PartPads)
	return nil
}

// newSearcher is a surveyor without ports: those that are declared need not all be wired.
func newSearcher(t *check.T) *surveyor {
	v := &surveyor{T: t, d: t.Device(), all: &surveys{}}
	for _, name := range ofProtocol(t.Profile(), "") {
		if line := t.Profile().Debug.Ports.Items[name].Reset; slices.Contains(t.Input().Lines, line) {
			v.reset = line
		}
	}
	return v
}

// searched is what one search found.
type searched struct {
	phase string
	*pinsearch.Result
}

// search looks while the device is held in reset, and while it is in use; off is what the
// pads do while it has no supply.
func (v *surveyor) search(ctx context.Context) (out []searched, off []idle.Pad) {
	look := func(phase string) {
		res, err := v.d.SearchPads(ctx)
		v.OK(err)
		out = append(out, searched{phase, res})
	}
	v.OK(v.d.PowerOff(ctx))
	off, err := v.d.Idle(ctx)
	v.OK(err)
	if v.reset != "" {
		line, err := v.d.Line(v.reset)
		v.OK(err)
		v.OK(line.Assert(ctx))
		v.OK(v.d.PowerOn(ctx))
		look(inReset)
		v.OK(v.d.PowerOff(ctx))
		v.OK(line.Release(ctx))
	}
	v.OK(v.d.PowerCycle(ctx))
	look(inSystem)
	return out, off
}

// claimDeclared claims that every port that was found is a declared one.
func claimDeclared(t *check.T, found []searched, off []idle.Pad, astray string) {
	data, err := json.MarshalIndent(struct {
		Off   []idle.Pad `json:"without_a_supply"`
		Found []searched `json:"searches"`
	}{off, found}, "", " ")
	t.OK(err)
	ref := t.Keep("search.json", "what was looked for on the pads of the board, and found", data)
	t.Claim("no pads answer as a debug port but those of a declared one", func(c *check.Claim) {
		c.Show(ref)
		if astray != "" {
			c.Unknown(verdict.ReasonControlFailed, "%s", astray)
			return
		}
		var known []string
		for _, f := range found {
			for _, h := range f.Hits {
				if is := hit(t, c, f.phase, h); is != "" {
					known = append(known, is)
				}
			}
			for _, h := range f.Doubtful {
				if declaredAs(t.Profile(), h) == "" {
					c.Unknown(verdict.ReasonAmbiguous, "%s something that looks like %s is on %s, and is not confirmed", f.phase, strings.ToUpper(h.Protocol), pads(h))
				}
			}
		}
		c.Expect("the declared ports, and no other", "found were "+strings.Join(known, "; ")+notDriven(found)+saidOf(t.Profile(), found))
		if len(known) == 0 {
			c.Unknown(verdict.ReasonControlFailed, "no declared port was found either: that the search finds one on these wires is not shown")
		} else if lost := unfound(t.Profile(), t.Input().Pads, found); len(lost) > 0 {
			c.Unknown(verdict.ReasonControlFailed, "of the declared ports %s was not found: what is on its wires is not shown", strings.Join(lost, ", "))
		} else if not := unshown(t.Profile(), found, off, t.Input().Buffered); len(not) > 0 {
			c.Unknown(verdict.ReasonCoverageGap, "a port on these pads would not have been found: %s; what each of them is, the profile can say (debug.pads)", strings.Join(not, ", "))
		}
	})
}

// hit judges one port that was found. It gives which declared one that is, and when; "" for
// none.
func hit(t *check.T, c *check.Claim, phase string, h pinsearch.Hit) string {
	name, protocol := declaredAs(t.Profile(), h), strings.ToUpper(h.Protocol)
	if name == "" {
		if other := onPadsOf(t.Profile(), h); other != "" {
			c.Unknown(verdict.ReasonAmbiguous, "%s %s answers on %s: these are pads of %s, in other roles; wires may be exchanged", phase, protocol, pads(h), other)
			return ""
		}
		c.Fail(verdict.ReasonUndeclared, "%s %s answers on %s, and no such port is declared", phase, protocol, pads(h))
		if cases := contradicted(t.Profile(), h.Protocol); len(cases) > 0 {
			t.Observe("debug", "a debug port answers on "+pads(h), cases...)
		}
		return ""
	}
	if why := another(t.Profile().Debug.Ports.Items[name], h); why != "" {
		c.Unknown(verdict.ReasonControlFailed, "%s, %s: %s", name, phase, why)
		return ""
	}
	return name + ", " + phase
}

// notDriven says which pads were left out: of a port on these nothing is said.
func notDriven(found []searched) string {
	var out []string
	for _, f := range found {
		for _, p := range f.Pads {
			if text := p.Name + " (" + p.Spared + ")"; p.Spared != "" && !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "; not looked for on " + strings.Join(out, ", ")
}

func pads(h pinsearch.Hit) string {
	var out []string
	for _, r := range h.Roles {
		out = append(out, r.Pad+" ("+r.Role+")")
	}
	return strings.Join(out, ", ")
}

// declaredAs gives the declared port whose pads a hit has, in its roles; "" for none.
func declaredAs(p *profile.Profile, h pinsearch.Hit) string {
	role := map[string]string{"swclk": "clk", "swdio": "io"}
	for _, name := range ofProtocol(p, h.Protocol) {
		d := p.Debug.Ports.Items[name].As(h.Protocol)
		if !slices.ContainsFunc(h.Roles, func(r pinsearch.Role) bool {
			as := r.Role
			if s, ok := role[as]; ok {
				as = s
			}
			if as == "ntrst" && d.Pads[as] == "" { // it may be the reset, which stops a TAP as well
				return false
			}
			return d.Pads[as] != r.Pad
		}) {
			return name
		}
	}
	return ""
}

// another says in what a hit on the pads of a declared port is another chip; "" in nothing.
func another(d *profile.DebugPort, h pinsearch.Hit) string {
	c, l := chipOf(d.As(h.Protocol), d.Protocol == profile.SWJ), ladder.Look{Reply: ladder.Answered}
	for _, id := range h.IDs {
		if l.ID = 0; h.Protocol == profile.JTAG {
			l.TAPs = append(l.TAPs, id.Value)
		} else {
			l.ID = id.Value
		}
	}
	s := ladder.Survey{Chip: c}
	return s.Stranger(&l)
}

// contradicted gives the cases that do not apply because no port of a protocol is declared.
func contradicted(p *profile.Profile, protocol string) []string {
	switch {
	case len(ofProtocol(p, protocol)) > 0:
		return nil
	case protocol == profile.JTAG:
		return []string{"dbg-jtag-idcode", "dbg-jtag-bypass", "dbg-jtag-locked"}
	}
	return []string{"dbg-swd-present", "dbg-swd-under-reset", "dbg-swd-dormant", "dbg-swd-multidrop"}
}

// onPadsOf gives the declared port to which all pads of a hit belong, in whatever roles.
func onPadsOf(p *profile.Profile, h pinsearch.Hit) string {
	for _, name := range ofProtocol(p, "") {
		d := p.Debug.Ports.Items[name]
		if !slices.ContainsFunc(h.Roles, func(r pinsearch.Role) bool {
			for _, pad := range d.Pads {
				if pad == r.Pad {
					return false
				}
			}
			return true
		}) {
			return name
		}
	}
	return ""
}
