package rig

import (
	"slices"

	"rigor/harness/debugport/lock"
	"rigor/harness/profile"
)

// debug holds what the profile says of debug ports against the rig: a pad that is on
// another pin than an instrument, and the names of locks.
func (l *crossLint) debug() {
	d := &l.p.Debug
	for _, name := range d.Ports.Order {
		p := d.Ports.Items[name]
		if p.Lock == "" || p.Lock == lock.None {
			continue
		}
		if _, err := lock.Named(p.Lock); err != nil {
			l.errs = append(l.errs, l.p.Source.Errorf([]string{"debug", "ports", name, "lock"}, near(p.Lock, append(lock.Names(), lock.None)), "%v", err))
		}
	}
	for _, name := range sortedKeys(l.f.Storages) {
		if port := l.f.Storages[name].Through; port != "" && (d.Ports.Items[port] == nil || d.Ports.Items[port].Declared()) {
			l.errorf([]string{"storages", name, "through"}, near(port, d.Ports.Order), "profile %s declares no debug port %s", l.p.Name, port)
		}
	}
	if g := l.f.Pads; g != nil && g.Golden != "" && l.f.Lines[g.Golden] != nil && l.f.Lines[g.Golden].Drive == "input" {
		l.errorf([]string{"lines", g.Golden, "drive"}, "write how it is driven: push-pull, open-drain or open-source", "the line is an input, and pads.golden asserts it")
	}
}

// ownsUp says whether the rig file owns up to having no wires to a port, by the protocols
// that it speaks.
func ownsUp(f *File, d *profile.DebugPort) bool {
	of := map[string]string{profile.SWD: "dbg-swd-present", profile.JTAG: "dbg-jtag-locked"}
	return !slices.ContainsFunc(d.Speaks(), func(protocol string) bool { return f.Lacks[of[protocol]] == "" })
}

// lackingPads lists the pads and the reset lines that the profile names and the rig has
// not.
func lackingPads(f *File, add func(what, who string, path ...string), ports map[string][]string, resets map[string]string) {
	has := f.Pads.Names()
	if f.Pads == nil && f.Lacks["dbg-undeclared"] != "" {
		return // it owns up to having none
	}
	for _, port := range sortedKeys(ports) {
		for _, pad := range ports[port] {
			if !slices.Contains(has, pad) {
				add("pad "+pad, "debug port "+port, "debug", "ports", port)
			}
		}
		if line := resets[port]; line != "" && f.Lines[line] == nil {
			add("line "+line, "debug port "+port, "debug", "ports", port)
		}
	}
}
