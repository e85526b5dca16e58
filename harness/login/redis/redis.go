// Package redis tries logins at a Redis server, or at one that speaks its
// protocol, and proves access by a command that only who is logged in may give.
// Of the protocol (RESP) it needs five forms of an answer and one of a command:
// these are our own.
package redis

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"rigor/harness/login"
	"rigor/harness/login/internal/stream"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Config is how to reach the server and what proves access to it.
type Config struct {
	Dialer  wire.Dialer
	Address string // host:port
	TLS     bool
	Timeout time.Duration // of one try; login.DefaultTimeout where it is 0

	// Command is what only who is logged in may give, "INFO server" where it is
	// empty. Its words are parted by blanks.
	Command string
	Proof   *regexp.Regexp // what its answer has to show; any that is no error where it is nil

	Texts login.Texts // the maker's words, asked before the built-in ones
}

// Prober makes tries at one server. It holds no connection.
type Prober struct {
	cfg   Config
	texts login.Texts
}

// New checks the configuration.
func New(cfg Config) (*Prober, error) {
	cfg.Command = cmp.Or(cfg.Command, "INFO server")
	if err := cfg.stream().Check("redis"); err != nil {
		return nil, err
	}
	if len(strings.Fields(cfg.Command)) == 0 {
		return nil, fmt.Errorf("redis: the command that proves access is blank: %w", login.ErrConfig)
	}
	return &Prober{cfg: cfg, texts: login.DefaultTexts().With(cfg.Texts)}, nil
}

func (c *Config) stream() stream.Config {
	return stream.Config{Dialer: c.Dialer, Address: c.Address, TLS: c.TLS, Timeout: c.Timeout}
}

// Try makes one attempt with one credential. A blank user, and none, is the
// default one: AUTH with a password alone.
func (p *Prober) Try(ctx context.Context, c login.Credential) (login.Outcome, error) {
	return stream.Once(p.Open(ctx, c))
}

// Open logs in and stays. Only an Accepted outcome has an Access.
func (p *Prober) Open(ctx context.Context, c login.Credential) (login.Access, login.Outcome, error) {
	return stream.Open(ctx, "RESP", p.cfg.stream(), c, &speaker{p: p})
}

// speaker leads one connection.
type speaker struct {
	p    *Prober
	open bool // the server says that no password is set
	in   bool // it took the login
}

func (s *speaker) ask(c *stream.Conn, words ...string) (answer, error) {
	if _, err := c.Write(command(words...)); err != nil {
		return answer{}, fmt.Errorf("send a command: %w", err)
	}
	return readAnswer(c.R)
}

// The answers of a server on which no password is set, before version 6 and
// from it on, and of one before version 6 that knows no users.
var (
	noPassword = regexp.MustCompile(`(?i)no password is set|without any password configured`)
	noUsers    = regexp.MustCompile(`(?i)wrong number of arguments`)
)

// Login gives the password. The outcome's kind stays empty where the server takes
// it, and where there is nothing to give.
func (s *speaker) Login(c *stream.Conn, cred login.Credential, o *login.Outcome) error {
	if cred.NoPassword { // there is no login without one
		o.Sent = true
		o.Fact(login.FactMethod, "none")
		return nil
	}
	o.Sent = true
	words := []string{"AUTH", cred.User, cred.Password}
	if cred.User == "" {
		words = []string{"AUTH", cred.Password}
	}
	got, err := s.ask(c, words...)
	if err == nil && len(words) == 3 && got.failed() && noUsers.Match(got.text) {
		got, err = s.ask(c, "AUTH", cred.Password) // whoever asks, it has one password
		words = words[1:]
	}
	o.Fact(login.FactMethod, [...]string{2: "password alone", 3: "user and password"}[len(words)])
	switch {
	case err != nil:
		return err
	case !got.failed():
		s.in = true
	case noPassword.Match(got.text):
		s.open = true
	default:
		s.no(o, got)
	}
	return nil
}

// no judges an error.
func (s *speaker) no(o *login.Outcome, got answer) {
	kind, words := s.p.texts.Read(got.text, nil)
	set := func(k verdict.Kind) { o.Set(k, "the server answers %.200q", got.text) }
	lower := bytes.ToLower(got.text)
	switch {
	case kind == verdict.LockedOut || kind == verdict.Throttled:
		o.Set(kind, "the server said %q", words)
		o.RetryAfter = login.Wait(got.text)
	case got.is("LOADING"), bytes.Contains(lower, []byte("max number of clients reached")):
		set(verdict.Throttled)
	case got.is("NOAUTH"), got.is("WRONGPASS"), got.is("DENIED"), bytes.Contains(lower, []byte("invalid password")):
		set(verdict.Refused)
	case bytes.Contains(lower, []byte("operation not permitted")): // NOAUTH of versions before 2.8
		set(verdict.Refused)
	case bytes.Contains(lower, []byte("unknown command")):
		set(verdict.Incompatible)
	case kind != "":
		o.Set(kind, "the server said %q", words)
	default:
		set(verdict.Unproven)
	}
}

// Prove gives the command that only who is logged in may give.
func (s *speaker) Prove(c *stream.Conn, o *login.Outcome) error {
	got, err := s.ask(c, strings.Fields(s.p.cfg.Command)...)
	if err != nil {
		return err
	}
	switch {
	case got.failed() && s.in && !got.is("NOAUTH"):
		o.Set(verdict.Unproven, "the server took the login, and answers %.60q with %.120q", s.p.cfg.Command, got.text)
	case got.failed():
		s.no(o, got)
	case got.isNil && s.p.cfg.Proof == nil, s.p.cfg.Proof != nil && !s.p.cfg.Proof.Match(got.text):
		o.Set(verdict.Unproven, "the server answers %.60q, and not with what it has to show", s.p.cfg.Command)
	default:
		o.Fact(login.FactProof, s.p.cfg.Command)
		o.Set(verdict.Accepted, "the server answers %.60q", s.p.cfg.Command)
		if s.open {
			o.Fact(login.FactOpen, "yes")
			o.Detail += ", and says that no password is set"
		} else if !s.in {
			o.Detail += ", and nobody is logged in"
		}
	}
	return nil
}

// Leave says goodbye.
func (s *speaker) Leave(c *stream.Conn) {
	_, _ = c.Write(command("QUIT")) // a connection that is gone needs no goodbye
}
