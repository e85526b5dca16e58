package http

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/icholy/digest"

	"rigor/harness/wire"
)

// ErrAnswer says that the switch answered in words that are not its dialect's.
var ErrAnswer = errors.New("not a switch's answer")

// again is how often the state is read while it is not yet the one told.
const again = 100 * time.Millisecond

// Power is a supply switch on the network.
type Power struct {
	conf   Config
	base   *url.URL
	talk   dialect
	client *nethttp.Client

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	once sync.Once
}

var _ wire.Power = (*Power)(nil)

// New makes a power switch. ctx bounds its life. Nothing is sent yet.
func New(ctx context.Context, conf Config) (*Power, error) {
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	if conf.Timeout == 0 {
		conf.Timeout = defaultTimeout
	}
	if conf.Confirm == 0 {
		conf.Confirm = defaultConfirm
	}
	base, err := url.Parse(conf.Base)
	if err != nil {
		return nil, fmt.Errorf("switch %q: base: %w", conf.Part, err)
	}
	p := &Power{conf: conf, base: base, talk: dialectOf(conf)}
	p.ctx, p.stop = context.WithCancel(ctx)
	dial := (&net.Dialer{}).DialContext
	if conf.Dialer != nil {
		dial = conf.Dialer.DialContext
	}
	// No proxy: the environment's is for the world, not for the bench. No
	// kept connection: switches have room for few, and Close has none to end.
	var trip nethttp.RoundTripper = limited{&nethttp.Transport{
		DialContext: dial, DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeader,
		TLSHandshakeTimeout: conf.Timeout,
	}}
	if conf.Auth == DigestAuth {
		trip = &digest.Transport{Username: conf.User, Password: conf.Password, Transport: trip}
	}
	p.client = &nethttp.Client{Transport: trip, CheckRedirect: func(*nethttp.Request, []*nethttp.Request) error {
		return nethttp.ErrUseLastResponse // a redirect would carry the password elsewhere
	}}
	return p, nil
}

// limited bounds each answer, also those that the digest transport reads away.
type limited struct{ next nethttp.RoundTripper }

func (l limited) RoundTrip(r *nethttp.Request) (*nethttp.Response, error) {
	resp, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxBody+1), resp.Body}
	return resp, nil
}

func (p *Power) fault(op string, err error) error {
	return &wire.Fault{Part: p.conf.Part, Op: op + " at " + p.base.Host, Err: err}
}

// On switches on and reads the state back until it is on. A switch that does
// not do it within Config.Confirm is a *wire.Fault.
func (p *Power) On(ctx context.Context) error { return p.set(ctx, wire.PowerOn) }

// Off switches off and reads the state back until it is off.
func (p *Power) Off(ctx context.Context) error { return p.set(ctx, wire.PowerOff) }

func (p *Power) set(ctx context.Context, want wire.PowerState) error {
	op := "switch " + want.String()
	body, err := p.do(ctx, op, p.talk.set(want == wire.PowerOn))
	if err != nil {
		return err
	}
	if err := p.talk.accepted(body, want); err != nil {
		return p.fault(op, err)
	}
	if p.talk.state().Path == "" {
		return nil
	}
	timer := time.NewTimer(p.conf.Confirm)
	defer timer.Stop()
	tick := time.NewTicker(again)
	defer tick.Stop()
	for {
		got, err := p.State(ctx)
		if err != nil {
			return err
		}
		if got == want {
			return nil
		}
		select {
		case <-tick.C:
		case <-timer.C:
			return p.fault(op, fmt.Errorf("%v later the switch still says %v", p.conf.Confirm, got))
		case <-ctx.Done():
			return fmt.Errorf("%s: %s: the switch said %v: %w", p.conf.Part, op, got, ctx.Err())
		}
	}
}

// State asks the switch. One that has no way to tell gives wire.PowerUnknown.
func (p *Power) State(ctx context.Context) (wire.PowerState, error) {
	req := p.talk.state()
	if req.Path == "" {
		return wire.PowerUnknown, nil
	}
	body, err := p.do(ctx, "read the state", req)
	if err != nil {
		return wire.PowerUnknown, err
	}
	s, err := p.talk.read(body)
	if err != nil {
		return wire.PowerUnknown, p.fault("read the state", err)
	}
	return s, nil
}

// do sends one request, once, and gives the body of a 2xx answer.
func (p *Power) do(ctx context.Context, op string, r Request) ([]byte, error) {
	if p.ctx.Err() != nil {
		return nil, p.fault(op, net.ErrClosed)
	}
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, p.conf.Timeout)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()

	start := time.Now()
	body, err := p.exchange(ctx, r)
	if err == nil {
		return []byte(p.scrub(string(body))), nil
	}
	// The URL in the client's errors may hold a password.
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	if p.scrub(err.Error()) != err.Error() {
		err = errors.New("an error that holds the password, and is not shown")
	}
	err = fmt.Errorf("after %v: %w", time.Since(start).Round(time.Millisecond), err)
	switch {
	case p.ctx.Err() != nil:
		return nil, p.fault(op, net.ErrClosed)
	case errors.Is(outer.Err(), context.Canceled):
		return nil, fmt.Errorf("%s: %s: %w", p.conf.Part, op, outer.Err())
	}
	return nil, p.fault(op, err)
}

// scrub takes the password out of what the switch said, in the encodings in
// which it was told it: a switch may repeat its request in an error page.
func (p *Power) scrub(s string) string {
	if p.conf.Password == "" {
		return s
	}
	for _, secret := range []string{p.conf.Password, url.QueryEscape(p.conf.Password), strconv.Quote(p.conf.Password),
		base64.StdEncoding.EncodeToString([]byte(p.conf.User + ":" + p.conf.Password))} {
		s = strings.ReplaceAll(s, strings.Trim(secret, `"`), "[password]")
	}
	return s
}

func (p *Power) exchange(ctx context.Context, r Request) ([]byte, error) {
	ref, err := url.Parse(r.Path)
	if err != nil {
		return nil, errors.New("the request's path does not parse")
	}
	u := *p.base
	u.Path = strings.TrimSuffix(u.Path, "/") + ref.Path
	u.RawPath, u.RawQuery = "", ref.RawQuery
	if p.conf.Auth == QueryAuth {
		q := url.Values{"user": {p.conf.User}, "password": {p.conf.Password}}
		u.RawQuery = q.Encode() + "&" + u.RawQuery
	}
	method := r.Method
	if method == "" {
		method = nethttp.MethodGet
	}
	req, err := nethttp.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(r.Body))
	if err != nil {
		return nil, errors.New("the request cannot be made") // err shows the URL
	}
	for k, v := range r.Header {
		req.Header.Set(k, v)
	}
	if p.conf.Auth == BasicAuth {
		req.SetBasicAuth(p.conf.User, p.conf.Password)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end or given up
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	switch {
	case len(body) > maxBody:
		return nil, fmt.Errorf("%w: more than %d bytes", ErrAnswer, maxBody)
	case resp.StatusCode == nethttp.StatusUnauthorized || resp.StatusCode == nethttp.StatusForbidden:
		return nil, fmt.Errorf("%w: status %d: it does not take our user and password", ErrAnswer, resp.StatusCode)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, fmt.Errorf("%w: status %d", ErrAnswer, resp.StatusCode)
	}
	return body, nil
}

// Close ends requests that are under way and refuses new ones. It switches
// nothing.
func (p *Power) Close() error {
	p.once.Do(p.stop)
	return nil
}
