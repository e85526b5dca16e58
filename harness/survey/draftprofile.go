package survey

import (
	"fmt"
	"strings"
	"time"
)

// DraftProfile writes a first profile. What was seen of one unit is no declaration of
// its maker's: only how the unit can be talked to stands there as it is.
func DraftProfile(f *Findings) []byte {
	p := &page{}
	p.note("A first profile, by rigor init on %s: what was seen of one unit. A profile says what the maker declares: each", f.At.UTC().Format(time.DateOnly))
	p.note("line behind \"TODO\" is to be put right, and its mark taken away with its blank. What the model does not have is")
	p.note("declared as {none: \"why\"}; what is left out leaves its cases inconclusive, and rigor lint lists them.")
	p.say("profile: %s", f.Name)
	p.todo("maker: %s", Fill)
	p.todo("model: %s", Fill)
	logins := f.logins()
	p.note("Which firmware is installed, and how it is read.")
	p.todo("firmware: {version: %s, read: [%s]}", Fill, f.readStep("version"))
	p.note("How the unit says which one it is: read before anything is altered.")
	p.todo("identity: {steps: [%s], equals: unit.serial}", f.readStep("serial"))
	f.profileConsole(p)
	f.profileLogins(p, logins)
	f.states(p, logins)
	for _, none := range []struct{ key, what string }{
		{"password", "How the owner's password is changed, how long it must be, how the factory one is made."},
		{"setup", "The first set-up, and the ways around it that must not work."},
		{"routes", "Which requests answer whom."},
		{"stores", "Where secrets of the owner are kept."},
		{"discloses", "What a stranger may learn; services said: " + f.told()},
		{"log", "How the log is read, and what a login looks like in it."},
		{"updates", "How an image gets in, and the maker's images (images)."},
		{"presses", "What its buttons do, by how long they are held."},
		{"reset", "How it is brought back to its factory state, and what becomes of what it keeps."},
		{"debug", "Debug ports on its board, and loaders in its ROM."},
	} {
		p.note("%s", none.what)
		p.todo("%s: {none: %s}", none.key, Quote(Fill+", or what there is"))
	}
	p.todo("recovery: {steps: [{power: cycle}], within: 1m}")
	return []byte(p.String())
}

// draftLogin is a login that was seen.
type draftLogin struct {
	name string
	sure bool     // all that a login has to say was seen
	keys []string // "protocol: ssh" …
	more []string // to be filled in
	note string
}

const lockoutTodo = "lockout: {after: 5, window: 60s, lasts: 60s, scope: account, answer: refused, success-clears: true, survives-reboot: true}"

var (
	ownerTodo   = "owner: {user: " + Fill + ", password: secret:operator}"
	commandTodo = "proof: {command: id, match: uid=}"
)

// logins gives the logins that were seen. Where a page asks for a password in a form,
// only a person knows what it opens.
func (f *Findings) logins() []draftLogin {
	var out []draftLogin
	seen := map[string]int{}
	add := func(l draftLogin) {
		if seen[l.name]++; seen[l.name] > 1 {
			l.name = fmt.Sprintf("%s-%d", l.name, seen[l.name])
		}
		out = append(out, l)
	}
	if f.Knocked != nil {
		for _, s := range f.Knocked.Open {
			port := fmt.Sprintf("port: %d", s.Port)
			web := []string{port}
			if s.TLS {
				web = append(web, "tls: true")
			}
			switch {
			case s.Kind == "ssh":
				add(draftLogin{name: "ssh", sure: true, keys: []string{"protocol: ssh", port}, more: []string{ownerTodo, commandTodo, lockoutTodo}, note: "It says: " + s.Says})
			case s.Kind == "telnet":
				add(draftLogin{name: "telnet", sure: true, keys: []string{"protocol: telnet", port},
					more: []string{ownerTodo, commandTodo, lockoutTodo, "transport: {none: " + Quote(Fill+", why it has no protection") + "}"}, note: "It says: " + s.Says})
			case s.Page == nil:
			case s.Page.Scheme != "":
				add(draftLogin{name: "web", sure: true, keys: append([]string{"protocol: http-" + s.Page.Scheme}, append(web, "proof: {get: "+Quote(orWord(s.Page.Path, "/"))+"}")...),
					more: []string{ownerTodo, lockoutTodo, "transport: {clear: []}"}, note: "It asks for a login at " + s.Page.Path + "."})
			case s.Page.Password != "":
				page := orWord(s.Page.Action, s.Page.Path)
				if !strings.HasPrefix(page, "/") || strings.HasPrefix(page, "//") {
					page = "/"
				}
				add(draftLogin{name: "web", keys: append([]string{"protocol: http-form"}, append(web, "page: "+Quote(page),
					fmt.Sprintf("fields: {user: %s, password: %s}", Quote(orWord(s.Page.User, "user")), Quote(s.Page.Password)))...),
					more: []string{ownerTodo, "proof: {get: /" + Fill + "}", lockoutTodo, "transport: {clear: []}"}, note: "A form asks for a password at " + s.Page.Path + "."})
			}
		}
	}
	if f.prompt("login") != "" {
		add(draftLogin{name: "console", sure: true, keys: []string{"protocol: console", "console: main"}, more: []string{ownerTodo, commandTodo, lockoutTodo}})
	}
	return out
}

func orWord(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// prompt gives a prompt that came, in the boot or after a newline.
func (f *Findings) prompt(which string) string {
	for _, c := range []*Console{f.Console, f.Entered} {
		if c == nil {
			continue
		}
		if p := map[string]string{"login": c.Login, "password": c.Password, "shell": c.Shell, "loader": c.InLoader}[which]; p != "" {
			return p
		}
	}
	return ""
}

// readStep is a step that may read a value: by what was seen, or by a person.
func (f *Findings) readStep(value string) string {
	extract := fmt.Sprintf("extract: {%s: text}", value)
	if f.Knocked != nil {
		for _, safe := range []bool{true, false} {
			for _, s := range f.Knocked.Open {
				if s.Kind == "http" && s.TLS == safe {
					return fmt.Sprintf("{http: GET /%s, port: %d, tls: %v, %s}", Fill, s.Port, safe, extract)
				}
			}
		}
		for _, s := range f.Knocked.Open {
			if s.Kind == "ssh" {
				return fmt.Sprintf("{run: %s, login: ssh, %s}", Fill, extract)
			}
		}
	}
	return fmt.Sprintf("{ask: %s, %s}", Quote("What "+value+" does it show? "+Fill), extract)
}

func (f *Findings) profileConsole(p *page) {
	if f.Port == "" {
		p.todo("consoles: {none: %s}", Quote(Fill+", or what a console shows"))
		return
	}
	p.say("consoles:")
	p.say("  main:")
	p.say("    newline: cr")
	c := f.Console
	if c == nil || c.Bytes == 0 {
		p.note("Not a byte came in a boot. A console that is silent by design says so, and how its wire can be shown to be connected:")
		p.todo("    silent: true")
		p.todo("    answer: {send: %s, expect: %s}", Fill, Fill)
		return
	}
	f.boot(p, c)
	prompts := []struct{ key, kind, usual string }{
		{"login", "login", "login: "}, {"password", "password", "Password: "}, {"shell", "shell", "# "},
	}
	for _, pr := range prompts {
		seen := strings.TrimLeft(f.prompt(pr.kind), " ")
		switch {
		case pr.kind == "shell" && seen != "":
			p.note("A prompt that takes commands came, and nobody had logged in: con-shell-noauth will judge that. It was: %s", seen)
			p.todo("    shell: {match: %s, quiet: 200ms}", Quote(seen))
		case seen != "":
			p.say("    %s: {match: %s, quiet: 200ms}", pr.key, Quote(seen))
		default:
			p.todo("    %s: {match: %s, quiet: 200ms}", pr.key, Quote(pr.usual))
		}
	}
	p.todo("    incorrect: Login incorrect")
	p.todo("    sysrq: {none: %s}", Quote(Fill+", why a BREAK does nothing, or take this line out"))
	p.todo("    injection: {none: %s}", Quote(Fill+", or commands with %s"))
}

// boot is what a boot showed.
func (f *Findings) boot(p *page, c *Console) {
	banner, loader := Sign(c.Banner), Sign(c.Loader)
	if loader == banner {
		loader = ""
	}
	p.note("The first line of a boot: %s", c.Banner)
	if c.Loader != "" {
		p.note("Its boot loader says: %s", c.Loader)
	}
	if c.System != "" {
		p.note("Its system says: %s", c.System)
	}
	if banner == "" { // nothing can stand there as it is
		p.todo("    boot:")
		p.todo("      banner: %s", Fill)
	} else {
		p.say("    boot:")
		p.say("      banner: %s", Quote(banner))
	}
	line := p.say
	if banner == "" {
		line = p.todo
	}
	if loader != "" {
		line("      loader: %s", Quote(loader))
	}
	if c.Window != "" {
		p.note("It listens for keys: %s", c.Window)
		p.todo("      prompt: %s", Quote(orWord(c.InLoader, "=> ")))
		if c.WindowFor > 0 {
			line("      window: %v", c.WindowFor)
		}
	}
	done, why := Sign(c.Last), "What shows the end of a boot, and until when. The last line was: "+c.Last
	if prompt := strings.TrimLeft(c.Login, " "); prompt != "" {
		done, why = prompt, "The end of a boot, as it seems: the prompt of the login."
	}
	p.note("%s", why)
	p.todo("      done: %s", Quote(orWord(done, Fill)))
	p.todo("      within: %v", within(f.Heard))
	p.note("How a boot is made to fail, and what is then seen.")
	p.todo("      fail: {none: %s}", Quote(Fill+", why nothing can make a boot fail, or how"))
}

// within is twice what a boot took, rounded up to five seconds.
func within(h *Heard) time.Duration {
	const step = 5 * time.Second
	if h == nil {
		return time.Minute
	}
	return (2*h.Took + step).Truncate(step)
}

func (f *Findings) profileLogins(p *page, logins []draftLogin) {
	sure := false
	for _, l := range logins {
		sure = sure || l.sure
	}
	if len(logins) == 0 {
		p.note("No login was seen.")
		p.todo("logins: {none: %s}", Quote(Fill+", why nobody can log in, or how"))
		return
	}
	if sure {
		p.say("logins:")
	} else {
		p.todo("logins:")
	}
	for _, l := range logins {
		line := p.say
		if !l.sure {
			line = p.todo
		}
		if l.note != "" {
			p.note("Login %s. %s", l.name, l.note)
		}
		line("  %s:", l.name)
		for _, k := range l.keys {
			line("    %s", k)
		}
		for _, k := range l.more {
			p.todo("    %s", k)
		}
	}
}

// states: in which state the unit was, nobody said.
func (f *Findings) states(p *page, logins []draftLogin) {
	var services []string
	if f.Knocked != nil {
		for _, s := range f.Knocked.Open {
			services = append(services, fmt.Sprintf("tcp/%d", s.Port))
		}
	}
	var sure, all []string
	for _, l := range logins {
		all = append(all, l.name)
		if l.sure {
			sure = append(sure, l.name)
		}
	}
	line := p.todo
	if len(sure) > 0 {
		line = p.say
	}
	line("states:")
	line("  onboarded:")
	if len(sure) > 0 {
		p.say("    logins: [%s]", strings.Join(sure, ", "))
	}
	if len(all) > len(sure) {
		p.note("With the login that is not filled in yet: logins: [%s]", strings.Join(all, ", "))
	}
	if len(services) > 0 {
		p.note("Open were, of %d ports that were looked at, those below. Leave only what the maker says must be open.", len(f.Looked))
	}
	p.todo("    services: [%s]", strings.Join(services, ", "))
	p.note("A cheap proof that the DUT is in this state; without one it cannot be recognised.")
	p.todo("    holds: [%s]", strings.Replace(f.readStep("x"), "extract: {x: text}", "expect: {match: "+Fill+"}", 1))
	p.note("As it leaves the factory; and ways: from there to onboarded and back.")
	p.todo("  factory: {none: %s}", Quote(Fill+", why there is no such state, or logins, services and holds in it"))
}

// told is what services said of themselves to a stranger.
func (f *Findings) told() string {
	var out []string
	if f.Knocked != nil {
		for _, s := range f.Knocked.Open {
			if s.Kind == "ssh" || s.Kind == "ftp" {
				out = append(out, s.Says)
			}
			if s.Page != nil && s.Page.Server != "" {
				out = append(out, s.Page.Server)
			}
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, "; ")
}
