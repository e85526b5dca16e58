package ftp

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

// What no server at hand says.
func TestAnswers(t *testing.T) {
	const hello, asks, in = "220 ready\r\n", "331 password\r\n", "230 in\r\n"
	for _, tc := range []struct {
		name    string
		cred    login.Credential
		tls     bool
		close   bool
		first   string
		answers []string
		want    verdict.Kind
		sent    bool
	}{
		{"proven", owner(), false, false, "220-two\r\n  lines of it\r\n220 ready\r\n", []string{asks, in, "257 \"/\"\r\n"}, verdict.Accepted, true},
		{"not ready yet", owner(), false, false, "120 in 1 minutes\r\n" + hello, []string{asks, in, "257 \"/\"\r\n"}, verdict.Accepted, true},
		{"proves nothing", owner(), false, false, hello, []string{asks, in, "550 no\r\n"}, verdict.Unproven, true},
		{"says yes and means no", owner(), false, false, hello, []string{asks, in, "530 log in first\r\n"}, verdict.Refused, true},
		{"no password asked for", owner(), false, false, hello, []string{in, "257 \"/\"\r\n"}, verdict.Accepted, false},
		{"an account besides", owner(), false, false, hello, []string{asks, "332 account\r\n"}, verdict.Unproven, true},
		{"fails behind the password", owner(), false, false, hello, []string{asks, "500 OOPS\r\n"}, verdict.Unproven, true},
		{"refused by another code", owner(), false, false, hello, []string{asks, "550 Login incorrect\r\n"}, verdict.Refused, true},
		{"the name is refused", owner(), false, false, hello, []string{"530 no such user\r\n"}, verdict.Refused, true},
		{"locked", owner(), false, false, hello, []string{asks, "530 Your account has been temporarily locked\r\n"}, verdict.LockedOut, true},
		{"too many", owner(), false, false, hello, []string{asks, "421 Too many failures, wait 30 seconds\r\n"}, verdict.Throttled, true},
		{"too many clients", owner(), false, false, hello, []string{asks, "530 Sorry, the maximum number of clients (5) from your host are already connected.\r\n"}, verdict.Throttled, true},
		{"full", owner(), false, true, "421 too many users\r\n", nil, verdict.Throttled, false},
		{"must be changed", owner(), false, false, hello, []string{asks, "230 You must change your password\r\n"}, verdict.Restricted, true},
		{"wants TLS", owner(), false, false, hello, []string{"550 SSL/TLS required on the control channel\r\n"}, verdict.Incompatible, false},
		{"wants AUTH", owner(), false, false, hello, []string{"503 Use AUTH first.\r\n"}, verdict.Incompatible, false},
		{"has no TLS", owner(), true, false, hello, []string{"502 what\r\n"}, verdict.Incompatible, false},
		{"TLS breaks", owner(), true, true, hello, []string{"234 go\r\n", "garbage that is no handshake\r\n"}, verdict.Incompatible, false},
		{"more in clear behind AUTH", owner(), true, false, hello, []string{"234 go\r\n230 in\r\n"}, verdict.Garbled, false},
		{"knows no USER", owner(), false, false, hello, []string{"502 what\r\n"}, verdict.Incompatible, false},
		{"closed", owner(), false, true, "", nil, verdict.Unreachable, false},
		{"closed behind the password", owner(), false, true, hello, []string{asks, ""}, verdict.Unreachable, true},
		{"silent", owner(), false, false, "", nil, verdict.Silent, false},
		{"silent behind the password", owner(), false, false, hello, []string{asks}, verdict.Silent, true},
		{"not FTP", owner(), false, false, "SSH-2.0-x\r\n", nil, verdict.Garbled, false},
		{"an endless line", owner(), false, false, string(bytes.Repeat([]byte("2"), 9000)), nil, verdict.Garbled, false},
		{"endless lines", owner(), false, false, string(bytes.Repeat([]byte("220-x\r\n"), 500)), nil, verdict.Garbled, false},
		{"nobody", login.Nobody, false, false, hello, []string{"530 who?\r\n"}, verdict.Refused, true},
		{"open to all", login.Nobody, false, false, hello, []string{"257 \"/\"\r\n"}, verdict.Accepted, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := prober(t, peers.Serve(t, peers.Reading(tc.close, tc.first, tc.answers...)), func(c *Config) {
				c.TLS, c.Timeout = tc.tls, 600*time.Millisecond
			})
			o, err := p.Try(t.Context(), tc.cred)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, o.Detail)
			assert.Equal(t, tc.sent, o.Sent, o.Detail)
			if tc.name == "too many" {
				assert.Equal(t, 30*time.Second, o.RetryAfter)
			}
		})
	}
}

func TestNew(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no dialer": {Address: "x:1"}, "no address": {Dialer: &net.Dialer{}},
		"two commands": {Dialer: &net.Dialer{}, Address: "x:1", Command: "PWD\r\nDELE x"},
	} {
		_, err := New(cfg)
		require.ErrorIs(t, err, login.ErrConfig, name)
	}
	o, err := prober(t, "127.0.0.1:1", nil).Try(t.Context(), login.Credential{User: "a\r\nDELE x"})
	require.NoError(t, err)
	assert.Equal(t, verdict.Incompatible, o.Kind, "nothing is sent that would be another command")
}

func TestFault(t *testing.T) {
	p := prober(t, "127.0.0.1:1", func(c *Config) { c.Dialer = peers.Broken(&wire.Fault{Part: "link", Op: "dial", Err: syscall.ENODEV}) })
	_, err := p.Try(t.Context(), owner())
	_, ok := wire.AsFault(err)
	assert.True(t, ok, "%v", err)
}

func FuzzReply(f *testing.F) {
	f.Add([]byte("220-a\r\n b\r\n220 c\r\n331 d\r\n"))
	f.Add([]byte("22x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		s := &speaker{p: &Prober{texts: login.DefaultTexts().With(own)}}
		for {
			got, err := readReply(r)
			if err != nil {
				return
			}
			if got.code < 100 || got.code > 699 || !regexp.MustCompile(`^\d{3}`).Match(got.text) {
				t.Fatalf("%d %q", got.code, got.text)
			}
			for _, asked := range []bool{false, true} {
				var o login.Outcome
				if s.no(&o, "says", got, asked); o.Kind == "" || o.Kind == verdict.Accepted {
					t.Fatalf("%q is %q", got.text, o.Kind)
				}
			}
		}
	})
}
