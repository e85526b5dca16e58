package rtsp

import (
	"bufio"
	"bytes"
	"net"
	"strings"
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
	sdp       = "RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Type: application/sdp\r\nContent-Length: 16\r\n\r\nv=0\r\nm=audio 0\r\n"
	asks      = "RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm=\"cam\"\r\n\r\n"
	challenge = "RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"abc\"\r\nWWW-Authenticate: Basic realm=\"cam\"\r\n\r\n"
	stale     = "RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"abd\", stale=true\r\n\r\n"
)

// What no server at hand says.
func TestAnswers(t *testing.T) {
	say := func(status string) string { return "RTSP/1.0 " + status + "\r\nCSeq: 2\r\n\r\n" }
	for _, tc := range []struct {
		name    string
		cred    login.Credential
		close   bool
		answers []string
		want    verdict.Kind
		method  string
	}{
		{"basic", owner(), false, []string{asks, sdp}, verdict.Accepted, "basic"},
		{"digest before basic", owner(), false, []string{challenge, sdp}, verdict.Accepted, "digest"},
		{"a stale nonce", owner(), false, []string{challenge, stale, sdp}, verdict.Accepted, "digest"},
		{"stale and no end", owner(), false, []string{challenge, stale, stale}, verdict.Refused, "digest"},
		{"refused", owner(), false, []string{asks, asks}, verdict.Refused, "basic"},
		{"forbidden", owner(), false, []string{asks, say("403 Forbidden")}, verdict.Refused, "basic"},
		{"forbidden before a login", owner(), false, []string{say("403 Forbidden")}, verdict.Incompatible, "none"},
		{"a colon in the user", login.Credential{User: "a:b", Password: "x"}, false, []string{asks}, verdict.Incompatible, "none"},
		{"another scheme", owner(), false, []string{"RTSP/1.0 401 No\r\nWWW-Authenticate: Bearer\r\n\r\n"}, verdict.Incompatible, "none"},
		{"busy", owner(), false, []string{asks, "RTSP/1.0 503 Busy\r\nRetry-After: 30\r\n\r\n"}, verdict.Throttled, "basic"},
		{"locked", owner(), false, []string{asks, say("423 Locked")}, verdict.LockedOut, "basic"},
		{"not there", owner(), false, []string{asks, say("404 Not Found")}, verdict.Garbled, "basic"},
		{"another version", owner(), false, []string{say("505 RTSP Version Not Supported")}, verdict.Incompatible, "none"},
		{"another description", owner(), false, []string{asks, strings.Replace(sdp, "audio", "video", 1)}, verdict.Unproven, "basic"},
		{"open", login.Nobody, false, []string{sdp}, verdict.Accepted, "none"},
		{"open, and a login", owner(), false, []string{sdp}, verdict.Unproven, "none"},
		{"nobody", login.Nobody, false, []string{asks}, verdict.Refused, "none"},
		{"closed", owner(), true, []string{""}, verdict.Unreachable, "none"},
		{"closed behind the login", owner(), true, []string{asks, ""}, verdict.Unreachable, "basic"},
		{"silent", owner(), false, nil, verdict.Silent, "none"},
		{"not RTSP", owner(), false, []string{"HTTP/1.1 400 Bad Request\r\n\r\n"}, verdict.Garbled, "none"},
		{"too long", owner(), false, []string{"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n"}, verdict.Garbled, "none"},
		{"a broken header", owner(), false, []string{"RTSP/1.0 200 OK\r\n: x\r\nwhat\r\n\r\n"}, verdict.Garbled, "none"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := prober(t, peers.Serve(t, peers.Reading(tc.close, "", tc.answers...)), func(c *Config) { c.Timeout = 600 * time.Millisecond })
			o, err := p.Try(t.Context(), tc.cred)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, o.Detail)
			assert.Equal(t, tc.method, o.Facts[login.FactMethod])
			assert.Equal(t, tc.method != "none" || tc.cred.Anonymous(), o.Sent)
			if tc.name == "busy" {
				assert.Equal(t, 30*time.Second, o.RetryAfter)
			}
		})
	}
}

func TestNew(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no dialer": {Address: "x:1", Path: "/"}, "no path": {Dialer: &net.Dialer{}, Address: "x:1"},
		"no plain path": {Dialer: &net.Dialer{}, Address: "x:1", Path: "live"},
	} {
		_, err := New(cfg)
		require.ErrorIs(t, err, login.ErrConfig, name)
	}
}

func TestFault(t *testing.T) {
	p := prober(t, "127.0.0.1:1", func(c *Config) { c.Dialer = peers.Broken(&wire.Fault{Part: "link", Op: "dial", Err: syscall.ENODEV}) })
	_, err := p.Try(t.Context(), owner())
	_, ok := wire.AsFault(err)
	assert.True(t, ok, "%v", err)
}

func FuzzResponse(f *testing.F) {
	for _, seed := range []string{sdp, asks, challenge, "RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readResponse(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return
		}
		if len(got.body) > len(b) || got.status < 0 || got.status > 999 {
			t.Fatalf("%d, %d bytes", got.status, len(got.body))
		}
		s := &speaker{p: &Prober{url: "rtsp://x/"}}
		_, _ = s.authorize(got)
		_ = got.describes()
	})
}
