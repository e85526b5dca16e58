package telnet

import (
	"net"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/login/internal/peers"
	"rigor/harness/verdict"
)

// The one of GNU inetutils, with busybox's login behind it, as on small devices.
func TestInetutils(t *testing.T) {
	telnetd := peers.Need(t, "telnetd", "inetutils-telnetd")
	busybox := peers.Need(t, "busybox", "busybox")
	address := peers.PerConnection(t, peers.WithAccounts(t, telnetd, "-h", "-E", busybox+" login")...)
	judge(t, address)
}

// Busybox's own, where the package has it.
func TestBusybox(t *testing.T) {
	busybox := peers.Need(t, "busybox", "busybox")
	if !peers.Applet(t, "telnetd") {
		t.Skip("needs a busybox with telnetd: this one was built without")
	}
	address := peers.Port(t)
	peers.Start(t, address, peers.WithAccounts(t, busybox, "telnetd", "-F", "-b", address, "-l", "/bin/login")...)
	judge(t, address)
}

func judge(t *testing.T, address string) {
	for _, tc := range []struct {
		name string
		cred login.Credential
		want verdict.Kind
		sent bool
	}{
		{"right", login.Credential{User: "owner", Password: peers.Password}, verdict.Accepted, true},
		{"wrong", login.Credential{User: "owner", Password: "nope"}, verdict.Refused, true},
		{"unknown", login.Credential{User: "ghost", Password: "nope"}, verdict.Refused, true},
		{"locked is a plain refusal here", login.Credential{User: "locked", Password: peers.Password}, verdict.Refused, true},
		{"nobody", login.Nobody, verdict.Refused, true},
		{"blank account", login.Credential{User: "blank", NoPassword: true}, verdict.Accepted, false},
		{"without a password", login.Credential{User: "owner", NoPassword: true}, verdict.Refused, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && tc.want == verdict.Refused && tc.sent && !tc.cred.NoPassword {
				t.Skip("login(1) waits three seconds before it refuses")
			}
			p, err := New(Config{Dialer: &net.Dialer{}, Address: address})
			require.NoError(t, err)
			o, err := p.Try(t.Context(), tc.cred)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, "%s\n%q", o.Detail, o.Evidence)
			assert.Equal(t, tc.sent, o.Sent)
			assert.NotContains(t, o.Detail+string(o.Evidence), peers.Password)
		})
	}
	t.Run("declared proof and session", func(t *testing.T) {
		t.Parallel()
		p, err := New(Config{Dialer: &net.Dialer{}, Address: address, Command: "id -un", Proof: regexp.MustCompile(`(?m)^owner`)})
		require.NoError(t, err)
		access, o, err := p.Open(t.Context(), login.Credential{User: "owner", Password: peers.Password})
		require.NoError(t, err)
		require.NotNil(t, access, "%s %q", o, o.Evidence)
		got, err := access.Do(t.Context(), login.Request{Command: "false"})
		require.NoError(t, err)
		assert.Equal(t, 1, got.Status)
		require.NoError(t, access.Close())
	})
}

// A shell for everybody, behind inetutils' telnetd.
func TestShellForEverybody(t *testing.T) {
	telnetd := peers.Need(t, "telnetd", "inetutils-telnetd")
	script := peers.Write(t, filepath.Join(t.TempDir(), "shell"), "PS1='~ # ' exec sh -i\n")
	address := peers.PerConnection(t, telnetd, "-h", "-E", "/bin/sh "+script)
	p, err := New(Config{Dialer: &net.Dialer{}, Address: address})
	require.NoError(t, err)
	o, err := p.Try(t.Context(), login.Nobody)
	require.NoError(t, err)
	assert.Equal(t, verdict.Accepted, o.Kind, "%s\n%q", o.Detail, o.Evidence)
	assert.Equal(t, "none", o.Facts[login.FactMethod])
}
