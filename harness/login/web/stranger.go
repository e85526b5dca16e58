package web

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"rigor/harness/login"
)

// Stranger makes requests without any login: no cookie is kept and no redirect is
// followed. Its connections are used again. It is for one caller at a time.
type Stranger struct {
	p         *Prober
	track     *tracker
	transport *http.Transport
}

// NewStranger makes one. Of the configuration it needs Dialer and Address.
func NewStranger(cfg Config) (*Stranger, error) {
	if cfg.Dialer == nil || cfg.Address == "" {
		return nil, fmt.Errorf("web: no dialer or no address: %w", login.ErrConfig)
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, login.DefaultTimeout)
	p := &Prober{cfg: cfg, base: &url.URL{Scheme: "http", Host: cmp.Or(cfg.Host, cfg.Address), Path: "/"}}
	if cfg.TLS {
		p.base.Scheme = "https"
	}
	track := newTracker()
	return &Stranger{p: p, track: track, transport: p.transport(track)}, nil
}

// Do makes a request. The path goes out as it stands: with its dots, double
// slashes and encodings. A header named Host is the request's own. The error is
// the rig's trouble, ErrRequest, or that the DUT gave no answer.
func (s *Stranger) Do(ctx context.Context, r login.Request) (login.Response, error) {
	target, err := s.raw(r.Path)
	if err != nil {
		return login.Response{Status: -1}, err
	}
	win, cancel := r.Window(ctx, s.p.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(win, cmp.Or(r.Method, http.MethodGet), s.p.base.String(), bytes.NewReader(r.Body))
	if err != nil {
		return login.Response{Status: -1}, fmt.Errorf("web: %s %s: %w: %w", r.Method, r.Path, login.ErrRequest, err)
	}
	req.URL = target
	if len(r.Body) == 0 {
		req.Body, req.GetBody, req.ContentLength = nil, nil, 0
	}
	req.Header.Set("User-Agent", "rigor")
	for k, v := range r.Header {
		if strings.EqualFold(k, "Host") {
			req.Host = v
			continue
		}
		req.Header.Set(k, v)
	}
	res, err := s.p.cfg.asked(s.transport, req)
	if err != nil {
		if rig := login.Rig(ctx, err); rig != nil {
			err = rig
		}
		return login.Response{Status: -1}, fmt.Errorf("web: %s %s: %w", req.Method, r.Path, clean(err))
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, login.MaxBody))
	if err != nil {
		if rig := login.Rig(ctx, err); rig != nil {
			err = rig
		}
		return login.Response{Status: -1}, fmt.Errorf("web: read the answer to %s %s: %w", req.Method, r.Path, err)
	}
	out := login.Response{Status: res.StatusCode, Header: map[string]string{}, Body: body}
	for k, v := range res.Header {
		out.Header[k] = strings.Join(v, ", ")
	}
	return out, nil
}

// raw gives the address whose path is sent as it stands.
func (s *Stranger) raw(path string) (*url.URL, error) {
	path, query, _ := strings.Cut(path, "?")
	plain, err := url.PathUnescape(path)
	if err != nil || !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("web: path %q: %w", path, login.ErrRequest)
	}
	u := *s.p.base
	u.Path, u.RawPath, u.RawQuery = plain, path, query
	return &u, nil
}

// Close ends its connections.
func (s *Stranger) Close() {
	s.track.stop()
	s.transport.CloseIdleConnections()
}

// Alike says whether two answers are one page, shown twice: of the same status, and
// equal but for what differs between two answers of a kind: digits and blanks, and
// words as long as our own names for what is not there, or as a form's token.
func Alike(a, b login.Response) bool {
	return a.Status == b.Status && bytes.Equal(differing().ReplaceAll(a.Body, nil), differing().ReplaceAll(b.Body, nil))
}

var differing = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[\pL\pN]{12,}|[\d\s]+`) })
