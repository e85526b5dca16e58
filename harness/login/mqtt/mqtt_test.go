package mqtt

import (
	"bufio"
	"bytes"
	"net"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/login/internal/peers"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

const (
	yes3    = "\x20\x02\x00\x00"
	granted = "\x90\x03\x00\x01\x00"
)

// What no broker at hand says.
func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		name    string
		version string
		cred    login.Credential
		proof   string
		close   bool
		answers []string
		want    verdict.Kind
	}{
		{"granted", V311, owner(), "", false, []string{yes3, granted}, verdict.Accepted},
		{"granted, and no message", V311, owner(), "x", false, []string{yes3, granted}, verdict.Unproven},
		{"a message before the grant", V311, owner(), "x", false, []string{yes3, "\x30\x04\x00\x01tx" + granted}, verdict.Accepted},
		{"a message of another kind", V311, owner(), "x", false, []string{yes3, granted + "\x32\x06\x00\x01t\x00\x07y"}, verdict.Unproven},
		{"not granted", V311, owner(), "", false, []string{yes3, "\x90\x03\x00\x01\x80"}, verdict.Unproven},
		{"not granted to nobody", V311, login.Nobody, "", false, []string{yes3, "\x90\x03\x00\x01\x80"}, verdict.Refused},
		{"closed in place of a grant", V311, login.Nobody, "", true, []string{yes3, ""}, verdict.Refused},
		{"bad version", V311, owner(), "", false, []string{"\x20\x02\x00\x01"}, verdict.Incompatible},
		{"unavailable", V311, owner(), "", false, []string{"\x20\x02\x00\x03"}, verdict.Throttled},
		{"bad password", V311, owner(), "", false, []string{"\x20\x02\x00\x04"}, verdict.Refused},
		{"not authorised", V311, owner(), "", false, []string{"\x20\x02\x00\x05"}, verdict.Refused},
		{"a code nobody knows", V311, owner(), "", false, []string{"\x20\x02\x00\x63"}, verdict.Unproven},
		{"closed", V311, owner(), "", true, []string{""}, verdict.Unreachable},
		{"silent", V311, owner(), "", false, nil, verdict.Silent},
		{"not MQTT", V311, owner(), "", true, []string{"HTTP/1.1 400 Bad Request\r\n\r\n"}, verdict.Garbled},
		{"too long", V311, owner(), "", false, []string{"\x20\xff\xff\xff\x7f"}, verdict.Garbled},
		{"a length without end", V311, owner(), "", false, []string{"\x20\xff\xff\xff\xff\xff"}, verdict.Garbled},
		{"breaks off", V311, owner(), "", true, []string{"\x20\x05\x00"}, verdict.Unreachable},

		{"5: refused in words", V5, owner(), "", false, []string{"\x20\x08\x00\x87\x05\x1f\x00\x02no"}, verdict.Refused},
		{"5: locked in words", V5, owner(), "", false, []string{"\x20\x1a\x00\x87\x17\x1f\x00\x14account is locked  .."}, verdict.LockedOut},
		{"5: banned", V5, owner(), "", false, []string{"\x20\x03\x00\x8a\x00"}, verdict.LockedOut},
		{"5: rate", V5, owner(), "", false, []string{"\x20\x03\x00\x9f\x00"}, verdict.Throttled},
		{"5: another server", V5, owner(), "", false, []string{"\x20\x06\x00\x9d\x03\x1c\x00\x00"}, verdict.Incompatible},
		{"5: asks for more", V5, owner(), "", false, []string{"\xf0\x00"}, verdict.Incompatible},
		{"5: a broker of 3.1.1", V5, owner(), "", false, []string{"\x20\x02\x00\x01"}, verdict.Incompatible},
		{"5: granted", V5, owner(), "", false, []string{"\x20\x03\x00\x00\x00", "\x90\x04\x00\x01\x00\x00"}, verdict.Accepted},
		{"5: not granted", V5, login.Nobody, "", false, []string{"\x20\x03\x00\x00\x00", "\x90\x04\x00\x01\x00\x87"}, verdict.Refused},
		{"5: disconnected", V5, login.Nobody, "", false, []string{"\x20\x03\x00\x00\x00", "\xe0\x02\x87\x00"}, verdict.Refused},
		{"5: broken properties", V5, owner(), "", false, []string{"\x20\x04\x00\x00\x09\x1f"}, verdict.Garbled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := prober(t, peers.Serve(t, peers.Reading(tc.close, "", tc.answers...)), func(c *Config) {
				c.Version, c.Timeout, c.Proof = tc.version, 600*time.Millisecond, nil
				if tc.proof != "" {
					c.Proof = regexp.MustCompile(tc.proof)
				}
			})
			o, err := p.Try(t.Context(), tc.cred)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, o.Detail)
			assert.True(t, o.Sent)
		})
	}
}

// A broker that knows its clients by the names of their users.
func TestIdentifier(t *testing.T) {
	address := peers.Serve(t, func(c net.Conn) {
		p, err := readPacket(bufio.NewReader(c))
		switch {
		case err != nil:
		case bytes.Contains(p.body, []byte("\x00\x05owner\x00\x05owner")):
			_, _ = c.Write([]byte(yes3 + granted))
			_, _ = c.Read(make([]byte, 100)) // the subscription
			_, _ = c.Read(make([]byte, 100)) // the goodbye
		default:
			_, _ = c.Write([]byte("\x20\x02\x00\x02"))
		}
	})
	p := prober(t, address, func(c *Config) { c.Proof = nil })
	for _, tc := range []struct {
		cred login.Credential
		want verdict.Kind
	}{{owner(), verdict.Accepted}, {login.Credential{User: "other", Password: "x"}, verdict.Refused}, {login.Nobody, verdict.Refused}} {
		o, err := p.Try(t.Context(), tc.cred)
		require.NoError(t, err)
		assert.Equal(t, tc.want, o.Kind, "%s: %s", tc.cred, o.Detail)
	}
	o, err := prober(t, address, func(c *Config) { c.ClientID = "mine" }).Try(t.Context(), owner())
	require.NoError(t, err)
	assert.Equal(t, verdict.Refused, o.Kind, "the declared name is kept: %s", o.Detail)
}

// What a session was sent before it was shut, and nobody had read, does not show
// that it is open still.
func TestStaleMessage(t *testing.T) {
	const message = "\x30\x04\x00\x01tx"
	for name, tc := range map[string]struct {
		second string
		close  bool
		want   verdict.Kind
	}{
		"closed since":      {"", true, verdict.Unproven},
		"granted, and mute": {"\x90\x03\x00\x02\x00", false, verdict.Unproven},
		"open":              {"\x90\x03\x00\x02\x00" + message, false, verdict.Accepted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := prober(t, peers.Serve(t, peers.Reading(tc.close, "", yes3, granted+message+message, tc.second)), func(c *Config) {
				c.Proof, c.Timeout = regexp.MustCompile("x"), 600*time.Millisecond
			})
			access, o, err := p.Open(t.Context(), owner())
			require.NoError(t, err)
			require.NotNil(t, access, "%s", o)
			still, err := access.Proof(t.Context())
			require.NoError(t, err)
			assert.Equal(t, tc.want, still.Kind, still.Detail)
			require.NoError(t, access.Close())
		})
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"no dialer":      {Address: "x:1", Topic: "t"},
		"no topic":       {Dialer: &net.Dialer{}, Address: "x:1"},
		"unknown number": {Dialer: &net.Dialer{}, Address: "x:1", Topic: "t", Version: "4"},
	} {
		_, err := New(cfg)
		require.ErrorIs(t, err, login.ErrConfig, name)
	}
	o, err := prober(t, "127.0.0.1:1", nil).Try(t.Context(), login.Credential{NoUser: true, Password: "x"})
	require.NoError(t, err)
	assert.Equal(t, verdict.Incompatible, o.Kind)
}

// Trouble of the rig is no answer of the device.
func TestFault(t *testing.T) {
	p := prober(t, "127.0.0.1:1", func(c *Config) { c.Dialer = peers.Broken(&wire.Fault{Part: "link", Op: "dial", Err: syscall.ENODEV}) })
	_, err := p.Try(t.Context(), owner())
	_, ok := wire.AsFault(err)
	assert.True(t, ok, "%v", err)
	o, err := prober(t, peers.Port(t), nil).Try(t.Context(), owner())
	require.NoError(t, err)
	assert.Equal(t, verdict.Unreachable, o.Kind)
}

func FuzzPackets(f *testing.F) {
	for _, seed := range []string{yes3 + granted, "\x20\x08\x00\x87\x05\x1f\x00\x02no", "\x32\x07\x00\x01t\x00\x07\x00y", "\xe0\x02\x87\x00", "\x90\x04\x00\x01\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		for {
			p, err := readPacket(r)
			if err != nil {
				return
			}
			if len(p.body) > maxPacket {
				t.Fatal("a packet beyond the bound")
			}
			for _, five := range []bool{false, true} {
				_, _ = parseConnack(p.body, five)
				_, _ = parseSuback(p.body, five)
				if topic, payload, err := parsePublish(p, five); err == nil && len(topic)+len(payload) > len(p.body) {
					t.Fatal("more than there was")
				}
			}
			_, _ = parseDisconnect(p.body)
		}
	})
}
