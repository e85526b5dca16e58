// Package uart tries logins on the DUT's serial console. There is one console:
// tries take turns on it, and each leaves it as it found it.
package uart

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"rigor/harness/console"
	"rigor/harness/console/expect"
	"rigor/harness/login"
	"rigor/harness/login/telnet"
	"rigor/harness/verdict"
)

// Config is the console, how it asks, and what proves access.
type Config struct {
	Console console.Talker
	Dialect console.Login // the prompts for user and shell are needed
	Timeout time.Duration // of one try; login.DefaultTimeout where it is 0

	// Shell is how commands are run. Its prompt is the dialect's where it has
	// none.
	Shell console.Shell
	// Command and Proof declare the protected resource: what the command
	// prints has to match. Without them a POSIX shell has to run a command of
	// ours, and of a plain one the prompt has to come again.
	Command string
	Proof   *regexp.Regexp

	Texts login.Texts // the maker's words, asked before the built-in ones

	// Trace is what earlier probers have left on this console; nil for none.
	Trace *Trace
}

// Trace is what tries have left on a console, for all probers of it: a shell
// that one of them has opened, or may have, is not open to all, and what a shell
// answers says nothing of a session from before a later try. The zero value is a
// console that nobody was at.
type Trace struct {
	mu     sync.Mutex
	ours   bool     // a session of ours may be open
	holder *session // the one that is known to be, and stays until it is closed or somebody tries
}

// set notes what the last try or the last end of a session has left. Nobody's
// session is known to be there.
func (t *Trace) set(ours bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ours, t.holder = ours, nil
}

func (t *Trace) get() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ours
}

// hold notes a session that stays. A shell that stood open before is nobody's.
func (t *Trace) hold(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ours, t.holder = !s.stood, s
}

// holds says whether the console is still as the session left it.
func (t *Trace) holds(s *session) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.holder == s
}

// Prober makes tries on one console.
type Prober struct {
	cfg   Config
	texts login.Texts
	turn  chan struct{} // has a token when nobody is at the console
}

// ErrBusy says that a session of ours is open on the console.
var ErrBusy = errors.New("a session is open on the console")

var errGone = errors.New("a later try was at the console, and ended the session")

// New checks the configuration.
func New(cfg Config) (*Prober, error) {
	switch {
	case cfg.Console == nil:
		return nil, fmt.Errorf("uart: no console: %w", login.ErrConfig)
	case !cfg.Dialect.User.Valid() || !cfg.Dialect.Shell.Valid():
		return nil, fmt.Errorf("uart: the prompts for user and shell are not declared: %w", login.ErrConfig)
	case (cfg.Command == "") != (cfg.Proof == nil):
		return nil, fmt.Errorf("uart: a proof needs a command and a pattern: %w", login.ErrConfig)
	}
	if !cfg.Shell.Prompt.Valid() {
		cfg.Shell.Prompt = cfg.Dialect.Shell
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, login.DefaultTimeout)
	if cfg.Trace == nil {
		cfg.Trace = &Trace{}
	}
	p := &Prober{cfg: cfg, texts: login.DefaultTexts().With(cfg.Texts), turn: make(chan struct{}, 1)}
	p.turn <- struct{}{}
	return p, nil
}

// Try makes one attempt with one credential, and ends the session that it
// opened.
func (p *Prober) Try(ctx context.Context, c login.Credential) (login.Outcome, error) {
	access, o, err := p.Open(ctx, c)
	if access != nil {
		_ = access.(*session).close(ctx) // noted in the trace: the next try sees to it
	}
	return o, err
}

// Open logs in and stays: nobody else tries by this prober until the session is
// closed. A try by another one ends it. Only an Accepted outcome has an Access.
func (p *Prober) Open(ctx context.Context, c login.Credential) (login.Access, login.Outcome, error) {
	begun := time.Now()
	var o login.Outcome
	if strings.ContainsFunc(c.User+c.Password, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		o.Set(verdict.Incompatible, "a credential with control characters cannot be typed")
		return nil, o, nil
	}
	win, cancel := login.Window(ctx, p.cfg.Timeout)
	defer cancel()
	select {
	case <-p.turn:
	case <-win.Done():
		if ctx.Err() != nil {
			return nil, o, fmt.Errorf("%s: wait for the console: %w", p.cfg.Console.Part(), context.Cause(ctx))
		}
		return nil, o, fmt.Errorf("%s: waited %s: %w: %w", p.cfg.Console.Part(), p.cfg.Timeout, ErrBusy, login.ErrConfig)
	}
	s := &session{p: p, secret: c.Password, after: context.WithoutCancel(ctx), from: p.cfg.Console.Mark()}
	err := p.attempt(win, c, s, &o)
	o.Evidence = s.evidence(s.from)
	o.Took = time.Since(begun)
	if err != nil {
		p.turn <- struct{}{}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, o, fmt.Errorf("%s: %s: %w", p.cfg.Console.Part(), c, err)
	}
	if o.Kind != verdict.Accepted {
		p.turn <- struct{}{}
		return nil, o, nil
	}
	p.cfg.Trace.hold(s)
	return s, o, nil
}

func (p *Prober) attempt(win context.Context, c login.Credential, s *session, o *login.Outcome) error {
	if p.cfg.Trace.get() {
		if ended, err := p.settle(win, o); !ended || err != nil {
			return err
		}
	}
	p.cfg.Trace.set(true) // until there is an answer
	got, err := p.cfg.Dialect.Try(win, p.cfg.Console, console.Identity{
		User: c.User, Password: c.Password, NoUser: c.NoUser, NoPassword: c.NoPassword,
	})
	if err != nil {
		return err
	}
	s.stood = got.Reply == console.StoodOpen
	may := got.Reply == console.LoggedIn || got.Offered && (got.Reply == console.Unclear || got.Reply == console.Nothing)
	p.cfg.Trace.set(may && !c.NoUser)
	o.Sent, s.from = got.Offered, got.From
	o.Fact(login.FactMethod, method(got))
	raw, err := p.cfg.Console.Excerpt(got.From, got.To)
	if err != nil {
		return err
	}
	said := expect.Plain(raw)
	kind, words := p.texts.Read(said, nil)
	switch got.Reply {
	case console.LoggedIn, console.StoodOpen:
		if kind == verdict.Restricted && got.Reply == console.LoggedIn {
			o.Set(kind, "the DUT said %q", words)
			return nil // whatever it is that we were let into, the next try ends it
		}
		return s.prove(win, got.Reply == console.StoodOpen, o)
	case console.IsLocked:
		o.Set(verdict.LockedOut, "the DUT said %q", got.Words)
	case console.IsThrottled:
		o.Set(verdict.Throttled, "the DUT said %q", got.Words)
	case console.MustSet:
		o.Set(verdict.Restricted, "the DUT said %q", got.Words)
	case console.Nothing:
		o.Set(verdict.Silent, "not a byte came")
	case console.Again:
		o.Set(verdict.Refused, "the DUT asks for a login")
		if kind == verdict.LockedOut || kind == verdict.Throttled || kind == verdict.Restricted {
			o.Set(kind, "the DUT said %q", words)
		}
	default:
		o.Set(verdict.Garbled, "no prompt that is declared came: %s", login.Tail(expect.Plain(s.kept(raw)), 120))
		// What ends like a shell's prompt may be somebody else's shell, and words of a no
		// what that greets with.
		if kind != "" && got.Offered && (kind != verdict.Refused || telnet.Asks(said) != telnet.AsksCommand) {
			o.Set(kind, "the DUT said %q", words)
		}
	}
	switch o.Kind {
	case verdict.LockedOut, verdict.Throttled:
		o.RetryAfter = login.Wait(said)
	case verdict.Restricted:
		// Out of the dialogue for a new password, which is not ours to set.
		abort := p.cfg.Dialect.Abort
		if len(abort) == 0 {
			abort = []byte("\x03")
		}
		if _, err := p.cfg.Console.Send(win, abort); err != nil && win.Err() == nil {
			return err
		}
	}
	return nil
}

// settle ends the session that an earlier try has opened, or may have: a shell
// that stands there now is not open to all.
func (p *Prober) settle(win context.Context, o *login.Outcome) (ended bool, err error) {
	stands, err := p.cfg.Dialect.Try(win, p.cfg.Console, console.Identity{NoUser: true})
	if err != nil {
		return false, err
	}
	switch stands.Reply {
	case console.StoodOpen:
		if err := p.cfg.Dialect.LogOut(win, p.cfg.Console); err != nil {
			if !errors.Is(err, console.ErrTimeout) && win.Err() == nil {
				return false, err
			}
			o.Set(verdict.Unproven, "a shell stands open that an earlier try may have opened, and does not end")
			return false, nil
		}
	case console.Unclear, console.Nothing:
		o.Set(verdict.Garbled, "an earlier try was not answered by what is known, and nothing is since")
		if stands.Reply == console.Nothing {
			o.Set(verdict.Silent, "not a byte came")
		}
		return false, nil
	}
	p.cfg.Trace.set(false)
	return true, nil
}

func method(o console.Outcome) string {
	switch {
	case o.Reply == console.StoodOpen:
		return "none"
	case o.Asked:
		return "user and password"
	}
	return "user alone"
}

// session is a shell on the console.
type session struct {
	p      *Prober
	secret string
	after  context.Context // for Close, which has none: outlives the one of Open
	from   console.Cursor  // where the try begins in the transcript
	stood  bool            // the shell was there before anything was offered
	closed bool
}

// prove asks the shell for the protected resource.
func (s *session) prove(ctx context.Context, stood bool, o *login.Outcome) error {
	cfg := &s.p.cfg
	how := ""
	if stood {
		o.Fact(login.FactOpen, "yes")
		how = ", and nothing was asked for"
	}
	if cfg.Command == "" && cfg.Shell.Plain {
		// The dialect has seen the prompt come again where it logged in itself.
		if _, err := console.Confirm(ctx, cfg.Console, cfg.Shell.Prompt); err != nil {
			return s.unproven(ctx, o, err)
		}
		o.Fact(login.FactProof, "prompt")
		o.Set(verdict.Accepted, "the prompt answers%s", how)
		return nil
	}
	command := cmp.Or(cfg.Command, ":")
	got, err := cfg.Shell.Run(ctx, cfg.Console, command)
	if err != nil && !errors.Is(err, console.ErrNoStatus) {
		return s.unproven(ctx, o, err)
	}
	if cfg.Proof != nil && !cfg.Proof.Match(got.Output) {
		o.Set(verdict.Unproven, "a shell came, but the protected resource did not: %s", login.Tail(got.Output, 120))
		// The markers around it are the shell's own work; of a plain one its declared
		// prompt has come again.
		o.Fact(login.FactRan, "yes")
		return nil
	}
	o.Fact(login.FactProof, "shell")
	o.Set(verdict.Accepted, "a shell ran a command%s", how)
	return nil
}

func (s *session) unproven(ctx context.Context, o *login.Outcome, err error) error {
	if !errors.Is(err, console.ErrTimeout) && ctx.Err() == nil {
		return err
	}
	o.Set(verdict.Unproven, "a prompt came, but no command of ours ran")
	return nil
}

// kept gives what the DUT said without the password. A console that echoes one has
// leaked it already; it goes no further.
func (s *session) kept(raw []byte) []byte {
	if len(s.secret) > 3 {
		return bytes.ReplaceAll(raw, []byte(s.secret), []byte("[kept out]"))
	}
	return raw
}

// evidence gives what the DUT said from a cursor on.
func (s *session) evidence(from console.Cursor) []byte {
	raw, err := s.p.cfg.Console.Since(from)
	if err != nil {
		return nil // the transcript has it
	}
	return login.Cut(s.kept(raw))
}

// Proof asks the shell for the protected resource again. Where others were at the
// console since, whose session answers cannot be said.
func (s *session) Proof(ctx context.Context) (login.Outcome, error) {
	begun := time.Now()
	if !s.p.cfg.Trace.holds(s) {
		o := login.Outcome{}
		o.Set(verdict.Garbled, "a later try was at the console: whether this session is there still, nothing can show")
		return o, nil
	}
	win, cancel := login.Window(ctx, s.p.cfg.Timeout)
	defer cancel()
	from := s.p.cfg.Console.Mark()
	o := login.Outcome{Sent: true}
	err := s.prove(win, false, &o)
	o.Evidence, o.Took = s.evidence(from), time.Since(begun)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return o, fmt.Errorf("%s: %w", s.p.cfg.Console.Part(), err)
	}
	return o, nil
}

// Do runs a command line.
func (s *session) Do(ctx context.Context, r login.Request) (login.Response, error) {
	if r.Command == "" {
		return login.Response{}, fmt.Errorf("uart: %w", login.ErrRequest)
	}
	if !s.p.cfg.Trace.holds(s) {
		return login.Response{Status: -1}, fmt.Errorf("uart: %w", errGone)
	}
	win, cancel := r.Window(ctx, s.p.cfg.Timeout)
	defer cancel()
	got, err := s.p.cfg.Shell.Run(win, s.p.cfg.Console, r.Command)
	if err != nil {
		return login.Response{Status: -1}, fmt.Errorf("uart: %w", err)
	}
	return login.Response{Status: got.Status, Body: got.Output}, nil
}

// Close logs out and gives the console free. Where the DUT does not come back
// to its login in time, the next try logs out first. It takes a try's time at
// most, and ends with the console. Where a later try was at the console, there is
// nothing of the session's to end.
func (s *session) Close() error {
	return s.close(s.after)
}

func (s *session) close(ctx context.Context) error {
	if s.closed {
		return nil
	}
	s.closed = true
	if !s.p.cfg.Trace.holds(s) {
		s.p.turn <- struct{}{}
		return nil
	}
	win, cancel := login.Window(ctx, s.p.cfg.Timeout)
	defer cancel()
	err := s.p.cfg.Dialect.LogOut(win, s.p.cfg.Console)
	s.p.cfg.Trace.set(err != nil && !s.stood)
	s.p.turn <- struct{}{}
	if err != nil {
		return fmt.Errorf("uart: log out: %w", err)
	}
	return nil
}
