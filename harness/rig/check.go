package rig

import (
	"fmt"
	"slices"
	"strings"

	"rigor/harness/profile"
	"rigor/harness/strictyaml"
)

// Check holds a rig file and a profile against each other: what one refers to
// and the other does not give. The error is a strictyaml.Errors. What the
// profile could use and the rig has no wire for is no mistake; Lacking lists
// it.
func Check(f *File, p *profile.Profile) error {
	l := &crossLint{fileLint: fileLint{f: f}, p: p, named: map[string]bool{}}
	l.identity()
	for _, name := range p.Logins.Order {
		lg := p.Logins.Items[name]
		if ref, ok := strings.CutPrefix(lg.Owner.Password, "secret:"); ok {
			l.needSecret(ref, "login "+name)
		}
	}
	if p.Consoles.Given && !p.Consoles.Declared() {
		for _, name := range sortedKeys(f.Consoles) {
			if p.Consoles.Items[name] == nil {
				l.errorf([]string{"consoles", name}, near(name, p.Consoles.Order), "profile %s declares no console %s", p.Name, name)
			}
		}
	}
	l.finding()
	l.rates()
	l.debug()
	p.EachStep(l.step)
	if len(l.errs) > 0 {
		return l.sorted()
	}
	return nil
}

type crossLint struct {
	fileLint
	p     *profile.Profile
	named map[string]bool // what was reported already; one error is enough for each
}

// rates is for consoles whose rate changes during the start: the port has to be
// one whose rate can be set.
func (l *crossLint) rates() {
	for _, name := range l.p.Consoles.Order {
		con, port := l.p.Consoles.Items[name], l.f.Consoles[name]
		if len(con.Rates) == 0 || port == nil {
			continue
		}
		at := []string{"consoles", name}
		switch {
		case port.Driver == "exec" || port.Driver == "tcp" && !port.RFC2217:
			l.errorf(at, "use driver serial, or tcp with rfc2217: true", "profile %s declares rates for the start on console %s, and the rate of this port cannot be set", l.p.Name, name)
		case port.Driver == "tcp" && port.Baud == 0:
			l.errorf(at, "write baud: 115200, or what it is", "profile %s declares rates for the start on console %s, and nothing says which one holds behind them", l.p.Name, name)
		}
	}
}

// finding is for states in which the DUT is found by its hardware address: the
// rig has to say what it is, and on which interface to look.
func (l *crossLint) finding() {
	for _, name := range l.p.States.Order {
		if l.p.States.Items[name].Address.Find != "mac" {
			continue
		}
		if l.f.Unit.MAC == "" {
			l.need("unit.mac", "write mac: as it stands on the unit's label", "state "+name)
		}
		n := l.f.Network
		if n == nil || n.Driver == "virtual" || n.Driver == "qemu" || n.Interface != "" || l.named["network.interface"] {
			continue
		}
		l.named["network.interface"] = true
		l.errorf([]string{"network"}, "write interface: eth1, the one that the DUT hangs on", "state %s of profile %s finds the DUT by its hardware address (find: mac), and the rig does not say on which interface", name, l.p.Name)
	}
}

func (l *crossLint) identity() {
	if len(l.p.Identity.Steps) == 0 {
		return
	}
	name, ok := strings.CutPrefix(l.p.Identity.Equals, "unit.")
	if ok && !l.unitGives(name) {
		l.need("unit."+name, unitRemedy(name), "the identity")
	}
}

// unitGives says whether ${unit.name} has a value here.
func (l *crossLint) unitGives(name string) bool {
	u := l.f.Unit
	switch name {
	case "serial":
		return u.Serial != ""
	case "mac":
		return u.MAC != ""
	case "label-password":
		return u.LabelPassword != ""
	}
	_, ok := u.Values[name]
	return ok
}

func unitRemedy(name string) string {
	switch name {
	case "serial", "mac":
		return "write " + name + ": as it stands on the unit's label"
	case "label-password":
		return "write label-password: secret:NAME"
	}
	return "write values: {" + name + ": …}"
}

// need reports a value of the unit that the rig does not give.
func (l *crossLint) need(what, remedy, who string) {
	if l.named[what] {
		return
	}
	l.named[what] = true
	l.errorf([]string{"unit"}, remedy, "%s of profile %s needs %s, which the rig does not give", who, l.p.Name, what)
}

func (l *crossLint) needSecret(name, who string) {
	if _, ok := l.f.Secrets[name]; ok || l.named["secret:"+name] {
		return
	}
	l.named["secret:"+name] = true
	l.errorf([]string{"secrets"}, fmt.Sprintf("write %s: env:VARIABLE, or file:PATH, under secrets", name), "%s of profile %s needs the secret %q", who, l.p.Name, name)
}

func (l *crossLint) step(s *profile.Step) {
	who := "the step at " + s.At
	for _, text := range s.Texts() {
		names, err := profile.References(text)
		if err != nil {
			continue // the profile's own lint has said so
		}
		for _, n := range names {
			if rest, ok := strings.CutPrefix(n, "secret."); ok {
				l.needSecret(rest, who)
			}
			if rest, ok := strings.CutPrefix(n, "unit."); ok && !l.unitGives(rest) {
				l.need(n, unitRemedy(rest), who)
			}
		}
	}
	if ln := l.f.Lines[s.Assert+s.Release]; ln != nil && ln.Drive == "input" {
		l.errorf([]string{"lines", s.Assert + s.Release, "drive"}, "write how it is driven: push-pull, open-drain or open-source", "the line is an input, and %s drives it", who)
	}
}

// Lack is something that a profile could use and a rig has no wire for. The
// cases that need it are inconclusive (rig-lacks), unless the rig file owns up
// to them in lacks.
type Lack struct {
	What string         // "line button", "console aux", "power", "network"
	Who  string         // what of the profile needs it
	Pos  strictyaml.Pos // where that stands
}

// String gives one line for a reader.
func (k Lack) String() string {
	return fmt.Sprintf("%s: %s needs %s, which the rig has not (rig-lacks)", k.Pos, k.Who, k.What)
}

// Lacking lists what the profile could use and the rig lacks, each thing once,
// by where it is used first.
func Lacking(f *File, p *profile.Profile) []Lack {
	var out []Lack
	add := func(what, who string, path ...string) {
		if !slices.ContainsFunc(out, func(k Lack) bool { return k.What == what }) {
			out = append(out, Lack{What: what, Who: who, Pos: p.Source.Pos(path...)})
		}
	}
	for _, name := range p.Consoles.Order {
		if f.Consoles[name] == nil && !p.Consoles.Items[name].Declared() {
			add("console "+name, "console "+name, "consoles", name)
		}
	}
	for _, name := range p.Logins.Order {
		lg := p.Logins.Items[name]
		switch {
		case lg.Declared() || lg.Protocol == "exec":
		case lg.Protocol == "console":
			if f.Consoles[lg.Console] == nil {
				add("console "+lg.Console, "login "+name, "logins", name)
			}
		case f.Network == nil:
			add("network", "login "+name, "logins", name)
		}
	}
	for _, list := range p.StepLists() {
		if f.Lacks["dbg-rom-dfu"] != "" && len(list.Path) > 1 && list.Path[0] == "debug" && list.Path[1] == "loaders" {
			continue // it owns up to that
		}
		lackingSteps(f, list.Steps, func(what, verb string) {
			add(what, "a step ("+verb+") of "+strings.Join(list.Path, "."), list.Path...)
		})
	}
	ports, resets := map[string][]string{}, map[string]string{}
	for _, name := range p.Debug.Ports.Order {
		if d := p.Debug.Ports.Items[name]; !d.Declared() && !ownsUp(f, d) {
			resets[name] = d.Reset
			for _, role := range sortedKeys(d.Pads) {
				ports[name] = append(ports[name], d.Pads[role])
			}
		}
	}
	lackingPads(f, add, ports, resets)
	for i, w := range p.Ways {
		for _, need := range w.Needs {
			if !slices.Contains(f.Allow, need) {
				add("leave for "+need, "the way from "+w.From+" to "+w.To, "ways", fmt.Sprint(i))
			}
		}
	}
	return out
}

func lackingSteps(f *File, ss []profile.Step, add func(what, verb string)) {
	for _, s := range ss {
		switch s.Verb {
		case "assert", "release", "line":
			if name := s.Assert + s.Release + s.Read; f.Lines[name] == nil {
				add("line "+name, s.Verb)
			}
		case "power":
			if f.Power == nil {
				add("power", s.Verb)
			}
		case "console":
			if f.Consoles[s.Console] == nil {
				add("console "+s.Console, s.Verb)
			}
		case "http":
			if f.Network == nil {
				add("network", s.Verb)
			}
		}
		lackingSteps(f, s.Steps, add)
	}
}
