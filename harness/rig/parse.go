package rig

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"rigor/harness/profile"
	"rigor/harness/strictyaml"
)

// ReadFile reads a rig file.
func ReadFile(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the rig file: %w", err)
	}
	return Parse(path, data)
}

// Parse reads a rig file. The error is a strictyaml.Errors with every mistake
// of the file.
func Parse(path string, data []byte) (*File, error) {
	f := &File{Path: path}
	src, err := strictyaml.Decode(path, data, f)
	if err != nil {
		return nil, err
	}
	f.Source = src
	sum := sha256.Sum256(data)
	f.Digest = hex.EncodeToString(sum[:])
	l := &fileLint{f: f, claimed: map[string]string{}}
	l.all()
	if len(l.errs) > 0 {
		slices.SortStableFunc(l.errs, func(a, b *strictyaml.Error) int {
			return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column), cmp.Compare(a.What, b.What))
		})
		return nil, l.errs
	}
	return f, nil
}

var (
	nameForm = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	leaves   = []string{"login-tries", "config", "reset", "update", "power", "power-cut", "debug-attach", "halt", "rom-loader"}
)

// driverKeys says which keys each driver takes, besides "driver" and those
// that every instrument of the kind has.
var driverKeys = map[string]map[string][]string{
	"power": {
		"gpio":    {"line", "chip", "active"},
		"exec":    {"exec"},
		"http":    {"url", "style", "auth", "user", "password"},
		"virtual": {},
		"":        {"off-settle", "rest", "proof"},
	},
	"lines": {
		"gpio":    {"line", "chip", "active", "drive", "pull"},
		"exec":    {"exec"},
		"virtual": {"line", "active", "drive"},
	},
	"consoles": {
		"serial":  {"port", "baud", "frame"},
		"tcp":     {"address", "rfc2217", "baud", "frame"},
		"exec":    {"exec"},
		"virtual": {"port"},
		"":        {"newline", "pace"},
	},
	"network": {
		"link":    {"interface"},
		"virtual": {},
		"":        {"address", "ports"},
	},
}

type fileLint struct {
	f       *File
	errs    strictyaml.Errors
	claimed map[string]string // resource → who has it
}

func (l *fileLint) errorf(path []string, remedy, format string, args ...any) {
	l.errs = append(l.errs, l.f.Source.Errorf(path, remedy, format, args...))
}

func (l *fileLint) all() {
	f := l.f
	if !nameForm.MatchString(f.Name) {
		l.errorf([]string{"rig"}, "give the rig a name of small letters, digits and dashes", "rig is %q", f.Name)
	}
	if f.Profile == "" {
		l.errorf([]string{"rig"}, "write profile: PATH", "the rig file names no profile")
	}
	for i, a := range f.Allow {
		if !slices.Contains(leaves, a) {
			l.errorf([]string{"allow", fmt.Sprint(i)}, near(a, leaves), "nothing is called %q that could be allowed", a)
		}
	}
	if p := f.Power; p != nil {
		l.driver("power", []string{"power"}, p.Driver)
		l.oneOf([]string{"power", "active"}, p.Active, "high", "low")
		l.oneOf([]string{"power", "rest"}, p.Rest, "off", "on")
		l.oneOf([]string{"power", "proof"}, p.Proof, "cold-boot", "switch", "none")
		l.oneOf([]string{"power", "auth"}, p.Auth, "none", "basic", "digest")
		l.secret([]string{"power", "password"}, p.Password)
		if p.Driver == "gpio" {
			l.claim([]string{"power"}, "line "+p.Chip+" "+p.Line)
		}
	}
	for _, name := range sortedKeys(f.Lines) {
		ln, at := f.Lines[name], []string{"lines", name}
		l.name(at, name)
		l.driver("lines", at, ln.Driver)
		l.oneOf(append(at, "active"), ln.Active, "high", "low")
		l.oneOf(append(at, "drive"), ln.Drive, "push-pull", "open-drain", "open-source", "input")
		l.oneOf(append(at, "pull"), ln.Pull, "none", "up", "down")
		if ln.Line == "" && ln.Driver != "exec" {
			l.errorf(at, "say which: line: GPIO17", "line %s does not say which pin it is", name)
		} else if ln.Driver != "exec" {
			l.claim(at, "line "+ln.Chip+" "+ln.Line)
		}
	}
	for _, name := range sortedKeys(f.Consoles) {
		c, at := f.Consoles[name], []string{"consoles", name}
		l.name(at, name)
		l.driver("consoles", at, c.Driver)
		l.oneOf(append(at, "newline"), c.Newline, "cr", "lf", "crlf")
		switch {
		case c.Driver == "tcp" && c.Address == "":
			l.errorf(at, "write address: HOST:PORT", "console %s does not say where it is", name)
		case (c.Driver == "serial" || c.Driver == "virtual") && c.Port == "":
			l.errorf(at, "write port: /dev/serial/by-id/…", "console %s does not say at which port it is", name)
		}
		l.claim(at, "port "+c.Port+c.Address)
	}
	l.network()
	l.rest()
}

func (l *fileLint) network() {
	n := l.f.Network
	if n == nil {
		return
	}
	l.driver("network", []string{"network"}, cmp.Or(n.Driver, "link"))
	for from, to := range n.Ports {
		if from < 1 || from > 65535 || to < 1 || to > 65535 {
			l.errorf([]string{"network", "ports"}, "write numbers from 1 to 65535", "the ports %d: %d are none", from, to)
		}
	}
}

func (l *fileLint) rest() {
	f := l.f
	for _, name := range sortedKeys(f.Secrets) {
		ref := f.Secrets[name]
		kind, rest, ok := strings.Cut(ref, ":")
		if !ok || rest == "" || !slices.Contains([]string{"env", "file", "virtual"}, kind) {
			l.errorf([]string{"secrets", name}, "write env:VARIABLE or file:PATH; a secret does not stand in the file itself", "secret %s has no place that it is read from", name)
		}
	}
	l.secret([]string{"unit", "label-password"}, f.Unit.LabelPassword)
	for i, u := range f.Units {
		l.secret([]string{"units", fmt.Sprint(i), "label-password"}, u.LabelPassword)
	}
	for _, id := range sortedKeys(f.Lacks) {
		if strings.TrimSpace(f.Lacks[id]) == "" {
			l.errorf([]string{"lacks", id}, "say why", "lacks gives no reason for %s", id)
		}
	}
	for i, lb := range f.Loopback {
		for _, name := range []string{lb.Out, lb.In} {
			if f.Lines[name] == nil {
				l.errorf([]string{"loopback", fmt.Sprint(i)}, near(name, sortedKeys(f.Lines)), "no line %q is declared", name)
			}
		}
	}
	if f.Limits.PowerCycles < 0 || f.Limits.FlashWrites < 0 {
		l.errorf([]string{"limits"}, "write numbers from 1, or leave them out", "a limit is negative")
	}
}

func (l *fileLint) name(at []string, name string) {
	if !nameForm.MatchString(name) {
		l.errorf(at, "use small letters, digits and dashes", "%q is no name", name)
	}
}

// driver holds an instrument's keys against those that its driver takes.
func (l *fileLint) driver(kind string, at []string, driver string) {
	known := driverKeys[kind]
	var names []string
	for d := range known {
		if d != "" {
			names = append(names, d)
		}
	}
	slices.Sort(names)
	if _, ok := known[driver]; !ok || driver == "" {
		l.errorf(append(at, "driver"), "write one of "+strings.Join(names, ", "), "driver is %q", driver)
		return
	}
	for _, keys := range known {
		for _, k := range keys {
			if l.f.Source.Has(append(slices.Clone(at), k)...) && !slices.Contains(known[driver], k) && !slices.Contains(known[""], k) {
				l.errorf(append(slices.Clone(at), k), "take it out", "driver %s has no %s", driver, k)
			}
		}
	}
}

func (l *fileLint) oneOf(at []string, v string, allowed ...string) {
	if v != "" && !slices.Contains(allowed, v) {
		l.errorf(at, "write one of "+strings.Join(allowed, ", "), "%s is %q", at[len(at)-1], v)
	}
}

// claim says that an instrument uses something that only one can.
func (l *fileLint) claim(at []string, what string) {
	if other, ok := l.claimed[what]; ok {
		l.errorf(at, "one wire has one name", "%s is claimed twice; %s has it already", strings.Join(strings.Fields(what), " "), other)
		return
	}
	l.claimed[what] = strings.Join(at, ".")
}

func (l *fileLint) secret(at []string, ref string) {
	if ref == "" {
		return
	}
	name, ok := strings.CutPrefix(ref, "secret:")
	if !ok {
		l.errorf(at, "write secret:NAME, and give NAME under secrets", "a secret stands in the file")
		return
	}
	if _, ok := l.f.Secrets[name]; !ok {
		l.errorf(at, near(name, sortedKeys(l.f.Secrets)), "no secret %q is given under secrets", name)
	}
}

func near(name string, known []string) string {
	if best := strictyaml.Nearest(name, known); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	if len(known) == 0 {
		return "declare it"
	}
	return "there are " + strings.Join(known, ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Check holds a rig file and a profile against each other. What the profile
// needs and the rig has not is no mistake: its cases say rig-lacks.
func Check(f *File, p *profile.Profile) error {
	l := &fileLint{f: f, claimed: map[string]string{}}
	for _, name := range p.Logins.Order {
		lg := p.Logins.Items[name]
		if ref, ok := strings.CutPrefix(lg.Owner.Password, "secret:"); ok {
			if _, ok := f.Secrets[ref]; !ok {
				l.errorf([]string{"secrets"}, fmt.Sprintf("write %s: env:VARIABLE under secrets", ref), "login %s of profile %s needs the secret %q", name, p.Name, ref)
			}
		}
	}
	if len(p.Identity.Steps) > 0 {
		switch p.Identity.Equals {
		case "unit.serial":
			if f.Unit.Serial == "" {
				l.errorf([]string{"unit"}, "write serial: as it stands on the unit's label", "the profile compares the DUT's identity with unit.serial, which the rig does not give")
			}
		case "unit.mac":
			if f.Unit.MAC == "" {
				l.errorf([]string{"unit"}, "write mac: as it stands on the unit's label", "the profile compares the DUT's identity with unit.mac, which the rig does not give")
			}
		}
	}
	if len(l.errs) > 0 {
		return l.errs
	}
	return nil
}
