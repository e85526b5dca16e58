package dut

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/profile"
)

// says listens, and says to who connects what there is to be said, each behind its pause.
func says(t *testing.T, what ...string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		for i, text := range what {
			if i%2 == 0 {
				pause, err := time.ParseDuration(text)
				if !assert.NoError(t, err) {
					return
				}
				<-time.After(pause)
				continue
			}
			if _, err := c.Write([]byte(text)); err != nil {
				return
			}
		}
		_, _ = c.Read(make([]byte, 100)) // until it is closed
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().(*net.TCPAddr).Port
}

// TestGreeting: what a service says is all of it, however long it takes to begin and pauses
// in between, and nothing is waited for behind its end.
func TestGreeting(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		protocol string
		says     []string
		want     string
		least    time.Duration
		most     time.Duration
	}{
		"telnet, at once":                  {"telnet", []string{"0s", "box\r\nlogin: "}, "box\r\nlogin: ", 0, time.Second},
		"telnet, whose login begins late":  {"telnet", []string{"0s", "\r\n", "800ms", "busybox-1.36.1\r\nbox login: "}, "\r\nbusybox-1.36.1\r\nbox login: ", 0, 2 * time.Second},
		"telnet, that looks a name up":     {"telnet", []string{"1200ms", "box\r\nlogin: "}, "box\r\nlogin: ", 0, 2500 * time.Millisecond},
		"telnet, with a rule":              {"telnet", []string{"0s", "####\r\n#", "600ms", "### busybox-1.36.1 #\r\nUsername:"}, "####\r\n#### busybox-1.36.1 #\r\nUsername:", 0, 2 * time.Second},
		"telnet, a shell":                  {"telnet", []string{"0s", "box# "}, "box# ", 0, 3500 * time.Millisecond},
		"telnet, a word that nobody knows": {"telnet", []string{"0s", "Kennwort?", "700ms", " fw-1.2.3"}, "Kennwort? fw-1.2.3", 2 * time.Second, 4 * time.Second},
		"ssh, at once":                     {"ssh", []string{"0s", "SSH-2.0-box\r\n"}, "SSH-2.0-box\r\n", 0, time.Second},
		"ssh, late, behind other lines":    {"ssh", []string{"800ms", "busybox-1.36.1\r\n", "500ms", "SSH-2.0-box\r\n"}, "busybox-1.36.1\r\nSSH-2.0-box\r\n", 0, 2500 * time.Millisecond},
		"ssh, in pieces":                   {"ssh", []string{"0s", "SSH-2.0-", "500ms", "dropbear_2022.83\r\n"}, "SSH-2.0-dropbear_2022.83\r\n", 0, 1500 * time.Millisecond},
		"another":                          {"app", []string{"900ms", "box", "500ms", " fw-1.2.3"}, "box fw-1.2.3", 0, 3500 * time.Millisecond},
		"nothing":                          {"telnet", nil, "", 2 * time.Second, 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &profile.Profile{}
			p.Logins.Items = map[string]*profile.Login{"it": {Protocol: c.protocol, Port: says(t, c.says...), Within: 3 * time.Second}}
			d := New(p, Unit{}, &Bench{Link: &cable{}, Address: "127.0.0.1"}).With(NewSession(t.Context(), nil))
			began := time.Now()
			seen, err := d.Disclosed(t.Context(), "it")
			require.NoError(t, err)
			assert.Equal(t, c.want, string(seen))
			assert.GreaterOrEqual(t, time.Since(began), c.least)
			assert.Less(t, time.Since(began), c.most)
		})
	}
}
