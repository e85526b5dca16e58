package redis

import (
	"fmt"
	"io"
	"net"
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

// server starts a Redis with these settings.
func server(t *testing.T, settings string) string {
	t.Helper()
	redis := peers.Need(t, "redis-server", "redis-server")
	dir, address := t.TempDir(), peers.Port(t)
	config := peers.Write(t, filepath.Join(dir, "config"), fmt.Sprintf("bind 127.0.0.1\nport %s\nsave \"\"\ndir %s\n%s\n", peers.PortOf(address), dir, settings))
	peers.Start(t, address, redis, config)
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

type peerCase struct {
	name string
	cred login.Credential
	want verdict.Kind
}

func runCases(t *testing.T, p *Prober, cases []peerCase) {
	t.Helper()
	for _, tc := range cases {
		o, err := p.Try(t.Context(), tc.cred)
		require.NoError(t, err, tc.name)
		assert.Equal(t, tc.want, o.Kind, "%s: %s\n%q", tc.name, o.Detail, o.Evidence)
		assert.True(t, o.Sent, tc.name)
		assert.NotContains(t, o.Detail+string(o.Evidence), peers.Password)
	}
}

func TestPassword(t *testing.T) {
	address := server(t, fmt.Sprintf("requirepass %q", peers.Password))
	p := prober(t, address, func(c *Config) { c.Proof = regexp.MustCompile(`redis_version:`) })
	runCases(t, p, []peerCase{
		{"right", login.Credential{Password: peers.Password}, verdict.Accepted},
		{"right, by name", login.Credential{User: "default", Password: peers.Password}, verdict.Accepted},
		{"wrong", login.Credential{Password: "nope"}, verdict.Refused},
		{"wrong, by name", login.Credential{User: "default", Password: "nope"}, verdict.Refused},
		{"unknown", login.Credential{User: "ghost", Password: "nope"}, verdict.Refused},
		{"blank", login.Credential{}, verdict.Refused},
		{"nobody", login.Nobody, verdict.Refused},
	})
	access, o, err := p.Open(t.Context(), login.Credential{Password: peers.Password})
	require.NoError(t, err)
	require.NotNil(t, access, "%s", o)
	still, err := access.Proof(t.Context())
	require.NoError(t, err)
	assert.Equal(t, verdict.Accepted, still.Kind, still.Detail)
	require.NoError(t, access.Close())
}

func TestNoPassword(t *testing.T) {
	p := prober(t, server(t, ""), nil)
	runCases(t, p, []peerCase{
		{"nobody", login.Nobody, verdict.Accepted},
		{"any password", login.Credential{Password: "nope"}, verdict.Accepted},
		{"any password of the default user", login.Credential{User: "default", Password: "nope"}, verdict.Accepted},
	})
	o, err := p.Try(t.Context(), login.Credential{Password: "nope"})
	require.NoError(t, err)
	assert.Equal(t, "yes", o.Facts[login.FactOpen], o.Detail)
}

func TestUsers(t *testing.T) {
	address := server(t, fmt.Sprintf("user default off\nuser owner on >%s ~* +@all\nuser guest on >guest ~* +ping", "secret-1"))
	runCases(t, prober(t, address, nil), []peerCase{
		{"right", login.Credential{User: "owner", Password: "secret-1"}, verdict.Accepted},
		{"wrong", login.Credential{User: "owner", Password: "nope"}, verdict.Refused},
		{"the default user is off", login.Credential{Password: "secret-1"}, verdict.Refused},
		{"right, and not allowed", login.Credential{User: "guest", Password: "guest"}, verdict.Unproven},
		{"nobody", login.Nobody, verdict.Refused},
	})
	runCases(t, prober(t, address, func(c *Config) { c.Command, c.Proof = "PING", regexp.MustCompile(`^PONG$`) }), []peerCase{
		{"what is allowed", login.Credential{User: "guest", Password: "guest"}, verdict.Accepted},
	})
}

func TestFull(t *testing.T) {
	address := server(t, "requirepass x\nmaxclients 1")
	require.Eventually(t, func() bool { // who looked whether it listens may still be in
		idle, err := net.Dial("tcp", address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = idle.Close() })
		_, _ = idle.Write([]byte("PING\r\n"))
		said := make([]byte, len("-NOAUTH"))
		_, err = io.ReadFull(idle, said)
		return err == nil && string(said) == "-NOAUTH" // it was let in: now the house is full
	}, 5*time.Second, 20*time.Millisecond)
	o, err := prober(t, address, nil).Try(t.Context(), login.Credential{Password: "x"})
	require.NoError(t, err)
	assert.Equal(t, verdict.Throttled, o.Kind, o.Detail)
}

func TestTLS(t *testing.T) {
	cert, key := peers.Certificate(t)
	redis := peers.Need(t, "redis-server", "redis-server")
	address := peers.Port(t)
	peers.Start(t, address, redis, "--bind", "127.0.0.1", "--port", "0", "--tls-port", peers.PortOf(address), "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-auth-clients", "no", "--requirepass", "x", "--save", "", "--dir", t.TempDir())
	p := prober(t, address, func(c *Config) { c.TLS = true })
	runCases(t, p, []peerCase{
		{"right", login.Credential{Password: "x"}, verdict.Accepted},
		{"wrong", login.Credential{Password: "y"}, verdict.Refused},
		{"nobody", login.Nobody, verdict.Refused},
	})
}
