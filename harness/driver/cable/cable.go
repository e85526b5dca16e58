// Package cable is our end of an Ethernet cable to an emulated device: a network
// card with an address of its own, in this process.
//
// The device's emulator hands over frames, and a TCP/IP stack in user space
// (gVisor's netstack) makes connections of them. The ways that were weighed:
//
//   - The emulator's own user network (slirp, hostfwd) accepts connections for the
//     device, with nothing listening there: no claim about a port, a lock or life
//     can be made over it.
//   - A tap in a network namespace carries the kernel's own sockets, and other
//     programs too. It needs root, or user namespaces, which containers and some
//     distributions forbid; each dial has to enter the namespace by a helper, and
//     what is left behind by kill -9 has to be cleaned.
//   - A stack in user space needs no right at all, is gone with the process, sees
//     every frame (a cut cable is a frame that is dropped), and makes the program
//     5.5 MB larger, 4.1 MB where it is stripped.
//
// Ports, resets, ARP and the network's silence are the device's own in the last
// two. The last is the default; who wants other programs on the same wire puts
// the machine on a tap of his own, and uses driver link on it.
package cable

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"rigor/harness/capture"
	"rigor/harness/wire"
)

const (
	nic         tcpip.NICID = 1
	mtu                     = 1500
	header                  = 14 // of Ethernet
	minFrame                = header
	maxFrame                = 1 << 16 // what an emulator may hand over at most
	queued                  = 512     // frames that wait to be sent
	defaultDial             = 10 * time.Second
	maxDial                 = 5 * time.Minute
)

// OurMAC is the hardware address of our end where none is given: a locally
// administered one.
var OurMAC = net.HardwareAddr{0x02, 0x72, 0x69, 0x67, 0x6f, 0x01}

// Far is what hangs on the other end of the cable.
type Far interface {
	// Send hands one frame over, without its checksum. It must not block: what
	// cannot be taken is lost, as on a wire.
	Send(frame []byte)
	// Receive has the frames that come from there given to a function, nil for
	// nobody, until the next call.
	Receive(func(frame []byte))
	// Alive says what is known to be wrong with the far end as an instrument, nil
	// where nothing is; a device without power is nothing wrong. It returns at once.
	Alive() error
	// Check is Alive, and asks the far end.
	Check(ctx context.Context) error
}

// Config describes our end.
type Config struct {
	// Part is the link's name in results. Required.
	Part wire.Part
	// Own is our address, with the length of the network's prefix. Required.
	Own netip.Prefix
	// MAC is our hardware address; OurMAC where nil.
	MAC net.HardwareAddr
	// DialTimeout bounds one connection attempt, up to 5 min. Zero is 10 s.
	DialTimeout time.Duration
	// FindTimeout bounds one search for a hardware address, up to 5 min. Zero is
	// 9 s.
	FindTimeout time.Duration
}

// Link is our end of a cable.
type Link struct {
	conf Config
	far  Far
	ep   *channel.Endpoint
	st   *stack.Stack

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	once sync.Once
	wg   sync.WaitGroup

	mu   sync.Mutex
	ears map[*capture.Ear]struct{}
}

var (
	_ wire.Link   = (*Link)(nil)
	_ wire.Finder = (*Link)(nil)
	_ wire.Hearer = (*Link)(nil)
)

// Validate says what is wrong with the configuration, all at once.
func (c Config) Validate() error {
	var errs []error
	if c.Part == "" {
		errs = append(errs, errors.New("the link has no part name"))
	}
	switch a := c.Own.Addr(); {
	case !c.Own.IsValid() || !a.Is4() || c.Own.Bits() > 30 || c.Own.Bits() < 8:
		errs = append(errs, fmt.Errorf("own %q: want an address of IPv4 with the length of its prefix, from 8 to 30, as 10.0.7.2/24", c.Own))
	case a == c.Own.Masked().Addr() || a.IsMulticast() || a.IsLoopback() || a.IsUnspecified():
		errs = append(errs, fmt.Errorf("own %q: no address that one computer can have", c.Own))
	}
	if c.MAC != nil && (len(c.MAC) != 6 || c.MAC[0]&1 != 0) {
		errs = append(errs, fmt.Errorf("hardware address %v: want six bytes, and no group's", c.MAC))
	}
	for name, d := range map[string]time.Duration{"dial": c.DialTimeout, "find": c.FindTimeout} {
		if d < 0 || d > maxDial {
			errs = append(errs, fmt.Errorf("%s timeout %v: want up to %v", name, d, maxDial))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("link %q: %w", c.Part, err)
	}
	return nil
}

// New makes our end and plugs it in. ctx bounds its life.
func New(ctx context.Context, conf Config, far Far) (*Link, error) {
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	if conf.MAC == nil {
		conf.MAC = OurMAC
	}
	if conf.DialTimeout == 0 {
		conf.DialTimeout = defaultDial
	}
	if conf.FindTimeout == 0 {
		conf.FindTimeout = defaultFind
	}
	l := &Link{conf: conf, far: far, ep: channel.New(queued, mtu+header, tcpip.LinkAddress(conf.MAC))}
	var err error
	if l.st, err = newStack(l.ep, conf); err != nil {
		return nil, l.fault("make our end of the cable", err)
	}
	l.ctx, l.stop = context.WithCancel(ctx)
	l.wg.Go(l.pump)
	far.Receive(l.receive)
	return l, nil
}

func newStack(ep stack.LinkEndpoint, conf Config) (*stack.Stack, error) {
	st := stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{arp.NewProtocol, ipv4.NewProtocol,
			ipv6.NewProtocolWithOptions(ipv6.Options{AutoGenLinkLocal: true})},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
	})
	failed := func(err tcpip.Error) (*stack.Stack, error) {
		st.Destroy()
		return nil, errors.New(err.String())
	}
	sack := tcpip.TCPSACKEnabled(true) // as every kernel has it
	if err := st.SetTransportProtocolOption(tcp.ProtocolNumber, &sack); err != nil {
		return failed(err)
	}
	if err := st.CreateNIC(nic, ethernet.New(ep)); err != nil {
		return failed(err)
	}
	own := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{
		Address: tcpip.AddrFrom4(conf.Own.Addr().As4()), PrefixLen: conf.Own.Bits()}}
	if err := st.AddProtocolAddress(nic, own, stack.AddressProperties{}); err != nil {
		return failed(err)
	}
	v6, err := tcpip.NewSubnet(tcpip.AddrFrom16([16]byte{0xfe, 0x80}), tcpip.MaskFromBytes([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}))
	if err != nil {
		st.Destroy()
		return nil, err
	}
	st.SetRouteTable([]tcpip.Route{{Destination: own.AddressWithPrefix.Subnet(), NIC: nic}, {Destination: v6, NIC: nic}})
	return st, nil
}

// pump hands over what our end sends.
func (l *Link) pump() {
	for {
		pkt := l.ep.ReadContext(l.ctx)
		if pkt == nil {
			return
		}
		view := pkt.ToView()
		pkt.DecRef()
		l.heard(view.AsSlice())
		l.far.Send(view.AsSlice())
		view.Release()
	}
}

// receive takes a frame of the far end.
func (l *Link) receive(frame []byte) {
	if len(frame) < minFrame || len(frame) > maxFrame || l.ctx.Err() != nil {
		return
	}
	l.heard(frame)
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(frame)})
	defer pkt.DecRef()
	l.ep.InjectInbound(0, pkt)
}

func (l *Link) fault(op string, err error) error {
	return &wire.Fault{Part: l.conf.Part, Op: op, Err: err}
}

// Check says as a *wire.Fault what is wrong with the far end as an instrument. A
// device without power is nothing wrong.
func (l *Link) Check(ctx context.Context) error {
	const op = "check"
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %s: %w", l.conf.Part, op, err)
	}
	if l.ctx.Err() != nil {
		return l.fault(op, net.ErrClosed)
	}
	switch err := l.far.Check(ctx); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %s: %w", l.conf.Part, op, err)
	default:
		return l.fault(op, err)
	}
}

// Close pulls the cable out: connections end, searches and attempts too. It may
// be called again.
func (l *Link) Close() error {
	l.once.Do(func() {
		l.far.Receive(nil)
		l.stop()
		l.wg.Wait()
		l.ep.Close()
		l.st.Destroy()
	})
	return nil
}
