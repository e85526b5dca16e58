// Package web tries logins over HTTP: basic (RFC 7617), digest (RFC 7616), a
// form with its hidden fields, JSON with a bearer token. A login succeeded when
// the declared protected page opens with it and does not open without it;
// status codes of the login itself prove nothing.
package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"rigor/harness/login"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Scheme is how the device takes a login.
type Scheme string

// The schemes.
const (
	Basic  Scheme = "basic"
	Digest Scheme = "digest"
	Form   Scheme = "form"
	JSON   Scheme = "json"
)

// Config is how to reach the device, how it takes a login, and what proves it.
type Config struct {
	Dialer  wire.Dialer
	Address string        // host:port to dial
	Host    string        // host[:port] of the URLs, Address where it is empty
	Timeout time.Duration // of one try with all its requests; login.DefaultTimeout where it is 0

	// Waiting, which may be nil, is told when the DUT is waited for: for the head of an
	// answer, from the request on. With TLS it sends other things before that.
	Waiting func() (done func())

	TLS bool
	// Pin, where it is not empty, is the SHA-256 of the certificate (hex) that
	// the device must show; with another the try ends with login.ErrIdentity.
	Pin string

	Scheme    Scheme
	Protected Page
	Form      FormLogin
	JSON      JSONLogin

	// Denied is how a page says that one is not logged in, for devices whose
	// every answer has status 200.
	Denied *regexp.Regexp
	// RefusedStatus are further statuses of the login that are a plain no,
	// such as 400 or 422. 401 and 403 always are.
	RefusedStatus []int
	// RestrictedPath and Restricted are where the device sends one, or what it
	// says, who is let in only to set a password.
	RestrictedPath string
	Restricted     *regexp.Regexp

	Known *Known // what wrong logins are answered with; the prober's own where it is nil

	Texts login.Texts // the maker's words, asked before the built-in ones
}

// Page is the protected resource.
type Page struct {
	Method  string // GET where it is empty
	Path    string
	Status  int            // 200 where it is 0
	Pattern *regexp.Regexp // what the page has to show; without it the status and the place decide
}

// FormLogin is a login by a page with a form.
type FormLogin struct {
	Page     string // path of the page with the form
	Action   string // where to send it; by default what the form says
	User     string // name of the user's field; by default the text field before the password
	Password string // name of the password's field; by default the field of that type
	Extra    map[string]string
	// TokenHeader, where it is not empty, carries the page's
	// <meta name="csrf-token"> as a header of the login.
	TokenHeader string
}

// JSONLogin is a login by an object, answered by a token or a cookie.
type JSONLogin struct {
	Path     string
	User     string // key of the user, "username" where it is empty
	Password string // key of the password, "password" where it is empty
	Extra    map[string]any
	Token    string // where the answer has the token, such as "$.data.token"; empty: cookies alone
	Header   string // header that carries it, "Authorization" where it is empty
	Prefix   string // what stands before it, "Bearer " where it and Header are empty
}

// Prober makes tries at one web interface. Outside of a batch it holds no
// connection.
type Prober struct {
	cfg   Config
	base  *url.URL
	texts login.Texts
	batch *http.Transport // not nil within a batch
	track *tracker
	known *Known
}

// New checks the configuration.
func New(cfg Config) (*Prober, error) {
	bad := func(format string, args ...any) (*Prober, error) {
		return nil, fmt.Errorf("web: %s: %w", fmt.Sprintf(format, args...), login.ErrConfig)
	}
	if cfg.Dialer == nil || cfg.Address == "" {
		return bad("no dialer or no address")
	}
	if !strings.HasPrefix(cfg.Protected.Path, "/") {
		return bad("the protected page needs a path that begins with /, has %q", cfg.Protected.Path)
	}
	switch cfg.Scheme {
	case Basic, Digest:
	case Form:
		if !strings.HasPrefix(cfg.Form.Page, "/") {
			return bad("the login page needs a path that begins with /, has %q", cfg.Form.Page)
		}
	case JSON:
		if !strings.HasPrefix(cfg.JSON.Path, "/") {
			return bad("the JSON login needs a path that begins with /, has %q", cfg.JSON.Path)
		}
		if _, err := parsePath(cfg.JSON.Token); err != nil {
			return bad("path of the token: %v", err)
		}
	default:
		return bad("unknown scheme %q", cfg.Scheme)
	}
	cfg.Protected.Method = cmp.Or(cfg.Protected.Method, http.MethodGet)
	cfg.Protected.Status = cmp.Or(cfg.Protected.Status, http.StatusOK)
	cfg.Timeout = cmp.Or(cfg.Timeout, login.DefaultTimeout)
	cfg.JSON.User = cmp.Or(cfg.JSON.User, "username")
	cfg.JSON.Password = cmp.Or(cfg.JSON.Password, "password")
	if cfg.JSON.Header == "" {
		cfg.JSON.Header, cfg.JSON.Prefix = "Authorization", cmp.Or(cfg.JSON.Prefix, "Bearer ")
	}
	base := &url.URL{Scheme: "http", Host: cmp.Or(cfg.Host, cfg.Address), Path: "/"}
	if cfg.TLS {
		base.Scheme = "https"
	}
	if _, err := url.Parse(base.String()); err != nil {
		return bad("host %q: %v", base.Host, err)
	}
	cfg.RefusedStatus = append([]int{http.StatusUnauthorized, http.StatusForbidden}, cfg.RefusedStatus...)
	known := cfg.Known
	if known == nil {
		known = NewKnown()
	}
	return &Prober{cfg: cfg, base: base, texts: login.DefaultTexts().With(cfg.Texts), known: known}, nil
}

// Batch gives a prober whose tries use connections again (HTTP/1.1 keep-alive):
// each try has cookies and tokens of its own still. End closes them.
func (p *Prober) Batch() (login.Prober, func()) {
	q := *p
	q.track = newTracker()
	q.batch = q.transport(q.track)
	return &q, func() {
		q.track.stop()
		q.batch.CloseIdleConnections()
	}
}

// Try makes one attempt with one credential. With login.Nobody it asks whether
// the protected page opens to everybody.
func (p *Prober) Try(ctx context.Context, c login.Credential) (login.Outcome, error) {
	v, o, err := p.visit(ctx, c)
	v.end()
	return o, err
}

// Open logs in and stays. Accepted and Restricted outcomes have an Access.
func (p *Prober) Open(ctx context.Context, c login.Credential) (login.Access, login.Outcome, error) {
	v, o, err := p.visit(ctx, c)
	if err != nil || !o.Kind.Opens() {
		v.end()
		return nil, o, err
	}
	return &session{visit: v}, o, nil
}

func (p *Prober) visit(ctx context.Context, c login.Credential) (*visit, login.Outcome, error) {
	begun := time.Now()
	win, cancel := login.Window(ctx, p.cfg.Timeout)
	defer cancel()
	v := p.newVisit()
	o := login.Outcome{}
	o.Fact(login.FactMethod, string(p.cfg.Scheme))
	err := v.try(win, c, &o)
	o.Took = time.Since(begun)
	if err == nil {
		err = v.settle(ctx, c, &o)
	}
	if err != nil {
		if rig := login.Rig(ctx, err); rig != nil {
			return v, o, fmt.Errorf("web %s: %s: %w", p.cfg.Address, c, rig)
		}
		v.broken(&o, err)
	}
	o.Sent = o.Sent || v.sent.Load()
	o.Fact(login.FactTLS, v.track.fingerprint())
	o.Fact(login.FactServer, v.server)
	if v.token != "" {
		v.reply += ", gives a token"
	}
	o.Fact(login.FactReply, v.reply)
	o.Evidence = login.Cut(v.said)
	return v, o, nil
}

// try makes the login by its scheme.
func (v *visit) try(ctx context.Context, c login.Credential, o *login.Outcome) error {
	switch {
	case c.Anonymous():
		return v.anonymous(ctx, o)
	case v.p.cfg.Scheme == Basic:
		return v.basic(ctx, c, o)
	case v.p.cfg.Scheme == Digest:
		return v.digest(ctx, c, o)
	case v.p.cfg.Scheme == Form:
		return v.form(ctx, c, o)
	}
	return v.json(ctx, c, o)
}

// refusal says whether a status is a declared no.
func (p *Prober) refusal(status int) bool { return slices.Contains(p.cfg.RefusedStatus, status) }

// session is an Access.
type session struct{ *visit }

// Proof asks for the protected page in this session; it does not ask again
// whether it opens without one.
func (s *session) Proof(ctx context.Context) (login.Outcome, error) {
	begun := time.Now()
	win, cancel := login.Window(ctx, s.p.cfg.Timeout)
	defer cancel()
	s.said = nil
	var o login.Outcome
	r, err := s.reach(win)
	var d *doubt
	if err == nil && r.unsure { // a page with a password's field may be one for who is logged in
		d, err = s.doubts(win, r, login.Nobody, "")
	}
	if err != nil {
		if rig := login.Rig(ctx, err); rig != nil {
			return o, rig
		}
		s.broken(&o, err)
	} else {
		r.tell(&o)
		if d != nil {
			o.Set(d.kind, "%s", d.why)
		}
	}
	o.Sent, o.Took, o.Evidence = true, time.Since(begun), login.Cut(s.said)
	o.Fact(login.FactMethod, string(s.p.cfg.Scheme))
	return o, nil
}

// Do makes a request with the session's cookies and headers. Redirects are not
// followed: they are answers.
func (s *session) Do(ctx context.Context, r login.Request) (login.Response, error) {
	if r.Command != "" || !strings.HasPrefix(r.Path, "/") {
		return login.Response{}, fmt.Errorf("web: %w", login.ErrRequest)
	}
	win, cancel := r.Window(ctx, s.p.cfg.Timeout)
	defer cancel()
	target, err := s.p.base.Parse(r.Path)
	if err != nil || target.Host != s.p.base.Host {
		return login.Response{}, fmt.Errorf("web: path %q: %w", r.Path, login.ErrRequest)
	}
	header := http.Header{}
	for k, v := range r.Header {
		header.Set(k, v)
	}
	req := request{method: cmp.Or(r.Method, http.MethodGet), url: target, header: header, body: r.Body, carried: r.Carried}
	var a *answer
	if s.credential != nil && s.p.cfg.Scheme == Digest {
		a, err = s.digestSend(win, req)
	} else {
		a, err = s.send(win, req)
	}
	if err != nil {
		if rig := login.Rig(ctx, err); rig != nil {
			err = rig
		}
		return login.Response{Status: -1}, fmt.Errorf("web: %s %s: %w", req.method, r.Path, clean(err))
	}
	out := login.Response{Status: a.status, Header: map[string]string{}, Body: a.body}
	for k, v := range a.header {
		out.Header[k] = strings.Join(v, ", ")
	}
	return out, nil
}

// Close ends the session on our side; it does not log out.
func (s *session) Close() error {
	s.end()
	return nil
}

var _ login.Batcher = (*Prober)(nil)

// opened is the outcome of a login that opened the page, once it is shown that
// the page does not open without it.
func (v *visit) opened(ctx context.Context, o *login.Outcome) error {
	r, err := v.visitor().reach(ctx) // nothing of v but its connection
	if err != nil {
		return err
	}
	if r.kind == verdict.Accepted {
		o.Fact(login.FactOpen, "yes")
		o.Set(verdict.Unproven, "%s opens without a login too: nothing is shown", v.p.cfg.Protected.Path)
		return nil
	}
	o.Fact(login.FactProof, v.p.cfg.Protected.Path)
	o.Set(verdict.Accepted, "%s opened, and does not open without the login (%s)", v.p.cfg.Protected.Path, r.why)
	return nil
}
