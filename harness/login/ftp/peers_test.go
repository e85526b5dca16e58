package ftp

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/login/internal/peers"
	"rigor/harness/verdict"
)

// vsftpd starts a server with the accounts of the peers, and these settings.
func vsftpd(t *testing.T, settings string) string {
	t.Helper()
	server := peers.Need(t, "vsftpd", "vsftpd")
	if os.Geteuid() != 0 {
		t.Skip("vsftpd changes to its users, which takes root")
	}
	dir, address := t.TempDir(), peers.Port(t)
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.Mkdir(empty, 0o755))
	pam := peers.Write(t, filepath.Join(dir, "pam"), "auth required pam_unix.so nullok nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n")
	config := peers.Write(t, filepath.Join(dir, "config"), fmt.Sprintf(`listen=YES
listen_ipv6=NO
listen_address=127.0.0.1
listen_port=%s
background=NO
local_enable=YES
check_shell=NO
pam_service_name=login
nopriv_user=nobody
ftp_username=owner
anon_root=%s
secure_chroot_dir=%s
isolate=NO
isolate_network=NO
seccomp_sandbox=NO
xferlog_enable=NO
delay_failed_login=0
delay_successful_login=0
%s
`, peers.PortOf(address), empty, empty, settings))
	bind := []string{"sh", "-c", `mount --bind "$0" /etc/pam.d/login && exec "$@"`, pam, server, config}
	peers.Start(t, address, peers.WithAccounts(t, bind...)...)
	return address
}

func prober(t *testing.T, address string, change func(*Config)) *Prober {
	t.Helper()
	cfg := Config{Dialer: &net.Dialer{}, Address: address}
	if change != nil {
		change(&cfg)
	}
	p, err := New(cfg)
	require.NoError(t, err)
	return p
}

func owner() login.Credential { return login.Credential{User: "owner", Password: peers.Password} }

type peerCase struct {
	name string
	cred login.Credential
	want verdict.Kind
	sent bool
}

func runCases(t *testing.T, p *Prober, cases []peerCase) {
	t.Helper()
	for _, tc := range cases {
		o, err := p.Try(t.Context(), tc.cred)
		require.NoError(t, err, tc.name)
		assert.Equal(t, tc.want, o.Kind, "%s: %s\n%q", tc.name, o.Detail, o.Evidence)
		assert.Equal(t, tc.sent, o.Sent, "%s: %s", tc.name, o.Detail)
		assert.NotContains(t, o.Detail+string(o.Evidence), peers.Password)
	}
}

var anonymous = login.Credential{User: "anonymous", Password: "anonymous"}

func TestVsftpd(t *testing.T) {
	address := vsftpd(t, "anonymous_enable=NO")
	runCases(t, prober(t, address, nil), []peerCase{
		{"right", owner(), verdict.Accepted, true},
		{"wrong", login.Credential{User: "owner", Password: "nope"}, verdict.Refused, true},
		{"unknown", login.Credential{User: "ghost", Password: "nope"}, verdict.Refused, true},
		{"anonymous", anonymous, verdict.Refused, true},
		{"blank password", login.Credential{User: "owner"}, verdict.Refused, true},
		{"all blank", login.Credential{}, verdict.Refused, true},
		{"no password", login.Credential{User: "owner", NoPassword: true}, verdict.Refused, true},
		{"nobody", login.Nobody, verdict.Refused, true},
	})
	p := prober(t, address, func(c *Config) { c.Command, c.Proof = "STAT /etc", regexp.MustCompile(`passwd`) })
	access, o, err := p.Open(t.Context(), owner())
	require.NoError(t, err)
	require.NotNil(t, access, "%s %q", o, o.Evidence)
	still, err := access.Proof(t.Context())
	require.NoError(t, err)
	assert.Equal(t, verdict.Accepted, still.Kind, still.Detail)
	require.NoError(t, access.Close())
	o, err = prober(t, address, func(c *Config) { c.TLS = true }).Try(t.Context(), owner())
	require.NoError(t, err)
	assert.Equal(t, verdict.Incompatible, o.Kind, "there is no TLS: %s", o.Detail)
	assert.False(t, o.Sent)
}

func TestVsftpdAnonymous(t *testing.T) {
	runCases(t, prober(t, vsftpd(t, "anonymous_enable=YES"), nil), []peerCase{
		{"anonymous", anonymous, verdict.Accepted, true},
		{"by any password", login.Credential{User: "ftp", Password: "x"}, verdict.Accepted, true},
		{"blank", login.Credential{User: "anonymous"}, verdict.Accepted, true},
		{"right", owner(), verdict.Accepted, true},
		{"wrong", login.Credential{User: "owner", Password: "nope"}, verdict.Refused, true},
		{"nobody", login.Nobody, verdict.Refused, true},
	})
}

func TestVsftpdTLS(t *testing.T) {
	cert, key := peers.Certificate(t)
	address := vsftpd(t, fmt.Sprintf("anonymous_enable=NO\nssl_enable=YES\nrsa_cert_file=%s\nrsa_private_key_file=%s\nforce_local_logins_ssl=YES", cert, key))
	p := prober(t, address, func(c *Config) { c.TLS = true })
	runCases(t, p, []peerCase{
		{"right", owner(), verdict.Accepted, true},
		{"wrong", login.Credential{User: "owner", Password: "nope"}, verdict.Refused, true},
		{"nobody", login.Nobody, verdict.Refused, true},
	})
	// Who comes in clear is sent away before there is a password.
	runCases(t, prober(t, address, nil), []peerCase{{"in clear", owner(), verdict.Incompatible, false}})
}

func TestVsftpdFull(t *testing.T) {
	address := vsftpd(t, "anonymous_enable=NO\nmax_clients=1")
	require.Eventually(t, func() bool { // who looked whether it listens may still be in
		idle, err := net.Dial("tcp", address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = idle.Close() })
		said := make([]byte, 3)
		_, err = io.ReadFull(idle, said)
		return err == nil && string(said) == "220" // it was let in: now the house is full
	}, 5*time.Second, 20*time.Millisecond)
	runCases(t, prober(t, address, nil), []peerCase{{"full", owner(), verdict.Throttled, false}})
}
