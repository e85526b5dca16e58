package http

import (
	"context"
	"crypto/md5" //nolint:gosec // what RFC 7616 switches still speak
	"encoding/hex"
	"fmt"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

// relay is a switch in all dialects.
type relay struct {
	mu       sync.Mutex
	on       bool
	stuck    bool          // takes orders and does nothing
	lag      time.Duration // until the state follows
	requests []string
}

func (r *relay) turn(on bool) (was bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was = r.on
	if r.lag > 0 {
		time.AfterFunc(r.lag, func() { r.mu.Lock(); r.on = on; r.mu.Unlock() })
	} else if !r.stuck {
		r.on = on
	}
	return was
}

func (r *relay) get() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.on }

func (r *relay) ServeHTTP(w nethttp.ResponseWriter, q *nethttp.Request) {
	r.mu.Lock()
	r.requests = append(r.requests, q.Method+" "+q.RequestURI)
	r.mu.Unlock()
	word := map[bool]string{true: "ON", false: "OFF"}
	switch uri := q.RequestURI; {
	case uri == "/cm?cmnd=Power2%20On" || uri == "/cm?cmnd=Power2%20Off":
		r.turn(strings.HasSuffix(uri, "On"))
		_, _ = fmt.Fprintf(w, `{"POWER2":"%s"}`, strings.ToUpper(strings.TrimPrefix(uri, "/cm?cmnd=Power2%20")))
	case uri == "/cm?cmnd=Power2":
		_, _ = fmt.Fprintf(w, `{"POWER2":"%s"}`, word[r.get()])
	case strings.HasPrefix(uri, "/relay/0"):
		if s := q.FormValue("turn"); s != "" {
			r.turn(s == "on")
		}
		_, _ = fmt.Fprintf(w, `{"ison":%t,"has_timer":false}`, r.get())
	case strings.HasPrefix(uri, "/rpc/Switch.Set?id=1&on="):
		_, _ = fmt.Fprintf(w, `{"was_on":%t}`, r.turn(strings.HasSuffix(uri, "true")))
	case uri == "/rpc/Switch.GetStatus?id=1":
		_, _ = fmt.Fprintf(w, `{"id":1,"source":"HTTP","output":%t,"apower":0.0}`, r.get())
	case uri == "/base/outlet" && q.Method == "POST" && q.Header.Get("Content-Type") == "text/plain":
		b := make([]byte, 10)
		n, _ := q.Body.Read(b)
		r.turn(string(b[:n]) == "3=on")
	case uri == "/base/outlet":
		_, _ = fmt.Fprintf(w, "<td>outlet 3</td><td>%s</td>", word[r.get()])
	default:
		nethttp.NotFound(w, q)
	}
}

func post(body string) Request {
	return Request{Method: "POST", Path: "/outlet", Header: map[string]string{"Content-Type": "text/plain"}, Body: body}
}

var pdu = &Templates{On: post("3=on"), Off: post("3=off"), State: Request{Path: "/outlet"},
	OnWhen: regexp.MustCompile(`<td>ON<`), OffWhen: regexp.MustCompile(`<td>OFF<`)}

func dialects(base string) map[string]Config {
	return map[string]Config{
		"tasmota":  {Style: Tasmota, Channel: 2, Base: base},
		"shelly1":  {Style: Shelly1, Base: base + "/"},
		"shelly2":  {Style: Shelly2, Channel: 1, Base: base},
		"template": {Style: Template, Template: pdu, Base: base + "/base"},
	}
}

func newPower(t *testing.T, conf Config) *Power {
	t.Helper()
	conf.Part = "power"
	p, err := New(t.Context(), conf)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

func serve(t *testing.T, h nethttp.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func fault(t *testing.T, err error) {
	t.Helper()
	f, ok := wire.AsFault(err)
	require.True(t, ok, "no fault: %v", err)
	assert.Equal(t, wire.Part("power"), f.Part)
}

func TestDialects(t *testing.T) {
	for name := range dialects("") {
		t.Run(name, func(t *testing.T) {
			r := &relay{}
			p := newPower(t, dialects(serve(t, r))[name])
			for range 2 {
				require.NoError(t, p.On(t.Context()))
				assert.True(t, r.get())
				s, err := p.State(t.Context())
				require.NoError(t, err)
				assert.Equal(t, wire.PowerOn, s)
				require.NoError(t, p.Off(t.Context()))
				assert.False(t, r.get())
				s, err = p.State(t.Context())
				require.NoError(t, err)
				assert.Equal(t, wire.PowerOff, s)
			}
		})
	}
}

func TestStuckAndSlow(t *testing.T) {
	t.Parallel()
	for name := range dialects("") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conf := dialects(serve(t, &relay{stuck: true}))[name]
			conf.Confirm = 200 * time.Millisecond
			err := newPower(t, conf).On(t.Context())
			fault(t, err)

			if name == "shelly1" {
				return // its answer is the state already
			}
			slow := &relay{lag: 150 * time.Millisecond}
			conf = dialects(serve(t, slow))[name]
			require.NoError(t, newPower(t, conf).On(t.Context()))
			assert.True(t, slow.get())
			sets := 0
			for _, q := range slow.requests {
				if strings.Contains(q, "On") || strings.Contains(q, "on=true") || strings.Contains(q, "POST") {
					sets++
				}
			}
			assert.Equal(t, 1, sets, "a set is sent once")
		})
	}
}

func TestNoState(t *testing.T) {
	blind := *pdu
	blind.State, blind.OnWhen, blind.OffWhen = Request{}, nil, nil
	r := &relay{}
	p := newPower(t, Config{Style: Template, Template: &blind, Base: serve(t, r) + "/base"})
	require.NoError(t, p.On(t.Context()))
	assert.True(t, r.get())
	s, err := p.State(t.Context())
	require.NoError(t, err)
	assert.Equal(t, wire.PowerUnknown, s)
}

func TestAuth(t *testing.T) {
	const user, password = "admin", "p w&%s3cret"
	const realm, nonce = "shelly", "60dc59c6"
	sum := func(s string) string { h := md5.Sum([]byte(s)); return hex.EncodeToString(h[:]) } //nolint:gosec // RFC 7616
	field := func(h, name string) string {
		m := regexp.MustCompile(`\b` + name + `="?([^",]*)"?`).FindStringSubmatch(h)
		if m == nil {
			return ""
		}
		return m[1]
	}
	r := &relay{on: true}
	h := nethttp.HandlerFunc(func(w nethttp.ResponseWriter, q *nethttp.Request) {
		auth := q.Header.Get("Authorization")
		u, pw, basic := q.BasicAuth()
		ok := basic && u == user && pw == password
		if v := q.URL.Query(); v.Get("user") == user && v.Get("password") == password {
			ok = true
			q.RequestURI = "/cm?" + q.RequestURI[strings.Index(q.RequestURI, "cmnd="):]
		}
		if strings.HasPrefix(auth, "Digest ") {
			ha1, ha2 := sum(user+":"+realm+":"+password), sum(q.Method+":"+q.RequestURI)
			want := sum(strings.Join([]string{ha1, nonce, field(auth, "nc"), field(auth, "cnonce"), "auth", ha2}, ":"))
			ok = field(auth, "response") == want
		}
		if !ok {
			w.Header().Set("WWW-Authenticate", `Digest realm="`+realm+`", nonce="`+nonce+`", qop="auth", algorithm=MD5`)
			w.WriteHeader(nethttp.StatusUnauthorized)
			_, _ = fmt.Fprintf(w, "wrong: %s %s", q.RequestURI, auth)
			return
		}
		r.ServeHTTP(w, q)
	})
	base := serve(t, h)
	for _, auth := range []Auth{BasicAuth, DigestAuth, QueryAuth} {
		conf := Config{Style: Tasmota, Channel: 2, Base: base, Auth: auth, User: user, Password: password}
		require.NoError(t, newPower(t, conf).Off(t.Context()), auth)
		conf.Password = "wr0ng-password"
		_, err := newPower(t, conf).State(t.Context())
		fault(t, err)
		assert.ErrorContains(t, err, "status 401")
		assert.NotContains(t, err.Error(), "wr0ng")
		conf.Base = "http://127.0.0.1:1" // nobody is there
		_, err = newPower(t, conf).State(t.Context())
		fault(t, err)
		assert.NotContains(t, err.Error(), "wr0ng")
	}
}

func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		serve nethttp.HandlerFunc
		want  string
	}{
		"endless":     {func(w nethttp.ResponseWriter, _ *nethttp.Request) { flood(w) }, "more than 65536 bytes"},
		"endless 401": {func(w nethttp.ResponseWriter, _ *nethttp.Request) { w.WriteHeader(401); flood(w) }, "status 401|more than"},
		"redirect": {func(w nethttp.ResponseWriter, q *nethttp.Request) {
			nethttp.Redirect(w, q, "http://127.0.0.1:1/", nethttp.StatusFound)
		}, "status 302"},
		"error":   {func(w nethttp.ResponseWriter, _ *nethttp.Request) { w.WriteHeader(500) }, "status 500"},
		"silent":  {func(_ nethttp.ResponseWriter, q *nethttp.Request) { <-q.Context().Done() }, "deadline exceeded"},
		"no http": {func(w nethttp.ResponseWriter, _ *nethttp.Request) { raw(w, "\x1b[2Jhello\r\n") }, "malformed"},
		"cut": {func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			raw(w, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{")
		}, "unexpected EOF"},
		"long header": {func(w nethttp.ResponseWriter, _ *nethttp.Request) { w.Header().Set("X", strings.Repeat("x", 100_000)) }, "exceeded"},
		"echoes": {func(w nethttp.ResponseWriter, q *nethttp.Request) {
			u, p, _ := q.BasicAuth()
			_, _ = fmt.Fprint(w, u, p, q.Header)
		}, "[password]"},
		"another style": {func(w nethttp.ResponseWriter, _ *nethttp.Request) { _, _ = fmt.Fprint(w, `{"ison":true}`) }, `no "POWER" ON or OFF`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, auth := range []Auth{BasicAuth, DigestAuth} {
				if name == "echoes" && auth == DigestAuth {
					continue
				}
				p := newPower(t, Config{Style: Tasmota, Base: serve(t, tc.serve), Timeout: 500 * time.Millisecond,
					Auth: auth, User: "u", Password: "s3cret"})
				_, err := p.State(t.Context())
				fault(t, err)
				assert.Regexp(t, strings.ReplaceAll(regexp.QuoteMeta(tc.want), `\|`, "|"), err.Error())
				assert.NotContains(t, err.Error(), "s3cret")
				assert.Less(t, len(err.Error()), 600)
			}
		})
	}
}

func flood(w nethttp.ResponseWriter) {
	for range 100_000 {
		if _, err := w.Write([]byte(strings.Repeat("x", 1024))); err != nil {
			return
		}
	}
}

func raw(w nethttp.ResponseWriter, s string) {
	c, _, err := w.(nethttp.Hijacker).Hijack()
	if err == nil {
		_, _ = c.Write([]byte(s))
		_ = c.Close()
	}
}

func TestCloseAndCancel(t *testing.T) {
	hang := nethttp.HandlerFunc(func(_ nethttp.ResponseWriter, q *nethttp.Request) { <-q.Context().Done() })
	base := serve(t, hang)
	p := newPower(t, Config{Style: Shelly1, Base: base, Timeout: time.Minute})
	time.AfterFunc(50*time.Millisecond, func() { _ = p.Close() })
	err := p.On(t.Context())
	fault(t, err)
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, p.Off(t.Context()), net.ErrClosed)

	p = newPower(t, Config{Style: Shelly1, Base: base, Timeout: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	err = p.On(ctx)
	require.ErrorIs(t, err, context.Canceled)
	_, isFault := wire.AsFault(err)
	assert.False(t, isFault)
}

func TestRead(t *testing.T) {
	for _, tc := range []struct {
		d    dialect
		body string
		want wire.PowerState // unknown: an error
	}{
		{tasmota(0), `{"POWER":"ON"}`, wire.PowerOn},
		{tasmota(0), `{"POWER1":"OFF"}`, wire.PowerOff},
		{tasmota(1), `{"POWER":"OFF"}`, wire.PowerOff},
		{tasmota(2), `{"POWER":"ON"}`, 0},
		{tasmota(2), `{"POWER1":"ON","POWER2":"OFF"}`, wire.PowerOff},
		{tasmota(0), `{"POWER":"ON","POWER1":"OFF"}`, 0},
		{tasmota(0), `{"POWER":"on"}`, 0},
		{tasmota(0), `{"POWER":"OFF","POWER":"ON"}`, 0},
		{tasmota(0), `{"WARNING":"Need user=<username>&password=<password>"}`, 0},
		{tasmota(0), `{"Command":"Unknown"}`, 0},
		{shelly1(0), `{"ison":"true"}`, 0},
		{shelly1(0), `{"ison":1}`, 0},
		{shelly1(0), `true`, 0},
		{shelly2(0), `{"output":true}{"output":false}`, 0},
		{shelly2(0), `{"code":-105,"message":"Argument 'id', value 9 not found!"}`, 0},
		{shelly2(0), ``, 0},
		{template{pdu}, `<td>ON</td><td>OFF</td>`, 0},
		{template{pdu}, `login please`, 0},
	} {
		got, err := tc.d.read([]byte(tc.body))
		assert.Equal(t, tc.want, got, tc.body)
		if tc.want == wire.PowerUnknown {
			assert.ErrorIs(t, err, ErrAnswer, tc.body)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"POWER":"ON"}`, `{"ison":true}`, `{"output":false,"x":[{}]}`, `{`, "\xff", `{"a":1,"a":2}`, `<td>ON<`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, d := range []dialect{tasmota(0), tasmota(3), shelly1(0), shelly2(0), template{pdu}} {
			s, err := d.read(body)
			if (err == nil) == (s == wire.PowerUnknown) {
				t.Fatalf("%T: %v with %v", d, s, err)
			}
		}
	})
}

func TestValidate(t *testing.T) {
	ok := Config{Part: "power", Base: "http://10.0.0.1", Style: Shelly2}
	with := func(f func(*Config)) Config { c := ok; f(&c); return c }
	require.NoError(t, ok.Validate())
	for want, conf := range map[string]Config{
		"no part name":            {},
		"want http://HOST":        with(func(c *Config) { c.Base = "10.0.0.1" }),
		"no user, password":       with(func(c *Config) { c.Base = "http://u:s3cret@10.0.0.1" }),
		`style "plug"`:            with(func(c *Config) { c.Style = "plug" }),
		"takes no template":       with(func(c *Config) { c.Template = pdu }),
		"needs a template":        with(func(c *Config) { c.Style = Template }),
		"channel 99":              with(func(c *Config) { c.Channel = 99 }),
		"auth is missing":         with(func(c *Config) { c.Password = "s3cret" }),
		"Tasmota's alone":         with(func(c *Config) { c.Auth, c.User = QueryAuth, "u" }),
		"auth basic needs a user": with(func(c *Config) { c.Auth, c.Password = BasicAuth, "s3cret" }),
		`auth "ntlm"`:             with(func(c *Config) { c.Auth = "ntlm" }),
		"timeout 1h0m0s":          with(func(c *Config) { c.Timeout = time.Hour }),
		"on: want a path":         with(func(c *Config) { c.Style, c.Template = Template, &Templates{Off: Request{Path: "/"}} }),
		"needs both on-when": with(func(c *Config) {
			c.Style, c.Template = Template, &Templates{On: post(""), Off: post(""), State: post("")}
		}),
		"need a state request": with(func(c *Config) {
			c.Style, c.Template = Template, &Templates{On: post(""), Off: post(""), OnWhen: pdu.OnWhen}
		}),
		`state: method "DELETE"`: with(func(c *Config) {
			c.Style, c.Template = Template, &Templates{State: Request{Method: "DELETE", Path: "/"}}
		}),
	} {
		_, err := New(t.Context(), conf)
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "s3cret")
	}
}
