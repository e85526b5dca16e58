package profile

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"rigor/harness/strictyaml"
)

// StepList is one list of steps that a profile declares.
type StepList struct {
	Path  []string // where it stands: "ways", "0", "steps"
	Given []string // names of values that its caller gives
	Must  []string // names of values that it has to extract
	Steps []Step
	// Goes on says that the values of the list before are known in it.
	GoesOn bool
}

// imageValues are what steps that deliver an image are given: its path, its number of
// bytes, and its SHA-256 in hex.
var imageValues = []string{"image", "image-size", "image-sha256"}

// StepLists gives every list of steps of the profile, in a fixed order.
func (p *Profile) StepLists() []StepList {
	var out []StepList
	add := func(l StepList) {
		if len(l.Steps) > 0 {
			out = append(out, l)
		}
	}
	add(StepList{Path: []string{"firmware", "read"}, Must: []string{"version"}, Steps: p.Firmware.Read})
	add(StepList{Path: []string{"identity", "steps"}, Must: []string{"serial"}, Steps: p.Identity.Steps})
	for _, name := range p.Consoles.Order {
		f := p.Consoles.Items[name].Boot.Fail
		at := []string{"consoles", name, "boot", "fail"}
		add(StepList{Path: append(at, "provoke"), Steps: f.Provoke})
		add(StepList{Path: append(slices.Clone(at), "comes-up", "after"), Steps: f.ComesUp.After})
		add(StepList{Path: append(slices.Clone(at), "restore"), Steps: f.Restore})
	}
	for _, name := range p.States.Order {
		add(StepList{Path: []string{"states", name, "holds"}, Steps: p.States.Items[name].Holds})
	}
	for i, w := range p.Ways {
		at := []string{"ways", strconv.Itoa(i)}
		add(StepList{Path: append(at, "steps"), Steps: w.Steps})
		add(StepList{Path: append(slices.Clone(at), "done"), Steps: w.Done, GoesOn: true})
	}
	add(StepList{Path: []string{"password", "change"}, Given: []string{"old", "new"}, Steps: p.Password.Change})
	add(StepList{Path: []string{"setup", "choose"}, Given: []string{"new"}, Steps: p.Setup.Choose})
	for i, s := range p.Setup.Skips {
		add(StepList{Path: []string{"setup", "skips", strconv.Itoa(i), "steps"}, Given: []string{"new"}, Steps: s.Steps})
	}
	for i := range p.Routes.Protected {
		if r := &p.Routes.Protected[i]; r.Shows != nil {
			add(StepList{Path: []string{"routes", "protected", strconv.Itoa(i)}, Given: []string{"marker"}, Steps: []Step{r.Step(p.Routes.Login, "owner"), *r.Shows}})
		}
	}
	for _, name := range p.Stores.Order {
		add(StepList{Path: []string{"stores", name, "plant"}, Given: []string{"marker"}, Steps: p.Stores.Items[name].Plant})
		add(StepList{Path: []string{"stores", name, "read"}, Given: []string{"marker"}, Steps: p.Stores.Items[name].Read})
		add(StepList{Path: []string{"stores", name, "console", "steps"}, Steps: p.Stores.Items[name].Console.Steps})
		add(StepList{Path: []string{"stores", name, "network", "steps"}, Steps: p.Stores.Items[name].Network.Steps})
	}
	add(StepList{Path: []string{"log", "read"}, Must: []string{"log"}, Steps: p.Log.Read})
	add(StepList{Path: []string{"images", "return-to", "steps"}, Steps: p.Images.ReturnTo.Steps})
	add(StepList{Path: []string{"images", "return-to", "stranger"}, Steps: p.Images.ReturnTo.Stranger})
	for _, name := range p.Updates.Order {
		u, at := p.Updates.Items[name], []string{"updates", name}
		add(StepList{Path: append(at, "steps"), Given: imageValues, Steps: u.Steps})
		add(StepList{Path: append(slices.Clone(at), "apply"), Steps: u.Apply, GoesOn: true})
		add(StepList{Path: append(slices.Clone(at), "leave"), Steps: u.Leave})
		add(StepList{Path: append(slices.Clone(at), "stranger", "steps"), Given: imageValues, Steps: u.Stranger.Steps})
	}
	add(StepList{Path: []string{"recovery", "steps"}, Steps: p.Recovery.Steps})
	add(StepList{Path: []string{"alive", "steps"}, Steps: p.Alive.Steps})
	for _, l := range p.resetLists() {
		add(l)
	}
	for _, l := range p.debugLists() {
		add(l)
	}
	return out
}

// EachStep calls f for every step of the profile, inner ones after those that
// repeat them.
func (p *Profile) EachStep(f func(*Step)) {
	var walk func(ss []Step)
	walk = func(ss []Step) {
		for i := range ss {
			f(&ss[i])
			walk(ss[i].Steps)
		}
	}
	for _, l := range p.StepLists() {
		walk(l.Steps)
	}
}

// stepLint looks at one list of steps, one after the other, as they run.
type stepLint struct {
	*linter
	known []string // names of values that are there by now
	open  bool     // a program may have given values of any name
}

// steps holds each step against what it needs.
func (l *linter) steps() {
	s := &stepLint{linter: l}
	for _, list := range l.p.StepLists() {
		if !list.GoesOn {
			s.known, s.open = nil, false
		}
		s.known = append(s.known, list.Given...)
		s.list(list.Steps)
		for _, must := range list.Must {
			if !s.open && !slices.Contains(s.known, must) {
				l.errorf(list.Path, fmt.Sprintf("give a step extract: {%s: …}", must), "no step of %s extracts %s", strings.Join(list.Path, "."), must)
			}
		}
	}
}

func (l *stepLint) list(ss []Step) {
	for i := range ss {
		l.step(&ss[i])
	}
}

// at makes an error at a step.
func (l *linter) at(s *Step, remedy, format string, args ...any) {
	l.errs = append(l.errs, &strictyaml.Error{Pos: atOf(s.At), What: fmt.Sprintf(format, args...), Remedy: remedy})
}

var maxTime = map[string]time.Duration{"within": time.Hour, "wait": time.Hour}

func (l *stepLint) step(s *Step) {
	for _, text := range s.Texts() {
		l.references(s, text)
	}
	l.plainSecrets(s)
	l.expectations(s)
	switch s.Verb {
	case "http":
		l.http(s)
	case "run":
		l.loginOf(s, "ssh", "telnet", "console", "exec")
		if s.Run == "" {
			l.at(s, "write the command", "the command is empty")
		}
	case "console":
		if s.Break && s.Send != "" || s.Enter && (s.Break || s.Send != "") {
			l.at(s, "make two steps of it", "the step sends a break and a line")
		}
		if !s.Break && !s.Enter && s.Send == "" && s.Expect == (Expect{}) {
			l.at(s, "give it send, break or expect", "nothing is done on console %s", s.Console)
		}
		if l.p.Consoles.Given && !l.p.Consoles.Declared() && l.p.Consoles.Items[s.Console] == nil {
			l.at(s, near(s.Console, l.p.Consoles.Order), "no console %q is declared", s.Console)
		}
	case "line":
		if s.Expect.Asserted == nil {
			l.at(s, "write expect: {asserted: true}, or false", "line %s is read for nothing", s.Read)
		}
	case "power":
		if !slices.Contains([]string{"on", "off", "cycle"}, s.Power) {
			l.at(s, "write on, off or cycle", "power is %q", s.Power)
		}
	case "wait":
		if s.Wait <= 0 {
			l.at(s, "write how long: wait: 2s", "the step waits for no time")
		}
	case "exec":
		l.exec(s)
	case "serve", "copy", "transfer", "smp":
		l.carries(s)
	case "repeat":
		if s.Repeat < 1 || s.Repeat > 1000 || len(s.Steps) == 0 {
			l.at(s, "write repeat: N, from 1 to 1000, with steps", "there is nothing to repeat, or too often")
		}
	}
	for k, d := range map[string]time.Duration{"within": s.Within, "wait": s.Wait} {
		if d > maxTime[k] {
			l.at(s, "write at most "+maxTime[k].String(), "%s is %v", k, d)
		}
	}
	l.list(s.Steps)
	l.extractions(s)
}

// expectations are those that the verb can have.
func (l *stepLint) expectations(s *Step) {
	e := s.Expect
	for k, set := range map[string]bool{"status": e.Status != 0, "match": !e.Match.Zero(), "not": !e.Not.Zero(),
		"exit": e.Exit != nil, "asserted": e.Asserted != nil, "seen": !e.Seen.Zero()} {
		if set && !slices.Contains(expectKeys[s.Verb], k) && slices.Contains(stepKeys[s.Verb], "expect") {
			l.at(s, "it can expect "+strings.Join(expectKeys[s.Verb], ", "), "a step of %s cannot expect %s", s.Verb, k)
		}
	}
	if e.Status != 0 && (e.Status < 100 || e.Status > 599) {
		l.at(s, "write a status from 100 to 599", "the status is %d", e.Status)
	}
	if !e.Seen.Zero() && !e.Match.Zero() {
		l.at(s, "keep one of the two", "the step expects both seen and match")
	}
	if s.Verb == "console" && e.Seen.Zero() && e.Match.Zero() && (!e.Not.Zero() || len(s.Extract) > 0) {
		l.at(s, "write expect: {seen: …}, which says until when to look", "the step looks at a console for no end")
	}
}

var (
	request = regexp.MustCompile(`^[A-Z]+ (?:/|\$\{)\S*$`)
	// hides is what a field is called that holds a secret.
	hides       = regexp.MustCompile(`(?i)passw|passwd|pwd|passphrase|secret|psk|token|api[-_]?key|^authorization$|^cookie$`)
	valueName   = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	jsonPath    = regexp.MustCompile(`^\$(?:\.[^.\[\]]+|\[\d{1,6}\])*$`)
	givenByUnit = regexp.MustCompile(`^(?:unit|secret)\.[a-z][a-z0-9_-]*$`)
)

func (l *stepLint) http(s *Step) {
	if !request.MatchString(s.HTTP) {
		l.at(s, "write it as GET /path", "the request is %q", s.HTTP)
	}
	switch {
	case s.Login == "" && s.Port == 0:
		l.at(s, "say login: NAME, or port: N", "the request does not say to which service it goes")
	case s.Login != "" && (s.Port != 0 || s.TLS):
		l.at(s, "keep login, which says the port", "the request has a login, and a port or tls of its own")
	case s.Login == "" && (s.Port < 1 || s.Port > 65535):
		l.at(s, "write a number from 1 to 65535", "the port is %d", s.Port)
	case s.Login == "" && s.As != "":
		l.at(s, "say login: NAME", "the request is the owner's and does not say by which login")
	}
	if s.As != "" && s.As != "owner" && s.As != "stranger" {
		l.at(s, "write as: owner, or leave it out", "as is %q", s.As)
	}
	if s.Login != "" {
		l.loginOf(s, "http-basic", "http-digest", "http-form", "http-json")
	}
	if s.Password != "" && s.As == "" {
		l.at(s, "write as: owner too, or take the password out", "a password is given, and nobody logs in")
	}
	bodies := 0
	for _, set := range []bool{s.JSON != nil, s.Form != nil && s.Upload == (Upload{}), s.Body != "", s.Upload != (Upload{})} {
		if set {
			bodies++
		}
	}
	if bodies > 1 {
		l.at(s, "keep one of json, form, body and upload", "the request has several bodies")
	}
	l.upload(s)
	if s.Interrupt != 0 && (s.Expect != (Expect{}) || len(s.Extract) > 0) {
		l.at(s, "take expect and extract out", "an answer is expected to a request that is given up")
	}
}

// loginOf holds a step's login against what the step needs of it.
func (l *stepLint) loginOf(s *Step, protocols ...string) {
	if s.Login == "" {
		l.at(s, "say login: NAME", "the step does not say over which login it goes")
		return
	}
	if !l.p.Logins.Given || l.p.Logins.Declared() {
		return
	}
	lg := l.p.Logins.Items[s.Login]
	switch {
	case lg == nil:
		l.at(s, near(s.Login, l.p.Logins.Order), "no login %q is declared", s.Login)
	case !lg.Declared() && !slices.Contains(protocols, lg.Protocol):
		l.at(s, "name one of "+strings.Join(protocols, ", "), "login %s speaks %s, which does not carry %s", s.Login, lg.Protocol, s.Verb)
	}
}

func (l *stepLint) exec(s *Step) {
	if len(s.Exec) == 0 || s.Exec[0] == "" {
		l.at(s, "write the program and its arguments as a list", "the step runs no program")
	}
	for _, k := range sortedKeys(s.Give) {
		if !IsValueName(k) {
			l.at(s, "use small letters, digits, dashes and underscores", "%q is no name of a value", k)
		}
	}
	for _, a := range s.Exec {
		if strings.Contains(a, "${secret.") || strings.Contains(a, "${old}") || strings.Contains(a, "${new}") || strings.Contains(a, "${unit.label-password}") {
			l.at(s, "take it out, and hand it over on the program's standard input: give: {NAME: '${secret.NAME}'}", "an argument holds a secret, and process lists show arguments")
		}
	}
}

// references looks whether somebody gives each value.
func (l *stepLint) references(s *Step, text string) {
	names, err := References(text)
	if err != nil {
		l.at(s, "", "%q: %v", text, err)
		return
	}
	for _, n := range names {
		if l.open || slices.Contains(l.known, n) || n == "profile.model" || givenByUnit.MatchString(n) {
			continue
		}
		remedy := "extract it in a step before, or take it of unit.NAME or secret.NAME"
		if best := strictyaml.Nearest(n, append([]string{"unit.serial", "unit.mac", "unit.label-password", "profile.model"}, l.known...)); best != "" {
			remedy = fmt.Sprintf("did you mean ${%s}?", best)
		}
		l.at(s, remedy, "nobody gives ${%s} here", n)
	}
}

// plainSecrets finds a secret that stands in the profile itself, by the name of
// its field.
func (l *stepLint) plainSecrets(s *Step) {
	look := func(key, text string) {
		if hides.MatchString(key) && text != "" && !strings.Contains(text, "${") {
			l.at(s, "write ${secret.NAME}, and give NAME in the rig file's secrets", "%s stands in the profile in plain text", key)
		}
	}
	for _, m := range []map[string]string{s.Header, s.Form, s.Give} {
		for _, k := range sortedKeys(m) {
			look(k, m[k])
		}
	}
	eachText(s.JSON, "", look)
	look("password", s.Password)
}

// extractions come after the step: what they give is known from then on.
func (l *stepLint) extractions(s *Step) {
	for _, name := range sortedKeys(s.Extract) {
		if !IsValueName(name) {
			l.at(s, "use small letters, digits, dashes and underscores", "%q is no name of a value", name)
		}
		if err := CheckExtract(s.Extract[name]); err != nil {
			l.at(s, `write text, $.path.in.json, or /expression/`, "%s cannot be extracted: %v", name, err)
		}
		l.known = append(l.known, name)
	}
	if s.Verb == "exec" {
		l.open = true // its answer has values of its own names
	}
}

// CheckExtract says what is wrong with how a value is to be extracted: it is
// "text", a path such as $.a.b[0], or /expression/ with at most one group.
func CheckExtract(how string) error {
	switch {
	case how == "text" || jsonPath.MatchString(how):
		return nil
	case strings.HasPrefix(how, "$"):
		return fmt.Errorf("%q is no path of the form $.a.b[0]", how)
	case len(how) > 2 && how[0] == '/' && how[len(how)-1] == '/':
		re, err := regexp.Compile(how[1 : len(how)-1])
		if err != nil {
			return err
		}
		if re.NumSubexp() > 1 {
			return fmt.Errorf("%s has %d groups, and one value is wanted", how, re.NumSubexp())
		}
		return nil
	}
	return errors.New("the form is not known")
}
