package ssh_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	xssh "golang.org/x/crypto/ssh"

	"rigor/harness/login"
	"rigor/harness/login/ssh"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// listen serves each connection with serve until the test ends.
func listen(t *testing.T, serve func(net.Conn)) string {
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
			t.Cleanup(func() { _ = c.Close() })
			go serve(c)
		}
	}()
	return l.Addr().String()
}

func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	}
}

func stays(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		_, _ = io.Copy(io.Discard, c)
	}
}

func TestAnswersBeforeTheLogin(t *testing.T) {
	t.Parallel()
	refused := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		return l.Addr().String()
	}
	for _, tc := range []struct {
		name    string
		address string
		want    verdict.Kind
	}{
		{"nobody listens", refused(), verdict.Unreachable},
		{"closed at once", listen(t, says("")), verdict.Unreachable},
		{"silent", listen(t, stays("")), verdict.Silent},
		{"silent after its version", listen(t, stays("SSH-2.0-dead\r\n")), verdict.Silent},
		{"closed after its version", listen(t, says("SSH-2.0-dead\r\n")), verdict.Unreachable},
		{"SSH 1", listen(t, stays("SSH-1.5-old\r\n")), verdict.Incompatible},
		{"a web server", listen(t, says("HTTP/1.1 400 Bad Request\r\n\r\n")), verdict.Garbled},
		{"noise", listen(t, says("\x00\xff\x1b]0;x\x07\n")), verdict.Garbled},
		{"noise after its version", listen(t, says("SSH-2.0-x\r\n\xff\xff\xff\xffnoise noise noise")), verdict.Garbled},
		{"penalty", listen(t, says("Not allowed at this time\r\n")), verdict.Throttled},
		{"full", listen(t, says("Exceeded MaxStartups\r\n")), verdict.Throttled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := prober(t, tc.address, func(c *ssh.Config) { c.Timeout = 500 * time.Millisecond })
			o, err := p.Try(t.Context(), login.Credential{User: "u", Password: "p"})
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, o.Detail)
			assert.False(t, o.Sent)
			assert.Positive(t, o.Took)
		})
	}
}

// server is a device of our own: what OpenSSH and dropbear do not do.
func server(t *testing.T, cfg *xssh.ServerConfig) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := xssh.NewSignerFromKey(key)
	require.NoError(t, err)
	cfg.AddHostKey(signer)
	return listen(t, func(c net.Conn) {
		conn, channels, requests, err := xssh.NewServerConn(c, cfg)
		if err != nil {
			return
		}
		go xssh.DiscardRequests(requests)
		for ch := range channels {
			_ = ch.Reject(xssh.Prohibited, "no sessions here")
		}
		_ = conn.Wait()
	})
}

var errNo = errors.New("no")

func ask(round func(ask xssh.KeyboardInteractiveChallenge) error) *xssh.ServerConfig {
	return &xssh.ServerConfig{KeyboardInteractiveCallback: func(_ xssh.ConnMetadata, c xssh.KeyboardInteractiveChallenge) (*xssh.Permissions, error) {
		return nil, round(c)
	}}
}

func TestDialogues(t *testing.T) {
	t.Parallel()
	password := func(ask xssh.KeyboardInteractiveChallenge, instruction string) string {
		got, err := ask("", instruction, []string{"Password: "}, []bool{false})
		if err != nil || len(got) != 1 {
			return ""
		}
		return got[0]
	}
	for _, tc := range []struct {
		name string
		cfg  *xssh.ServerConfig
		want verdict.Kind
		sent bool
	}{
		{"wrong", ask(func(a xssh.KeyboardInteractiveChallenge) error { password(a, ""); return errNo }), verdict.Refused, true},
		{"asked anew", ask(func(a xssh.KeyboardInteractiveChallenge) error {
			password(a, "")
			password(a, "Login incorrect")
			return errNo
		}), verdict.Refused, true},
		{"locked, told before the question", ask(func(a xssh.KeyboardInteractiveChallenge) error {
			password(a, "The account is locked due to 3 failed logins.")
			return errNo
		}), verdict.LockedOut, true},
		{"a rule about locking, and a refusal", ask(func(a xssh.KeyboardInteractiveChallenge) error {
			password(a, "Your account will be locked after 3 tries. If your account is locked, call us.")
			return errNo
		}), verdict.Refused, true},
		{"has to set a password", ask(func(a xssh.KeyboardInteractiveChallenge) error {
			password(a, "")
			_, err := a("", "You are required to change your password immediately (administrator enforced).", []string{"New password: "}, []bool{false})
			return err
		}), verdict.Restricted, true},
		{"a second factor", ask(func(a xssh.KeyboardInteractiveChallenge) error {
			password(a, "")
			_, err := a("", "", []string{"Verification code: "}, []bool{true})
			return err
		}), verdict.Unproven, true},
		{"refused without a question", ask(func(xssh.KeyboardInteractiveChallenge) error { return errNo }), verdict.Refused, false},
		{"taken, but no session", ask(func(a xssh.KeyboardInteractiveChallenge) error { password(a, ""); return nil }), verdict.Unproven, true},
		{"a locked account, in a banner", &xssh.ServerConfig{
			BannerCallback:   func(xssh.ConnMetadata) string { return "Account locked.\n" },
			PasswordCallback: func(xssh.ConnMetadata, []byte) (*xssh.Permissions, error) { return nil, errNo },
		}, verdict.LockedOut, true},
		{"anybody is let in by none", &xssh.ServerConfig{NoClientAuth: true}, verdict.Unproven, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := prober(t, server(t, tc.cfg), func(c *ssh.Config) { c.Timeout = 5 * time.Second })
			o, err := p.Try(t.Context(), login.Credential{User: "u", Password: "p4ssw0rd-x"})
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, o.Detail)
			assert.Equal(t, tc.sent, o.Sent)
			assert.NotContains(t, o.Detail+string(o.Evidence), "p4ssw0rd-x")
		})
	}
}

func TestClosedAfterTheCredential(t *testing.T) {
	t.Parallel()
	var conn net.Conn
	cfg := &xssh.ServerConfig{PasswordCallback: func(xssh.ConnMetadata, []byte) (*xssh.Permissions, error) {
		_ = conn.Close() // as a packet filter that has counted enough
		return nil, errNo
	}}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := xssh.NewSignerFromKey(key)
	require.NoError(t, err)
	cfg.AddHostKey(signer)
	address := listen(t, func(c net.Conn) {
		conn = c
		_, _, _, _ = xssh.NewServerConn(c, cfg)
	})
	o, err := prober(t, address, nil).Try(t.Context(), login.Credential{User: "u", Password: "p"})
	require.NoError(t, err)
	assert.Equal(t, verdict.Unreachable, o.Kind, o.Detail)
	assert.True(t, o.Sent)
}

type brokenLink struct{}

func (brokenLink) DialContext(context.Context, string, string) (net.Conn, error) {
	return nil, &wire.Fault{Part: "link", Op: "dial", Err: errors.New("no carrier")}
}

func TestTroubleOfTheRig(t *testing.T) {
	t.Parallel()
	p := prober(t, "127.0.0.1:1", func(c *ssh.Config) { c.Dialer = brokenLink{} })
	_, err := p.Try(t.Context(), login.Credential{User: "u", Password: "p4ssw0rd-x"})
	f, ok := wire.AsFault(err)
	require.True(t, ok, err)
	assert.Equal(t, wire.Part("link"), f.Part)
	assert.NotContains(t, err.Error(), "p4ssw0rd-x")

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = prober(t, listen(t, stays("")), nil).Try(ctx, login.Credential{User: "u"})
	require.ErrorIs(t, err, context.DeadlineExceeded, "the caller's end is not the DUT's silence")

	for _, cfg := range []ssh.Config{
		{}, {Dialer: brokenLink{}}, {Dialer: brokenLink{}, Address: "x:1", Method: "magic"}, {Dialer: brokenLink{}, Address: "x:1", Command: "id"},
	} {
		_, err := ssh.New(cfg)
		require.ErrorIs(t, err, login.ErrConfig)
	}
}

// What a server says before the key exchange is foreign, whatever it is.
func FuzzPreface(f *testing.F) {
	for _, seed := range []string{"", "SSH-2.0-x\r\n", "SSH-1.99-x\r\nmore", strings.Repeat("A", 4096), "hello\nSSH-2.0-y\r\n\x00\x00\x00\x0c\x0a\x14", "\xff\xfb\x01login: "} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		near, far := net.Pipe()
		go func() {
			go func() { _, _ = io.Copy(io.Discard, far) }()
			_, _ = far.Write(text)
			_ = far.Close()
		}()
		p, err := ssh.New(ssh.Config{Dialer: fixed{near}, Address: "dut:22", Timeout: 2 * time.Second})
		require.NoError(t, err)
		o, err := p.Try(t.Context(), login.Credential{User: "u", Password: "p"})
		require.NoError(t, err)
		assert.False(t, o.Kind.Opens())
		assert.NotEqual(t, verdict.Refused, o.Kind, "nothing was asked: %s", o.Detail)
	})
}

type fixed struct{ conn net.Conn }

func (f fixed) DialContext(context.Context, string, string) (net.Conn, error) { return f.conn, nil }
