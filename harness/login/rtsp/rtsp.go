// Package rtsp tries logins at an RTSP server (RFC 2326), basic or digest as the
// server asks, and proves access by the description of a stream. Of the protocol
// it needs one request; the libraries there are bring RTP with them.
package rtsp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/icholy/digest"

	"rigor/harness/login"
	"rigor/harness/login/internal/stream"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Config is how to reach the server and what proves access to it.
type Config struct {
	Dialer  wire.Dialer
	Address string // host:port
	TLS     bool   // rtsps
	Timeout time.Duration

	// Path of the stream, with its query: what only who is logged in gets described.
	Path  string
	Proof *regexp.Regexp // what the description has to show

	Texts login.Texts // the maker's words, asked before the built-in ones
}

// Prober makes tries at one server. It holds no connection.
type Prober struct {
	cfg   Config
	url   string
	texts login.Texts
}

// New checks the configuration.
func New(cfg Config) (*Prober, error) {
	if err := cfg.stream().Check("rtsp"); err != nil {
		return nil, err
	}
	scheme := "rtsp"
	if cfg.TLS {
		scheme = "rtsps"
	}
	at, err := url.Parse(scheme + "://" + cfg.Address + cfg.Path)
	if err != nil || !strings.HasPrefix(cfg.Path, "/") || at.Host != cfg.Address {
		return nil, fmt.Errorf("rtsp: the stream needs a path that begins with /, has %q: %w", cfg.Path, login.ErrConfig)
	}
	return &Prober{cfg: cfg, url: at.String(), texts: login.DefaultTexts().With(cfg.Texts)}, nil
}

func (c *Config) stream() stream.Config {
	return stream.Config{Dialer: c.Dialer, Address: c.Address, TLS: c.TLS, Timeout: c.Timeout}
}

// Try makes one attempt with one credential. With login.Nobody it asks whether the
// stream is described to everybody.
func (p *Prober) Try(ctx context.Context, c login.Credential) (login.Outcome, error) {
	return stream.Once(p.Open(ctx, c))
}

// Open logs in and stays. Only an Accepted outcome has an Access.
func (p *Prober) Open(ctx context.Context, c login.Credential) (login.Access, login.Outcome, error) {
	return stream.Open(ctx, "RTSP", p.cfg.stream(), c, &speaker{p: p, cred: c})
}

// speaker leads one connection.
type speaker struct {
	p      *Prober
	cred   login.Credential
	number int    // CSeq of the last request
	answer string // Authorization, for the challenge seen last
}

// describe asks for the description of the stream.
func (s *speaker) describe(c *stream.Conn) (response, error) {
	s.number++
	request := fmt.Sprintf("DESCRIBE %s RTSP/1.0\r\nCSeq: %d\r\nUser-Agent: rigor\r\nAccept: application/sdp\r\n", s.p.url, s.number)
	if s.answer != "" {
		request += "Authorization: " + s.answer + "\r\n"
	}
	if _, err := c.Write([]byte(request + "\r\n")); err != nil {
		return response{}, fmt.Errorf("send a request: %w", err)
	}
	return readResponse(c.R)
}

// Login asks without a login, and answers the challenge. It always decides.
func (s *speaker) Login(c *stream.Conn, _ login.Credential, o *login.Outcome) error {
	o.Fact(login.FactMethod, "none")
	first, err := s.describe(c)
	if err != nil {
		return err
	}
	o.Fact(login.FactServer, first.header.Get("Server"))
	if s.cred.Anonymous() || first.status != http.StatusUnauthorized {
		o.Sent = s.cred.Anonymous()
		s.judge(o, first)
		if !s.cred.Anonymous() && o.Kind == verdict.Accepted {
			o.Fact(login.FactOpen, "yes")
			o.Set(verdict.Unproven, "%s is described without a login: nothing is shown", s.p.cfg.Path)
		} else if !s.cred.Anonymous() && o.Kind == verdict.Refused {
			o.Set(verdict.Incompatible, "%s, and asks for no login", o.Detail)
		}
		return nil
	}
	got, err := s.respond(c, first, o)
	switch {
	case errors.Is(err, errUnknown):
		o.Set(verdict.Incompatible, "the server asks for %.120q, which is neither basic nor a digest that is known", first.header.Values("WWW-Authenticate"))
		return nil
	case err != nil:
		return err
	}
	if s.judge(o, got); o.Kind == verdict.Accepted {
		o.Fact(login.FactProof, s.p.cfg.Path)
		o.Detail += ", and is not without the login (status 401)"
	}
	return nil
}

// errUnknown says that the server asks for nothing that we know.
var errUnknown = errors.New("no challenge that is known")

// respond answers a challenge, by a digest where it can; once more where the
// server says that the nonce was stale, which is no word about the login (RFC
// 7616, section 3.3).
func (s *speaker) respond(c *stream.Conn, challenged response, o *login.Outcome) (response, error) {
	for again := false; ; again = true {
		method, err := s.authorize(challenged)
		if err != nil {
			return challenged, err
		}
		o.Fact(login.FactMethod, method)
		o.Sent = true
		got, err := s.describe(c)
		if err != nil || again || got.status != http.StatusUnauthorized {
			return got, err
		}
		next, err := digest.FindChallenge(got.header)
		if err != nil || !next.Stale {
			return got, nil
		}
		challenged = got
	}
}

// authorize makes the Authorization for a challenge and names its scheme.
func (s *speaker) authorize(challenged response) (string, error) {
	challenge, err := digest.FindChallenge(challenged.header)
	if err == nil {
		for i := range challenge.QOP { // the list may have blanks
			challenge.QOP[i] = strings.TrimSpace(challenge.QOP[i])
		}
		answer, err := digest.Digest(challenge, digest.Options{Method: "DESCRIBE", URI: s.p.url, Count: 1, Username: s.cred.User, Password: s.cred.Password})
		if err == nil {
			s.answer = answer.String()
			return "digest", nil
		}
	}
	if !challenged.offers("basic") || strings.Contains(s.cred.User, ":") {
		return "", errUnknown
	}
	s.answer = "Basic " + base64.StdEncoding.EncodeToString([]byte(s.cred.User+":"+s.cred.Password))
	return "basic", nil
}

// judge judges an answer to a request for the description.
func (s *speaker) judge(o *login.Outcome, got response) {
	path := s.p.cfg.Path
	kind, words := s.p.texts.Read(got.body, nil)
	switch {
	case got.describes() && (s.p.cfg.Proof == nil || s.p.cfg.Proof.Match(got.body)):
		o.Set(verdict.Accepted, "%s is described", path)
	case got.describes():
		o.Set(verdict.Unproven, "%s is described, and not as what it has to be", path)
	case got.status == http.StatusLocked, kind == verdict.LockedOut:
		o.Set(verdict.LockedOut, "%s is answered with %d %q", path, got.status, words)
	case kind == verdict.Throttled, got.status == http.StatusTooManyRequests, got.status == http.StatusServiceUnavailable, got.status == 453: // not enough bandwidth
		o.Set(verdict.Throttled, "%s is answered with %d %q", path, got.status, words)
	case got.status == http.StatusUnauthorized, got.status == http.StatusForbidden:
		o.Set(verdict.Refused, "%s is answered with %d", path, got.status)
	case got.status == http.StatusHTTPVersionNotSupported, got.status == http.StatusMethodNotAllowed, got.status == http.StatusNotImplemented, got.status == http.StatusNotAcceptable:
		o.Set(verdict.Incompatible, "%s is answered with %d", path, got.status)
	default:
		o.Set(verdict.Garbled, "%s is answered with %d: neither described nor denied", path, got.status)
	}
	if o.Kind == verdict.LockedOut || o.Kind == verdict.Throttled {
		o.RetryAfter = login.Wait(got.body)
		if d, err := time.ParseDuration(got.header.Get("Retry-After") + "s"); err == nil && d > 0 {
			o.RetryAfter = d
		}
	}
}

// Prove asks for the description again, with the login.
func (s *speaker) Prove(c *stream.Conn, o *login.Outcome) error {
	got, err := s.describe(c)
	if err == nil && got.status == http.StatusUnauthorized && s.answer != "" {
		// A digest is good for one request with many servers.
		if got, err = s.respond(c, got, o); errors.Is(err, errUnknown) {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	s.judge(o, got)
	return nil
}

// Leave says nothing: no session was set up that could be torn down.
func (s *speaker) Leave(*stream.Conn) {}
