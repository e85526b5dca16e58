package link

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

// cable is our interface and what hangs on the other end of it: a switch, and
// on that the DUT and another device, each in a namespace of its own.
type cable struct {
	t    *testing.T
	ours string // name of our interface
	id   string
}

var cables atomic.Int32

// strangerMAC is of the other device.
const strangerMAC = "02:00:00:00:00:99"

// newCable lays one. The addresses are of the networks for documentation and
// tests: nobody routes them.
func newCable(t *testing.T, own ...string) *cable {
	t.Helper()
	if testing.Short() {
		t.Skip("that nobody answers takes seconds to say")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip: apt-get install iproute2")
	}
	id := fmt.Sprintf("%d-%d", os.Getpid()%100000, cables.Add(1))
	c := &cable{t: t, ours: "rg" + id, id: "rigor-" + id}
	for _, who := range []string{"switch", "dut", "other"} {
		if out, err := exec.CommandContext(t.Context(), "ip", "netns", "add", c.id+who).CombinedOutput(); err != nil {
			t.Skipf("needs leave to make a network namespace: %v: %s", err, out)
		}
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", c.id+who).Run() }) // its interfaces go with it
	}
	c.in("switch", "link add br0 type bridge")
	c.in("switch", "link set br0 up")
	c.ip("link add", c.ours, "type veth peer name rig netns", c.id+"switch")
	c.in("switch", "link set rig master br0 up")
	for who, mac := range map[string]string{"dut": dutMAC.String(), "other": strangerMAC} {
		c.in("switch", "link add", who, "type veth peer name eth0 address", mac, "netns", c.id+who)
		c.in("switch", "link set", who, "master br0 up")
		c.in(who, "link set eth0 up")
	}
	for _, a := range own {
		c.ip("address add", a, "dev", c.ours, "nodad")
	}
	c.ip("link set", c.ours, "up")
	return c
}

func (c *cable) ip(words ...string) {
	c.t.Helper()
	args := strings.Fields(strings.Join(words, " "))
	out, err := exec.Command("ip", args...).CombinedOutput()
	require.NoError(c.t, err, "ip %v: %s", args, out)
}

// in has one of the namespaces changed.
func (c *cable) in(who string, words ...string) {
	c.t.Helper()
	c.ip(append([]string{"-n", c.id + who}, words...)...)
}

func (c *cable) dut(words ...string) {
	c.t.Helper()
	c.in("dut", words...)
}

func (c *cable) link() *Link {
	return newLink(c.t, Config{Interface: c.ours, FindTimeout: 4 * time.Second})
}

func (c *cable) finds(l *Link, want string) {
	c.t.Helper()
	got, err := l.Find(c.t.Context(), dutMAC)
	require.NoError(c.t, err)
	assert.Equal(c.t, want, got.String())
	mac, err := l.Neighbour(c.t.Context(), got)
	require.NoError(c.t, err)
	assert.Equal(c.t, dutMAC, mac)
}

func TestFind(t *testing.T) {
	t.Parallel()
	c := newCable(t, "198.51.100.1/28")
	l := c.link()
	c.dut("link set eth0 addrgenmode none")
	c.dut("address flush dev eth0")
	_, err := l.Find(t.Context(), dutMAC)
	require.ErrorIs(t, err, wire.ErrNobody, "it has no address yet")
	assert.False(t, isFault(err), "a DUT that is not there is no fault")
	assert.ErrorContains(t, err, "find 02:00:00:00:00:01 on "+c.ours)

	c.dut("address add 198.51.100.7/28 dev eth0")
	c.finds(l, "198.51.100.7")
	start := time.Now()
	c.finds(l, "198.51.100.7")
	assert.Less(t, time.Since(start), time.Second, "one that is known is asked first")

	// It takes another address, while ours still has the old one in its table.
	c.dut("address del 198.51.100.7/28 dev eth0")
	c.dut("address add 198.51.100.9/28 dev eth0")
	c.finds(l, "198.51.100.9")

	// Somebody else takes the address that it had, and answers there.
	c.dut("address del 198.51.100.9/28 dev eth0")
	c.dut("address add 198.51.100.11/28 dev eth0")
	c.in("other", "address add 198.51.100.9/28 dev eth0")
	c.finds(l, "198.51.100.11")
	c.dut("address del 198.51.100.11/28 dev eth0")
	c.dut("link set eth0 down")
	_, err = l.Find(t.Context(), dutMAC)
	require.ErrorIs(t, err, wire.ErrNobody, "it is gone, and the other is not it")
}

func TestFindNeverAStranger(t *testing.T) {
	t.Parallel()
	c := newCable(t, "198.51.100.17/28")
	c.in("other", "address add 198.51.100.20/28 dev eth0")
	c.dut("link set eth0 down")
	l := c.link()
	_, err := l.Find(t.Context(), dutMAC)
	require.ErrorIs(t, err, wire.ErrNobody)
	mac, err := l.Neighbour(t.Context(), netip.MustParseAddr("198.51.100.20"))
	require.NoError(t, err)
	assert.Equal(t, strangerMAC, mac.String(), "who it is is known")
	mac, err = l.Neighbour(t.Context(), netip.MustParseAddr("198.51.100.21"))
	require.NoError(t, err)
	assert.Nil(t, mac)
}

func TestFindAmbiguous(t *testing.T) {
	t.Parallel()
	c := newCable(t, "198.51.100.33/28")
	c.dut("address add 198.51.100.36/28 dev eth0")
	c.dut("address add 198.51.100.37/28 dev eth0")
	_, err := c.link().Find(t.Context(), dutMAC)
	require.ErrorIs(t, err, wire.ErrAmbiguous)
	assert.ErrorContains(t, err, "198.51.100.36")
	assert.ErrorContains(t, err, "198.51.100.37")
	assert.False(t, isFault(err))
}

func TestFindIPv6(t *testing.T) {
	t.Parallel()
	c := newCable(t, "fe80::1/64")
	l := c.link()
	c.finds(l, "fe80::ff:fe00:1%"+c.ours)
	c.ip("address add 198.51.100.49/28 dev", c.ours)
	c.dut("address add 198.51.100.52/28 dev eth0")
	c.finds(l, "198.51.100.52")
}

func TestFindFaults(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]error{"": ErrNoInterface, "nosuch0": ErrNoInterface} {
		_, err := newLink(t, Config{Interface: name}).Find(t.Context(), dutMAC)
		require.ErrorIs(t, err, want)
		assert.True(t, isFault(err))
	}
	_, err := newLink(t, Config{Interface: "nosuch0"}).Neighbour(t.Context(), netip.MustParseAddr("192.0.2.1"))
	assert.True(t, isFault(err))
	_, err = newLink(t, Config{Interface: "lo"}).Find(t.Context(), net.HardwareAddr{})
	require.ErrorContains(t, err, "no hardware address")
	closed := newLink(t, Config{Interface: "lo"})
	require.NoError(t, closed.Close())
	_, err = closed.Find(t.Context(), dutMAC)
	require.ErrorIs(t, err, net.ErrClosed)
	assert.True(t, isFault(err))

	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(100*time.Millisecond, cancel)
	defer timer.Stop()
	start := time.Now()
	_, err = newLink(t, Config{Interface: "lo"}).Find(ctx, dutMAC)
	require.ErrorIs(t, err, context.Canceled)
	assert.False(t, isFault(err))
	assert.Less(t, time.Since(start), 3*time.Second)
	_, err = New(t.Context(), Config{Part: "link", FindTimeout: time.Hour})
	require.ErrorContains(t, err, "find timeout")

	c := newCable(t)
	c.ip("address flush dev", c.ours)
	_, err = c.link().Find(t.Context(), dutMAC)
	require.ErrorIs(t, err, ErrNoAddress)
	c.ip("address add 198.51.100.65/28 dev", c.ours)
	c.in("switch", "link set rig down")
	_, err = c.link().Find(t.Context(), dutMAC)
	require.ErrorIs(t, err, wire.ErrNobody)
	require.ErrorIs(t, err, ErrNoCarrier, "why nobody answers")
	assert.False(t, isFault(err), "a DUT that is off takes the carrier with it")
	c.ip("link set", c.ours, "down")
	_, err = c.link().Find(t.Context(), dutMAC)
	require.ErrorIs(t, err, ErrDown)
	assert.True(t, isFault(err))
}
