package rig

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rigor/harness/login/pubkey"
	"rigor/harness/profile"
	"rigor/harness/strictyaml"
)

// Parse reads a rig file. The error is a strictyaml.Errors with every mistake
// of the file.
func Parse(path string, data []byte) (*File, error) {
	f := &File{Path: path}
	src, err := strictyaml.Decode(path, data, f)
	if other := isProfile(path, src); err != nil && other != nil {
		return nil, other
	}
	if err != nil {
		return nil, err
	}
	f.Source = src
	sum := sha256.Sum256(data)
	f.Digest = hex.EncodeToString(sum[:])
	l := &fileLint{f: f, claimed: map[string]string{}}
	l.all()
	if len(l.errs) > 0 {
		return nil, l.sorted()
	}
	if errs := src.Unfilled(maxErrors); len(errs) > 0 {
		return nil, errs
	}
	return f, nil
}

// isProfile says so of a file that is the other one of the two.
func isProfile(path string, src *strictyaml.Source) error {
	keys := src.Keys()
	its := func(k string) bool {
		return slices.Contains([]string{"maker", "model", "firmware", "identity", "logins", "states", "ways"}, k)
	}
	if slices.Contains(keys, "rig") || !slices.Contains(keys, "profile") || !slices.ContainsFunc(keys, its) {
		return nil
	}
	return strictyaml.Errors{{Pos: src.Pos("profile"), What: "this is a profile, and no rig file", Remedy: "name the rig file that has profile: " + filepath.Base(path)}}
}

var (
	nameForm  = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	macForm   = regexp.MustCompile(`^[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}$`)
	frameForm = regexp.MustCompile(`^[5-8][NEOMSneoms][12]$`)
	// hostForm is a name that a resolver takes; numberForm ends in a number, and
	// is meant as an IP address.
	hostForm   = regexp.MustCompile(`^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$`)
	numberForm = regexp.MustCompile(`(?:^|\.)[0-9]+\.?$`)
	// secretForm is where a secret is read from.
	secretForm = regexp.MustCompile(`^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:.+|exec: *[^ ].*|ask: *[^ ].*|virtual:[a-z][a-z0-9-]*)$`)
)

// maxName bounds a rig's name: it stands in names of files and folders.
const maxName = 64

// maxErrors bounds what is shown of a file at once.
const maxErrors = 20

// driverKeys says which keys each driver takes, besides "driver" and those
// that every instrument of the kind has.
var driverKeys = map[string]map[string][]string{
	"power": {
		"gpio":    {"line", "chip", "active"},
		"exec":    {"exec"},
		"ask":     {"ask"},
		"http":    {"url", "style", "channel", "auth", "user", "password"},
		"qemu":    {"machine"},
		"virtual": {},
		"":        {"off-settle", "rest", "proof"},
	},
	"lines": {
		"gpio":    {"line", "chip", "active", "drive", "pull"},
		"exec":    {"exec", "drive"},
		"ask":     {"ask", "drive"},
		"qemu":    {"machine", "line", "active", "drive"},
		"virtual": {"line", "active", "drive"},
	},
	"consoles": {
		"serial":  {"port", "baud", "frame", "no-break"},
		"tcp":     {"address", "rfc2217", "baud", "frame"},
		"exec":    {"exec"},
		"qemu":    {"machine", "port"},
		"virtual": {"port"},
		"":        {"newline", "pace", "echo"},
	},
	"network": {
		"link":    {"interface"},
		"qemu":    {"machine", "own"},
		"virtual": {},
		"":        {"address", "ports"},
	},
	"storages": {
		"exec":    {"exec", "write", "within", "reset"},
		"ask":     {"ask", "within", "reset"},
		"qemu":    {"machine", "disk"},
		"virtual": {"reset"},
		"":        {"size", "through"},
	},
	"pads": {
		"gpio":           {"chip", "rate", "memory"},
		"remote-bitbang": {"address"},
		"openocd":        {"address", "dap"},
		"virtual":        {},
		"":               {"at", "buffered", "golden", "never"},
	},
	"machines": {
		"qemu": {"file", "tap", "qemu", "args", "disks", "nic", "mac", "pl061", "address"},
	},
}

// driverNeeds says which of its keys a driver cannot do without, and how they
// are written.
var driverNeeds = map[string]map[string][][2]string{
	"power": {
		"gpio": {{"line", "line: GPIO17"}, {"active", "active: low, or high"}},
		"exec": {{"exec", "exec: [./switch]"}},
		"http": {{"url", "url: http://HOST"}, {"style", "style: tasmota, shelly-gen1 or shelly-gen2"}},
		"qemu": {{"machine", "machine: NAME, and NAME under machines"}},
	},
	"lines": {
		"gpio":    {{"line", "line: GPIO17"}, {"active", "active: low, or high"}},
		"exec":    {{"exec", "exec: [./line]"}},
		"qemu":    {{"machine", "machine: NAME, and NAME under machines"}, {"line", "line: reset, or one of the machine's chip"}},
		"virtual": {{"line", "line: reset"}, {"active", "active: low, or high"}},
	},
	"consoles": {
		"serial":  {{"port", "port: /dev/serial/by-id/…"}},
		"tcp":     {{"address", "address: HOST:PORT"}},
		"exec":    {{"exec", "exec: [./console]"}},
		"qemu":    {{"machine", "machine: NAME, and NAME under machines"}},
		"virtual": {{"port", "port: main"}},
	},
	"storages": {
		"exec": {{"exec", "exec: [PROGRAM, '${file}']"}},
		"qemu": {{"machine", "machine: NAME, and NAME under machines"}, {"disk", "disk: ROLE, one of the machine's"}},
	},
	"pads": {
		"remote-bitbang": {{"address", "address: HOST:PORT"}},
		"openocd":        {{"address", "address: localhost:6666, its TCL port"}},
	},
	"network": {
		"qemu": {{"machine", "machine: NAME, and NAME under machines"}, {"address", "address: 10.0.7.1, the device's"}, {"own", "own: 10.0.7.2/24, our end's"}},
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

// sorted gives the first errors by place.
func (l *fileLint) sorted() strictyaml.Errors {
	slices.SortStableFunc(l.errs, func(a, b *strictyaml.Error) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column), cmp.Compare(a.What, b.What))
	})
	return l.errs[:min(len(l.errs), maxErrors)]
}

func (l *fileLint) all() {
	f := l.f
	if !nameForm.MatchString(f.Name) {
		l.errorf([]string{"rig"}, "give the rig a name of small letters, digits and dashes", "rig is %q", f.Name)
	}
	if len(f.Name) > maxName {
		l.errorf([]string{"rig"}, fmt.Sprintf("give the rig a name of at most %d", maxName), "the rig's name has %d letters", len(f.Name))
	}
	if f.Profile == "" {
		l.errorf([]string{"rig"}, "write profile: PATH", "the rig file names no profile")
	}
	for i, a := range f.Allow {
		if !slices.Contains(profile.Leaves(), a) {
			l.errorf([]string{"allow", strconv.Itoa(i)}, near(a, profile.Leaves()), "nothing is called %q that could be allowed", a)
		}
	}
	l.unit([]string{"unit"}, &f.Unit)
	for i, name := range f.Beside {
		at := []string{"beside", strconv.Itoa(i)}
		switch {
		case name == "":
			l.errorf(at, "write the path of a rig file, relative to this one", "beside names no file")
		case slices.Index(f.Beside, name) < i:
			l.errorf(at, "name each rig once", "beside names %s twice", name)
		}
	}
	l.virtualBeside()
	for i := range f.Units {
		l.unit([]string{"units", strconv.Itoa(i)}, &f.Units[i])
	}
	l.power()
	l.lines()
	l.consoles()
	l.network()
	l.storages()
	l.pads()
	l.machines()
	l.rest()
}

func (l *fileLint) unit(at []string, u *Unit) {
	if u.MAC != "" && !macForm.MatchString(u.MAC) {
		l.errorf(append(at, "mac"), `write it in quotes, as "02:00:00:00:00:01"`, "mac is %q", u.MAC)
	}
	l.secret(append(at, "label-password"), u.LabelPassword)
	for i, k := range u.Keys {
		at := append(slices.Clone(at), "keys", strconv.Itoa(i))
		if strings.HasPrefix(k, "secret:") {
			l.secret(at, k)
		} else if _, err := pubkey.Parse(k); err != nil {
			l.errorf(at, "write SHA256:… or TYPE BASE64, as cred-shared-keys keeps them in keys.txt", "%v", err)
		}
	}
	for _, name := range sortedKeys(u.Values) {
		if !nameForm.MatchString(name) || slices.Contains([]string{"serial", "mac", "label-password"}, name) {
			l.errorf(append(at, "values", name), "use small letters, digits and dashes, and no name that a unit has already", "%q is no name of a value", name)
		}
	}
}

func (l *fileLint) power() {
	p := l.f.Power
	if p == nil {
		return
	}
	at := []string{"power"}
	l.driver("power", at, p.Driver)
	l.oneOf(append(at, "active"), p.Active, "high", "low")
	l.oneOf(append(at, "rest"), p.Rest, "off", "on")
	l.oneOf(append(at, "proof"), p.Proof, "cold-boot", "switch", "none")
	l.oneOf(append(at, "style"), p.Style, "tasmota", "shelly-gen1", "shelly-gen2")
	l.oneOf(append(at, "auth"), p.Auth, "none", "basic", "digest")
	l.secret(append(at, "password"), p.Password)
	if name, ok := strings.CutPrefix(p.Password, "secret:"); ok && strings.HasPrefix(l.f.Secrets[name], "ask:") {
		l.errorf(append(slices.Clone(at), "password"), "give it as env:VARIABLE, file:PATH or exec:PROGRAM", "the supply is made safe without a person, too, and secret %s is one that a person types", name)
	}
	if (p.Auth == "basic" || p.Auth == "digest") && p.Password == "" {
		l.errorf(append(at, "auth"), "write user, and password: secret:NAME", "auth %s has no password", p.Auth)
	}
	if u, err := url.Parse(p.URL); p.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		// The URL is not shown: it may hold a password.
		l.errorf(append(at, "url"), "write it as http://HOST", "the url of the switch is none")
	} else if p.URL != "" && u.User != nil {
		l.errorf(append(at, "url"), "write user, and password: secret:NAME", "the url of the switch holds a login")
	}
	l.program(at, p.Exec, "exec: [./switch]")
	switch p.Driver {
	case "gpio":
		l.claimLine(at, p.Chip, p.Line)
	case "http":
		l.claim(at, fmt.Sprintf("switch %s %d", p.URL, p.Channel))
	case "qemu":
		l.machine(at, p.Machine)
		if p.Rest == "on" {
			l.errorf(append(slices.Clone(at), "rest"), "write rest: off", "rest is on, and a machine ends with the run that uses it")
		}
	}
}

func (l *fileLint) lines() {
	for _, name := range sortedKeys(l.f.Lines) {
		ln, at := l.f.Lines[name], []string{"lines", name}
		l.name(at, name)
		l.driver("lines", at, ln.Driver)
		l.oneOf(append(at, "active"), ln.Active, "high", "low")
		l.oneOf(append(at, "drive"), ln.Drive, "push-pull", "open-drain", "open-source", "input")
		l.oneOf(append(at, "pull"), ln.Pull, "none", "up", "down")
		if ln.Drive == "open-drain" && ln.Active == "high" || ln.Drive == "open-source" && ln.Active == "low" {
			l.errorf(append(at, "drive"), "an open-drain line is active low, an open-source line active high", "%s cannot drive a line that is active %s", ln.Drive, ln.Active)
		}
		l.program(at, ln.Exec, "exec: [./line]")
		switch ln.Driver {
		case "exec", "ask":
			if ln.Drive != "" && ln.Drive != "input" {
				l.errorf(append(slices.Clone(at), "drive"), "write input for a line that is only read, or leave it out", "drive is %q, and how it is driven is the matter of who drives it", ln.Drive)
			}
		case "gpio":
			l.claimLine(at, ln.Chip, ln.Line)
		case "qemu":
			l.machineLine(at, ln)
		case "virtual":
			l.claim(at, "virtual line "+ln.Line)
		}
	}
}

func (l *fileLint) consoles() {
	for _, name := range sortedKeys(l.f.Consoles) {
		c, at := l.f.Consoles[name], []string{"consoles", name}
		l.name(at, name)
		l.driver("consoles", at, c.Driver)
		l.oneOf(append(at, "newline"), c.Newline, "cr", "lf", "crlf")
		if c.Frame != "" && !frameForm.MatchString(c.Frame) {
			l.errorf(append(at, "frame"), "write data bits, parity and stop bits, as 8N1", "frame is %q", c.Frame)
		}
		if c.Baud != 0 && (c.Baud < 50 || c.Baud > 20_000_000) {
			l.errorf(append(at, "baud"), "write a number from 50 to 20000000", "baud is %d", c.Baud)
		}
		if c.Address != "" {
			if _, port, err := net.SplitHostPort(c.Address); err != nil || !portForm(port) {
				l.errorf(append(at, "address"), "write it as HOST:PORT", "address is %q", c.Address)
			}
		}
		if c.Driver == "serial" && c.Port != "" && !filepath.IsAbs(c.Port) && !strings.HasPrefix(c.Port, "~/") {
			l.errorf(append(at, "port"), "write the absolute path of a stable name: /dev/serial/by-id/…", "port %q is no path of a device", c.Port)
		}
		l.program(at, c.Exec, "exec: [./console]")
		if c.Driver == "exec" && len(c.Exec) > 0 {
			l.claim(at, "program "+strings.Join(c.Exec, " "))
		}
		if c.Driver == "qemu" {
			l.machinePort(at, c)
		} else if c.Port+c.Address != "" {
			l.claim(at, "port "+c.Driver+" "+c.Port+c.Address)
		}
	}
}

func portForm(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 1 && n <= 65535
}

func (l *fileLint) network() {
	n := l.f.Network
	if n == nil {
		return
	}
	l.driver("network", []string{"network"}, cmp.Or(n.Driver, "link"))
	l.host([]string{"network", "address"}, n.Address)
	if n.Driver == "qemu" {
		l.machineNet(n)
	}
	for from, to := range n.Ports {
		if from < 1 || from > 65535 || to < 1 || to > 65535 {
			l.errorf([]string{"network", "ports"}, "write numbers from 1 to 65535", "the ports %d: %d are none", from, to)
		}
	}
}

// host says whether an address is one of a host, by name or IP.
func (l *fileLint) host(at []string, address string) {
	if _, err := netip.ParseAddr(address); err == nil || address == "" || len(address) <= 253 && hostForm.MatchString(address) && !numberForm.MatchString(address) {
		return
	}
	if host, port, err := net.SplitHostPort(address); err == nil && portForm(port) {
		l.errorf(at, fmt.Sprintf("write address: %s, and ports: {DUT'S PORT: %s} where a forwarder stands before the DUT", host, port), "address %q has a port", address)
		return
	}
	l.errorf(at, "write the DUT's IP address, as 192.0.2.7, or its name", "address %q is no IP address and no name of a host", address)
}

// program says whether an instrument's exec names a program.
func (l *fileLint) program(at []string, argv []string, example string) {
	at = append(slices.Clone(at), "exec")
	if l.f.Source.Has(at...) && (len(argv) == 0 || argv[0] == "") {
		l.errorf(at, "write "+example, "%s names no program", strings.Join(at, "."))
	}
}

func (l *fileLint) rest() {
	f := l.f
	for _, name := range sortedKeys(f.Secrets) {
		l.name([]string{"secrets", name}, name)
		if !secretForm.MatchString(f.Secrets[name]) { // which is not shown: it may be the secret itself
			l.errorf([]string{"secrets", name}, "write env:VARIABLE, file:PATH, exec:PROGRAM or ask:TEXT; a secret does not stand in the file itself", "secret %s has no place that it is read from", name)
		}
	}
	for _, id := range sortedKeys(f.Lacks) {
		if strings.TrimSpace(f.Lacks[id]) == "" {
			l.errorf([]string{"lacks", id}, "say why", "lacks gives no reason for %s", id)
		}
	}
	for i, lb := range f.Loopback {
		for _, name := range []string{lb.Out, lb.In} {
			if f.Lines[name] == nil {
				l.errorf([]string{"loopback", strconv.Itoa(i)}, near(name, sortedKeys(f.Lines)), "no line %q is declared", name)
			}
		}
	}
	for _, id := range sortedKeys(f.Expect) {
		v, _, _ := strings.Cut(f.Expect[id], ".")
		l.oneOf([]string{"expect", id}, v, "pass", "fail", "inconclusive", "not-applicable", "error")
		if v == "" {
			l.errorf([]string{"expect", id}, "write pass, fail, or another verdict with its reason", "nothing is expected of %s", id)
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
	names := slices.DeleteFunc(sortedKeys(known), func(d string) bool { return d == "" })
	if _, ok := known[driver]; !ok || driver == "" {
		l.errorf(append(slices.Clone(at), "driver"), "write one of "+strings.Join(names, ", "), "driver is %q", driver)
		return
	}
	for _, k := range l.f.Source.Keys(at...) {
		if k != "driver" && !slices.Contains(known[driver], k) && !slices.Contains(known[""], k) {
			l.errorf(append(slices.Clone(at), k), "it can have "+strings.Join(append(slices.Clone(known[driver]), known[""]...), ", "), "driver %s has no %s", driver, k)
		}
	}
	for _, need := range driverNeeds[kind][driver] {
		if !l.f.Source.Has(append(slices.Clone(at), need[0])...) {
			l.errorf(at, "write "+need[1], "%s with driver %s has no %s", strings.Join(at, "."), driver, need[0])
		}
	}
}

func (l *fileLint) oneOf(at []string, v string, allowed ...string) {
	if v != "" && !slices.Contains(allowed, v) {
		l.errorf(at, "write one of "+strings.Join(allowed, ", "), "%s is %q", at[len(at)-1], v)
	}
}

// claimLine claims a GPIO line: by its name, or by its offset on a chip.
func (l *fileLint) claimLine(at []string, chip, line string) {
	if line == "" {
		return
	}
	if _, err := strconv.Atoi(line); err == nil && chip == "" {
		l.errorf(append(slices.Clone(at), "line"), "write chip: gpiochip0 too, or the line's name", "line %s is an offset, and of no chip", line)
		return
	}
	if chip != "" { // one chip has several spellings: gpiochip0, /dev/gpiochip0, 0
		l.claim(at, strings.Replace(gpioKey(chip, line), "gpio ", "line ", 1))
		return
	}
	l.claim(at, "line "+line)
}

// claim says that an instrument uses something that only one can.
func (l *fileLint) claim(at []string, what string) {
	if other, ok := l.claimed[what]; ok {
		l.errorf(at, "one wire has one name", "%s is claimed twice; %s has it already", what, other)
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
