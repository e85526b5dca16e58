package survey

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

func TestGreeting(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"SSH-2.0-dropbear_2022.83\r\n":             "ssh",
		"\xff\xfb\x01\xff\xfb\x03\r\nacme login: ": "telnet",
		"\r\nacme login: ":                         "telnet",
		"220 (vsFTPd 3.0.3)\r\n":                   "ftp",
		"RFB 003.008\n":                            "vnc",
		"HTTP/1.0 400 Bad Request\r\n":             "http",
		"hello\r\n":                                "",
		"":                                         "",
	} {
		assert.Equal(t, want, Greeting([]byte(raw)), "%q", raw)
	}
	assert.Equal(t, "acme login: ", FirstLine([]byte("\xff\xfb\x01\xff\xfb\x03\r\nacme login: ")))
}

func TestReadPage(t *testing.T) {
	t.Parallel()
	page := "HTTP/1.0 200 OK\r\nServer: tiny\r\n\r\n<html><TITLE>\n ACME &amp; sons </TITLE><form action='/in' method=post>" +
		`<input name="u"><input type=PASSWORD name="p"><input type=submit></form>`
	assert.Equal(t, &Page{Path: "/", Status: 200, Title: "ACME & sons", Server: "tiny", Action: "/in", User: "u", Password: "p"}, ReadPage("/", []byte(page)))
	assert.Equal(t, &Page{Path: "/", Status: 401, Scheme: "digest"},
		ReadPage("/", []byte("HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Digest realm=\"x\"\r\nContent-Length: 99\r\n\r\ncut")))
	assert.Nil(t, ReadPage("/", []byte("SSH-2.0-x\r\n")))
	assert.Nil(t, ReadPage("/", nil))
}

func TestParsePorts(t *testing.T) {
	t.Parallel()
	got, ok := ParsePorts("443, 22,80-82,22")
	assert.True(t, ok)
	assert.Equal(t, []int{22, 80, 81, 82, 443}, got)
	for _, bad := range []string{"", "0", "65536", "9-3", "x", "1-", "22,,23"} {
		_, ok := ParsePorts(bad)
		assert.False(t, ok, bad)
	}
}

// plain dials as this computer does.
type plain struct{ net.Dialer }

// speaker is a service that says one thing.
func speaker(t *testing.T, says string) int {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, ln.Close()) })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(says))
			defer func() { _ = c.Close() }()
		}
	}()
	return ln.Addr().(*net.TCPAddr).Port
}

func TestKnock(t *testing.T) {
	t.Parallel()
	web := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/in?x=1", http.StatusSeeOther)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="acme"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	clear, safe := httptest.NewServer(web), httptest.NewTLSServer(web)
	defer clear.Close()
	defer safe.Close()
	ports := map[int]int{22: speaker(t, "SSH-2.0-acme\r\n"), 23: speaker(t, "\xff\xfd\x18acme login: "), 502: speaker(t, ""),
		80: clear.Listener.Addr().(*net.TCPAddr).Port, 443: safe.Listener.Addr().(*net.TCPAddr).Port, 21: closed(t)}
	got, err := Knock(t.Context(), &plain{}, "127.0.0.1", []int{21, 22, 23, 80, 443, 502}, ports)
	require.NoError(t, err)
	assert.True(t, got.Answers())
	assert.Equal(t, 1, got.Refused)
	assert.Empty(t, got.Silent)
	require.Len(t, got.Open, 5)
	for i, want := range []Service{{Port: 22, Kind: "ssh", Says: "SSH-2.0-acme"}, {Port: 23, Kind: "telnet", Says: "acme login: "}} {
		assert.Equal(t, want, got.Open[i])
	}
	for i, tls := range []bool{false, true} {
		s := got.Open[2+i]
		require.NotNil(t, s.Page, "%+v", s)
		assert.Equal(t, tls, s.TLS)
		assert.Equal(t, "basic", s.Page.Scheme)
		assert.Equal(t, "/in?x=1", s.Page.Path)
		assert.Equal(t, tls, s.Cert != "")
	}
	assert.Equal(t, Service{Port: 502}, got.Open[4], "what says nothing, and may be anything, is not asked")
}

// closed gives a port on which nobody listens.
func closed(t *testing.T) int {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	return ln.Addr().(*net.TCPAddr).Port
}

// dialer answers as it is told.
type dialer struct{ err error }

func (d dialer) DialContext(context.Context, string, string) (net.Conn, error) { return nil, d.err }

// Trouble of our own ends the look; a host that does not answer is no error.
func TestKnockTrouble(t *testing.T) {
	t.Parallel()
	_, err := Knock(t.Context(), dialer{&wire.Fault{Part: "link", Op: "dial", Err: errors.New("no carrier")}}, "192.0.2.7", Ports(), nil)
	assert.ErrorContains(t, err, "no carrier")
	got, err := Knock(t.Context(), dialer{errors.New("no answer")}, "192.0.2.7", []int{22, 80}, nil)
	require.NoError(t, err)
	assert.False(t, got.Answers())
	assert.Equal(t, []int{22, 80}, got.Silent)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	<-ctx.Done()
	_, err = Knock(ctx, dialer{errors.New("no answer")}, "192.0.2.7", Ports(), nil)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func FuzzReadPage(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n<title>x</title><form action=\"/\"><input type=password name=p></form>"))
	f.Add([]byte("HTTP/1.1 401 x\r\nWWW-Authenticate: Basic\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p := ReadPage("/", b); p != nil {
			for _, s := range []string{p.Title, p.Server, p.Goes, p.Action, p.User, p.Password} {
				assert.LessOrEqual(t, len(s), 200)
			}
		}
		assert.LessOrEqual(t, len(FirstLine(b)), 200)
		_ = Greeting(b)
		_, _ = ParsePorts(string(b[:min(len(b), 8)]))
		assert.True(t, utf8.ValidString(strconv.Quote(FirstLine(b))))
	})
}
