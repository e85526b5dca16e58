package sshkex

import (
	"encoding/json"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"rigor/harness/login/internal/peers"
	"rigor/harness/verdict"
)

func ask(t *testing.T, address string) Offer {
	t.Helper()
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	o, err := Ask(t.Context(), c, 5*time.Second)
	require.NoError(t, err)
	return o
}

func TestAskKinds(t *testing.T) {
	init := ourInit()
	for _, c := range []struct {
		name string
		say  []byte
		wait bool
		want verdict.Kind
	}{
		{"an offer", append([]byte("SSH-2.0-x\r\n"), init...), true, verdict.Accepted},
		{"lines before", append([]byte("welcome\r\nto the device\r\nSSH-1.99-x\n"), init...), true, verdict.Accepted},
		{"SSH 1", []byte("SSH-1.5-x\n"), true, verdict.Garbled},
		{"HTTP", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), false, verdict.Garbled},
		{"no packet", append([]byte("SSH-2.0-x\r\n"), "Too many connections\n"...), true, verdict.Garbled},
		{"a version alone", []byte("SSH-2.0-x\r\n"), false, verdict.Incompatible},
		{"nothing", nil, false, verdict.Incompatible},
		{"silence", nil, true, verdict.Silent},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, server := net.Pipe()
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = server.Read(make([]byte, 4096))
				_, _ = server.Write(c.say)
				if c.wait {
					_, _ = server.Read(make([]byte, 1))
				}
				_ = server.Close()
			}()
			o, err := Ask(t.Context(), client, 300*time.Millisecond)
			require.NoError(t, err)
			assert.Equal(t, c.want, o.Kind, "%s", o)
			if c.want == verdict.Accepted {
				assert.Equal(t, []string{"aes128-ctr", "aes256-ctr", "aes128-cbc", "3des-cbc"}, o.Ciphers)
				assert.Len(t, o.All(), 5+6+4+3)
			}
			_ = client.Close()
			<-done
		})
	}
}

// What the library offers as good and what it has as insecure is graded so.
func TestGrades(t *testing.T) {
	good, bad := ssh.SupportedAlgorithms(), ssh.InsecureAlgorithms()
	for kind, names := range map[string][]string{KeyExchange: good.KeyExchanges, HostKey: good.HostKeys, Cipher: good.Ciphers, MAC: good.MACs} {
		for _, n := range names {
			assert.Equal(t, Good, GradeOf(kind, n), "%s %s", kind, n)
		}
	}
	for kind, names := range map[string][]string{KeyExchange: bad.KeyExchanges, HostKey: bad.HostKeys, Cipher: bad.Ciphers, MAC: bad.MACs} {
		for _, n := range names {
			assert.GreaterOrEqual(t, GradeOf(kind, n), Weak, "%s %s", kind, n)
		}
	}
	assert.Equal(t, Unknown, GradeOf(Cipher, "rot13"))
	assert.Equal(t, Broken, GradeOf(KeyExchange, "gss-group1-sha1-toWM5Slw5Ew8Mqkay+al2g=="))
	assert.Equal(t, Weak, GradeOf(KeyExchange, "gss-gex-sha1-toWM5Slw5Ew8Mqkay+al2g=="))
	for _, kind := range []string{KeyExchange, HostKey, Cipher, MAC} {
		seen := map[string]bool{}
		for _, names := range graded[kind] {
			for _, n := range names {
				assert.False(t, seen[n], "%s %s has two grades", kind, n)
				seen[n] = true
			}
		}
	}
}

// audited is what ssh-audit says of a server.
type audited struct {
	Kex, Key []struct {
		Algorithm string `json:"algorithm"`
	}
	Enc, Mac []string
}

func names(list []struct {
	Algorithm string `json:"algorithm"`
}) (out []string) {
	for _, a := range list {
		if !slices.Contains(out, a.Algorithm) {
			out = append(out, a.Algorithm)
		}
	}
	return out
}

// What we read of OpenSSH's server and of dropbear is what ssh-audit reads.
func TestAgainstSSHAudit(t *testing.T) {
	if testing.Short() {
		t.Skip("another program looks at several servers; left out by -short")
	}
	audit := peers.Need(t, "ssh-audit", "ssh-audit")
	for _, c := range []struct {
		name  string
		start func(t *testing.T, address string)
		weak  bool
	}{
		{"openssh", func(t *testing.T, address string) { sshd(t, address) }, false},
		{"openssh, weak", func(t *testing.T, address string) {
			sshd(t, address, "-oKexAlgorithms=+diffie-hellman-group1-sha1", "-oCiphers=+3des-cbc", "-oMACs=+hmac-md5")
		}, true},
		// Nothing that the library for SSH here would take.
		{"openssh, odd", func(t *testing.T, address string) {
			sshd(t, address, "-oKexAlgorithms=sntrup761x25519-sha512@openssh.com", "-oCiphers=aes192-cbc", "-oMACs=umac-64@openssh.com")
		}, true},
		{"dropbear", func(t *testing.T, address string) {
			dropbear, key := peers.Need(t, "dropbear", "dropbear-bin"), filepath.Join(t.TempDir(), "key")
			out, err := exec.Command(peers.Need(t, "dropbearkey", "dropbear-bin"), "-t", "ed25519", "-f", key).CombinedOutput()
			require.NoError(t, err, "%s", out)
			peers.Start(t, address, dropbear, "-F", "-E", "-r", key, "-p", address, "-P", filepath.Join(t.TempDir(), "pid"))
		}, true}, // SHA-1, for the sake of old clients
		{"openssh, small", func(t *testing.T, address string) {
			sshd(t, address, "-oKexAlgorithms=curve25519-sha256", "-oCiphers=aes256-gcm@openssh.com", "-oMACs=hmac-sha2-512")
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := peers.Port(t)
			c.start(t, address)
			o := ask(t, address)
			require.Equal(t, verdict.Accepted, o.Kind, "%s", o)
			out, err := exec.Command(audit, "-j", "-p", peers.PortOf(address), "127.0.0.1").Output()
			var exit *exec.ExitError // by its code it says what it thinks of it
			if err != nil {
				require.ErrorAs(t, err, &exit)
			}
			var a audited
			require.NoError(t, json.Unmarshal(out, &a), "%s", out)
			assert.Equal(t, names(a.Kex), o.KeyExchanges)
			assert.ElementsMatch(t, names(a.Key), o.HostKeys)
			assert.Equal(t, a.Enc, o.Ciphers)
			assert.Equal(t, a.Mac, o.MACs)
			broken := false
			for _, n := range o.All() {
				g := GradeOf(n.Kind, n.Name)
				assert.NotEqual(t, Unknown, g, "%s %s", n.Kind, n.Name)
				broken = broken || g >= Weak
			}
			assert.Equal(t, c.weak, broken)
		})
	}
}

func sshd(t *testing.T, address string, args ...string) {
	t.Helper()
	bin, dir := peers.Need(t, "sshd", "openssh-server"), t.TempDir()
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		out, err := exec.Command("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", filepath.Join(dir, kind)).CombinedOutput()
		require.NoError(t, err, "%s", out)
		args = append(args, "-oHostKey="+filepath.Join(dir, kind))
	}
	argv := append([]string{bin, "-D", "-e", "-f", "/dev/null", "-oListenAddress=" + address, "-oPidFile=none"}, args...)
	peers.Start(t, address, peers.WithAccounts(t, argv...)...)
}

func FuzzParse(f *testing.F) {
	f.Add(append([]byte("SSH-2.0-x\r\n"), ourInit()...))
	f.Add([]byte("hello\nSSH-1.99-x\n\x00\x00\x00\x0c\x04\x14"))
	f.Add([]byte("HTTP/1.1 400\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, done := Parse(b)
		_ = o.String()
		if o.Kind == verdict.Accepted {
			assert.True(t, done)
			assert.NotEmpty(t, o.All())
		}
		if again, still := Parse(append(slices.Clone(b), 0)); done {
			assert.True(t, still)
			assert.Equal(t, o.All(), again.All())
		}
	})
}
