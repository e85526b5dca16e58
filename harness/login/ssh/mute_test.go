package ssh_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	xssh "golang.org/x/crypto/ssh"

	"rigor/harness/login"
	"rigor/harness/login/ssh"
	"rigor/harness/verdict"
)

// frozen is a server that lets everybody in and runs a command that it is asked to, as long
// as it is not frozen: then it answers nothing any more, and where stopped, reads nothing.
type frozen struct {
	now     atomic.Bool
	stopped bool
	login   bool // it freezes behind the login
	address string
}

func (f *frozen) listen(t *testing.T) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := xssh.NewSignerFromKey(key)
	require.NoError(t, err)
	cfg := &xssh.ServerConfig{PasswordCallback: func(xssh.ConnMetadata, []byte) (*xssh.Permissions, error) { return nil, nil }}
	cfg.AddHostKey(signer)
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	f.address = listen(t, func(c net.Conn) {
		_, channels, requests, err := xssh.NewServerConn(&stopping{c, f, over}, cfg)
		if err != nil {
			return
		}
		f.now.Store(f.login)
		go func() {
			for r := range requests {
				if r.WantReply && !f.now.Load() {
					_ = r.Reply(false, nil)
				}
			}
		}()
		for nc := range channels {
			ch, reqs, err := nc.Accept()
			if err != nil {
				return
			}
			go func() {
				for r := range reqs {
					if f.now.Load() {
						continue // and what it does not answer it does not close
					}
					_ = r.Reply(r.Type == "exec", nil)
					if r.Type == "exec" {
						_, _ = io.WriteString(ch, "owner-only\n")
						_, _ = ch.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
						_ = ch.Close()
					}
				}
			}()
		}
	})
	return f.address
}

// stopping reads nothing any more once its server is frozen and stopped.
type stopping struct {
	net.Conn
	f    *frozen
	over chan struct{}
}

func (s *stopping) Read(b []byte) (int, error) {
	if s.f.stopped && s.f.now.Load() {
		<-s.over
	}
	return s.Conn.Read(b)
}

// A server that is mute behind the login takes no longer than a try, or a request, may.
func TestMuteBehindTheLogin(t *testing.T) {
	t.Parallel()
	const within = time.Second
	const most = 15 * time.Second // with what a busy computer takes
	const try = 3 * time.Second
	config := func(c *ssh.Config) {
		proof("cat x", "owner-only")(c)
		c.Timeout = try
	}
	timed := func(t *testing.T, f func() (look func())) {
		t.Helper()
		done := make(chan func(), 1)
		go func() { done <- f() }()
		select {
		case look := <-done:
			look()
		case <-time.After(most):
			require.FailNow(t, "it does not come back", "within %v", most)
		}
	}
	for _, stopped := range []bool{false, true} {
		name := map[bool]string{false: "answers nothing", true: "reads nothing"}[stopped]
		t.Run(name+", a try", func(t *testing.T) {
			t.Parallel()
			f := &frozen{stopped: stopped, login: true}
			p := prober(t, f.listen(t), config)
			timed(t, func() func() {
				o, err := p.Try(t.Context(), login.Credential{User: "owner", Password: "x"})
				return func() {
					require.NoError(t, err)
					assert.Equal(t, verdict.Unproven, o.Kind, o.Detail)
				}
			})
		})
		for _, r := range []struct {
			name string
			login.Request
		}{
			{"a command", login.Request{Command: "id", Within: within}},
			{"a command that reads", login.Request{Command: "cat", Input: noise(8 << 20), Within: within}},
			{"a file by its shell", login.Request{Put: &login.Put{Data: noise(8 << 20), To: "/x"}, Within: within}},
			{"a file by scp", login.Request{Put: &login.Put{Data: noise(8 << 20), To: "/x", By: login.PutByRCP}, Within: within}},
			{"a file by sftp", login.Request{Put: &login.Put{Data: noise(8 << 20), To: "/x", By: login.PutBySFTP}, Within: within}},
		} {
			t.Run(name+", "+r.name, func(t *testing.T) {
				t.Parallel()
				f := &frozen{stopped: stopped}
				access, o, err := prober(t, f.listen(t), config).Open(t.Context(), login.Credential{User: "owner", Password: "x"})
				require.NoError(t, err)
				require.NotNil(t, access, o)
				f.now.Store(true)
				timed(t, func() func() {
					_, did := access.Do(t.Context(), r.Request)
					o, err := access.Proof(t.Context())
					_ = access.Close() // the connection may have been given up
					return func() {
						require.ErrorIs(t, did, context.DeadlineExceeded)
						require.NoError(t, err)
						assert.Equal(t, verdict.Unproven, o.Kind, o.Detail)
					}
				})
			})
		}
	}
}

// What a server goes on with behind a request's time costs no more than that, and the session
// is there still: OpenSSH answers the close of a channel when the command is over.
func TestLongCommand(t *testing.T) {
	t.Parallel()
	access, o, err := prober(t, openSSH(t, "PasswordAuthentication yes\nKbdInteractiveAuthentication no\nLogLevel ERROR"), nil).Open(t.Context(), owner())
	require.NoError(t, err)
	require.NotNil(t, access, o)
	defer func() { require.NoError(t, access.Close()) }()
	begun := time.Now()
	_, err = access.Do(t.Context(), login.Request{Command: "sleep 60", Within: 500 * time.Millisecond})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(begun), 15*time.Second)
	got, err := access.Do(t.Context(), login.Request{Command: "echo here"})
	require.NoError(t, err)
	assert.Equal(t, "here\n", string(got.Body))
}
