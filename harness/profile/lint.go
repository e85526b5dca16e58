package profile

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"rigor/harness/strictyaml"
)

// protocols are the ways to log in that there are.
var protocols = []string{"ssh", "telnet", "http-basic", "http-digest", "http-form", "http-json", "mqtt", "ftp", "snmp", "rtsp", "redis", "console", "exec", "ask"}

// linter collects what is wrong with a profile as a whole.
type linter struct {
	p    *Profile
	errs strictyaml.Errors
}

func (l *linter) errorf(path []string, remedy, format string, args ...any) {
	l.errs = append(l.errs, l.p.Source.Errorf(path, remedy, format, args...))
}

// maxErrors bounds what is shown of a file at once.
const maxErrors = 20

// lint holds the sections against each other. What a missing section would
// have to say is no error: its cases are inconclusive.
func (p *Profile) lint() strictyaml.Errors {
	l := &linter{p: p}
	if !idForm.MatchString(p.Name) {
		l.errorf([]string{"profile"}, "give the profile a name of small letters, digits and dashes", "profile is %q", p.Name)
	}
	l.absences()
	l.consoles()
	l.logins()
	l.states()
	l.ways()
	l.rest()
	l.routes()
	l.network()
	l.floors()
	l.log()
	l.presses()
	l.reset()
	l.updates()
	l.debug()
	l.steps()
	slices.SortStableFunc(l.errs, func(a, b *strictyaml.Error) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column), cmp.Compare(a.What, b.What))
	})
	return l.errs[:min(len(l.errs), maxErrors)]
}

func (l *linter) consoles() {
	for name, c := range l.p.Consoles.Items {
		at := []string{"consoles", name}
		l.oneOf(append(at, "newline"), c.Newline, "cr", "lf", "crlf")
		if !c.Boot.Done.Zero() && c.Boot.Within == 0 {
			l.errorf(append(at, "boot"), "say how long a boot may take: within: 30s", "the end of the boot is declared, and not until when")
		}
		if (c.Answer.Send == "") != c.Answer.Expect.Zero() {
			l.errorf(append(at, "answer"), "give send and expect", "the answer is declared in part")
		}
		if f := c.Boot.Fail; len(f.Provoke) > 0 && f.Sign.Zero() {
			l.errorf(append(at, "boot", "fail"), "give sign: what the console shows when a boot fails", "nothing shows that the boot failed")
		}
		l.neverSend(append(slices.Clone(at), "boot", "never-send"), c.Boot.Never)
		if up := c.Boot.Fail.ComesUp; l.p.Source.Has(append(slices.Clone(at), "boot", "fail", "comes-up")...) && !up.Declared() && up.Itself == (len(up.After) > 0) {
			l.errorf(append(slices.Clone(at), "boot", "fail", "comes-up"), "write itself: true, or after: and the steps that take the cause away", "how the device comes up in a boot that failed is not said in one way")
		}
		for i, r := range c.Rates {
			at := append(slices.Clone(at), "rates", strconv.Itoa(i))
			if r.Baud < 50 || r.Baud > 20_000_000 {
				l.errorf(at, "write a baud from 50 to 20000000", "the rate is %d", r.Baud)
			}
			if r.Until.Zero() == (r.For == 0) {
				l.errorf(at, "write until: and what ends it, or for: and how long it lasts", "when the phase at this rate ends is not said in one way")
			}
		}
		for i, cmd := range c.Injection.Commands {
			if strings.Count(cmd, "%s") != 1 || strings.Count(cmd, "%") != 1 {
				l.errorf(append(at, "injection", "commands", strconv.Itoa(i)), "write %s once, where the argument goes", "%q does not have one place for an argument", cmd)
			}
		}
	}
}

// loginKeys are the keys of a login by its protocol, besides those that every
// login has.
var loginKeys = map[string][]string{
	"ssh":         {"port"},
	"telnet":      {"port", "quiet"},
	"http-basic":  {"port", "tls"},
	"http-digest": {"port", "tls"},
	"http-form":   {"port", "tls", "page", "fields", "extra", "logout"},
	"http-json":   {"port", "tls", "page", "fields", "extra", "token", "logout"},
	"mqtt":        {"port", "tls", "version", "client-id"},
	"ftp":         {"port", "tls"},
	"snmp":        {"port", "version", "digest", "cipher", "refusal"},
	"rtsp":        {"port", "tls"},
	"redis":       {"port", "tls"},
	"console":     {"console"},
	"exec":        {"exec", "port"},
	"ask":         {"ask"},
	"":            {"protocol", "owner", "proof", "locked", "restricted", "refused", "lockout", "transport", "quiet", "within", "vendor"},
}

func (l *linter) logins() {
	for name, lg := range l.p.Logins.Items {
		at := []string{"logins", name}
		if lg.Declared() {
			continue
		}
		if !slices.Contains(protocols, lg.Protocol) {
			l.errorf(append(at, "protocol"), "write one of "+strings.Join(protocols, ", "), "login %s has the protocol %q", name, lg.Protocol)
			continue
		}
		for _, k := range l.p.Source.Keys(at...) {
			if !slices.Contains(loginKeys[""], k) && !slices.Contains(loginKeys[lg.Protocol], k) {
				l.errorf(append(at, k), "take it out", "a login by %s has no %s", lg.Protocol, k)
			}
		}
		l.loginPlace(at, name, lg)
		l.loginService(at, name, lg)
		l.proof(at, name, lg)
		l.secretRef(append(at, "owner", "password"), lg.Owner.Password)
		l.lockout(at, lg)
		for i, port := range lg.Transport.Clear {
			l.port(append(at, "transport", "clear", strconv.Itoa(i)), port)
		}
	}
}

// loginPlace is where a login is: a port, a console, a program.
func (l *linter) loginPlace(at []string, name string, lg *Login) {
	switch {
	case lg.Protocol == "console" && lg.Console == "":
		l.errorf(at, "say which: console: main", "login %s is on a console and does not say on which", name)
	case lg.Protocol == "console":
		if l.p.Consoles.Given && !l.p.Consoles.Declared() && l.p.Consoles.Items[lg.Console] == nil {
			l.errorf(append(at, "console"), near(lg.Console, l.p.Consoles.Order), "no console %q is declared", lg.Console)
		}
	case lg.Protocol == "exec":
		l.loginProgram(at, name, lg)
	case lg.Protocol == "ask":
		if strings.TrimSpace(lg.Ask) == "" {
			l.errorf(at, "say where: ask: the app on the phone, page Login", "login %s is tried by a person, who is not told where", name)
		}
		if strings.Contains(lg.Ask, "${") {
			l.errorf(append(at, "ask"), "take it out; user and password are told with the question", "ask stands for a value, and none is put into it")
		}
	default:
		l.port(append(at, "port"), lg.Port)
	}
}

// loginProgram is the program that tries a login. No value is put into its
// arguments: what it needs is in the request.
func (l *linter) loginProgram(at []string, name string, lg *Login) {
	if len(lg.Exec) == 0 || lg.Exec[0] == "" {
		l.errorf(at, "say which program: exec: [./try-login]", "login %s is tried by a program and does not say by which", name)
	}
	for i, a := range lg.Exec {
		if strings.Contains(a, "${") || strings.HasPrefix(a, "secret:") {
			l.errorf(append(at, "exec", strconv.Itoa(i)), "take it out; the program is given address, user and password on its standard input", "%q stands for a value, and none is put into the arguments of a login's program", a)
		}
	}
	if lg.Port != 0 || l.p.Source.Has(append(slices.Clone(at), "port")...) {
		l.port(append(slices.Clone(at), "port"), lg.Port)
	}
}

func (l *linter) port(at []string, port int) {
	switch {
	case port == 0 && !l.p.Source.Has(at...):
		l.errorf(at[:2], "write port: N", "%s has no port", strings.Join(at[:2], " "))
	case port < 1 || port > 65535:
		l.errorf(at, "write a number from 1 to 65535", "%s has the port %d", strings.Join(at[:2], " "), port)
	}
}

func (l *linter) oneOf(at []string, v string, allowed ...string) {
	if v != "" && !slices.Contains(allowed, v) {
		l.errorf(at, "write one of "+strings.Join(allowed, ", "), "%s is %q", at[len(at)-1], v)
	}
}

// Bounds of the time that a try at a login may take.
const (
	minTry = time.Second
	maxTry = 10 * time.Minute
)

// Bounds of a lock-out: what is beyond them is a slip of the pen.
const (
	maxLockAfter = 1000
	maxLockTime  = 24 * time.Hour
)

func (l *linter) lockout(at []string, lg *Login) {
	if w := lg.Within; l.p.Source.Has(append(slices.Clone(at), "within")...) && (w < minTry || w > maxTry) {
		l.errorf(append(slices.Clone(at), "within"), fmt.Sprintf("write a time from %v to %v", minTry, maxTry), "within is %v", w)
	}
	o := lg.Lockout
	at = append(slices.Clone(at), "lockout")
	if o.Declared() || !l.p.Source.Has(at...) {
		return
	}
	switch {
	case o.After == 0 || o.Lasts == 0 || o.Window == 0:
		l.errorf(at, "give after, window and lasts", "the lockout is declared in part")
	case o.After < 1 || o.After > maxLockAfter:
		l.errorf(append(at, "after"), fmt.Sprintf("write a number from 1 to %d", maxLockAfter), "after is %d", o.After)
	case o.Lasts > maxLockTime || o.Window > maxLockTime:
		l.errorf(at, "write at most "+maxLockTime.String(), "a time of the lockout is %v", max(o.Lasts, o.Window))
	}
	l.oneOf(append(at, "scope"), o.Scope, "account", "source")
	l.oneOf(append(at, "answer"), string(o.Answer), "refused", "locked-out", "throttled", "unreachable")
}

// secretRef: a password in the profile would be every unit's password.
func (l *linter) secretRef(at []string, v string) {
	if v != "" && !strings.HasPrefix(v, "secret:") {
		l.errorf(at, "write secret:NAME, and give NAME in the rig file's secrets", "a password stands in the profile")
	}
}

var service = regexp.MustCompile(`^(?:tcp|udp)/([1-9]\d{0,4})$`)

func (l *linter) states() {
	for name, s := range l.p.States.Items {
		at := []string{"states", name}
		for i, lg := range s.Logins {
			l.login(append(at, "logins", strconv.Itoa(i)), lg)
		}
		for i, svc := range s.Services {
			m := service.FindStringSubmatch(svc)
			if m == nil {
				l.errorf(append(at, "services", strconv.Itoa(i)), "write it as tcp/22", "%q is no service", svc)
			} else if n, err := strconv.Atoi(m[1]); err != nil || n > 65535 {
				l.errorf(append(at, "services", strconv.Itoa(i)), "write a port from 1 to 65535", "%q is no service", svc)
			}
		}
		for i, store := range s.Stores {
			if l.p.Stores.Given && !l.p.Stores.Declared() && l.p.Stores.Items[store] == nil {
				l.errorf(append(slices.Clone(at), "stores", strconv.Itoa(i)), near(store, l.p.Stores.Order), "no store %q is declared", store)
			}
		}
		l.oneOf(append(at, "address", "find"), s.Address.Find, "mac")
		if s.Address.Find != "" && s.Address.Host != "" {
			l.errorf(append(at, "address"), "keep one of find and host", "the state has two addresses")
		}
	}
}

// Leaves are what a rig file can allow, and what a way can need.
func Leaves() []string {
	return []string{"login-tries", "config", "reset", "update", "power", "power-cut", "debug-attach", "halt", "rom-loader", "storage-write"}
}

func (l *linter) ways() {
	ids := map[string]bool{}
	for i, w := range l.p.Ways {
		at := []string{"ways", strconv.Itoa(i)}
		l.id(append(at, "id"), w.ID, ids)
		for _, end := range []struct{ key, state string }{{"from", w.From}, {"to", w.To}} {
			if end.state == "" {
				l.errorf(at, "give from and to", "a way does not say where it leads %s", end.key)
			} else if l.p.States.Given && !l.p.States.Declared() && l.p.States.Items[end.state] == nil {
				l.errorf(append(at, end.key), near(end.state, l.p.States.Order), "no state %q is declared", end.state)
			}
		}
		if w.From != "" && w.From == w.To {
			l.errorf(append(at, "to"), "name another state", "the way leads from %s to itself", w.From)
		}
		for j, need := range w.Needs {
			if !slices.Contains(Leaves(), need) {
				l.errorf(append(at, "needs", strconv.Itoa(j)), near(need, Leaves()), "nothing is called %q that a rig could allow", need)
			}
		}
		if len(w.Steps) == 0 {
			l.errorf(at, "give it steps", "the way to %s has no steps", w.To)
		}
	}
}

// id holds a name that may be left out against the others of its kind.
func (l *linter) id(at []string, id string, seen map[string]bool) {
	switch {
	case id == "":
	case !idForm.MatchString(id):
		l.errorf(at, "use small letters, digits and dashes", "%q is no name", id)
	case seen[id]:
		l.errorf(at, "give it another one", "the id %s is there twice", id)
	}
	seen[id] = true
}

// setupLabel holds what is said of the label against the set-up that offers it.
func (l *linter) setupLabel() {
	s, at := l.p.Setup, []string{"setup", "label"}
	offered := Refers(s.Choose, LabelPassword)
	switch {
	case !l.p.Source.Has(at...):
	case s.Label.Declared() && offered:
		l.errorf(append(at, "none"), "keep one of the two", "the set-up needs no label, and setup.choose offers ${%s}", LabelPassword)
	case s.Label.Declared():
	case !s.Label.Given:
		l.errorf(at, `write wrong: [labels that no unit has], or none: "why the set-up needs none"`, "setup.label says nothing")
	case len(s.Choose) > 0 && !offered:
		l.errorf(at, "offer ${"+LabelPassword+"} in setup.choose", "labels are declared wrong, and the set-up offers none")
	}
	for i, w := range s.Label.Wrong {
		if w == "" || slices.Contains(s.Label.Wrong[:i], w) {
			l.errorf(append(at, "wrong", strconv.Itoa(i)), "take it out; an empty one is tried anyway", "the wrong label %q is empty, or there twice", w)
		}
	}
}

// rest are the small sections.
func (l *linter) rest() {
	p := l.p
	if e := p.Identity.Equals; e != "" && !unitValue.MatchString(e) {
		l.errorf([]string{"identity", "equals"}, "write unit.serial, unit.mac, or unit.NAME of the rig's values", "equals is %q", e)
	}
	if n := p.Password.MinLength; n < 0 || n > 1024 {
		l.errorf([]string{"password", "min-length"}, "write a number from 1 to 1024", "min-length is %d", n)
	}
	if r := p.Setup.Login; r != "" {
		l.login([]string{"setup", "login"}, r)
	}
	ids := map[string]bool{}
	for i, s := range p.Setup.Skips {
		at := []string{"setup", "skips", strconv.Itoa(i)}
		if s.ID == "" || len(s.Steps) == 0 {
			l.errorf(at, "give it an id and steps", "a skip of the set-up says nothing")
		}
		l.id(append(at, "id"), s.ID, ids)
	}
	l.setupLabel()
	for name, s := range p.Stores.Items {
		at := []string{"stores", name}
		l.oneOf(append(at, "alphabet"), s.Alphabet, "ascii", "hex", "digits")
		if s.Length < 0 || s.Length > 1024 {
			l.errorf(append(at, "length"), "write a number from 1 to 1024", "length is %d", s.Length)
		}
	}
	if a := p.Alive; p.Source.Has("alive") && !a.Declared() && len(a.Steps) == 0 {
		l.errorf([]string{"alive"}, `write steps, or none: "why nothing shows it"`, "alive says nothing")
	}
	if d := p.Discloses; d.Given && !d.Declared() && !p.Source.Has("discloses", "allow") {
		l.errorf([]string{"discloses"}, `write allow: [expressions], or none: "why nothing"`, "discloses says nothing")
	}
}

var unitValue = regexp.MustCompile(`^unit\.[a-z][a-z0-9_-]*$`)

// log compiles what the entries look like.
func (l *linter) log() {
	for key, expr := range map[string]string{"failed": l.p.Log.Failed, "ok": l.p.Log.OK} {
		names, err := References(expr)
		for _, n := range names {
			if n != "user" && n != "channel" {
				l.errorf([]string{"log", key}, "write ${user} and ${channel} alone", "nobody gives ${%s} here", n)
			}
		}
		if err == nil {
			var plain string
			plain, err = Expand(expr, func(string) (string, error) { return "x", nil })
			if err == nil {
				_, err = regexp.Compile(plain)
			}
		}
		if err != nil {
			l.errorf([]string{"log", key}, "write a regular expression (RE2 syntax)", "%v", err)
		}
	}
	for channel, expr := range l.p.Log.Sources {
		at := []string{"log", "sources", channel}
		l.login(at, channel)
		if _, err := regexp.Compile(expr); err != nil {
			l.errorf(at, "write a regular expression (RE2 syntax)", "%v", err)
		}
	}
}

func (l *linter) login(at []string, name string) {
	if l.p.Logins.Given && !l.p.Logins.Declared() && l.p.Logins.Items[name] == nil {
		l.errorf(at, near(name, l.p.Logins.Order), "no login %q is declared", name)
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

// atOf reads a step's place back.
func atOf(at string) strictyaml.Pos {
	var pos strictyaml.Pos
	parts := strings.Split(at, ":")
	if n := len(parts); n >= 3 {
		pos.File = strings.Join(parts[:n-2], ":")
		// Both were written by Pos.String.
		pos.Line, _ = strconv.Atoi(parts[n-2])
		pos.Column, _ = strconv.Atoi(parts[n-1])
	}
	return pos
}
