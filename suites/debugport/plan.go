package debugport

import (
	"slices"
	"strings"
	"time"

	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/istg"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/baseline/nist8425"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// lookTime is for a survey of all ports: each phase is come to by a boot, and slow pins
// take seconds for one look.
var lookTime = check.Budget{Case: 45 * time.Minute, Cleanup: 10 * time.Minute}

// attaches is what asking at a port takes: it leaves the device dirty, and only a power
// cycle makes it clean.
var attaches = []check.Leave{check.DebugAttach, check.Supply}

// closed are the clauses about who a debug port lets in.
var closed = baseline.PerChannel{baseline.Local: {nist8259a.LA1, en303645.V3("5.6-4A"), en18031.Code("GEC-5"), en18031.Code("ACM-1"), nist8425.ID("IAC-1b"), istg.ID("PROC-AUTHZ-001")}}

// exposed are those about a port that need not be there.
var exposed = baseline.PerChannel{baseline.Local: {nist8259a.LA1, en303645.V3("5.6-4A"), en303645.V3("5.6-3"), en18031.Code("GEC-5"), nist8425.ID("IAC-1a"), istg.ID("INT-AUTHZ-001")}}

// once plans one case for the device: its ports have names of the profile's alone, and a
// section that is taken out takes no case away.
func once(check.Input) []check.Case { return []check.Case{{Kind: baseline.Local}} }

// ofProtocol gives the declared ports that speak it; of each where it is empty.
func ofProtocol(p *profile.Profile, protocol string) (names []string) {
	for _, name := range p.Debug.Ports.Order {
		if d := p.Debug.Ports.Items[name]; !d.Declared() && (protocol == "" || slices.Contains(d.Speaks(), protocol)) {
			names = append(names, name)
		}
	}
	return names
}

// declared: it is said which ports there are, and one of them is looked at.
func declared(protocol string) check.Need {
	return func(in check.Input, c *check.Case) *verdict.Judgement {
		d := &in.Profile.Debug
		switch {
		case d.Declared():
			return check.DeclaredNone(d.None.None)
		case d.Ports.Declared():
			return check.DeclaredNone(d.Ports.None.None)
		case !d.Ports.Given:
			return check.NotDeclared("the profile does not say which debug ports there are (debug.ports)")
		}
		names := ofProtocol(in.Profile, protocol)
		if len(names) == 0 {
			return without(d, protocol)
		}
		return wired(in, c)
	}
}

// without judges a case about a protocol that no declared port speaks: that there is no such
// port is said under the protocol's own name, or of every port.
func without(d *profile.Debug, protocol string) *verdict.Judgement {
	all, reason := true, ""
	for _, name := range d.Ports.Order {
		switch p := d.Ports.Items[name]; {
		case !p.Declared():
			all = false
		case name == protocol || name == profile.SWJ && protocol != "":
			return check.DeclaredNone(p.None.None)
		case reason == "":
			reason = p.None.None
		}
	}
	if all {
		return check.DeclaredNone(reason)
	}
	return check.NotDeclared("the profile does not say whether there is a port that speaks %s (debug.ports: {%s: {none: why there is none}})", strings.ToUpper(protocol), protocol)
}

// wired: the rig has the pads of every declared port, since they are looked at together.
func wired(in check.Input, c *check.Case) *verdict.Judgement {
	for _, name := range ofProtocol(in.Profile, "") {
		for _, pad := range in.Profile.Debug.Ports.Items[name].Pads {
			if !slices.Contains(in.Pads, pad) {
				return check.RigLacks("the rig is not wired to every pad of debug port %s (pads)", name)
			}
		}
	}
	c.Lean(dut.PartPads)
	return check.NeedsPower(in, c)
}

// held: each port's connector has a line of the rig's that holds the device in reset.
func held(protocol string) check.Need {
	return func(in check.Input, c *check.Case) *verdict.Judgement {
		for _, name := range ofProtocol(in.Profile, protocol) {
			switch line := in.Profile.Debug.Ports.Items[name].Reset; {
			case line == "":
				return check.NotDeclared("the profile does not say which line holds the device in reset (debug.ports.%s.reset)", name)
			case !slices.Contains(in.Lines, line):
				return check.RigLacks("the rig has no line %s, which holds the device in reset", line)
			default:
				c.Lean(dut.PartLine(line))
			}
		}
		return nil
	}
}

// named: it is said by what each port is locked.
var named check.Need = func(in check.Input, _ *check.Case) *verdict.Judgement {
	for _, name := range ofProtocol(in.Profile, "") {
		if in.Profile.Debug.Ports.Items[name].Lock == "" {
			return check.NotDeclared("the profile does not say by what debug port %s is locked (debug.ports.%s.lock)", name, name)
		}
	}
	return nil
}

// together: all ports are looked at in the same boots.
var together = check.Sharing("debug ports")

// perPort plans a case about the declared ports of a protocol.
func perPort(protocol string, needs ...check.Need) check.Planner {
	return check.Planner(once).With(append([]check.Need{declared(protocol), together}, needs...)...)
}
