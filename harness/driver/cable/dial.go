package cable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"

	"rigor/harness/wire"
)

// DialContext connects to address, host:port, over "tcp" or "udp". The host is
// an address: a cable has nobody who knows names. Trouble of our own, from a far
// end that is broken to an address that no route leads to, is a *wire.Fault. What
// the DUT does, or does not do, is an error that is none, with the number that a
// kernel would have given (ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT).
func (l *Link) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	op := fmt.Sprintf("dial %s %s", network, address)
	to, proto, err := remote(network, address)
	if err != nil {
		return nil, l.fault(op, err)
	}
	if l.ctx.Err() != nil {
		return nil, l.fault(op, net.ErrClosed)
	}
	if !l.leads(to) {
		return nil, l.fault(op, fmt.Errorf("%w: our end has %v", syscall.ENETUNREACH, l.conf.Own))
	}
	if err := l.far.Alive(); err != nil {
		return nil, l.fault(op, err)
	}
	window, cancel := context.WithTimeout(ctx, l.conf.DialTimeout)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	start := time.Now()
	c, err := l.dial(window, network, to, proto)
	if err == nil {
		return c, nil
	}
	if l.ctx.Err() != nil {
		return nil, l.fault(op, net.ErrClosed)
	}
	// What the emulator did meanwhile explains more than a silence.
	if ctx.Err() == nil && !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ECONNRESET) {
		if broken := l.far.Check(ctx); broken != nil && ctx.Err() == nil { // else we have given up, and nothing is known
			return nil, l.fault(op, broken)
		}
	}
	err = fmt.Errorf("after %v: %w", time.Since(start).Round(time.Millisecond), err)
	if ours(err) {
		return nil, l.fault(op, err)
	}
	return nil, fmt.Errorf("%s: %s: %w", l.conf.Part, op, err)
}

func (l *Link) dial(ctx context.Context, network string, to tcpip.FullAddress, proto tcpip.NetworkProtocolNumber) (net.Conn, error) {
	if strings.HasPrefix(network, "udp") {
		c, err := dialUDP(l.st, to, proto)
		if err != nil {
			return nil, translate(err)
		}
		return l.held(c, net.UDPAddrFromAddrPort(portOf(to))), nil
	}
	c, err := gonet.DialContextTCP(ctx, l.st, to, proto)
	if err != nil {
		return nil, translate(err)
	}
	return l.held(c, net.TCPAddrFromAddrPort(portOf(to))), nil
}

// held is a connection as the rig has it: of one that has ended, the stack does not know
// any more with whom it was.
func (l *Link) held(c net.Conn, remote net.Addr) *conn {
	return &conn{Conn: c, link: l, local: c.LocalAddr(), remote: remote}
}

// portOf gives an address of the stack's as everybody else's.
func portOf(a tcpip.FullAddress) netip.AddrPort {
	ip, _ := netip.AddrFromSlice(a.Addr.AsSlice()) // made from one
	return netip.AddrPortFrom(ip, a.Port)
}

// remote reads where to connect to.
func remote(network, address string) (to tcpip.FullAddress, proto tcpip.NetworkProtocolNumber, err error) {
	switch network {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
	default:
		return to, 0, errors.New("want tcp or udp")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return to, 0, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return to, 0, fmt.Errorf("port %q: want a number from 1 to 65535", port)
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return to, 0, fmt.Errorf("%w; write an address: nobody on this cable knows names", err)
	}
	a = a.Unmap()
	if a.Is4() == strings.HasSuffix(network, "6") && network != "tcp" && network != "udp" {
		return to, 0, fmt.Errorf("%v is no address for %s", a, network)
	}
	to.NIC, to.Port = nic, uint16(n)
	if a.Is4() {
		to.Addr = tcpip.AddrFrom4(a.As4())
		return to, ipv4.ProtocolNumber, nil
	}
	to.Addr = tcpip.AddrFrom16(a.As16())
	return to, ipv6.ProtocolNumber, nil
}

// leads says whether an address is on the cable: there is no router behind it.
func (l *Link) leads(to tcpip.FullAddress) bool {
	a, _ := netip.AddrFromSlice(to.Addr.AsSlice()) // made from one
	return l.conf.Own.Contains(a) || a.Is6() && a.IsLinkLocalUnicast()
}

// numbers are the kernel's for what the stack says, by its words: it hands over
// no more than those.
var numbers = map[string]syscall.Errno{
	(&tcpip.ErrConnectionRefused{}).String():  syscall.ECONNREFUSED,
	(&tcpip.ErrConnectionReset{}).String():    syscall.ECONNRESET,
	(&tcpip.ErrConnectionAborted{}).String():  syscall.ECONNABORTED,
	(&tcpip.ErrAborted{}).String():            syscall.ECONNABORTED,
	(&tcpip.ErrHostUnreachable{}).String():    syscall.EHOSTUNREACH,
	(&tcpip.ErrHostDown{}).String():           syscall.EHOSTDOWN,
	(&tcpip.ErrNetworkUnreachable{}).String(): syscall.ENETUNREACH,
	(&tcpip.ErrTimeout{}).String():            syscall.ETIMEDOUT,
	(&tcpip.ErrClosedForSend{}).String():      syscall.EPIPE,
	(&tcpip.ErrNoBufferSpace{}).String():      syscall.ENOBUFS,
	(&tcpip.ErrNoPortAvailable{}).String():    syscall.EADDRNOTAVAIL,
	(&tcpip.ErrBadLocalAddress{}).String():    syscall.EADDRNOTAVAIL,
}

// translate gives an error of the stack the number that a kernel would have
// given, and a passed deadline its name.
func translate(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	var op *net.OpError
	if !errors.As(err, &op) {
		if n, ok := numbers[err.Error()]; ok {
			return n
		}
		return err
	}
	out := *op
	if n, ok := numbers[op.Err.Error()]; ok {
		out.Err = n
	} else if op.Timeout() {
		out.Err = os.ErrDeadlineExceeded
	}
	return &out
}

// ours says whether a failed dial is the rig's own trouble. No route is the rig
// file's; a host that is not there is the DUT.
func ours(err error) bool {
	for _, e := range []syscall.Errno{syscall.ENETUNREACH, syscall.ENOBUFS, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// conn speaks the kernel's numbers.
type conn struct {
	net.Conn
	link   *Link
	closed atomic.Bool

	local, remote net.Addr
}

// LocalAddr is our end, also of a connection that is over.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the DUT's end, also of a connection that is over.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// Read reads what the DUT sent.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, c.why(err)
}

// Write sends b.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, c.why(err)
}

// why says as a *wire.Fault that the far end broke under a connection, and else
// what the stack said.
func (c *conn) why(err error) error {
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return err
	case c.closed.Load():
		return net.ErrClosed
	case c.link.ctx.Err() != nil:
		return c.link.fault("use a connection", net.ErrClosed)
	}
	if broken := c.link.far.Alive(); broken != nil {
		return c.link.fault("use a connection", broken)
	}
	return translate(err)
}

// CloseWrite ends our half of a connection of TCP.
func (c *conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return wire.ErrUnsupported
	}
	return c.why(half.CloseWrite())
}

// Close ends the connection, and who reads or writes in it.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	_ = c.Conn.SetDeadline(time.Unix(1, 0)) // the stack wakes nobody by closing alone
	return translate(c.Conn.Close())
}
