package web_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/login/internal/peers"
	"rigor/harness/login/web"
	"rigor/harness/verdict"
)

func at(address string, change func(*web.Config)) web.Config {
	cfg := web.Config{
		Dialer: &net.Dialer{}, Address: address, Timeout: 5 * time.Second,
		Scheme: web.Basic, Protected: web.Page{Path: "/status.txt", Pattern: regexp.MustCompile("uptime")},
	}
	if change != nil {
		change(&cfg)
	}
	return cfg
}

func try(t *testing.T, cfg web.Config, c login.Credential, want verdict.Kind) login.Outcome {
	t.Helper()
	p, err := web.New(cfg)
	require.NoError(t, err)
	o, err := p.Try(t.Context(), c)
	require.NoError(t, err)
	assert.Equal(t, want, o.Kind, "%s\n%s", o.Detail, o.Evidence)
	assert.NotContains(t, o.Detail+string(o.Evidence), good)
	return o
}

// site makes a folder with the protected page.
func site(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	// The servers change to a user that must get through to it.
	for d := dir; d != os.TempDir() && len(d) > 1; d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o755))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "www"), 0o755))
	peers.Write(t, filepath.Join(dir, "www", "status.txt"), "uptime 5\n")
	peers.Write(t, filepath.Join(dir, "www", "open.txt"), "uptime 6\n")
	return dir
}

func selfSigned(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	openssl := peers.Need(t, "openssl", "openssl")
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	out, err := exec.Command(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-subj", "/CN=dut", "-days", "1", "-out", cert, "-keyout", key).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return cert, key
}

func nginx(t testing.TB, dir, http, server string, tls bool) string {
	t.Helper()
	program := peers.Need(t, "nginx", "nginx-light")
	address := peers.Port(t)
	listen := address
	if tls {
		listen += " ssl"
	}
	peers.Write(t, filepath.Join(dir, "users"), "admin:{PLAIN}"+good+"\n")
	config := peers.Write(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr warn;
events {}
http {
  access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  types { text/html html; text/plain txt; }
  %[2]s
  server { listen %[3]s; root %[1]s/www; %[4]s }
}`, dir, http, listen, server))
	peers.Start(t, address, program, "-p", dir, "-e", "stderr", "-c", config)
	return address
}

const nginxBasic = `location / { auth_basic "acme"; auth_basic_user_file users; } location /open.txt { }`

func TestNginxBasic(t *testing.T) {
	address := nginx(t, site(t), "", nginxBasic, false)
	o := try(t, at(address, nil), right, verdict.Accepted)
	assert.Regexp(t, "^nginx", o.Facts[login.FactServer])
	try(t, at(address, nil), wrong, verdict.Refused)
	try(t, at(address, nil), login.Credential{User: "admin"}, verdict.Refused)
	try(t, at(address, nil), login.Credential{User: "ghost", Password: good}, verdict.Refused)
	try(t, at(address, nil), login.Nobody, verdict.Refused)
	try(t, at(address, func(c *web.Config) { c.Scheme = web.Digest }), right, verdict.Incompatible)
	open := func(c *web.Config) { c.Protected.Path = "/open.txt" }
	try(t, at(address, open), right, verdict.Unproven)
	try(t, at(address, open), login.Nobody, verdict.Accepted)
	try(t, at(address, func(c *web.Config) { c.TLS = true }), right, verdict.Incompatible)
}

func TestNginxTLS(t *testing.T) {
	dir := site(t)
	cert, key := selfSigned(t, dir)
	address := nginx(t, dir, "", fmt.Sprintf("ssl_certificate %s; ssl_certificate_key %s; %s", cert, key, nginxBasic), true)
	tls := func(c *web.Config) { c.TLS = true }
	o := try(t, at(address, tls), right, verdict.Accepted)
	assert.Len(t, o.Facts[login.FactTLS], 64)
	try(t, at(address, tls), wrong, verdict.Refused)
	try(t, at(address, nil), right, verdict.Garbled) // "plain HTTP request was sent to HTTPS port"
}

func TestNginxLimit(t *testing.T) {
	for status, want := range map[int]verdict.Kind{503: verdict.Throttled, 429: verdict.Throttled} {
		address := nginx(t, site(t), "limit_req_zone $binary_remote_addr zone=z:1m rate=6r/m; limit_req_status "+fmt.Sprint(status)+";",
			"limit_req zone=z; "+nginxBasic, false)
		try(t, at(address, nil), wrong, verdict.Refused)
		try(t, at(address, nil), wrong, want)
		try(t, at(address, nil), right, want)
	}
}

// A form's login by nginx alone: the cookie is what its own rules compare.
func TestNginxForm(t *testing.T) {
	dir := site(t)
	peers.Write(t, filepath.Join(dir, "www", "login.html"), `<form method="get" action="/enter"><input name="u"><input type="password" name="p"></form>`)
	address := nginx(t, dir, "", `
location = /enter { if ($args = "p=secret&u=admin") { add_header Set-Cookie "sid=1; Path=/" always; return 302 /status.txt; } return 302 /login.html?again; }
location = /status.txt { if ($cookie_sid != "1") { return 302 /login.html; } }`, false)
	form := func(c *web.Config) { c.Scheme, c.Form.Page = web.Form, "/login.html" }
	try(t, at(address, form), login.Credential{User: "admin", Password: "secret"}, verdict.Accepted)
	try(t, at(address, form), wrong, verdict.Refused)
	try(t, at(address, form), login.Nobody, verdict.Refused)
}

func TestLighttpd(t *testing.T) {
	t.Parallel()
	program := peers.Need(t, "lighttpd", "lighttpd")
	for name, tc := range map[string]struct {
		auth   string
		scheme web.Scheme
		other  web.Scheme
	}{
		"basic":          {`"method" => "basic"`, web.Basic, web.Digest},
		"digest MD5":     {`"method" => "digest", "algorithm" => "MD5"`, web.Digest, web.Basic},
		"digest SHA-256": {`"method" => "digest", "algorithm" => "SHA-256"`, web.Digest, web.Basic},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it holds each refusal back for a second
			dir, address := site(t), peers.Port(t)
			users := peers.Write(t, filepath.Join(dir, "users"), "admin:"+good+"\n")
			config := peers.Write(t, filepath.Join(dir, "conf"), fmt.Sprintf(`server.document-root = "%[1]s/www"
server.bind = "127.0.0.1"
server.port = %[2]s
server.modules = ("mod_auth", "mod_authn_file")
mimetype.assign = (".txt" => "text/plain")
auth.backend = "plain"
auth.backend.plain.userfile = "%[3]s"
auth.require = ("/status.txt" => (%[4]s, "realm" => "acme", "require" => "valid-user"))
`, dir, peers.PortOf(address), users, tc.auth))
			peers.Start(t, address, program, "-D", "-f", config)
			as := func(s web.Scheme) web.Config { return at(address, func(c *web.Config) { c.Scheme = s }) }
			try(t, as(tc.scheme), right, verdict.Accepted)
			try(t, as(tc.scheme), wrong, verdict.Refused)
			try(t, as(tc.scheme), login.Credential{User: "admin"}, verdict.Refused)
			try(t, as(tc.scheme), login.Nobody, verdict.Refused)
			try(t, as(tc.other), right, verdict.Incompatible)
			p, err := web.New(as(tc.scheme))
			require.NoError(t, err)
			access, o, err := p.Open(t.Context(), right)
			require.NoError(t, err)
			require.NotNil(t, access, "%s", o)
			defer access.Close()
			got, err := access.Do(t.Context(), login.Request{Path: "/status.txt"})
			require.NoError(t, err)
			assert.Equal(t, "uptime 5\n", string(got.Body))
		})
	}
}

func TestBusyboxHTTPD(t *testing.T) {
	busybox := peers.Need(t, "busybox", "busybox")
	if !peers.Applet(t, "httpd") {
		t.Skip("needs a busybox with httpd: this one was built without")
	}
	dir, address := site(t), peers.Port(t)
	config := peers.Write(t, filepath.Join(dir, "conf"), "/status.txt:admin:"+good+"\n")
	peers.Start(t, address, busybox, "httpd", "-f", "-p", address, "-h", filepath.Join(dir, "www"), "-c", config)
	try(t, at(address, nil), right, verdict.Accepted)
	try(t, at(address, nil), wrong, verdict.Refused)
	try(t, at(address, nil), login.Nobody, verdict.Refused)
}
