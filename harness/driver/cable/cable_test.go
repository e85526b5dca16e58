package cable

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"rigor/harness/wire"
)

// segment is a wire with two ends; each end is the other's far one.
type segment struct {
	mu    sync.Mutex
	cut   bool
	alive error
	asks  bool // Check asks, and nobody answers
	to    [2]func([]byte)
	wires [2]chan []byte
}

type end struct {
	s *segment
	i int
}

func (e end) Send(frame []byte) {
	e.s.mu.Lock()
	cut := e.s.cut
	e.s.mu.Unlock()
	if cut {
		return
	}
	select {
	case e.s.wires[e.i] <- bytes.Clone(frame):
	default:
	}
}

func (e end) Receive(f func([]byte)) {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	e.s.to[1-e.i] = f
}

func (e end) Check(ctx context.Context) error {
	e.s.mu.Lock()
	asks := e.s.asks
	e.s.mu.Unlock()
	if asks {
		<-ctx.Done()
		return fmt.Errorf("query-status: %w", context.Cause(ctx))
	}
	return e.Alive()
}

func (e end) Alive() error {
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	return e.s.alive
}

func (s *segment) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

var (
	deviceMAC = net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}
	deviceIP  = netip.MustParseAddr("10.0.7.1")
)

// pair gives our end, and a device's.
func pair(t testing.TB) (s *segment, ours, device *Link) {
	t.Helper()
	s = &segment{}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for i := range s.wires {
		s.wires[i] = make(chan []byte, 1024)
		wg.Go(func() {
			for {
				select {
				case f := <-s.wires[i]:
					s.mu.Lock()
					to := s.to[i]
					s.mu.Unlock()
					if to != nil {
						to(f)
					}
				case <-done:
					return
				}
			}
		})
	}
	var err error
	ours, err = New(t.Context(), Config{Part: "link", Own: netip.MustParsePrefix("10.0.7.2/24")}, end{s, 0})
	require.NoError(t, err)
	device, err = New(t.Context(), Config{Part: "device", Own: netip.PrefixFrom(deviceIP, 24), MAC: deviceMAC}, end{s, 1})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, ours.Close())
		assert.NoError(t, ours.Close())
		assert.NoError(t, device.Close())
		close(done)
		wg.Wait()
	})
	return s, ours, device
}

// listen has the device serve each connection to a port.
func listen(t *testing.T, device *Link, port uint16, serve func(net.Conn)) {
	t.Helper()
	ln, err := gonet.ListenTCP(device.st, tcpip.FullAddress{NIC: nic, Port: port}, ipv4.ProtocolNumber)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
}

func TestDialCarriesBytes(t *testing.T) {
	t.Parallel()
	_, ours, device := pair(t)
	listen(t, device, 7, func(c net.Conn) {
		_, _ = io.Copy(c, c)
		_ = c.Close()
	})
	c, err := ours.DialContext(t.Context(), "tcp", "10.0.7.1:7")
	require.NoError(t, err)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() {
		_, _ = c.Write(sent)
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(sent, got), "%d bytes came back", len(got))
	assert.Equal(t, "10.0.7.1:7", c.RemoteAddr().String())
	require.NoError(t, c.Close())
	assert.ErrorIs(t, c.Close(), net.ErrClosed)
	_, err = c.Write([]byte("x"))
	assert.ErrorIs(t, err, net.ErrClosed)
}

// What the device says, or does not say, comes as a kernel would say it, and is no
// fault of the rig; what is ours is.
func TestDialSaysWhoseItIs(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for answers that do not come; left out by -short")
	}
	s, ours, device := pair(t)
	listen(t, device, 22, func(c net.Conn) { _ = c.Close() })
	for _, tt := range []struct {
		name, network, address string
		want                   error
		fault                  bool
	}{
		{"a closed port", "tcp", "10.0.7.1:23", syscall.ECONNREFUSED, false},
		{"nobody has the address", "tcp", "10.0.7.9:22", syscall.EHOSTUNREACH, false},
		{"an address that no route leads to", "tcp", "192.0.2.1:22", syscall.ENETUNREACH, true},
		{"a name", "tcp", "gateway:22", nil, true},
		{"no port", "tcp", "10.0.7.1:0", nil, true},
		{"another protocol", "unix", "10.0.7.1:22", nil, true},
		{"the wrong kind of address", "tcp6", "10.0.7.1:22", nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ours.DialContext(t.Context(), tt.network, tt.address)
			require.Error(t, err)
			assert.Nil(t, c)
			if tt.want != nil {
				assert.ErrorIs(t, err, tt.want)
			}
			_, fault := wire.AsFault(err)
			assert.Equal(t, tt.fault, fault, "%v", err)
		})
	}
	c, err := ours.DialContext(t.Context(), "tcp", "10.0.7.1:22")
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF)
	require.NoError(t, c.Close())

	t.Run("a cut cable is a silence", func(t *testing.T) {
		s.set(func() { s.cut = true })
		defer s.set(func() { s.cut = false })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := ours.DialContext(ctx, "tcp", "10.0.7.1:22")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		_, fault := wire.AsFault(err)
		assert.False(t, fault)
		require.NoError(t, ours.Check(t.Context()))
	})
	t.Run("a far end that is broken", func(t *testing.T) {
		crashed := errors.New("the machine ended by itself")
		c, err := ours.DialContext(t.Context(), "tcp", "10.0.7.1:22")
		require.NoError(t, err)
		s.set(func() { s.alive = crashed })
		for _, do := range []func() error{
			func() error { _, err := ours.DialContext(t.Context(), "tcp", "10.0.7.1:22"); return err },
			func() error { return ours.Check(t.Context()) },
			func() error { _ = c.SetReadDeadline(time.Unix(1, 0)); _, err := c.Read(make([]byte, 1)); return err },
		} {
			err := do()
			assert.ErrorIs(t, err, crashed)
			f, ok := wire.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, wire.Part("link"), f.Part)
		}
	})
}

func TestConnectionsEnd(t *testing.T) {
	t.Parallel()
	_, ours, device := pair(t)
	held := make(chan net.Conn, 4)
	listen(t, device, 80, func(c net.Conn) { held <- c })
	dial := func() net.Conn {
		c, err := ours.DialContext(t.Context(), "tcp", "10.0.7.1:80")
		require.NoError(t, err)
		return c
	}
	c := dial()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
	_, err := c.Read(make([]byte, 1))
	assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, c.SetReadDeadline(time.Time{}))

	read := make(chan error, 1)
	go func() { _, err := c.Read(make([]byte, 1)); read <- err }()
	require.NoError(t, c.Close())
	assert.ErrorIs(t, <-read, net.ErrClosed, "who reads is woken")

	<-held
	c = dial()
	far := <-held
	rst := far.(*gonet.TCPConn)
	_, err = c.Write([]byte("unread"))
	require.NoError(t, err)
	waitReadable(t, rst)
	require.NoError(t, rst.Close()) // with what was never read: a reset
	_, err = io.ReadAll(c)
	assert.ErrorIs(t, err, syscall.ECONNRESET)
	if assert.NotNil(t, c.RemoteAddr(), "who was spoken with is known behind the end, too") {
		assert.Equal(t, "10.0.7.1:80", c.RemoteAddr().String())
	}
	assert.NotNil(t, c.LocalAddr())

	c = dial()
	go func() { _, err := c.Read(make([]byte, 1)); read <- err }()
	require.NoError(t, ours.Close())
	err = <-read
	_, fault := wire.AsFault(err)
	assert.True(t, fault, "the link was closed under it: %v", err)
	_, err = ours.DialContext(t.Context(), "tcp", "10.0.7.1:80")
	assert.ErrorIs(t, err, net.ErrClosed)
	assert.ErrorIs(t, ours.Check(t.Context()), net.ErrClosed)
}

// waitReadable reads one byte of what has come.
func waitReadable(t *testing.T, c net.Conn) {
	t.Helper()
	_, err := c.Read(make([]byte, 1))
	require.NoError(t, err)
}

func TestDatagrams(t *testing.T) {
	_, ours, device := pair(t)
	at := tcpip.FullAddress{NIC: nic, Port: 53}
	srv, err := gonet.DialUDP(device.st, &at, nil, ipv4.ProtocolNumber)
	require.NoError(t, err)
	defer srv.Close()
	go func() {
		b := make([]byte, 64)
		n, from, err := srv.ReadFrom(b)
		if err == nil {
			_, _ = srv.WriteTo(b[:n], from)
		}
	}()
	c, err := ours.DialContext(t.Context(), "udp", "10.0.7.1:53")
	require.NoError(t, err)
	_, err = c.Write([]byte("hello"))
	require.NoError(t, err)
	b := make([]byte, 64)
	n, err := c.Read(b)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(b[:n]))
	require.NoError(t, c.Close())

	c, err = ours.DialContext(t.Context(), "udp", "10.0.7.1:54")
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write([]byte("hello"))
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
	_, err = c.Read(b)
	assert.ErrorIs(t, err, syscall.ECONNREFUSED, "a closed port of the device says so")
}

func TestFind(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for answers that do not come; left out by -short")
	}
	s, ours, device := pair(t)
	ours.conf.FindTimeout = 200 * time.Millisecond
	at, err := ours.Find(t.Context(), deviceMAC)
	require.NoError(t, err)
	assert.Equal(t, deviceIP, at)
	is, err := ours.Neighbour(t.Context(), deviceIP)
	require.NoError(t, err)
	assert.Equal(t, deviceMAC, is)
	is, err = ours.Neighbour(t.Context(), netip.MustParseAddr("10.0.7.77"))
	require.NoError(t, err)
	assert.Nil(t, is)

	second := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{Address: tcpip.AddrFrom4([4]byte{10, 0, 7, 99}), PrefixLen: 24}}
	require.Nil(t, device.st.AddProtocolAddress(nic, second, stack.AddressProperties{}))
	ours.conf.FindTimeout = 4 * time.Second
	_, err = ours.Find(t.Context(), deviceMAC)
	assert.ErrorIs(t, err, wire.ErrAmbiguous)

	for _, a := range []string{"10.0.7.99", "10.0.7.1"} {
		require.Nil(t, device.st.RemoveAddress(nic, tcpip.AddrFromSlice(netip.MustParseAddr(a).AsSlice())))
	}
	ours.conf.FindTimeout = 200 * time.Millisecond
	at, err = ours.Find(t.Context(), deviceMAC)
	require.NoError(t, err, "by IPv6's link-local address")
	assert.Equal(t, "fe80::5054:ff:fe12:3456%cable", at.String())

	s.set(func() { s.cut = true })
	require.Nil(t, ours.st.ClearNeighbors(nic, ipv4.ProtocolNumber))
	_, err = ours.Find(t.Context(), net.HardwareAddr{2, 0, 0, 0, 0, 9})
	assert.ErrorIs(t, err, wire.ErrNobody)
}

// The device is reached over IPv6 too.
func TestDialLinkLocal(t *testing.T) {
	_, ours, device := pair(t)
	listen6, err := gonet.ListenTCP(device.st, tcpip.FullAddress{NIC: nic, Port: 22}, ipv6.ProtocolNumber)
	require.NoError(t, err)
	defer listen6.Close()
	c, err := ours.DialContext(t.Context(), "tcp", "[fe80::5054:ff:fe12:3456%cable]:22")
	require.NoError(t, err)
	require.NoError(t, c.Close())
	_, err = ours.DialContext(t.Context(), "tcp", "[fe80::5054:ff:fe12:3456%cable]:23")
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		conf Config
		want string
	}{
		{"good", Config{Part: "link", Own: netip.MustParsePrefix("10.0.7.2/24")}, ""},
		{"nothing", Config{}, "the link has no part name"},
		{"the network's own", Config{Part: "link", Own: netip.MustParsePrefix("10.0.7.0/24")}, "no address that one computer can have"},
		{"IPv6", Config{Part: "link", Own: netip.MustParsePrefix("fe80::1/64")}, "want an address of IPv4"},
		{"too narrow", Config{Part: "link", Own: netip.MustParsePrefix("10.0.7.2/32")}, "want an address of IPv4"},
		{"a group", Config{Part: "link", Own: netip.MustParsePrefix("10.0.7.2/24"), MAC: net.HardwareAddr{1, 0, 0, 0, 0, 1}}, "no group's"},
		{"too long", Config{Part: "link", Own: netip.MustParsePrefix("10.0.7.2/24"), DialTimeout: time.Hour}, "dial timeout 1h0m0s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.conf.Validate()
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

// Nothing runs on after Close.
func TestNothingRunsOn(t *testing.T) {
	t.Run("a link", func(t *testing.T) {
		_, ours, _ := pair(t)
		_, err := ours.DialContext(t.Context(), "tcp", "10.0.7.1:22")
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
	buf := make([]byte, 1<<20)
	assert.Eventually(t, func() bool {
		return !strings.Contains(string(buf[:runtime.Stack(buf, true)]), "gvisor.dev")
	}, 5*time.Second, 10*time.Millisecond)
}

// What a try costs where nobody listens, as a scan of ports has it; the far end is
// one of our own kind.
func BenchmarkRefused(b *testing.B) {
	_, ours, _ := pair(b)
	for b.Loop() {
		_, err := ours.DialContext(b.Context(), "tcp", "10.0.7.1:23")
		require.ErrorIs(b, err, syscall.ECONNREFUSED)
	}
}

// Whatever the device sends, our end stands.
func FuzzReceive(f *testing.F) {
	arpFrame := append(append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, deviceMAC...), 8, 6, 0, 1, 8, 0, 6, 4, 0, 1)
	f.Add(arpFrame)
	f.Add(append(arpFrame, make([]byte, 20)...))
	f.Add(append(append(append([]byte{}, OurMAC...), deviceMAC...), 8, 0, 0x45, 0, 0, 20, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 7, 1, 10, 0, 7, 2))
	f.Add([]byte{})
	s := &segment{wires: [2]chan []byte{make(chan []byte, 1), make(chan []byte, 1)}}
	l, err := New(f.Context(), Config{Part: "link", Own: netip.MustParsePrefix("10.0.7.2/24")}, end{s, 0})
	require.NoError(f, err)
	f.Cleanup(func() { _ = l.Close() })
	f.Fuzz(func(t *testing.T, frame []byte) {
		l.receive(frame)
		require.NoError(t, l.Check(t.Context()))
	})
}

// Who gives an attempt up while the far end is asked how it is has not broken it.
func TestGivenUpIsNoFault(t *testing.T) {
	s, ours, _ := pair(t)
	s.set(func() { s.cut, s.asks = true, true })
	ours.conf.DialTimeout = 20 * time.Millisecond // then the far end is asked
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := ours.DialContext(ctx, "tcp", "10.0.7.1:80")
	require.Error(t, err)
	_, fault := wire.AsFault(err)
	assert.False(t, fault, "%v", err)
	err = ours.Check(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, fault = wire.AsFault(err)
	assert.False(t, fault, "%v", err)
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = ours.Check(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, fault = wire.AsFault(err)
	assert.False(t, fault, "%v", err)
}
