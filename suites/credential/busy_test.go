package credential_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/wire"
	"rigor/rigs/rigtest"
)

// proxy is a web server before the device's own, which says 502 to so many requests of
// the set-up and the login behind a change of the configuration: then what stands behind
// it starts.
type proxy struct {
	wire.Link
	front *httptest.Server
	host  string // of the device

	mu   sync.Mutex
	busy int
	said int
}

// busyFor puts one before the device; each is closed with the test.
func busyFor(t *testing.T, requests int) (func(rig.Drivers), *proxy) {
	p := &proxy{}
	back := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: "device"})
	back.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) }
	back.Transport = &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // it has a certificate of its own
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			p.mu.Lock()
			host := p.host
			p.mu.Unlock()
			return p.Link.DialContext(ctx, network, host)
		},
	}
	p.front = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.refuses(r, requests) {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		back.ServeHTTP(w, r)
	}))
	t.Cleanup(p.front.Close)
	return func(d rig.Drivers) {
		open := d.Link["virtual"]
		d.Link["virtual"] = func(ctx context.Context, n *rig.Network, e rig.Env) (wire.Link, error) {
			l, err := open(ctx, n, e)
			p.Link = l
			return p, err
		}
	}, p
}

func (p *proxy) refuses(r *http.Request, requests int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Method == http.MethodPut && r.URL.Path == "/api/config" {
		p.busy = requests
	}
	if p.busy > 0 && (r.URL.Path == "/setup" || r.URL.Path == "/api/login") {
		p.busy--
		p.said++
		return true
	}
	return false
}

// DialContext leads to the server in front.
func (p *proxy) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if !strings.HasSuffix(address, ":443") {
		return p.Link.DialContext(ctx, network, address)
	}
	p.mu.Lock()
	p.host = address
	p.mu.Unlock()
	return new(net.Dialer).DialContext(ctx, network, p.front.Listener.Addr().String())
}

// TestBusyIsNotLeft: a device whose web server is up before what stands behind it did not
// leave its factory state. One that stays so shows nothing.
func TestBusyIsNotLeft(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a device that is busy")
	}
	for name, c := range map[string]struct {
		requests int
		weak     []string
		want     string
	}{
		"for a while":              {3, nil, pass},
		"for ever":                 {1 << 30, nil, "inconclusive.dut-lost"},
		"for a while, and it left": {3, []string{"setup-skip"}, "fail.access"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			drivers, p := busyFor(t, c.requests)
			res := run(t, planted{Drivers: drivers, Weaknesses: c.weak, Profile: func(p *profile.Profile) {
				rigtest.Hurried(p)
				p.Setup.Skips = p.Setup.Skips[:1]
				p.Consoles.Items["main"].Boot.Within = 4 * time.Second
			}}, "cred-forced-set")
			assert.Equal(t, c.want, judged(t, res, "cred-forced-set"))
			assert.GreaterOrEqual(t, p.said, 3)
		})
	}
}
