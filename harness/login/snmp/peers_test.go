package snmp

import (
	"fmt"
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

// agent starts a snmpd with these settings. It listens on TCP besides, which shows
// when it is there.
func agent(t *testing.T, settings string) string {
	t.Helper()
	snmpd := peers.Need(t, "snmpd", "snmpd")
	dir, address := t.TempDir(), peers.Port(t)
	config := peers.Write(t, filepath.Join(dir, "config"), "sysDescr Rigor's peer\n"+settings+"\n")
	env := []string{"env", "SNMP_PERSISTENT_DIR=" + dir, "SNMPCONFPATH=" + dir, "MIBS="}
	peers.Start(t, address, append(env, snmpd, "-f", "-Lo", "-C", "-c", config, "-I", "-smux", "-p", filepath.Join(dir, "pid"), "udp:"+address, "tcp:"+address)...)
	return address
}

func prober(t *testing.T, address, version string, change func(*Config)) *Prober {
	t.Helper()
	cfg := Config{Dialer: &net.Dialer{}, Address: address, Version: version, Timeout: 600 * time.Millisecond}
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
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o, err := p.Try(t.Context(), tc.cred)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, "%s\n%q", o.Detail, o.Evidence)
			assert.True(t, o.Sent)
			assert.NotContains(t, o.Detail+string(o.Evidence), peers.Password)
		})
	}
}

func TestCommunities(t *testing.T) {
	address := agent(t, "rocommunity owners-word 127.0.0.1\nrocommunity narrow 127.0.0.1 .1.3.6.1.2.1.2")
	for _, version := range []string{V1, V2c} {
		p := prober(t, address, version, func(c *Config) { c.Proof = regexp.MustCompile(`^Rigor's peer$`) })
		runCases(t, p, []peerCase{
			{version + " right", login.Credential{Password: "owners-word"}, verdict.Accepted},
			{version + " wrong", login.Credential{Password: "public"}, verdict.Silent},
			{version + " blank", login.Credential{}, verdict.Silent},
			{version + " nobody", login.Nobody, verdict.Silent},
			{version + " right, and not for this object", login.Credential{Password: "narrow"}, verdict.Unproven},
		})
	}
	p := prober(t, address, V2c, nil)
	access, _, err := p.Open(t.Context(), login.Credential{Password: "owners-word"})
	require.NoError(t, err)
	require.NotNil(t, access)
	still, err := access.Proof(t.Context())
	require.NoError(t, err)
	assert.Equal(t, verdict.Accepted, still.Kind, still.Detail)
	require.NoError(t, access.Close())
}

func TestUsers(t *testing.T) {
	for _, tc := range []struct{ digest, cipher string }{{MD5, ""}, {SHA, ""}, {MD5, DES}, {SHA, AES}, {SHA224, AES}, {SHA256, AES}, {SHA384, ""}, {SHA512, AES}} {
		t.Run(tc.digest+tc.cipher, func(t *testing.T) {
			t.Parallel()
			level := "auth"
			digest := map[string]string{MD5: "MD5", SHA: "SHA", SHA224: "SHA-224", SHA256: "SHA-256", SHA384: "SHA-384", SHA512: "SHA-512"}[tc.digest]
			user := fmt.Sprintf("createUser owner %s %q", digest, peers.Password)
			if tc.cipher != "" {
				level = "priv"
				user += fmt.Sprintf(" %s %q", map[string]string{AES: "AES", DES: "DES"}[tc.cipher], peers.Password)
			}
			address := agent(t, user+"\nrouser owner "+level+"\ncreateUser free\nrouser free noauth .1.3.6.1.2.1.1.1\ncreateUser shut "+digest+" \"another one\"")
			p := prober(t, address, V3, func(c *Config) { c.Digest, c.Cipher, c.Timeout = tc.digest, tc.cipher, 3*time.Second })
			cases := []peerCase{
				{"right", login.Credential{User: "owner", Password: peers.Password}, verdict.Accepted},
				{"wrong", login.Credential{User: "owner", Password: "not it at all"}, verdict.Refused},
				{"short", login.Credential{User: "owner", Password: "x"}, verdict.Refused},
				{"unknown", login.Credential{User: "ghost", Password: "not it at all"}, verdict.Refused},
				{"no password", login.Credential{User: "owner", NoPassword: true}, verdict.Refused},
				{"blank password", login.Credential{User: "owner"}, verdict.Refused},
				{"nobody", login.Nobody, verdict.Refused},
				{"a user without a password", login.Credential{User: "free", NoPassword: true}, verdict.Accepted},
			}
			if tc.cipher == "" {
				cases = append(cases, peerCase{"right, and allowed nothing", login.Credential{User: "shut", Password: "another one"}, verdict.Unproven})
			}
			runCases(t, p, cases)
			access, o, err := p.Open(t.Context(), login.Credential{User: "owner", Password: peers.Password})
			require.NoError(t, err)
			require.NotNil(t, access, "%s", o)
			still, err := access.Proof(t.Context())
			require.NoError(t, err)
			assert.Equal(t, verdict.Accepted, still.Kind, still.Detail)
			require.NoError(t, access.Close())
		})
	}
}

// Nobody is there: the computer says so at once.
func TestClosed(t *testing.T) {
	for _, version := range []string{V2c, V3} {
		o, err := prober(t, peers.Port(t), version, nil).Try(t.Context(), login.Credential{User: "a", Password: "public"})
		require.NoError(t, err)
		assert.Equal(t, verdict.Unreachable, o.Kind, o.Detail)
	}
}
