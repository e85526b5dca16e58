package rtsp

import (
	"net"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/login/internal/peers"
	"rigor/harness/verdict"
)

// gstreamer starts GStreamer's RTSP server with a stream at /live.
func gstreamer(t *testing.T, scheme string) string {
	t.Helper()
	const python = "/usr/bin/python3" // the one that has Debian's modules
	if err := exec.Command(python, "-c", "import gi; gi.require_version('GstRtspServer', '1.0')").Run(); err != nil {
		t.Skip("needs GStreamer's RTSP server: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good")
	}
	address := peers.Port(t)
	peers.Start(t, address, python, "testdata/server.py", peers.PortOf(address), scheme, "owner", peers.Password)
	return address
}

func prober(t *testing.T, address string, change func(*Config)) *Prober {
	t.Helper()
	cfg := Config{Dialer: &net.Dialer{}, Address: address, Path: "/live", Proof: regexp.MustCompile(`m=audio`)}
	if change != nil {
		change(&cfg)
	}
	p, err := New(cfg)
	require.NoError(t, err)
	return p
}

func owner() login.Credential { return login.Credential{User: "owner", Password: peers.Password} }

func TestGStreamer(t *testing.T) {
	for _, scheme := range []string{"basic", "digest"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			address := gstreamer(t, scheme)
			p := prober(t, address, nil)
			for name, tc := range map[string]struct {
				cred login.Credential
				want verdict.Kind
			}{
				"right":    {owner(), verdict.Accepted},
				"wrong":    {login.Credential{User: "owner", Password: "nope"}, verdict.Refused},
				"unknown":  {login.Credential{User: "ghost", Password: "nope"}, verdict.Refused},
				"blank":    {login.Credential{User: "owner"}, verdict.Refused},
				"nothing":  {login.Credential{}, verdict.Refused},
				"nobody":   {login.Nobody, verdict.Refused},
				"no field": {login.Credential{User: "owner", NoPassword: true}, verdict.Refused},
			} {
				o, err := p.Try(t.Context(), tc.cred)
				require.NoError(t, err)
				assert.Equal(t, tc.want, o.Kind, "%s: %s\n%q", name, o.Detail, o.Evidence)
				assert.True(t, o.Sent, name)
				if !tc.cred.Anonymous() {
					assert.Equal(t, scheme, o.Facts[login.FactMethod], name)
				}
			}
			access, o, err := p.Open(t.Context(), owner())
			require.NoError(t, err)
			require.NotNil(t, access, "%s", o)
			still, err := access.Proof(t.Context())
			require.NoError(t, err)
			assert.Equal(t, verdict.Accepted, still.Kind, still.Detail)
			require.NoError(t, access.Close())
			o, err = prober(t, address, func(c *Config) { c.Path = "/none" }).Try(t.Context(), owner())
			require.NoError(t, err)
			assert.NotEqual(t, verdict.Accepted, o.Kind, o.Detail)
		})
	}
}

func TestGStreamerOpen(t *testing.T) {
	p := prober(t, gstreamer(t, "none"), func(c *Config) { c.Timeout = 10 * time.Second })
	o, err := p.Try(t.Context(), login.Nobody)
	require.NoError(t, err)
	assert.Equal(t, verdict.Accepted, o.Kind, o.Detail)
	assert.Equal(t, "yes", o.Facts[login.FactOpen])
	o, err = p.Try(t.Context(), owner())
	require.NoError(t, err)
	assert.Equal(t, verdict.Unproven, o.Kind, "nothing asked for the login: %s", o.Detail)
}
