package rig

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"rigor/harness/driver/qemu"
)

// machines holds each emulated device against what can be one, and against the
// instruments that use it.
func (l *fileLint) machines() {
	for _, name := range sortedKeys(l.f.Machines) {
		m, at := l.f.Machines[name], []string{"machines", name}
		l.name(at, name)
		l.driver("machines", at, m.Driver)
		if m.Driver != "qemu" {
			continue
		}
		if m.File != "" {
			for _, k := range l.f.Source.Keys(at...) {
				if !slices.Contains([]string{"driver", "file", "tap"}, k) {
					l.errorf(append(slices.Clone(at), k), "write it in the machine's file, or leave file out", "the machine has a file, and %s beside it", k)
				}
			}
		} else if m.QEMU == "" {
			l.errorf(at, "write file: PATH of what its builder wrote, or qemu: qemu-system-aarch64 with its args", "machine %s is described by nothing", name)
		} else {
			for _, x := range m.Mistakes() {
				l.errorf(append(slices.Clone(at), x.At...), x.Remedy, "%s", x.What)
			}
		}
		if p := l.f.Power; p == nil || p.Driver != "qemu" || p.Machine != name {
			l.errorf(at, "write power: {driver: qemu, machine: "+name+"}", "nobody switches machine %s on", name)
		}
		if m.Tap != "" && (len(m.Tap) > 15 || strings.ContainsAny(m.Tap, "/, \t\n:")) {
			l.errorf(append(slices.Clone(at), "tap"), "write the name of a tap interface", "tap is %q", m.Tap)
		}
	}
}

// machine looks for the machine that an instrument is a part of.
func (l *fileLint) machine(at []string, name string) *Machine {
	if name == "" {
		return nil // driverNeeds says so
	}
	m := l.f.Machines[name]
	if m == nil {
		l.errorf(append(slices.Clone(at), "machine"), near(name, sortedKeys(l.f.Machines)), "no machine %q is declared under machines", name)
	}
	return m
}

func (l *fileLint) machineLine(at []string, ln *Line) {
	m := l.machine(at, ln.Machine)
	if m == nil || ln.Line == "" {
		return
	}
	if m.File == "" { // what is in a file is known when it is opened
		if names := m.LineNames(); !slices.Contains(names, ln.Line) {
			l.errorf(append(slices.Clone(at), "line"), near(ln.Line, names), "machine %s has no line %q", ln.Machine, ln.Line)
		}
	}
	if ln.Line == qemu.ResetLine && (ln.Active == "low" || ln.Drive == "input") {
		l.errorf(at, "leave active and drive out", "the reset of a machine has no level")
	}
	if ln.Drive == "open-drain" || ln.Drive == "open-source" {
		l.errorf(append(slices.Clone(at), "drive"), "leave it out, or write input for an output of the device", "drive is %q, and the wire of a machine has no electricity", ln.Drive)
	}
	l.claim(at, "line "+ln.Line+" of machine "+ln.Machine)
}

func (l *fileLint) machinePort(at []string, c *Port) {
	n, err := c.Number()
	if err != nil {
		l.errorf(append(slices.Clone(at), "port"), "write the number of the machine's serial line: port: 0", "port is %q", c.Port)
		return
	}
	if l.machine(at, c.Machine) != nil {
		l.claim(at, fmt.Sprintf("port %d of machine %s", n, c.Machine))
	}
}

// Number gives the serial line of a machine that a port is; the first where the
// file does not say.
func (p *Port) Number() (int, error) {
	if p.Port == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(p.Port, 10, 3)
	return int(n), err
}

func (l *fileLint) machineNet(n *Network) {
	m := l.machine([]string{"network"}, n.Machine)
	if m != nil && m.Tap != "" {
		l.errorf([]string{"network", "driver"}, "write driver: link, interface: "+m.Tap, "machine %s hangs on tap %s, not on the rig's cable", n.Machine, m.Tap)
	}
	own, err := netip.ParsePrefix(n.Own)
	if n.Own == "" {
		return
	}
	if err != nil || !own.Addr().Is4() || own.Bits() < 8 || own.Bits() > 30 || own.Masked().Addr() == own.Addr() {
		l.errorf([]string{"network", "own"}, "write our address with the length of its prefix: 10.0.7.2/24", "own is %q", n.Own)
		return
	}
	if a, err := netip.ParseAddr(n.Address); n.Address != "" {
		switch {
		case err != nil:
			l.errorf([]string{"network", "address"}, "write the device's address: nobody on this cable knows names", "address is %q", n.Address)
		case a == own.Addr():
			l.errorf([]string{"network", "own"}, "give the two ends an address each", "own is the device's address")
		case a.Is4() && !own.Contains(a):
			l.errorf([]string{"network", "own"}, "write an address of the device's network: there is no router on a cable", "own is %s, and the device at %v is not in its network", n.Own, a)
		}
	}
}
