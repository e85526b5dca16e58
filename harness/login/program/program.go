// Package program tries logins by a program of the user: what Rigor does not
// speak (Bluetooth, Modbus, the app's cloud) has the same answers as an SSH
// login.
//
// The program says what kind of answer the DUT gave and shows the DUT's own
// words for it. Its word alone counts for nothing: an answer of the DUT without
// evidence is Unproven, which neither opens nor refuses.
package program

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"rigor/harness/escape"
	"rigor/harness/login"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// How long a program may take: what it is told, and how much later it is
// killed, since an interpreter takes seconds to start on a small computer.
const (
	defaultWithin = 25 * time.Second
	killAfter     = 5 * time.Second
)

// shown is how much of the program's words goes into a detail or a fact.
const shown = 300

// Config is a login that a program tries.
type Config struct {
	Run  Runner
	Part wire.Part // of the rig, that the program is
	Argv []string
	Name string // of the login in the profile
	Host string // of the DUT; empty where it is not known
	Port int    // of the service, as the rig reaches it; 0 where none is declared
	// Unit is what the label and the rig file say of the unit, without its secret: a
	// device on the air is found by it.
	Unit map[string]string
	// Within is how long one run may take; 25 s where it is 0.
	Within time.Duration
	// Command is what shows the protected resource, where the maker declares one:
	// the program is told. Proof, where it is not nil, has to match the evidence of
	// an access.
	Command string
	Proof   *regexp.Regexp
	Texts   login.Texts // the maker's own words, asked before the program's kind is believed
}

// Prober makes tries by one program.
type Prober struct{ cfg Config }

// New checks the configuration. It runs nothing yet.
func New(cfg Config) (*Prober, error) {
	if cfg.Run == nil || len(cfg.Argv) == 0 || cfg.Argv[0] == "" {
		return nil, fmt.Errorf("login %s: no program: %w", cfg.Name, login.ErrConfig)
	}
	cfg.Within = cmp.Or(cfg.Within, defaultWithin)
	return &Prober{cfg: cfg}, nil
}

// Try has the program make one attempt.
func (p *Prober) Try(ctx context.Context, c login.Credential) (login.Outcome, error) {
	_, o, err := p.login(ctx, c, false)
	return o, err
}

// Open has the program log in and keep the session. Accepted and Restricted
// outcomes have an Access. One of a program that keeps no sessions can only run
// commands, each in a login of its own.
func (p *Prober) Open(ctx context.Context, c login.Credential) (login.Access, login.Outcome, error) {
	id, o, err := p.login(ctx, c, true)
	if err != nil || !o.Kind.Opens() {
		return nil, o, err
	}
	return &session{p: p, c: c, id: id, after: context.WithoutCancel(ctx)}, o, nil
}

func (p *Prober) login(ctx context.Context, c login.Credential, keep bool) (id string, o login.Outcome, err error) {
	r := p.request(opLogin, c)
	r.Keep = keep
	var a answer
	took, err := p.call(ctx, c, r, &a)
	if err == nil {
		o, err = p.outcome(secrets(c, a.Session), &a, took)
	}
	if err != nil {
		return "", login.Outcome{Took: took}, fmt.Errorf("login %s as %s: %w", p.cfg.Name, c, err)
	}
	return a.Session, o, nil
}

func (p *Prober) request(op string, c login.Credential) request {
	r := request{Op: op, Login: p.cfg.Name, Host: p.cfg.Host, Port: p.cfg.Port, Unit: p.cfg.Unit, Within: p.cfg.Within.String(), Proof: p.cfg.Command}
	if !c.NoUser {
		r.User = &c.User
	}
	if !c.NoPassword {
		r.Password = &c.Password
	}
	return r
}

// call runs the program once.
func (p *Prober) call(ctx context.Context, c login.Credential, r request, answer any) (time.Duration, error) {
	begun := time.Now()
	err := p.cfg.Run(ctx, Run{Part: p.cfg.Part, Argv: p.cfg.Argv, Timeout: p.cfg.Within + killAfter, Request: r, Answer: answer, Redact: secrets(c, r.Session).String})
	if err != nil && ctx.Err() != nil { // the caller's time is over, which is no fault of the program
		err = context.Cause(ctx)
	}
	return time.Since(begun), err
}

// secrets takes what was given to a program out of what it says.
func secrets(c login.Credential, session string) *escape.Redactor {
	red := escape.NewRedactor()
	red.Add("password", c.Password)
	red.Add("session", session)
	return red
}

// fault is for an answer that is in the seam's words and cannot be meant so.
func (p *Prober) fault(format string, args ...any) error {
	return &wire.Fault{Part: p.cfg.Part, Op: "run " + p.cfg.Argv[0], Err: fmt.Errorf("its answer cannot be: "+format, args...)}
}

// outcome is what the harness makes of the program's answer.
func (p *Prober) outcome(red *escape.Redactor, a *answer, took time.Duration) (login.Outcome, error) {
	if !slices.Contains(verdict.Kinds, a.Kind) {
		return login.Outcome{}, p.fault("kind is %q; write one of %v", escape.Excerpt(string(a.Kind), 40), verdict.Kinds)
	}
	own, err := p.duration("took", a.Took, took)
	if err != nil {
		return login.Outcome{}, err
	}
	retry, err := p.duration("retry-after", a.Retry, 24*time.Hour)
	if err != nil {
		return login.Outcome{}, err
	}
	clean := func(s string) string { return escape.Excerpt(red.String(s), shown) }
	o := login.Outcome{Took: cmp.Or(own, took), RetryAfter: retry, Evidence: login.Cut([]byte(red.String(a.Evidence)))}
	for key, v := range map[string]string{login.FactMethod: a.Facts.Method, login.FactServer: a.Facts.Server, login.FactHostKey: a.Facts.HostKey,
		login.FactTLS: a.Facts.TLS, login.FactOpen: a.Facts.Open, login.FactElsewhere: a.Facts.Redirect} {
		o.Fact(key, clean(v))
	}
	o.Sent = a.Kind != verdict.Unreachable && a.Kind != verdict.Incompatible
	o.Set(a.Kind, "%s", cmp.Or(clean(a.Detail), "the program says so"))
	p.judge(&o, a)
	return o, nil
}

// judge takes the program's word only as far as the DUT's own words bear it.
func (p *Prober) judge(o *login.Outcome, a *answer) {
	switch a.Kind {
	case verdict.Accepted, verdict.Restricted, verdict.Refused, verdict.LockedOut, verdict.Throttled:
	default:
		return // nothing is claimed of what the DUT said
	}
	if a.Evidence == "" {
		o.Set(verdict.Unproven, "the program says %s and shows nothing that the DUT said", a.Kind)
		return
	}
	said, words := p.cfg.Texts.Read([]byte(a.Evidence), nil)
	no := said == verdict.Refused || said == verdict.LockedOut || said == verdict.Throttled
	switch {
	case a.Kind == verdict.Accepted && p.cfg.Proof != nil && !p.cfg.Proof.MatchString(a.Evidence):
		o.Set(verdict.Unproven, "the program says %s, and its evidence is not the declared proof", a.Kind)
	case a.Kind.Opens() && no && (a.Kind == verdict.Restricted || p.cfg.Proof == nil):
		o.Set(verdict.Unproven, "the program says %s, and the DUT said %q", a.Kind, words)
	case a.Kind == verdict.Accepted:
		o.Fact(login.FactProof, cmp.Or(p.cfg.Command, "program"))
	case said != "" && said != a.Kind: // one no is told from another by the maker's words
		o.Set(said, "the DUT said %q", words)
	}
}

// duration reads a time that the program gives. None is 0.
func (p *Prober) duration(key, text string, most time.Duration) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > most {
		return 0, p.fault("%s is %q; write a time with its unit, 0s to %v", key, escape.Excerpt(text, 40), most.Round(time.Millisecond))
	}
	return d, nil
}

// session is an Access through a program, which knows it by an id.
type session struct {
	p     *Prober
	c     login.Credential
	id    string          // empty where the program keeps none
	after context.Context // for Close, which has none: outlives the one of Open
	ended bool
}

// errNoSession says that nothing can be asked of a session.
var errNoSession = errors.New("the program keeps no session (it answers a login without one)")

// Proof asks whether the protected resource is still reachable in the session.
func (s *session) Proof(ctx context.Context) (login.Outcome, error) {
	if s.id == "" {
		return login.Outcome{Kind: verdict.Unproven, Detail: errNoSession.Error()}, nil
	}
	r := s.p.request(opProof, login.Nobody) // it never logs in anew
	r.Session = s.id
	var a answer
	took, err := s.p.call(ctx, s.c, r, &a)
	if err != nil {
		return login.Outcome{Took: took}, fmt.Errorf("login %s: proof: %w", s.p.cfg.Name, err)
	}
	return s.p.outcome(secrets(s.c, s.id), &a, took)
}

// Do runs a command. A program that keeps no session logs in for it.
func (s *session) Do(ctx context.Context, r login.Request) (login.Response, error) {
	none := login.Response{Status: -1}
	if r.Command == "" {
		return none, fmt.Errorf("login %s: a program is given commands alone: %w", s.p.cfg.Name, login.ErrRequest)
	}
	req := s.p.request(opRun, s.c)
	req.Session, req.Command = s.id, r.Command
	var out output
	if _, err := s.p.call(ctx, s.c, req, &out); err != nil {
		return none, fmt.Errorf("login %s: run a command: %w", s.p.cfg.Name, err)
	}
	switch {
	case !slices.Contains(verdict.Kinds, out.Kind):
		return none, s.p.fault("kind is %q; write one of %v", escape.Excerpt(string(out.Kind), 40), verdict.Kinds)
	case out.Kind == verdict.Accepted && out.Status == nil:
		return none, s.p.fault("the command ran, and it has no status")
	case out.Kind != verdict.Accepted:
		return none, fmt.Errorf("login %s: the command did not run: %s: %s", s.p.cfg.Name, out.Kind, escape.Excerpt(secrets(s.c, s.id).String(out.Detail), shown))
	}
	return login.Response{Status: *out.Status, Body: []byte(out.Text)[:min(len(out.Text), login.MaxBody)]}, nil
}

// Close has the program end the session, once.
func (s *session) Close() error {
	if s.id == "" || s.ended {
		return nil
	}
	s.ended = true
	r := s.p.request(opClose, login.Nobody)
	r.Session = s.id
	var a closed
	if _, err := s.p.call(s.after, s.c, r, &a); err != nil {
		return fmt.Errorf("login %s: close: %w", s.p.cfg.Name, err)
	}
	if a.Closed == nil || !*a.Closed {
		return s.p.fault("told to close a session, the program does not say that it is closed")
	}
	return nil
}
