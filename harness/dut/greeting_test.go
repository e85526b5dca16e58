package dut

import (
	"crypto/ed25519"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"rigor/harness/abreast"
	"rigor/harness/profile"
)

// says listens, and says to who connects what there is to be said, each behind its pause.
func says(t *testing.T, what ...string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		for i, text := range what {
			if i%2 == 0 {
				pause, err := time.ParseDuration(text)
				if !assert.NoError(t, err) {
					return
				}
				<-time.After(pause)
				continue
			}
			if _, err := c.Write([]byte(text)); err != nil {
				return
			}
		}
		_, _ = c.Read(make([]byte, 100)) // until it is closed
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().(*net.TCPAddr).Port
}

// TestGreeting: what a service says is all of it, however long it takes to begin and pauses
// in between, and nothing is waited for behind its end.
func TestGreeting(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("listens to services that take their time")
	}
	const within = 3 * time.Second
	type service struct {
		name     string
		protocol string
		says     []string
		want     string
		whole    bool // the whole time of a try is waited for
	}
	abreast.All(t, []service{
		{"telnet, at once", "telnet", []string{"0s", "box\r\nlogin: "}, "box\r\nlogin: ", false},
		{"telnet, whose login begins late", "telnet", []string{"0s", "\r\n", "400ms", "busybox-1.36.1\r\nbox login: "}, "\r\nbusybox-1.36.1\r\nbox login: ", false},
		{"telnet, that looks a name up", "telnet", []string{"900ms", "box\r\nlogin: "}, "box\r\nlogin: ", false},
		{"telnet, with a rule", "telnet", []string{"0s", "####\r\n#", "400ms", "### busybox-1.36.1 #\r\nUsername:"}, "####\r\n#### busybox-1.36.1 #\r\nUsername:", false},
		{"telnet, a shell", "telnet", []string{"0s", "box# "}, "box# ", false},
		{"telnet, a word that nobody knows", "telnet", []string{"0s", "Kennwort?", "400ms", " fw-1.2.3"}, "Kennwort? fw-1.2.3", true},
		{"ssh, at once", "ssh", []string{"0s", "SSH-2.0-box\r\n"}, "SSH-2.0-box\r\n", false},
		{"ssh, late, behind other lines", "ssh", []string{"400ms", "busybox-1.36.1\r\n", "300ms", "SSH-2.0-box\r\n"}, "busybox-1.36.1\r\nSSH-2.0-box\r\n", false},
		{"ssh, in pieces", "ssh", []string{"0s", "SSH-2.0-", "300ms", "dropbear_2022.83\r\n"}, "SSH-2.0-dropbear_2022.83\r\n", false},
		{"another", "app", []string{"900ms", "box", "300ms", " fw-1.2.3"}, "box fw-1.2.3", false},
		{"nothing", "telnet", nil, "", true},
	}, func(c service) string { return c.name }, func(t *testing.T, c service) {
		p := &profile.Profile{}
		p.Logins.Items = map[string]*profile.Login{"it": {Protocol: c.protocol, Port: says(t, c.says...), Within: within}}
		d := New(p, Unit{}, &Bench{Link: &cable{}, Address: "127.0.0.1"}).With(NewSession(t.Context(), nil))
		began := time.Now()
		seen, err := d.greeting(t.Context(), p.Logins.Items["it"])
		require.NoError(t, err)
		assert.Equal(t, c.want, string(seen))
		assert.Equal(t, c.whole, time.Since(began) >= within, "%v", time.Since(began))
	})
}

// TestGreetingCutOff: what a connection that ends has said so far is no greeting.
func TestGreetingCutOff(t *testing.T) {
	t.Parallel()
	for protocol, text := range map[string]string{"telnet": "\r\n", "ssh": "SSH-2.0-"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			if c, err := l.Accept(); err == nil {
				_, _ = c.Write([]byte(text))
				_ = c.Close()
			}
		}()
		p := &profile.Profile{}
		p.Logins.Items = map[string]*profile.Login{"it": {Protocol: protocol, Port: l.Addr().(*net.TCPAddr).Port, Within: 3 * time.Second}}
		d := New(p, Unit{}, &Bench{Link: &cable{}, Address: "127.0.0.1"}).With(NewSession(t.Context(), nil))
		_, err = d.Disclosed(t.Context(), "it")
		assert.ErrorContains(t, err, "ended before its greeting did", protocol)
	}
}

// TestDisclosedBySSH: what comes behind the key exchange goes to every stranger, too. That
// nobody heard it is no silence of the service's, and keeps what was heard before it.
func TestDisclosedBySSH(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		banner string
		cuts   bool // it ends each connection behind its version
		want   []string
		err    string
	}{
		"a banner":  {banner: "box fw-1.2.3\n", want: []string{"SSH-2.0-box\r\n", "\nbox fw-1.2.3\n"}},
		"no banner": {want: []string{"SSH-2.0-box\r\n"}},
		"cut off":   {cuts: true, want: []string{"SSH-2.0-box\r\n"}, err: "hear what login it tells who asks to be let in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := &ssh.ServerConfig{ServerVersion: "SSH-2.0-box", BannerCallback: func(ssh.ConnMetadata) string { return c.banner },
				PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, os.ErrPermission }}
			cfg.AddHostKey(signer)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					wg.Go(func() {
						defer func() { _ = conn.Close() }()
						if c.cuts {
							_, _ = conn.Write([]byte("SSH-2.0-box\r\n"))
							return
						}
						_, _, _, _ = ssh.NewServerConn(conn, cfg) // nobody gets in
					})
				}
			})
			t.Cleanup(func() { _ = l.Close(); wg.Wait() })
			seen, err := disclosed(t, l.Addr().(*net.TCPAddr).Port)
			for _, want := range c.want {
				assert.Contains(t, string(seen), want)
			}
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.err)
			}
		})
	}
}

func disclosed(t *testing.T, port int) ([]byte, error) {
	t.Helper()
	p := &profile.Profile{}
	p.Logins.Items = map[string]*profile.Login{"it": {Protocol: "ssh", Port: port, Within: 10 * time.Second}}
	d := New(p, Unit{}, &Bench{Link: &cable{}, Address: "127.0.0.1"}).With(NewSession(t.Context(), nil))
	return d.Disclosed(t.Context(), "it")
}

// TestDisclosedByOpenSSH: a Banner of sshd's is heard.
func TestDisclosedByOpenSSH(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a server that others wrote")
	}
	sshd, err := exec.LookPath("/usr/sbin/sshd")
	if _, rerr := os.Stat("/run/sshd"); err != nil || rerr != nil {
		t.Skip("needs sshd and its folder /run/sshd: apt-get install openssh-server")
	}
	dir := t.TempDir()
	key, issue, config := filepath.Join(dir, "key"), filepath.Join(dir, "issue.net"), filepath.Join(dir, "config")
	require.NoError(t, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).Run())
	require.NoError(t, os.WriteFile(issue, []byte("ACME box 2.1.7, Linux 5.10.0\n"), 0o644))
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "HostKey %s\nBanner %s\nUsePAM no\nPidFile none\nStrictModes no\nLogLevel ERROR\n", key, issue), 0o600))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() { // as inetd does
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f, err := conn.(*net.TCPConn).File()
			_ = conn.Close()
			if !assert.NoError(t, err) {
				return
			}
			cmd := exec.CommandContext(t.Context(), sshd, "-i", "-e", "-f", config)
			cmd.Stdin, cmd.Stdout = f, f
			if assert.NoError(t, cmd.Start()) {
				wg.Go(func() { _ = cmd.Wait() })
			}
			_ = f.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	seen, err := disclosed(t, l.Addr().(*net.TCPAddr).Port)
	require.NoError(t, err)
	assert.Contains(t, string(seen), "SSH-2.0-OpenSSH")
	assert.Contains(t, string(seen), "ACME box 2.1.7, Linux 5.10.0")
}
