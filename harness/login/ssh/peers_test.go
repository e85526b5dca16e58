package ssh_test

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/login/internal/peers"
	"rigor/harness/login/ssh"
	"rigor/harness/verdict"
)

// openSSH starts an sshd with the accounts of the peers and these settings.
func openSSH(t *testing.T, settings string) string {
	t.Helper()
	sshd := peers.Need(t, "sshd", "openssh-server")
	keygen := peers.Need(t, "ssh-keygen", "openssh-client")
	dir, address := t.TempDir(), peers.Port(t)
	key := filepath.Join(dir, "key")
	require.NoError(t, exec.Command(keygen, "-q", "-t", "ed25519", "-N", "", "-f", key).Run())
	config := peers.Write(t, filepath.Join(dir, "config"), fmt.Sprintf(`%s
ListenAddress 127.0.0.1
Port %s
HostKey %s
PidFile none
StrictModes no
UsePAM no
AuthorizedKeysFile none
`, settings, peers.PortOf(address), key))
	peers.Start(t, address, peers.WithAccounts(t, sshd, "-D", "-e", "-f", config)...)
	return address
}

func dropbear(t testing.TB, args ...string) string {
	t.Helper()
	server := peers.Need(t, "dropbear", "dropbear-bin")
	keygen := peers.Need(t, "dropbearkey", "dropbear-bin")
	dir, address := t.TempDir(), peers.Port(t)
	key := filepath.Join(dir, "key")
	require.NoError(t, exec.Command(keygen, "-t", "ed25519", "-f", key).Run())
	argv := append([]string{server, "-F", "-E", "-r", key, "-p", address, "-P", filepath.Join(dir, "pid")}, args...)
	peers.Start(t, address, peers.WithAccounts(t, argv...)...)
	return address
}

func prober(t testing.TB, address string, change func(*ssh.Config)) *ssh.Prober {
	t.Helper()
	cfg := ssh.Config{Dialer: &net.Dialer{}, Address: address, Timeout: 10 * time.Second}
	if change != nil {
		change(&cfg)
	}
	p, err := ssh.New(cfg)
	require.NoError(t, err)
	return p
}

func proof(command, pattern string) func(*ssh.Config) {
	return func(c *ssh.Config) { c.Command, c.Proof = command, regexp.MustCompile(`(?m)`+pattern) }
}

func owner() login.Credential { return login.Credential{User: "owner", Password: peers.Password} }

type peerCase struct {
	name   string
	cred   login.Credential
	change func(*ssh.Config)
	want   verdict.Kind
	method string
	sent   bool
}

func runCases(t *testing.T, address string, cases []peerCase) {
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			o, err := prober(t, address, tc.change).Try(t.Context(), tc.cred)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, "%s\n%q", o.Detail, o.Evidence)
			assert.Equal(t, tc.method, o.Facts[login.FactMethod])
			assert.Equal(t, tc.sent, o.Sent)
			assert.Regexp(t, `^SHA256:`, o.Facts[login.FactHostKey])
			assert.NotContains(t, o.Detail+string(o.Evidence), peers.Password)
		})
	}
}

func TestOpenSSH(t *testing.T) {
	address := openSSH(t, "PermitEmptyPasswords yes\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\nMaxAuthTries 6\nLogLevel ERROR")
	runCases(t, address, []peerCase{
		{"right", owner(), nil, verdict.Accepted, "password", true},
		{"wrong password", login.Credential{User: "owner", Password: "nope"}, nil, verdict.Refused, "password", true},
		{"blank password of one who has one", login.Credential{User: "owner"}, nil, verdict.Refused, "password", true},
		{"unknown user", login.Credential{User: "ghost", Password: "x"}, nil, verdict.Refused, "password", true},
		{"locked account is a plain refusal here", login.Credential{User: "locked", Password: peers.Password}, nil, verdict.Refused, "password", true},
		{"nobody", login.Nobody, nil, verdict.Refused, "none", true},
		{"no password", login.Credential{User: "owner", NoPassword: true}, nil, verdict.Refused, "none", true},
		{"blank account opens by none", login.Credential{User: "blank", NoPassword: true}, nil, verdict.Accepted, "none", true},
		{"a shell that lets nobody in", login.Credential{User: "nologin", Password: peers.Password}, nil, verdict.Unproven, "password", true},
		{"declared proof", owner(), proof("id -un", "^owner"), verdict.Accepted, "password", true},
		{"declared proof that is not given", owner(), proof("id -un", "^root"), verdict.Unproven, "password", true},
	})
	t.Run("session", func(t *testing.T) {
		p := prober(t, address, nil)
		access, o, err := p.Open(t.Context(), owner())
		require.NoError(t, err)
		require.NotNil(t, access, o)
		got, err := access.Do(t.Context(), login.Request{Command: "echo out; echo err >&2; exit 3"})
		require.NoError(t, err)
		assert.Equal(t, 3, got.Status)
		assert.Contains(t, string(got.Body), "out\n")
		assert.Contains(t, string(got.Body), "err\n")
		still, err := access.Proof(t.Context())
		require.NoError(t, err)
		assert.Equal(t, verdict.Accepted, still.Kind)
		_, err = access.Do(t.Context(), login.Request{Path: "/"})
		require.ErrorIs(t, err, login.ErrRequest)
		require.NoError(t, access.Close())
		gone, err := access.Proof(t.Context())
		require.NoError(t, err)
		assert.NotEqual(t, verdict.Accepted, gone.Kind)
	})
	t.Run("pinned host key", func(t *testing.T) {
		p := prober(t, address, func(c *ssh.Config) { c.HostKey = "SHA256:another" })
		o, err := p.Try(t.Context(), owner())
		require.ErrorIs(t, err, login.ErrIdentity)
		assert.False(t, o.Sent)
	})
	t.Run("methods", func(t *testing.T) {
		methods, o, err := prober(t, address, nil).Methods(t.Context(), "owner")
		require.NoError(t, err)
		assert.Contains(t, methods, "password")
		assert.Equal(t, verdict.Refused, o.Kind)
	})
}

func TestOpenSSHExpired(t *testing.T) {
	// Without PAM, sshd sends an account whose password is old to passwd(1).
	address := openSSH(t, "PasswordAuthentication yes\nKbdInteractiveAuthentication no\nLogLevel ERROR")
	runCases(t, address, []peerCase{
		{"right, but to be changed", login.Credential{User: "expired", Password: peers.Password}, nil, verdict.Restricted, "password", true},
		{"wrong", login.Credential{User: "expired", Password: "nope"}, nil, verdict.Refused, "password", true},
	})
}

func TestOpenSSHOneTry(t *testing.T) {
	address := openSSH(t, "PasswordAuthentication yes\nKbdInteractiveAuthentication no\nMaxAuthTries 1\nLogLevel ERROR")
	runCases(t, address, []peerCase{
		{"right", owner(), nil, verdict.Accepted, "password", true},
		{"wrong: disconnected in place of a refusal", login.Credential{User: "owner", Password: "nope"}, nil, verdict.Refused, "password", true},
	})
}

func TestOpenSSHWithoutPasswords(t *testing.T) {
	address := openSSH(t, "PasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel ERROR")
	runCases(t, address, []peerCase{
		{"only keys", owner(), nil, verdict.Incompatible, "none", false},
		{"nobody", login.Nobody, nil, verdict.Refused, "none", true},
	})
}

func TestOpenSSHTwoFactors(t *testing.T) {
	address := openSSH(t, "PasswordAuthentication yes\nAuthenticationMethods password,publickey\nLogLevel ERROR")
	runCases(t, address, []peerCase{
		{"right, but a key is asked for too", owner(), nil, verdict.Unproven, "password", true},
		{"wrong", login.Credential{User: "owner", Password: "nope"}, nil, verdict.Refused, "password", true},
	})
}

func TestOpenSSHOldAlgorithms(t *testing.T) {
	address := openSSH(t, "PasswordAuthentication yes\nKexAlgorithms diffie-hellman-group1-sha1\nCiphers 3des-cbc\nMACs hmac-sha1-96\nLogLevel ERROR")
	runCases(t, address, []peerCase{{"old, and judged all the same", owner(), nil, verdict.Accepted, "password", true}})
}

// A server that has nothing in common with us refuses nobody.
func TestOpenSSHUnknownAlgorithms(t *testing.T) {
	for name, settings := range map[string]string{
		"aes256-cbc":                         "Ciphers aes256-cbc",
		"sntrup761x25519-sha512@openssh.com": "KexAlgorithms sntrup761x25519-sha512@openssh.com",
		"umac-64@openssh.com":                "Ciphers aes256-ctr\nMACs umac-64@openssh.com",
	} {
		t.Run(name, func(t *testing.T) { // one after the other: two at a time may be given the same free port
			address := openSSH(t, "PasswordAuthentication yes\nLogLevel ERROR\n"+settings)
			for _, cred := range []login.Credential{owner(), {User: "owner", Password: "nope"}, login.Nobody} {
				o, err := prober(t, address, nil).Try(t.Context(), cred)
				require.NoError(t, err)
				assert.Equal(t, verdict.Incompatible, o.Kind, o.Detail)
				assert.Contains(t, o.Detail, name)
				assert.False(t, o.Sent)
			}
		})
	}
}

func TestOpenSSHFull(t *testing.T) {
	address := openSSH(t, "PasswordAuthentication yes\nMaxStartups 1\nLogLevel ERROR")
	idle, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer idle.Close()
	_, err = idle.Read(make([]byte, 1)) // it was let in: now the house is full
	require.NoError(t, err)
	o, err := prober(t, address, nil).Try(t.Context(), owner())
	require.NoError(t, err)
	assert.Contains(t, []verdict.Kind{verdict.Throttled, verdict.Unreachable}, o.Kind, o.Detail)
	assert.False(t, o.Sent)
}

func TestDropbear(t *testing.T) {
	address := dropbear(t, "-B")
	runCases(t, address, []peerCase{
		{"right", owner(), nil, verdict.Accepted, "password", true},
		{"wrong password", login.Credential{User: "owner", Password: "nope"}, nil, verdict.Refused, "password", true},
		{"unknown user", login.Credential{User: "ghost", Password: "x"}, nil, verdict.Refused, "password", true},
		{"blank account opens by none", login.Credential{User: "blank", NoPassword: true}, nil, verdict.Accepted, "none", true},
		{"nobody", login.Nobody, nil, verdict.Refused, "none", true},
		{"declared proof", owner(), proof("id -un", "^owner"), verdict.Accepted, "password", true},
		{"keyboard-interactive is not spoken", owner(), func(c *ssh.Config) { c.Method = ssh.KeyboardInteractive }, verdict.Incompatible, "none", false},
	})
}

func TestDropbearMenu(t *testing.T) {
	// A device whose SSH ends in a menu that runs nothing we ask for.
	const menu = `printf 'ACME 1\r\nacme> '; while read l; do printf '%% unknown command\r\nacme> '; done`
	address := dropbear(t, "-c", menu)
	p := prober(t, address, nil)
	o, err := p.Try(t.Context(), owner())
	require.NoError(t, err)
	assert.Equal(t, verdict.Accepted, o.Kind, "%s %q", o.Detail, o.Evidence)
	assert.Equal(t, "prompt", o.Facts[login.FactProof])
}

func TestDropbearWithoutPasswords(t *testing.T) {
	address := dropbear(t, "-s")
	runCases(t, address, []peerCase{{"only keys", owner(), nil, verdict.Incompatible, "none", false}})
}
