package profile

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rigor/harness/strictyaml"
)

// protocols are the ways to log in that there are.
var protocols = []string{"ssh", "telnet", "http-basic", "http-digest", "http-form", "http-json", "console", "exec"}

// linter collects what is wrong with a profile as a whole.
type linter struct {
	p    *Profile
	errs strictyaml.Errors
}

func (l *linter) errorf(path []string, remedy, format string, args ...any) {
	l.errs = append(l.errs, l.p.Source.Errorf(path, remedy, format, args...))
}

// lint holds the sections against each other. What a missing section would
// have to say is no error: its cases are inconclusive.
func (p *Profile) lint() strictyaml.Errors {
	l := &linter{p: p}
	if !idForm.MatchString(p.Name) {
		l.errorf([]string{"profile"}, "give the profile a name of small letters, digits and dashes", "profile is %q", p.Name)
	}
	l.consoles()
	l.logins()
	l.states()
	l.steps()
	if r := p.Routes.Login; r != "" {
		l.login([]string{"routes", "login"}, r)
	}
	if r := p.Setup.Login; r != "" {
		l.login([]string{"setup", "login"}, r)
	}
	for i, s := range p.Setup.Skips {
		if s.ID == "" || len(s.Steps) == 0 {
			l.errorf([]string{"setup", "skips", strconv.Itoa(i)}, "give it an id and steps", "a skip of the set-up says nothing")
		}
	}
	slices.SortStableFunc(l.errs, func(a, b *strictyaml.Error) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column), cmp.Compare(a.What, b.What))
	})
	return l.errs
}

func (l *linter) consoles() {
	for name, c := range l.p.Consoles.Items {
		at := []string{"consoles", name}
		if c.Newline != "" && !slices.Contains([]string{"cr", "lf", "crlf"}, c.Newline) {
			l.errorf(append(at, "newline"), "write cr, lf or crlf", "newline is %q", c.Newline)
		}
		if !c.Boot.Done.Zero() && c.Boot.Within == 0 {
			l.errorf(append(at, "boot"), "say how long a boot may take: within: 30s", "the end of the boot is declared, and not until when")
		}
		for i, cmd := range c.Injection.Commands {
			if strings.Count(cmd, "%s") != 1 {
				l.errorf(append(at, "injection", "commands", strconv.Itoa(i)), "write %s where the argument goes", "%q has no place for an argument", cmd)
			}
		}
	}
}

func (l *linter) logins() {
	for name, lg := range l.p.Logins.Items {
		at := []string{"logins", name}
		if lg.Declared() {
			continue
		}
		if !slices.Contains(protocols, lg.Protocol) {
			l.errorf(append(at, "protocol"), "write one of "+strings.Join(protocols, ", "), "login %s has the protocol %q", name, lg.Protocol)
		}
		switch {
		case lg.Protocol == "console":
			if lg.Console == "" {
				l.errorf(at, "say which: console: main", "login %s is on a console and does not say on which", name)
			} else if l.p.Consoles.Given && l.p.Consoles.Items[lg.Console] == nil {
				l.errorf(append(at, "console"), near(lg.Console, l.p.Consoles.Order), "no console %q is declared", lg.Console)
			}
		case lg.Protocol == "exec":
			if len(lg.Exec) == 0 {
				l.errorf(at, "say which program: exec: [./try-login]", "login %s is tried by a program and does not say by which", name)
			}
		case lg.Port < 1 || lg.Port > 65535:
			l.errorf(append(at, "port"), "write a number from 1 to 65535", "login %s has the port %d", name, lg.Port)
		}
		if strings.HasPrefix(lg.Protocol, "http") && lg.Proof.Get == "" {
			l.errorf(append(at, "proof"), "name a page that only who is logged in can read: proof: {get: /status, match: …}", "login %s does not say what shows that one is in", name)
		}
		if (lg.Protocol == "http-form" || lg.Protocol == "http-json") && lg.Page == "" {
			l.errorf(append(at, "page"), "write the path that takes the login", "login %s does not say where one logs in", name)
		}
		l.secretRef(append(at, "owner", "password"), lg.Owner.Password)
		l.lockout(at, lg)
	}
}

func (l *linter) lockout(at []string, lg *Login) {
	o := lg.Lockout
	if o.Declared() || o.After == 0 && o.Lasts == 0 && o.Window == 0 {
		return
	}
	at = append(at, "lockout")
	if o.After < 1 || o.Lasts <= 0 || o.Window <= 0 {
		l.errorf(at, "give after, window and lasts", "the lockout is declared in part")
	}
	if o.Scope != "" && o.Scope != "account" && o.Scope != "source" {
		l.errorf(append(at, "scope"), "write account or source", "scope is %q", o.Scope)
	}
	switch o.Answer {
	case "", "refused", "locked-out", "throttled", "unreachable":
	default:
		l.errorf(append(at, "answer"), "write refused, locked-out, throttled or unreachable", "answer is %q", o.Answer)
	}
}

// secretRef: a password in the profile would be every unit's password.
func (l *linter) secretRef(at []string, v string) {
	if v != "" && !strings.HasPrefix(v, "secret:") {
		l.errorf(at, "write secret:NAME, and give NAME in the rig file's secrets", "a password stands in the profile")
	}
}

func (l *linter) states() {
	services := regexp.MustCompile(`^(?:tcp|udp)/\d{1,5}$`)
	for name, s := range l.p.States.Items {
		for i, lg := range s.Logins {
			l.login([]string{"states", name, "logins", strconv.Itoa(i)}, lg)
		}
		for i, svc := range s.Services {
			if !services.MatchString(svc) {
				l.errorf([]string{"states", name, "services", strconv.Itoa(i)}, "write it as tcp/22", "%q is no service", svc)
			}
		}
		if s.Address.Find != "" && s.Address.Find != "mac" {
			l.errorf([]string{"states", name, "address", "find"}, "write mac", "find is %q", s.Address.Find)
		}
	}
	for i, w := range l.p.Ways {
		at := []string{"ways", strconv.Itoa(i)}
		for key, st := range map[string]string{"from": w.From, "to": w.To} {
			if st == "" {
				l.errorf(at, "give from and to", "a way does not say where it leads %s", key)
			} else if l.p.States.Given && l.p.States.Items[st] == nil {
				l.errorf(append(at, key), near(st, l.p.States.Order), "no state %q is declared", st)
			}
		}
		if len(w.Steps) == 0 {
			l.errorf(at, "give it steps", "the way from %s to %s has no steps", w.From, w.To)
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

// steps holds each step against what it needs.
func (l *linter) steps() {
	l.p.EachStep(func(s *Step) {
		fail := func(remedy, format string, args ...any) {
			l.errs = append(l.errs, &strictyaml.Error{Pos: atOf(s.At), What: fmt.Sprintf(format, args...), Remedy: remedy})
		}
		switch s.Verb {
		case "http":
			method, path, ok := strings.Cut(s.HTTP, " ")
			if !ok || strings.ToUpper(method) != method || !strings.HasPrefix(path, "/") {
				fail("write it as GET /path", "the request is %q", s.HTTP)
			}
			if s.Login == "" && s.Port == 0 {
				fail("say login: NAME, or port: N", "the request does not say to which service it goes")
			}
		case "run":
			if s.Login == "" {
				fail("say login: NAME", "the command does not say over which login it runs")
			}
		case "power":
			if !slices.Contains([]string{"on", "off", "cycle"}, s.Power) {
				fail("write on, off or cycle", "power is %q", s.Power)
			}
		case "repeat":
			if s.Repeat < 1 || len(s.Steps) == 0 {
				fail("write repeat: N with steps", "there is nothing to repeat")
			}
		}
		if s.As != "" && s.As != "owner" {
			fail("write as: owner, or leave it out", "as is %q", s.As)
		}
		if s.Login != "" && l.p.Logins.Given && !l.p.Logins.Declared() && l.p.Logins.Items[s.Login] == nil {
			fail(near(s.Login, l.p.Logins.Order), "no login %q is declared", s.Login)
		}
		if s.Console != "" && l.p.Consoles.Given && l.p.Consoles.Items[s.Console] == nil {
			fail(near(s.Console, l.p.Consoles.Order), "no console %q is declared", s.Console)
		}
	})
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

// EachStep calls f for every step of the profile.
func (p *Profile) EachStep(f func(*Step)) {
	var walk func(ss []Step)
	walk = func(ss []Step) {
		for i := range ss {
			f(&ss[i])
			walk(ss[i].Steps)
		}
	}
	walk(p.Firmware.Read)
	walk(p.Identity.Steps)
	walk(p.Password.Change)
	walk(p.Log.Read)
	walk(p.Recovery.Steps)
	for _, w := range p.Ways {
		walk(w.Steps)
		walk(w.Done)
	}
	for _, name := range p.States.Order {
		walk(p.States.Items[name].Holds)
	}
	for _, s := range p.Setup.Skips {
		walk(s.Steps)
	}
	for _, name := range p.Stores.Order {
		walk(p.Stores.Items[name].Plant)
		walk(p.Stores.Items[name].Read)
	}
	for _, name := range p.Consoles.Order {
		walk(p.Consoles.Items[name].Boot.Fail.Provoke)
		walk(p.Consoles.Items[name].Boot.Fail.Restore)
	}
}
