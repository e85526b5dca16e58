// Package ftp tries logins at an FTP server (RFC 959, explicit TLS of RFC 4217)
// and proves access by a command that only who is logged in may give: that the
// server said 230 is not yet access.
package ftp

import (
	"bufio"
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
	// TLS begins with AUTH TLS on the port of the commands, before anything else is
	// sent.
	TLS     bool
	Timeout time.Duration // of one try; login.DefaultTimeout where it is 0

	// Command is what only who is logged in may give, PWD where it is empty. It must
	// answer on the connection of the commands: STAT and SIZE do, LIST does not.
	Command string
	Proof   *regexp.Regexp // what its answer has to show; any answer that is a yes where it is nil

	Texts login.Texts // the maker's words, asked before the built-in ones
}

// Prober makes tries at one server. It holds no connection.
type Prober struct {
	cfg   Config
	texts login.Texts
}

// New checks the configuration.
func New(cfg Config) (*Prober, error) {
	cfg.Command = cmp.Or(cfg.Command, "PWD")
	if err := cfg.stream().Check("ftp"); err != nil {
		return nil, err
	}
	if strings.ContainsAny(cfg.Command, "\r\n") {
		return nil, fmt.Errorf("ftp: the command that proves access has more than one line: %w", login.ErrConfig)
	}
	return &Prober{cfg: cfg, texts: login.DefaultTexts().With(cfg.Texts).With(own)}, nil
}

// own are words of servers of this protocol.
var own = login.Texts{Throttled: []*regexp.Regexp{
	regexp.MustCompile(`(?i)\bmaximum number of (?:\w+ )?(?:clients|connections|users|logins)\b`),
}}

func (c *Config) stream() stream.Config {
	return stream.Config{Dialer: c.Dialer, Address: c.Address, Timeout: c.Timeout}
}

// Try makes one attempt with one credential.
func (p *Prober) Try(ctx context.Context, c login.Credential) (login.Outcome, error) {
	return stream.Once(p.Open(ctx, c))
}

// Open logs in and stays. Only an Accepted outcome has an Access.
func (p *Prober) Open(ctx context.Context, c login.Credential) (login.Access, login.Outcome, error) {
	if strings.ContainsAny(c.User+c.Password, "\r\n\x00") {
		return nil, login.Outcome{Kind: verdict.Incompatible, Detail: "FTP cannot carry the end of a line in a user name or password"}, nil
	}
	return stream.Open(ctx, "FTP", p.cfg.stream(), c, &speaker{p: p})
}

// reply is one answer of the server.
type reply struct {
	code int
	text []byte // all its lines, with their codes
}

// Bounds of a reply.
const (
	maxLine  = 4 << 10
	maxLines = 400
)

// readReply reads a reply of one or more lines (RFC 959, section 4.2).
func readReply(r *bufio.Reader) (reply, error) {
	var out reply
	for n := 0; n < maxLines; n++ {
		line, err := stream.Line(r, maxLine)
		if err != nil {
			return out, err
		}
		code, last := codeOf(line)
		if n == 0 {
			if code == 0 {
				return out, stream.Foreign("%.80q in place of a reply", line)
			}
			out.code = code
		}
		out.text = append(append(out.text, line...), '\n')
		if code == out.code && last {
			return out, nil
		}
	}
	return out, stream.Foreign("a reply of more than %d lines", maxLines)
}

// codeOf gives the code of a line, 0 where it has none, and whether no further
// line belongs to it.
func codeOf(line []byte) (code int, last bool) {
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, false
	}
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, false
		}
		code = code*10 + int(c-'0')
	}
	if code < 100 || code > 699 {
		return 0, false
	}
	return code, len(line) == 3 || line[3] == ' '
}

// speaker leads one connection.
type speaker struct {
	p    *Prober
	cred login.Credential
	in   bool // the server said that one is logged in
}

// ask sends a command and reads the reply.
func (s *speaker) ask(c *stream.Conn, format string, args ...any) (reply, error) {
	if _, err := fmt.Fprintf(c, format+"\r\n", args...); err != nil {
		return reply{}, fmt.Errorf("send a command: %w", err)
	}
	return readReply(c.R)
}

// Login leads the dialogue to the server's decision.
func (s *speaker) Login(c *stream.Conn, cred login.Credential, o *login.Outcome) error {
	s.cred = cred
	o.Fact(login.FactMethod, "user and password")
	hello, err := readReply(c.R)
	for err == nil && hello.code == 120 { // ready in so many minutes
		hello, err = readReply(c.R)
	}
	if err != nil {
		return err
	}
	o.Fact(login.FactServer, strings.ToValidUTF8(string(bytes.TrimSpace(hello.text[min(4, len(hello.text)):min(len(hello.text), 200)])), "?"))
	if hello.code != 220 {
		s.no(o, "greets with", hello, false)
		return nil
	}
	if s.p.cfg.TLS {
		if ok, err := s.secure(c, o); !ok {
			return err
		}
	}
	if cred.NoUser {
		o.Fact(login.FactMethod, "none")
		o.Sent = true // nothing was all there was to offer
		return nil
	}
	got, err := s.ask(c, "USER %s", cred.User)
	if err != nil {
		return err
	}
	switch {
	case got.code == 230 || got.code == 232:
		s.in = true
		o.Sent = cred.NoPassword
		o.Fact(login.FactMethod, "user alone")
		return nil
	case got.code != 331:
		s.no(o, "answers the user name with", got, false)
		// A name that is refused before a password was asked for was looked at.
		o.Sent = o.Kind == verdict.Refused
		return nil
	case cred.NoPassword:
		o.Sent = true
		o.Set(verdict.Refused, "the server asks for a password (%d)", got.code)
		return nil
	}
	o.Sent = true
	if got, err = s.ask(c, "PASS %s", cred.Password); err != nil {
		return err
	}
	switch got.code {
	case 230, 202, 232:
		s.in = true
		if kind, words := s.p.texts.Read(got.text, nil); kind == verdict.Restricted {
			o.Set(kind, "the server took the login and said %q", words)
		}
	case 332:
		o.Set(verdict.Unproven, "the server took the password and asks for an account besides (332)")
	default:
		s.no(o, "answers the password with", got, true)
	}
	return nil
}

// secure begins TLS. False where the server does not, or the connection broke.
func (s *speaker) secure(c *stream.Conn, o *login.Outcome) (bool, error) {
	got, err := s.ask(c, "AUTH TLS")
	if err != nil {
		return false, err
	}
	if got.code != 234 {
		if s.no(o, "answers AUTH TLS with", got, false); o.Kind == verdict.Refused {
			o.Kind = verdict.Incompatible
		}
		return false, nil
	}
	err = c.Secure()
	return err == nil, err
}

// wantsTLS is how servers say that they take no login in clear.
var wantsTLS = regexp.MustCompile(`(?i)\b(?:TLS|SSL|FTPS|AUTH first|encrypt(?:ed|ion)?|secure connections?)\b`)

// no judges a reply that is no yes. Asked says that it answers a password.
func (s *speaker) no(o *login.Outcome, how string, got reply, asked bool) {
	kind, words := s.p.texts.Read(got.text, nil)
	said := bytes.TrimSpace(got.text)
	set := func(k verdict.Kind) { o.Set(k, "the server %s %.200q", how, said) }
	switch {
	case kind == verdict.LockedOut || kind == verdict.Throttled:
		o.Set(kind, "the server said %q", words)
	case got.code == 421: // service not available, closing: too many, or going down
		set(verdict.Throttled)
	case kind == verdict.Restricted:
		set(kind)
	case !asked && (got.code == 534 || wantsTLS.Match(got.text)):
		set(verdict.Incompatible)
	case asked && got.code == 503 && s.cred.User == "": // to whom there is no user in a blank name
		set(verdict.Refused)
	case got.code == 530 || got.code == 430 || got.code == 535 || got.code == 331 && asked, kind == verdict.Refused:
		set(verdict.Refused)
	case got.code == 332, got.code >= 500 && asked: // some servers fail once the password was right
		set(verdict.Unproven)
	case got.code >= 500 && got.code < 540:
		set(verdict.Incompatible)
	case got.code >= 500:
		set(verdict.Unproven)
	case got.code >= 400 && got.code < 500:
		set(verdict.Throttled)
	default:
		set(verdict.Garbled)
	}
	if o.Kind == verdict.LockedOut || o.Kind == verdict.Throttled {
		o.RetryAfter = login.Wait(got.text)
	}
}

// Prove gives the command that only who is logged in may give.
func (s *speaker) Prove(c *stream.Conn, o *login.Outcome) error {
	command := s.p.cfg.Command
	got, err := s.ask(c, "%s", command)
	if err != nil {
		return err
	}
	yes := got.code >= 200 && got.code < 300
	switch {
	case yes && (s.p.cfg.Proof == nil || s.p.cfg.Proof.Match(got.text)):
		o.Fact(login.FactProof, command)
		o.Set(verdict.Accepted, "the server answers %.60q with %d", command, got.code)
		if !s.in {
			o.Detail += ", and nobody is logged in"
		}
	case yes:
		o.Set(verdict.Unproven, "the server answers %.60q with %d, and not with what it has to show", command, got.code)
	case s.in && got.code != 530 && got.code != 421:
		o.Set(verdict.Unproven, "the server took the login, and answers %.60q with %.120q", command, bytes.TrimSpace(got.text))
	default:
		s.no(o, fmt.Sprintf("answers %.60q with", command), got, s.in)
	}
	return nil
}

// Leave says goodbye.
func (s *speaker) Leave(c *stream.Conn) {
	_, _ = c.Write([]byte("QUIT\r\n")) // a connection that is gone needs no goodbye
}
