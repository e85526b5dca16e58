package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rigor/harness/login"
	"rigor/harness/verdict"
)

// maxHops bounds the redirects of one request.
const maxHops = 8

// tracker sees the connections of a transport.
type tracker struct {
	mu        sync.Mutex
	leaf      string
	connected bool
	stopped   bool
	dials     map[*context.CancelFunc]struct{} // under way: none may outlive the last try
}

func newTracker() *tracker { return &tracker{dials: map[*context.CancelFunc]struct{}{}} }

// dialing notes a dial; the returned function takes the note back.
func (t *tracker) dialing(cancel context.CancelFunc) (done func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		cancel()
	}
	t.dials[&cancel] = struct{}{}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.dials, &cancel)
	}
}

// stop ends the dials that are under way, and all that come.
func (t *tracker) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	for cancel := range t.dials {
		(*cancel)()
	}
}

func (t *tracker) fingerprint() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.leaf
}

func (t *tracker) stood() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.connected
}

func (p *Prober) transport(t *tracker) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			// The transport lets a dial go on when its request has ended.
			ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
			defer cancel()
			defer t.dialing(cancel)()
			c, err := p.cfg.Dialer.DialContext(ctx, network, p.cfg.Address)
			if err != nil {
				return nil, &dialError{err}
			}
			t.mu.Lock()
			t.connected = true
			t.mu.Unlock()
			return c, nil
		},
		TLSClientConfig:        p.tls(t),
		DisableCompression:     true, // what the DUT sends is evidence, and no bomb
		MaxIdleConnsPerHost:    64,
		MaxResponseHeaderBytes: 256 << 10,
	}
}

// dialError tells a connection that was never there from one that broke.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

func (p *Prober) tls(t *tracker) *tls.Config {
	var suites []uint16
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		suites = append(suites, s.ID)
	}
	return &tls.Config{
		// A device on a bench has no public name and signs for itself: nothing
		// could verify it. Which certificate it was is recorded, and a pin is
		// checked below before anything is sent.
		InsecureSkipVerify: true, //nolint:gosec // see above
		MinVersion:         tls.VersionTLS10,
		CipherSuites:       suites, // old ones too: a login is judged, not the age of the device
		// Without the hybrids of ML-KEM, whose hello does not fit into one segment:
		// stacks of small devices stumble over it.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return fmt.Errorf("%w: no certificate", login.ErrIdentity)
			}
			sum := sha256.Sum256(s.PeerCertificates[0].Raw)
			got := hex.EncodeToString(sum[:])
			t.mu.Lock()
			t.leaf = got
			t.mu.Unlock()
			want := strings.ToLower(strings.ReplaceAll(p.cfg.Pin, ":", ""))
			if want != "" && want != got {
				return fmt.Errorf("%w: certificate %s, declared is %s", login.ErrIdentity, got, want)
			}
			return nil
		},
	}
}

// visit is one try: cookies, headers and what was said, its own.
type visit struct {
	p          *Prober
	track      *tracker
	transport  *http.Transport
	jar        http.CookieJar
	header     http.Header       // of the session, on each request to the device
	credential *login.Credential // of a digest session
	before     []byte            // the page that was shown before the login
	shown      string            // the cookies that came with it
	token      string            // to be cut from what is kept
	server     string
	said       []byte
	sent       atomic.Bool // a request with the credential went out whole
	reply      string      // what it was answered with, see told
	replied    int         // and with which status
	own        bool        // the transport is ours to close

	asWrong bool   // it is surely wrong, and there to be compared with
	print   string // what its refusal is known again by
	place   string // where the proof led
	doubt   *doubt // of the refusal; nil for none
}

func (p *Prober) newVisit() *visit {
	if p.batch != nil {
		return p.visitOn(p.track, p.batch)
	}
	track := newTracker()
	v := p.visitOn(track, p.transport(track))
	v.own = true
	return v
}

func (p *Prober) visitOn(track *tracker, transport *http.Transport) *visit {
	jar, _ := cookiejar.New(nil) // has no way to fail without options
	return &visit{p: p, track: track, transport: transport, jar: jar, header: http.Header{}}
}

func (v *visit) end() {
	if v.own {
		v.track.stop()
		v.transport.CloseIdleConnections()
	}
}

// request is one request of ours. Credential marks the one that carries it.
type request struct {
	method     string
	url        *url.URL
	header     http.Header
	body       []byte
	carried    func(n int64, last time.Time) // told how much of the body went out; may be nil
	credential bool
	follow     bool
}

// answer is what came back, after the redirects that were followed.
type answer struct {
	status    int
	header    http.Header
	body      []byte
	url       *url.URL // where it came from
	elsewhere string   // a redirect to another host, that was not followed
}

// told sums up an answer by what does not differ between two equal ones: the
// status, the page that it leads to, and which cookies it sets.
func (a *answer) told() string {
	out := strconv.Itoa(a.status)
	if to, err := a.url.Parse(a.header.Get("Location")); err == nil && a.header.Get("Location") != "" {
		out += " to " + (&url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path}).String()
	}
	var names []string
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		names = append(names, c.Name)
	}
	if slices.Sort(names); len(names) > 0 {
		out += ", sets " + strings.Join(slices.Compact(names), ", ")
	}
	return out
}

// send makes a request, and follows redirects on this device where asked to.
func (v *visit) send(ctx context.Context, r request) (*answer, error) {
	for hop := 0; ; hop++ {
		a, err := v.once(ctx, r)
		if r.credential && a != nil {
			v.reply, v.replied = a.told(), a.status
		}
		if err != nil || !r.follow || a.status < 300 || a.status > 399 {
			return a, err
		}
		to, err := a.url.Parse(a.header.Get("Location"))
		if a.header.Get("Location") == "" || err != nil || hop == maxHops {
			return a, nil // a redirect that leads nowhere is the answer
		}
		if !sameHost(r.url, to) {
			a.elsewhere = to.Host
			return a, nil
		}
		keeps := a.status == http.StatusTemporaryRedirect || a.status == http.StatusPermanentRedirect
		if keeps && len(r.body) > 0 && !samePage(r.url, to) {
			return a, nil // what was to be sent is for that page alone
		}
		r.url, r.credential = to, false
		if !keeps {
			if r.method != http.MethodHead {
				r.method = http.MethodGet
			}
			r.body, r.header = nil, nil
		}
	}
}

// sameHost says whether b is on the device that a is on. A device may lead from
// http to https, whose port is another.
func sameHost(a, b *url.URL) bool {
	if b.Scheme != "http" && b.Scheme != "https" {
		return false
	}
	if strings.EqualFold(a.Host, b.Host) {
		return a.Scheme == b.Scheme || b.Scheme == "https"
	}
	return strings.EqualFold(a.Hostname(), b.Hostname()) && a.Scheme == "http" && b.Scheme == "https"
}

// samePage says whether what was asked for and what came are one page of the device.
// What came may have more in its query; many devices have all pages at one path.
func samePage(asked, came *url.URL) bool {
	if strings.TrimSuffix(asked.Path, "/") != strings.TrimSuffix(came.Path, "/") {
		return false
	}
	got := came.Query()
	for k, want := range asked.Query() {
		if !slices.Equal(got[k], want) {
			return false
		}
	}
	return true
}

func (v *visit) once(ctx context.Context, r request) (*answer, error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(i httptrace.WroteRequestInfo) {
		if r.credential && i.Err == nil {
			v.sent.Store(true)
		}
	}})
	req, err := http.NewRequestWithContext(ctx, r.method, r.url.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %w", r.method, r.url.Path, login.ErrConfig, err)
	}
	if len(r.body) == 0 {
		req.Body, req.GetBody, req.ContentLength = nil, nil, 0
	} else if r.carried != nil {
		count := &counted{r: bytes.NewReader(r.body)}
		req.Body, req.GetBody = count, nil // what is not sent whole is not sent once more unseen
		defer func() { r.carried(count.got()) }()
	}
	req.Header.Set("User-Agent", "rigor")
	for _, h := range []http.Header{v.header, r.header} {
		for k, vs := range h {
			req.Header[k] = vs
		}
	}
	for _, c := range v.jar.Cookies(r.url) {
		req.AddCookie(c)
	}
	res, err := v.p.cfg.asked(v.transport, req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	a := &answer{status: res.StatusCode, header: res.Header, url: r.url}
	v.jar.SetCookies(r.url, res.Cookies())
	v.server = res.Header.Get("Server")
	a.body, err = io.ReadAll(io.LimitReader(res.Body, login.MaxBody))
	v.keep(res.Proto, a)
	if err != nil {
		return a, fmt.Errorf("read the body of %s: %w", r.url.Path, err)
	}
	return a, nil
}

// keep adds an answer to the evidence: its status, the headers that decide,
// and the beginning of its body. Cookies and tokens are secrets of the session.
func (v *visit) keep(proto string, a *answer) {
	const most = 1 << 10
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %d %s\n", proto, a.status, http.StatusText(a.status))
	for _, k := range []string{"Location", "Www-Authenticate", "Retry-After", "Server", "Content-Type"} {
		for _, value := range a.header.Values(k) {
			fmt.Fprintf(&b, "%s: %s\n", k, value)
		}
	}
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		fmt.Fprintf(&b, "Set-Cookie: %s=[kept out]\n", c.Name)
	}
	fmt.Fprintf(&b, "\n%s\n", a.body[:min(len(a.body), most)])
	v.said = append(v.said, b.Bytes()...)
}

// hide cuts a session's token from what is kept.
func (v *visit) hide(token string) {
	if token != "" {
		v.said = bytes.ReplaceAll(v.said, []byte(token), []byte("[kept out]"))
	}
}

// broken gives the outcome of an exchange that came to no answer.
func (v *visit) broken(o *login.Outcome, err error) {
	var dial *dialError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	text := clean(err).Error()
	switch {
	case errors.As(err, &dial):
		kind, why := login.Broken(dial.err, false)
		o.Set(kind, "%s", why)
	case errors.As(err, &record), strings.Contains(text, "HTTP response to HTTPS client"):
		o.Set(verdict.Incompatible, "the port does not speak TLS")
	case errors.As(err, &alert), strings.Contains(text, "tls: "), strings.Contains(text, "x509: "):
		o.Set(verdict.Incompatible, "no common TLS: %.200q", text)
	default:
		kind, why := login.Broken(err, v.track.stood())
		if kind == verdict.Garbled {
			why = fmt.Sprintf("the answer is not HTTP: %.200q", text)
		} else if v.sent.Load() {
			why += ", after the credential was sent"
		}
		o.Set(kind, "%s", why)
	}
}

// clean takes the URL out of an error of net/http: its query may hold what a
// form sent.
func clean(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// retryAfter reads RFC 9110 section 10.2.3: seconds, or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if text == "" {
		return 0
	}
	if d, err := time.ParseDuration(text + "s"); err == nil && d > 0 {
		return d
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// asked makes a request, and notes the wait for its answer.
func (c *Config) asked(over http.RoundTripper, req *http.Request) (*http.Response, error) {
	if c.Waiting != nil {
		defer c.Waiting()()
	}
	return over.RoundTrip(req)
}

// counted is a body that knows how much of it was read.
type counted struct {
	r    *bytes.Reader
	mu   sync.Mutex
	n    int64
	last time.Time // when the last of them went
}

// got gives how many bytes went, and when the last of them did.
func (c *counted) got() (n int64, last time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n, c.last
}

// Read reads on.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if n > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.n, c.last = c.n+int64(n), time.Now()
	}
	return n, err
}

// Close is for a body that holds nothing.
func (c *counted) Close() error { return nil }
