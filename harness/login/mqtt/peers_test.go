package mqtt

import (
	"context"
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
	"rigor/harness/verdict"
)

// mosquitto starts a broker with an owner, and these settings.
func mosquitto(t *testing.T, settings string) string {
	t.Helper()
	broker := peers.Need(t, "mosquitto", "mosquitto")
	passwd := peers.Need(t, "mosquitto_passwd", "mosquitto")
	dir, address := t.TempDir(), peers.Port(t)
	users := filepath.Join(dir, "users")
	out, err := exec.Command(passwd, "-b", "-c", users, "owner", peers.Password).CombinedOutput()
	require.NoError(t, err, "%s", out)
	config := peers.Write(t, filepath.Join(dir, "config"), fmt.Sprintf(`listener %s 127.0.0.1
password_file %s
persistence false
user root
log_dest stderr
log_type error
%s
`, peers.PortOf(address), users, settings))
	peers.Start(t, address, broker, "-c", config)
	return address
}

func prober(t *testing.T, address string, change func(*Config)) *Prober {
	t.Helper()
	cfg := Config{Dialer: &net.Dialer{}, Address: address, Topic: "$SYS/broker/version", Proof: regexp.MustCompile(`^mosquitto version 2`)}
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

func TestMosquitto(t *testing.T) {
	address := mosquitto(t, "allow_anonymous false")
	for _, version := range []string{V311, V5} {
		t.Run(version, func(t *testing.T) {
			p := prober(t, address, func(c *Config) { c.Version = version })
			runCases(t, p, []peerCase{
				{"right", owner(), verdict.Accepted},
				{"wrong", login.Credential{User: "owner", Password: "nope"}, verdict.Refused},
				{"unknown", login.Credential{User: "ghost", Password: "nope"}, verdict.Refused},
				{"blank password", login.Credential{User: "owner"}, verdict.Refused},
				{"all blank", login.Credential{}, verdict.Refused},
				{"no password", login.Credential{User: "owner", NoPassword: true}, verdict.Refused},
				{"nobody", login.Nobody, verdict.Refused},
			})
			access, o, err := p.Open(t.Context(), owner())
			require.NoError(t, err)
			require.NotNil(t, access, "%s", o)
			for range 2 {
				still, err := access.Proof(t.Context())
				require.NoError(t, err)
				assert.Equal(t, verdict.Accepted, still.Kind, still.Detail)
			}
			_, err = access.Do(t.Context(), login.Request{Command: "id"})
			require.ErrorIs(t, err, login.ErrRequest)
			require.NoError(t, access.Close())
			gone, err := access.Proof(t.Context())
			require.NoError(t, err)
			assert.NotEqual(t, verdict.Accepted, gone.Kind)
		})
	}
	t.Run("all at once", func(t *testing.T) {
		creds := make([]login.Credential, 12)
		for i := range creds {
			creds[i] = login.Credential{User: "owner", Password: fmt.Sprint(i)}
		}
		creds[7] = owner()
		require.NoError(t, login.Sweep(t.Context(), prober(t, address, nil), creds, 4, func(r login.Result) bool {
			assert.Equal(t, r.Index == 7, r.Outcome.Kind == verdict.Accepted, r.Outcome.Detail)
			return true
		}))
	})
	t.Run("no TLS there", func(t *testing.T) {
		o, err := prober(t, address, func(c *Config) { c.TLS = true }).Try(t.Context(), owner())
		require.NoError(t, err)
		assert.Contains(t, []verdict.Kind{verdict.Incompatible, verdict.Unreachable}, o.Kind, o.Detail)
		assert.False(t, o.Sent)
	})
}

func TestMosquittoOpen(t *testing.T) {
	o, err := prober(t, mosquitto(t, "allow_anonymous true"), nil).Try(t.Context(), login.Nobody)
	require.NoError(t, err)
	assert.Equal(t, verdict.Accepted, o.Kind, o.Detail)
	assert.Equal(t, "yes", o.Facts[login.FactOpen])
}

// Anybody connects, and sees nothing of the protected topic: mosquitto grants the
// subscription all the same.
func TestMosquittoTopics(t *testing.T) {
	acl := peers.Write(t, filepath.Join(t.TempDir(), "acl"), "topic read public/#\nuser owner\ntopic read $SYS/#\n")
	address := mosquitto(t, "allow_anonymous true\nacl_file "+acl)
	p := prober(t, address, func(c *Config) { c.Timeout = time.Second })
	runCases(t, p, []peerCase{{"right", owner(), verdict.Accepted}, {"nobody", login.Nobody, verdict.Unproven}})
}

func TestMosquittoTLS(t *testing.T) {
	cert, key := peers.Certificate(t)
	address := mosquitto(t, fmt.Sprintf("allow_anonymous false\ncertfile %s\nkeyfile %s", cert, key))
	p := prober(t, address, func(c *Config) { c.TLS = true })
	o, err := p.Try(t.Context(), owner())
	require.NoError(t, err)
	assert.Equal(t, verdict.Accepted, o.Kind, o.Detail)
	assert.Len(t, o.Facts[login.FactTLS], 64)
	runCases(t, p, []peerCase{{"wrong", login.Credential{User: "owner", Password: "nope"}, verdict.Refused}, {"nobody", login.Nobody, verdict.Refused}})
	o, err = prober(t, address, func(c *Config) { c.Timeout = 2 * time.Second }).Try(t.Context(), owner())
	require.NoError(t, err)
	assert.Contains(t, []verdict.Kind{verdict.Garbled, verdict.Unreachable, verdict.Silent}, o.Kind, "in clear at a port with TLS: %s", o.Detail)
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(context.DeadlineExceeded)
	_, err := prober(t, peers.Port(t), nil).Try(ctx, owner())
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
