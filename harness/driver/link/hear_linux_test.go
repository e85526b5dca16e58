package link

import (
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/capture"
	"rigor/harness/wire"
)

// heard gives what the streams that an ear has heard say, and whether more passed.
func heard(ear wire.Ear) (text string, cut bool) {
	frames, cut := ear.Frames()
	for _, s := range capture.Streams(frames) {
		text += string(s.Data) + "\n"
	}
	return text, cut
}

// What passes the interface from or to the unit is heard, in both directions and to
// whomever it says it; what others say is not.
func TestHear(t *testing.T) {
	t.Parallel()
	c := newCable(t, "198.51.100.1/28")
	l := c.link()
	c.dut("address add 198.51.100.3/28 dev eth0")
	c.in("other", "address add 198.51.100.4/28 dev eth0")
	c.finds(l, "198.51.100.3")

	ear, err := l.Hear(t.Context(), dutMAC)
	require.NoError(t, err)
	conn, err := l.DialContext(t.Context(), "udp", "198.51.100.3:9")
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("said to the unit"))
	require.NoError(t, err)
	got, _ := heard(ear)
	assert.Contains(t, got, "said to the unit", "at once: nobody has to wait for it")

	// The unit speaks to everybody, and another device too.
	say := func(who, text string) {
		t.Helper()
		out, err := exec.Command("ip", "netns", "exec", c.id+who, "bash", "-c", "echo '"+text+"' > /dev/udp/198.51.100.1/9").CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	say("other", "said by another")
	say("dut", "said by the unit")
	until := time.Now().Add(5 * time.Second)
	for !strings.Contains(got, "said by the unit") && time.Now().Before(until) {
		tick(t)
		got, _ = heard(ear)
	}
	got, cut := heard(ear)
	assert.False(t, cut)
	assert.Contains(t, got, "said by the unit")
	assert.NotContains(t, got, "said by another")
	assert.Contains(t, ear.Scope(), "every frame from and to "+dutMAC.String()+" that passes "+c.ours)

	require.NoError(t, ear.Close())
	require.NoError(t, ear.Close())
	_, _ = conn.Write([]byte("said too late")) // or it is told that nobody listens there
	got, _ = heard(ear)
	assert.NotContains(t, got, "said too late")
}

func tick(t *testing.T) {
	t.Helper()
	timer := time.NewTimer(20 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

func TestHearNot(t *testing.T) {
	t.Parallel()
	_, err := newLink(t, Config{}).Hear(t.Context(), dutMAC)
	require.ErrorIs(t, err, wire.ErrUnsupported, "no interface is given")
	_, err = newLink(t, Config{Interface: "none0"}).Hear(t.Context(), dutMAC)
	require.ErrorIs(t, err, ErrNoInterface)
	_, fault := wire.AsFault(err)
	assert.True(t, fault)
	_, err = newLink(t, Config{Interface: "lo"}).Hear(t.Context(), net.HardwareAddr{1})
	require.ErrorContains(t, err, "six bytes")
}
