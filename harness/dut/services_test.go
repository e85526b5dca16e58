package dut

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// cable is a network without a switch.
type cable struct{ net.Dialer }

func (cable) Check(context.Context) error { return nil }
func (cable) Close() error                { return nil }

// said serves what is said at once, and then an answer to the first question.
func said(t *testing.T, first, answer string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(first))
			_, _ = c.Read(make([]byte, 1000))
			_, _ = c.Write([]byte(answer))
			_, _ = c.Read(make([]byte, 1000))
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().(*net.TCPAddr).Port
}

// Each service that is declared has its prober, is reached where it is, and tells
// a stranger what it answers without a login.
func TestServices(t *testing.T) {
	mute, err := net.ListenPacket("udp", "127.0.0.1:0") // who answers nothing
	require.NoError(t, err)
	defer mute.Close()
	agent := mute.LocalAddr().(*net.UDPAddr).Port
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := gone.Addr().(*net.TCPAddr).Port
	require.NoError(t, gone.Close())
	p := &profile.Profile{}
	p.Logins.Items = map[string]*profile.Login{
		"mqtt":  {Protocol: "mqtt", Port: said(t, "", "\x20\x02\x00\x05"), Proof: profile.Proof{Topic: "t"}},
		"ftp":   {Protocol: "ftp", Port: said(t, "220 box\r\n", "530 who?\r\n")},
		"redis": {Protocol: "redis", Port: said(t, "", "-NOAUTH who?\r\n")},
		"rtsp":  {Protocol: "rtsp", Port: said(t, "", "RTSP/1.0 401 Who\r\n\r\n"), Proof: profile.Proof{Get: "/live"}},
		"snmp":  {Protocol: "snmp", Port: agent, Refusal: verdict.Silent, Within: 90 * time.Millisecond},
		"agent": {Protocol: "snmp", Port: agent, Within: 90 * time.Millisecond},
		"gone":  {Protocol: "redis", Port: closed},
	}
	d := New(p, Unit{}, &Bench{Link: &cable{}, Address: "127.0.0.1"}).With(NewSession(t.Context(), nil))
	for name, want := range map[string]struct {
		kind  verdict.Kind
		tells string
	}{
		"mqtt": {verdict.Refused, "\x20\x02\x00\x05"}, "ftp": {verdict.Refused, "220 box\r\n530 who?\r\n"}, "redis": {verdict.Refused, "-NOAUTH who?\r\n"},
		"rtsp": {verdict.Refused, "RTSP/1.0 401 Who\r\n\r\n"}, "snmp": {verdict.Silent, "asked without a login: no answer, as is declared\n"}, "agent": {verdict.Silent, ""},
	} {
		door := d.Login(name)
		a, err := door.Try(t.Context(), login.Nobody)
		require.NoError(t, err, name)
		assert.Equal(t, want.kind, a.Kind, "%s: %s", name, a.Detail)
		assert.Equal(t, name != "agent", slices.Contains(door.Refusals(), a.Kind), name)
		tells, err := d.Disclosed(t.Context(), name)
		require.NoError(t, err, name)
		assert.Equal(t, want.tells, string(tells), name)
	}
	_, err = d.Disclosed(t.Context(), "gone")
	require.ErrorContains(t, err, "refused the connection")
	assert.Equal(t, "udp/161", (&profile.Login{Protocol: "snmp", Port: 161}).Service())
	assert.False(t, (&profile.Login{Protocol: "snmp"}).Accounts())
	assert.True(t, (&profile.Login{Protocol: "snmp", Version: "3"}).Accounts())
}
