package web_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/login/tap"
	"rigor/harness/login/web"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

const good = "g00d-pass&1"

var (
	right = login.Credential{User: "admin", Password: good}
	wrong = login.Credential{User: "admin", Password: "nope"}
)

func prober(t *testing.T, s *httptest.Server, change func(*web.Config)) *web.Prober {
	t.Helper()
	cfg := web.Config{
		Dialer: &net.Dialer{}, Address: s.Listener.Addr().String(), Timeout: 10 * time.Second, // none of these stays silent; the computer may be busy
		Protected: web.Page{Path: "/status", Pattern: regexp.MustCompile("uptime")},
	}
	change(&cfg)
	p, err := web.New(cfg)
	require.NoError(t, err)
	return p
}

func serve(t *testing.T, routes map[string]http.HandlerFunc) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	for pattern, h := range routes {
		mux.HandleFunc(pattern, h)
	}
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func isBasic(r *http.Request) bool {
	u, p, ok := r.BasicAuth()
	return ok && u == "admin" && p == good
}

func TestBasic(t *testing.T) {
	t.Parallel()
	asks := func(w http.ResponseWriter) {
		w.Header().Set("WWW-Authenticate", `Basic realm="acme"`)
		w.WriteHeader(http.StatusUnauthorized)
	}
	gate := func(w http.ResponseWriter, r *http.Request) {
		if !isBasic(r) {
			asks(w)
			return
		}
		_, _ = io.WriteString(w, "uptime 5")
	}
	for _, tc := range []struct {
		name   string
		status http.HandlerFunc
		cred   login.Credential
		want   verdict.Kind
		wait   time.Duration
	}{
		{"right", gate, right, verdict.Accepted, 0},
		{"wrong", gate, wrong, verdict.Refused, 0},
		{"blank", gate, login.Credential{User: "admin"}, verdict.Refused, 0},
		{"nobody", gate, login.Nobody, verdict.Refused, 0},
		{"open to all, with a login", answers(200, "uptime 5"), right, verdict.Unproven, 0},
		{"open to all, with nothing", answers(200, "uptime 5"), login.Nobody, verdict.Accepted, 0},
		{"200, but not the page", answers(200, "<html>app</html>"), right, verdict.Garbled, 0},
		{"forbidden", answers(403, "no"), right, verdict.Refused, 0},
		{"asks for a digest", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Digest realm="x", nonce="1"`)
			w.WriteHeader(401)
		}, right, verdict.Incompatible, 0},
		{"asks for nothing, and refuses", answers(401, ""), right, verdict.Refused, 0},
		{"423", answers(423, ""), right, verdict.LockedOut, 0},
		{"429", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(429)
		}, right, verdict.Throttled, 30 * time.Second},
		{"429 that says locked", answers(429, "Your account has been locked"), right, verdict.LockedOut, 0},
		{"401 that says locked", answers(401, "Account is temporarily locked, try again in 5 minutes"), right, verdict.LockedOut, 5 * time.Minute},
		{"503", answers(503, ""), right, verdict.Throttled, 0},
		{"500", answers(500, "uptime"), right, verdict.Garbled, 0},
		{"404", answers(404, "uptime"), right, verdict.Garbled, 0},
		{"leads to another host", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusFound)
		}, right, verdict.Garbled, 0},
		{"leads around in a circle", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/status", http.StatusFound)
		}, right, verdict.Garbled, 0},
		{"closes", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, right, verdict.Unreachable, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := prober(t, serve(t, map[string]http.HandlerFunc{"/status": tc.status}), func(c *web.Config) { c.Scheme = web.Basic })
			o, err := p.Try(t.Context(), tc.cred)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, "%s\n%s", o.Detail, o.Evidence)
			assert.Equal(t, tc.wait, o.RetryAfter)
			assert.True(t, o.Sent)
			assert.NotContains(t, o.Detail+string(o.Evidence), good)
		})
	}
	p := prober(t, serve(t, nil), func(c *web.Config) { c.Scheme = web.Basic })
	o, err := p.Try(t.Context(), login.Credential{User: "a:b", Password: "x"})
	require.NoError(t, err)
	assert.Equal(t, verdict.Incompatible, o.Kind)
	assert.False(t, o.Sent)
}

const loginPage = `<html><head><meta name="csrf-token" content="meta-1"></head><body>
<form action="/search"><input name="q"></form>
<p>If your account is locked, wait 5 minutes. Forgot your password? You must change your password every year.</p>
<form method="POST" action="session"><input type=hidden name="csrf" value="c-1"><input name=login>
<input type=password name=secret><input type=checkbox name=stay checked><button name=go value=in>Go</button></form></body></html>`

// portal is a device with a form: after is what a right and a wrong login get.
func portal(t *testing.T, after func(w http.ResponseWriter, r *http.Request, ok bool)) *httptest.Server {
	return serve(t, map[string]http.HandlerFunc{
		"GET /ui/login": func(w http.ResponseWriter, _ *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "pre", Value: "1", Path: "/"})
			_, _ = io.WriteString(w, loginPage)
		},
		"POST /ui/session": func(w http.ResponseWriter, r *http.Request) {
			_, err := r.Cookie("pre")
			formed := err == nil && r.FormValue("csrf") == "c-1" && r.FormValue("stay") == "on" && r.FormValue("go") == "in"
			if !formed {
				http.Error(w, "bad form", http.StatusTeapot)
				return
			}
			after(w, r, r.FormValue("login") == "admin" && r.FormValue("secret") == good)
		},
		"/status": func(w http.ResponseWriter, r *http.Request) {
			if c, err := r.Cookie("sid"); err != nil || c.Value != "s3ss10n" {
				http.Redirect(w, r, "/ui/login", http.StatusFound)
				return
			}
			_, _ = io.WriteString(w, "uptime 5 <form><input type=password></form>")
		},
		"/setup": answers(200, "choose a password"),
	})
}

func signIn(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{Name: "sid", Value: "s3ss10n", Path: "/"})
}

func isForm(c *web.Config) { c.Scheme, c.Form.Page = web.Form, "/ui/login" }

func TestForm(t *testing.T) {
	t.Parallel()
	shown := func(status int, text string) func(http.ResponseWriter, *http.Request, bool) {
		return func(w http.ResponseWriter, r *http.Request, ok bool) {
			if ok {
				signIn(w)
				http.Redirect(w, r, "/status", http.StatusSeeOther)
				return
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, strings.Replace(loginPage, "<body>", "<body>"+text, 1))
		}
	}
	for _, tc := range []struct {
		name  string
		after func(http.ResponseWriter, *http.Request, bool)
		cred  login.Credential
		want  verdict.Kind
	}{
		{"right", shown(200, ""), right, verdict.Accepted},
		{"wrong: the page again, status 200", shown(200, "Wrong password"), wrong, verdict.Refused},
		{"wrong: 401", shown(401, ""), wrong, verdict.Refused},
		{"wrong, in no words at all", shown(200, ""), wrong, verdict.Refused},
		{"locked", shown(200, "Your account is locked."), wrong, verdict.LockedOut},
		{"throttled", shown(429, ""), wrong, verdict.Throttled},
		{"too many, with status 200", shown(200, "Too many failed attempts"), wrong, verdict.Throttled},
		{"warned only", shown(200, "Wrong password. Too many attempts will lock you out."), wrong, verdict.Refused},
		{"broken", shown(500, ""), wrong, verdict.Garbled},
		{"nobody", shown(200, ""), login.Nobody, verdict.Refused},
		{"says yes and gives nothing", func(w http.ResponseWriter, _ *http.Request, _ bool) {
			_, _ = io.WriteString(w, `welcome, uptime 5`)
		}, right, verdict.Refused},
		{"has to set a password", func(w http.ResponseWriter, r *http.Request, _ bool) {
			http.Redirect(w, r, "/setup", http.StatusFound)
		}, right, verdict.Restricted},
		{"leads elsewhere", func(w http.ResponseWriter, r *http.Request, _ bool) {
			http.Redirect(w, r, "//elsewhere.invalid/x", http.StatusTemporaryRedirect)
		}, right, verdict.Refused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := prober(t, portal(t, tc.after), func(c *web.Config) { isForm(c); c.RestrictedPath = "/setup" })
			o, err := p.Try(t.Context(), tc.cred)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, "%s\n%s", o.Detail, o.Evidence)
			assert.True(t, o.Sent)
			assert.NotContains(t, o.Detail+string(o.Evidence), good)
			assert.NotContains(t, string(o.Evidence), "s3ss10n")
		})
	}
	t.Run("session", func(t *testing.T) {
		access, o, err := prober(t, portal(t, shown(200, "")), isForm).Open(t.Context(), right)
		require.NoError(t, err)
		require.NotNil(t, access, "%s", o)
		defer access.Close()
		got, err := access.Do(t.Context(), login.Request{Path: "/status"})
		require.NoError(t, err)
		assert.Equal(t, 200, got.Status)
		assert.Contains(t, string(got.Body), "uptime")
		still, err := access.Proof(t.Context())
		require.NoError(t, err)
		assert.Equal(t, verdict.Accepted, still.Kind)
		for _, path := range []string{"", "http://elsewhere.invalid/", "//elsewhere.invalid/"} {
			_, err = access.Do(t.Context(), login.Request{Path: path})
			require.ErrorIs(t, err, login.ErrRequest, path)
		}
	})
	for name, page := range map[string]string{
		"an app without a form":     `<div id="root"></div>`,
		"a form for somebody else":  strings.ReplaceAll(loginPage, `action="session"`, `action="http://elsewhere.invalid/x"`),
		"a form without a password": `<form method=post><input name=q></form>`,
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, map[string]http.HandlerFunc{"/ui/login": answers(200, page), "/status": answers(401, "")})
			o, err := prober(t, s, isForm).Try(t.Context(), right)
			require.NoError(t, err)
			assert.Equal(t, verdict.Garbled, o.Kind, o.Detail)
			assert.False(t, o.Sent)
		})
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	isJSON := func(c *web.Config) {
		c.Scheme = web.JSON
		c.JSON = web.JSONLogin{Path: "/api/login", Token: "$.data.tokens[0]", Extra: map[string]any{"app": 1}}
		c.Protected.Path = "/api/status"
	}
	api := func(login, status http.HandlerFunc) *httptest.Server {
		return serve(t, map[string]http.HandlerFunc{"/api/login": login, "/api/status": status})
	}
	takes := func(w http.ResponseWriter, r *http.Request) {
		var in map[string]any
		_ = json.NewDecoder(r.Body).Decode(&in)
		if in["username"] != "admin" || in["password"] != good || in["app"] != 1.0 {
			answers(200, `{"ok":false}`)(w, r)
			return
		}
		answers(200, `{"data":{"tokens":["t0k3n"]}}`)(w, r)
	}
	status := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t0k3n" {
			answers(401, `{}`)(w, r)
			return
		}
		answers(200, `{"uptime":5}`)(w, r)
	}
	spa := answers(200, `<div id=root></div>`)
	for _, tc := range []struct {
		name   string
		server *httptest.Server
		cred   login.Credential
		want   verdict.Kind
	}{
		{"right", api(takes, status), right, verdict.Accepted},
		{"wrong, with status 200", api(takes, status), wrong, verdict.Refused},
		{"nobody", api(takes, status), login.Nobody, verdict.Refused},
		{"the app answers everything", api(spa, spa), right, verdict.Garbled},
		{"a plain no, but the page is an app", api(answers(401, `{"error":"Invalid credentials"}`), spa), wrong, verdict.Refused},
		{"422 is not declared as a no", api(answers(422, ``), spa), wrong, verdict.Garbled},
		{"locked", api(answers(403, `{"error":"account locked"}`), status), wrong, verdict.LockedOut},
		{"throttled", api(answers(429, `{}`), status), wrong, verdict.Throttled},
		{"must set one", api(answers(200, `{"error":"you must change your password"}`), status), right, verdict.Restricted},
		{"a page that opens to all", api(takes, answers(200, "uptime")), right, verdict.Unproven},
		{"a token of nonsense", api(answers(200, `{"data":{"tokens":["a\r\nb"]}}`), status), right, verdict.Refused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, err := prober(t, tc.server, isJSON).Try(t.Context(), tc.cred)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, "%s\n%s", o.Detail, o.Evidence)
			assert.NotContains(t, o.Detail+string(o.Evidence), "t0k3n")
		})
	}
	t.Run("a declared refusal", func(t *testing.T) {
		p := prober(t, api(answers(422, ``), spa), func(c *web.Config) { isJSON(c); c.RefusedStatus = []int{422} })
		o, err := p.Try(t.Context(), wrong)
		require.NoError(t, err)
		assert.Equal(t, verdict.Refused, o.Kind, o.Detail)
	})
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isBasic(r) {
			w.WriteHeader(401)
			return
		}
		_, _ = io.WriteString(w, "uptime")
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	sum := sha256.Sum256(s.Certificate().Raw)
	pin := hex.EncodeToString(sum[:])
	https := func(pin string) func(*web.Config) {
		return func(c *web.Config) { c.Scheme, c.TLS, c.Pin = web.Basic, true, pin }
	}
	seen := tap.New(&net.Dialer{}, 0)
	p := prober(t, s, func(c *web.Config) { https(pin)(c); c.Dialer = seen })
	o, err := p.Try(t.Context(), right)
	require.NoError(t, err)
	assert.Equal(t, verdict.Accepted, o.Kind, o.Detail)
	assert.Equal(t, pin, o.Facts[login.FactTLS])
	found, cut := seen.Sent([]byte("YWRtaW46"))
	assert.False(t, found || cut, "the credential crossed TLS in the clear")

	o, err = prober(t, s, https(strings.Repeat("0", 64))).Try(t.Context(), right)
	require.ErrorIs(t, err, login.ErrIdentity)
	assert.False(t, o.Sent)

	plain := serve(t, map[string]http.HandlerFunc{"/": answers(200, "")})
	o, err = prober(t, plain, https("")).Try(t.Context(), right)
	require.NoError(t, err)
	assert.Equal(t, verdict.Incompatible, o.Kind, o.Detail)
	assert.False(t, o.Sent)

	seen.Forget()
	_, err = prober(t, plain, func(c *web.Config) { c.Scheme, c.Dialer = web.Basic, seen }).Try(t.Context(), right)
	require.NoError(t, err)
	found, _ = seen.Sent([]byte("YWRtaW46"))
	assert.True(t, found, "basic without TLS is in the clear")
}

// raw serves bytes that net/http would not.
func raw(t *testing.T, answer string, stay bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, answer)
				if stay {
					_, _ = io.Copy(io.Discard, c)
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestOddAnswers(t *testing.T) {
	t.Parallel()
	closed := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		return l.Addr().String()
	}()
	for _, tc := range []struct {
		name, address string
		want          verdict.Kind
		sent          bool
	}{
		{"nobody listens", closed, verdict.Unreachable, false},
		{"silent", raw(t, "", true), verdict.Silent, true},
		{"silent in mid-body", raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nupt", true), verdict.Silent, true},
		{"cut in mid-body", raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nuptime", false), verdict.Unreachable, true},
		{"closed", raw(t, "", false), verdict.Unreachable, true},
		{"not HTTP", raw(t, "SSH-2.0-x\r\n\r\n", true), verdict.Garbled, true},
		{"headers without end", raw(t, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X: y\r\n", 60000), true), verdict.Garbled, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := web.New(web.Config{
				Dialer: &net.Dialer{}, Address: tc.address, Timeout: 400 * time.Millisecond, Scheme: web.Basic,
				Protected: web.Page{Path: "/"},
			})
			require.NoError(t, err)
			o, err := p.Try(t.Context(), right)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, o.Detail)
			assert.Equal(t, tc.sent, o.Sent)
		})
	}
}

type brokenLink struct{}

func (brokenLink) DialContext(context.Context, string, string) (net.Conn, error) {
	return nil, &wire.Fault{Part: "link", Op: "dial", Err: errors.New("no carrier")}
}

func TestTroubleOfTheRig(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, err := prober(t, s, func(c *web.Config) { c.Scheme, c.Dialer = web.Basic, brokenLink{} }).Try(t.Context(), right)
	_, ok := wire.AsFault(err)
	require.True(t, ok, err)
	assert.NotContains(t, fmt.Sprintf("%v %+v", err, right), good)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = prober(t, s, func(c *web.Config) { c.Scheme = web.Basic }).Try(ctx, right)
	require.ErrorIs(t, err, context.Canceled)

	for _, cfg := range []web.Config{
		{}, {Scheme: web.Basic, Protected: web.Page{Path: "status"}}, {Scheme: "magic"}, {Scheme: web.Form}, {Scheme: web.JSON},
		{Scheme: web.JSON, JSON: web.JSONLogin{Path: "/x", Token: "a.b"}},
	} {
		if cfg.Protected.Path == "" {
			cfg.Protected.Path = "/"
		}
		cfg.Dialer, cfg.Address = brokenLink{}, "x:1"
		if cfg.Scheme == "" {
			cfg.Address = ""
		}
		_, err := web.New(cfg)
		require.ErrorIs(t, err, login.ErrConfig, "%+v", cfg.Scheme)
	}
}

// A batch uses connections again, and gives the same answers.
func TestBatch(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]http.HandlerFunc{"/status": func(w http.ResponseWriter, r *http.Request) {
		if !isBasic(r) {
			w.WriteHeader(401)
			return
		}
		_, _ = io.WriteString(w, "uptime")
	}})
	seen := tap.New(&net.Dialer{}, 0)
	p := prober(t, s, func(c *web.Config) { c.Scheme, c.Dialer = web.Basic, seen })
	creds := make([]login.Credential, 40)
	for i := range creds {
		creds[i] = wrong
	}
	creds[20] = right
	opened := -1
	require.NoError(t, login.Sweep(t.Context(), p, creds, 2, func(r login.Result) bool {
		if r.Outcome.Kind.Opens() {
			opened = r.Index
		} else {
			assert.Equal(t, verdict.Refused, r.Outcome.Kind)
		}
		return true
	}))
	assert.Equal(t, 20, opened)
	// One for each lane, and now and then another: net/http dials while one is on its way back.
	assert.Less(t, len(seen.Records()), len(creds)/4)
	seen.Forget()
	for range 3 {
		_, err := p.Try(t.Context(), wrong)
		require.NoError(t, err)
	}
	assert.Len(t, seen.Records(), 3, "outside of a batch each try has a connection of its own")
}

// TestWithin: a request has the time that it is given, and not that of a try.
func TestWithin(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(300 * time.Millisecond):
		case <-r.Context().Done():
		}
		_, _ = w.Write([]byte("done"))
	}))
	defer slow.Close()
	cfg := web.Config{Dialer: &net.Dialer{}, Address: slow.Listener.Addr().String(), Timeout: 50 * time.Millisecond}
	_, err := web.Do(t.Context(), cfg, login.Request{Path: "/"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	resp, err := web.Do(t.Context(), cfg, login.Request{Path: "/", Within: 20 * time.Second})
	require.NoError(t, err)
	assert.Equal(t, "done", string(resp.Body))
}
