package cable

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"rigor/harness/wire"
)

const (
	defaultFind = 9 * time.Second
	widest      = 22              // of a network that is asked whole
	atOnce      = 256             // addresses that are asked at a time: the stack knows 512
	second      = 3 * time.Second // for a second address of IPv4 to show
	sweepEvery  = 2 * time.Millisecond
)

// Find asks every address of our network (a /22 around ours at most) who has it.
// It gives wire.ErrNobody where none is the hardware address's, and
// wire.ErrAmbiguous where several are. Of IPv6 it is the link-local address that is
// made of the hardware address (RFC 4291, appendix A), where that answers.
func (l *Link) Find(ctx context.Context, mac net.HardwareAddr) (netip.Addr, error) {
	op := "find " + mac.String()
	if err := l.Check(ctx); err != nil {
		return netip.Addr{}, err
	}
	window, cancel := context.WithTimeout(ctx, l.conf.FindTimeout)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	if err := l.st.ClearNeighbors(nic, ipv4.ProtocolNumber); err != nil {
		return netip.Addr{}, l.fault(op, errors.New(err.String()))
	}
	var found []netip.Addr
	for window.Err() == nil && len(found) == 0 {
		found = l.sweep(window, mac)
	}
	if err := ctx.Err(); err != nil {
		return netip.Addr{}, fmt.Errorf("%s: %s: %w", l.conf.Part, op, err)
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
	default:
		return netip.Addr{}, fmt.Errorf("%s: %s: %w: %v", l.conf.Part, op, wire.ErrAmbiguous, found)
	}
	v6 := linkLocal(mac)
	last, end := context.WithTimeout(ctx, second)
	defer end()
	if got := l.ask(last, v6); bytes.Equal(got, mac) {
		return v6.WithZone("cable"), nil
	}
	return netip.Addr{}, fmt.Errorf("%s: %s: %w on %v in %v", l.conf.Part, op, wire.ErrNobody, l.network(), l.conf.FindTimeout)
}

// network is what is asked: our network, or the part of it that is around us.
func (l *Link) network() netip.Prefix {
	p, _ := l.conf.Own.Addr().Prefix(max(l.conf.Own.Bits(), widest)) // in range
	return p
}

// sweep asks all of them once. Once one has answered, the others are given three
// seconds.
func (l *Link) sweep(ctx context.Context, mac net.HardwareAddr) []netip.Addr {
	type answer struct {
		at  netip.Addr
		mac net.HardwareAddr
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer, atOnce)
	pace := time.NewTicker(sweepEvery) // small devices lose what comes faster
	defer pace.Stop()
	all := l.network()
	next, asked := all.Addr().Next(), 0
	var found []netip.Addr
	for {
		more := all.Contains(next.Next()) && ctx.Err() == nil
		if asked == 0 && !more {
			return found
		}
		var tick <-chan time.Time
		if more && asked < atOnce {
			tick = pace.C
		}
		select {
		case <-tick:
			if at := next; at != l.conf.Own.Addr() {
				asked++
				go func() { answers <- answer{at, l.ask(ctx, at)} }()
			}
			next = next.Next()
		case got := <-answers:
			asked--
			if bytes.Equal(got.mac, mac) {
				found = append(found, got.at)
				timer := time.AfterFunc(second, cancel)
				defer timer.Stop()
			}
		}
	}
}

// ask gives the hardware address that answers for an address, nil where none
// does.
func (l *Link) ask(ctx context.Context, at netip.Addr) net.HardwareAddr {
	to, proto := tcpip.AddrFromSlice(at.AsSlice()), ipv4.ProtocolNumber
	if at.Is6() {
		proto = ipv6.ProtocolNumber
	}
	got := make(chan stack.LinkResolutionResult, 1)
	if err := l.st.GetLinkAddress(nic, to, tcpip.Address{}, proto, func(r stack.LinkResolutionResult) { got <- r }); err != nil {
		if _, ok := err.(*tcpip.ErrWouldBlock); !ok {
			return nil
		}
	}
	select {
	case r := <-got:
		if r.Err != nil {
			return nil
		}
		return net.HardwareAddr(r.LinkAddress)
	case <-ctx.Done():
		return nil
	}
}

// Neighbour gives the hardware address to which our end sends what goes to addr;
// nil where it knows none.
func (l *Link) Neighbour(ctx context.Context, addr netip.Addr) (net.HardwareAddr, error) {
	if err := l.Check(ctx); err != nil {
		return nil, err
	}
	proto := ipv4.ProtocolNumber
	if addr.Is6() {
		proto = ipv6.ProtocolNumber
	}
	known, err := l.st.Neighbors(nic, proto)
	if err != nil {
		return nil, l.fault("look up "+addr.String(), errors.New(err.String()))
	}
	at := tcpip.AddrFromSlice(addr.AsSlice())
	for _, n := range known {
		switch n.State {
		case stack.Reachable, stack.Stale, stack.Delay, stack.Probe, stack.Static:
			if n.Addr == at {
				return net.HardwareAddr(n.LinkAddr), nil
			}
		}
	}
	return nil, nil
}

// linkLocal is the address that a card makes of its hardware address.
func linkLocal(mac net.HardwareAddr) netip.Addr {
	if len(mac) != 6 {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]})
}
