package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"

	"rigor/harness/login"
)

// Do makes one request without any login, on a connection of its own. Of the
// configuration it needs Dialer and Address. Redirects are not followed: they
// are answers. The error is the rig's trouble, ErrConfig, or that the DUT gave
// no answer.
func Do(ctx context.Context, cfg Config, r login.Request) (login.Response, error) {
	s, err := plainly(cfg)
	if err != nil {
		return login.Response{Status: -1}, err
	}
	defer s.end()
	r.Method = cmp.Or(r.Method, http.MethodGet)
	return s.Do(ctx, r)
}

// Visit makes requests without any login that keep the cookies of those before, as a
// browser's do. The caller closes it.
func Visit(cfg Config) (login.Access, error) {
	s, err := plainly(cfg)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func plainly(cfg Config) (*session, error) {
	if cfg.Dialer == nil || cfg.Address == "" {
		return nil, fmt.Errorf("web: no dialer or no address: %w", login.ErrConfig)
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, login.DefaultTimeout)
	p := &Prober{cfg: cfg, base: &url.URL{Scheme: "http", Host: cmp.Or(cfg.Host, cfg.Address), Path: "/"}}
	if cfg.TLS {
		p.base.Scheme = "https"
	}
	return &session{visit: p.newVisit()}, nil
}
