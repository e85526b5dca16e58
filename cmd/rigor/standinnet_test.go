package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"rigor/harness/profile"
	"rigor/harness/rig"
)

// network serves the logins over the network, each behind a port of this computer.
func (d *standin) network(ctx context.Context, t *testing.T, f *rig.File, all *sync.WaitGroup) {
	if f.Network == nil {
		return
	}
	f.Network.Interface, f.Network.Address, f.Network.Ports = "", "127.0.0.1", map[int]int{}
	for _, name := range d.prof.Logins.Order {
		l := d.prof.Logins.Items[name]
		switch {
		case l.Protocol == "ssh":
			conf := d.sshConfig(t)
			f.Network.Ports[l.Port] = d.gated(ctx, t, all, func(c net.Conn) { d.ssh(c, conf, l) })
		case strings.HasPrefix(l.Protocol, "http"):
			s := httptest.NewUnstartedServer(d.web(l))
			s.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
			s.StartTLS()
			t.Cleanup(s.Close)
			f.Network.Ports[l.Port] = d.gated(ctx, t, all, func(c net.Conn) { relay(c, s.Listener.Addr().String()) })
		case l.Protocol == "exec" && l.Port != 0:
			f.Network.Ports[l.Port] = d.gated(ctx, t, all, func(c net.Conn) { relay(c, d.lines) })
		}
	}
}

// gate is a port that takes connections while the supply is on.
type gate struct {
	address string
	serve   func(net.Conn)
	ctx     context.Context
	all     *sync.WaitGroup
	close   func()
}

// gated opens a port of the device, and gives its number.
func (d *standin) gated(ctx context.Context, t *testing.T, all *sync.WaitGroup, serve func(net.Conn)) int {
	// A socket that is bound and does not listen keeps the port for the device while
	// that is off: whoever knocks is refused.
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	require.NoError(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	at, err := unix.Getsockname(fd)
	require.NoError(t, err)
	port := at.(*unix.SockaddrInet4).Port
	g := &gate{address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), serve: serve, ctx: ctx, all: all, close: func() {}}
	g.set(true)
	d.gates = append(d.gates, g)
	return port
}

func (g *gate) set(on bool) {
	g.close()
	g.close = func() {}
	if !on {
		return
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		_ = c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return err
	}}
	ln, err := lc.Listen(g.ctx, "tcp", g.address)
	if g.ctx.Err() != nil { // the test is over
		return
	}
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(g.ctx)
	ended := make(chan struct{})
	g.all.Go(func() {
		defer close(ended)
		accept(ctx, ln, g.serve)
	})
	g.close = func() {
		cancel()
		<-ended
	}
}

// relay passes bytes on, both ways, until either end closes.
func relay(c net.Conn, to string) {
	there, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(there, c)
		_ = there.Close()
	}()
	_, _ = io.Copy(c, there)
}

// web serves the pages of a login, to who is in.
func (d *standin) web(l *profile.Login) http.Handler {
	page := func(w http.ResponseWriter, status int, text string) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
	inside := func(r *http.Request) bool {
		if user, password, ok := r.BasicAuth(); ok && l.Protocol == "http-basic" {
			return d.auth(l, user, password) == ""
		}
		if c, err := r.Cookie("session"); err == nil && d.knows(c.Value) {
			return true
		}
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		return ok && d.knows(token)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !d.powered() {
			panic(http.ErrAbortHandler)
		}
		route := r.Method + " " + r.URL.Path
		switch {
		case r.Method == http.MethodPost && r.URL.Path == l.Page && l.Protocol == "http-form":
			if d.auth(l, r.PostFormValue(l.Fields.User), r.PostFormValue(l.Fields.Password)) != "" {
				page(w, http.StatusForbidden, "<p>"+l.Refused.Literal+"</p>")
				return
			}
			http.SetCookie(w, &http.Cookie{Name: "session", Value: d.token(), Path: "/", Secure: true, HttpOnly: true})
			http.Redirect(w, r, l.Proof.Get, http.StatusSeeOther)
		case r.Method == http.MethodPost && r.URL.Path == l.Page && l.Protocol == "http-json":
			var in map[string]string
			if json.NewDecoder(r.Body).Decode(&in) != nil || d.auth(l, in[l.Fields.User], in[l.Fields.Password]) != "" {
				page(w, http.StatusUnauthorized, `{"error":"no"}`)
				return
			}
			page(w, http.StatusOK, `{"token":"`+d.token()+`"}`)
		case r.URL.Path == l.Proof.Get:
			if !inside(r) {
				if l.Protocol == "http-basic" {
					w.Header().Set("WWW-Authenticate", `Basic realm="device"`)
				}
				page(w, http.StatusUnauthorized, "no")
				return
			}
			page(w, http.StatusOK, `{"version":"`+d.prof.Firmware.Version+`","model":"`+d.prof.Model+`","page":"Signed in"}`)
		case r.Method == http.MethodGet && r.URL.Path == l.Page && l.Page != "" && l.Protocol == "http-form":
			page(w, http.StatusOK, `<form method="post" action="`+l.Page+`"><input name="`+l.Fields.User+`"><input type="password" name="`+l.Fields.Password+`"></form>`)
		case slices.Contains(d.prof.Routes.Open, route):
			page(w, http.StatusOK, `{"serial":"`+d.serial+`"}`)
		default:
			page(w, http.StatusNotFound, "no such page")
		}
	})
}

func (d *standin) sshConfig(t *testing.T) func(l *profile.Login) *ssh.ServerConfig {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	return func(l *profile.Login) *ssh.ServerConfig {
		c := &ssh.ServerConfig{ServerVersion: "SSH-2.0-dropbear", PasswordCallback: func(m ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if no := d.auth(l, m.User(), string(password)); no != "" {
				return nil, fmt.Errorf("%s", no)
			}
			return nil, nil
		}}
		c.KeyExchanges, c.MACs = []string{"curve25519-sha256"}, []string{"hmac-sha2-256-etm@openssh.com", "hmac-sha2-256"}
		c.AddHostKey(signer)
		return c
	}
}

func (d *standin) ssh(c net.Conn, conf func(*profile.Login) *ssh.ServerConfig, l *profile.Login) {
	if !d.powered() {
		return
	}
	conn, channels, requests, err := ssh.NewServerConn(c, conf(l))
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	go ssh.DiscardRequests(requests)
	for n := range channels {
		ch, reqs, err := n.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range reqs {
				ok := r.Type == "exec"
				_ = r.Reply(ok, nil)
				if ok {
					text, status := d.command(string(r.Payload[4:]), l)
					_, _ = io.WriteString(ch, text+"\n")
					_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
					_ = ch.Close()
				}
			}
		}()
	}
}
