package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"rigor/harness/wire"
)

// How the network is asked who is there.
const (
	discard    = 9                      // the port that everything is sent to (RFC 863): nobody serves it
	sweepEvery = 2 * time.Millisecond   // between two addresses: 500 ARP requests a second
	lookEvery  = 20 * time.Millisecond  // between two looks into the table
	knownFirst = 300 * time.Millisecond // for the addresses that the table has, before all others are asked
	// between is from the first round of a sweep to the second: an address that
	// was asked before and is being given up swallows what is sent to it.
	between = 300 * time.Millisecond
	// settle is for the answers to a sweep: an address that was asked a moment
	// ago already is asked again after a second, whoever sends to it.
	settle      = 1200 * time.Millisecond
	sweepAgain  = 2 * time.Second        // from the end of a sweep to the next: the DUT may be booting
	knockUDP    = 250 * time.Millisecond // for an answer to a datagram
	knockTCP    = time.Second            // for an answer to a connection attempt
	leastPrefix = 22                     // at most 1022 addresses are asked
	// defaultFind is how long a search takes that finds nobody. Above the time in
	// which the kernel gives up an entry that does not answer: five seconds of
	// delay and three of probes.
	defaultFind = 9 * time.Second
)

var _ wire.Finder = (*Link)(nil)

// Find gives the address at which a hardware address answers now: that the
// kernel has known it at an address is not enough. It asks the addresses that the
// table has for it, then every address of the interface's own small networks (at
// most a /22 around our own, 500 a second, in two rounds), and of IPv6 the address that is made
// of the hardware address. Only the declared interface is used. An error of our
// own end is a *wire.Fault; wire.ErrNobody and wire.ErrAmbiguous are the DUT's.
func (l *Link) Find(ctx context.Context, mac net.HardwareAddr) (netip.Addr, error) {
	op := "find " + mac.String()
	if l.ctx.Err() != nil {
		return netip.Addr{}, l.fault(op, net.ErrClosed)
	}
	if len(mac) == 0 {
		return netip.Addr{}, fmt.Errorf("%s: find: no hardware address is given", l.conf.Part)
	}
	in, own, err := l.network(op)
	if err != nil {
		return netip.Addr{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	window, done := context.WithTimeout(ctx, l.conf.FindTimeout)
	defer done()
	s := &search{l: l, mac: mac, in: in, begun: time.Now(), asked: map[netip.Addr]bool{}, live: map[netip.Addr]bool{}, sweep: around(own)}
	addr, err := s.run(window)
	done()
	s.wg.Wait()
	switch {
	case err == nil:
		return addr, nil
	case l.ctx.Err() != nil:
		return addr, l.fault(op, net.ErrClosed)
	case ctx.Err() != nil:
		return addr, fmt.Errorf("%s: %s: %w", l.conf.Part, op, context.Cause(ctx))
	}
	if _, ok := wire.AsFault(err); ok {
		return addr, err
	}
	return addr, fmt.Errorf("%s: %s on %s: %w", l.conf.Part, op, in.Name, err)
}

// Neighbour gives the hardware address to which the kernel sends what goes to
// addr over the declared interface, nil where it knows none.
func (l *Link) Neighbour(_ context.Context, addr netip.Addr) (net.HardwareAddr, error) {
	op := "look up the neighbour " + addr.String()
	in, err := l.declared(op)
	if err != nil {
		return nil, err
	}
	all, err := neighbours()
	if err != nil {
		return nil, l.fault(op, err)
	}
	for _, n := range all {
		if n.iface == in.Index && n.known() && n.addr == addr.WithZone("").Unmap() {
			return n.mac, nil
		}
	}
	return nil, nil
}

// declared gives the declared interface, which has to be there and up.
func (l *Link) declared(op string) (*net.Interface, error) {
	if l.conf.Interface == "" {
		return nil, l.fault(op, fmt.Errorf("%w: none is declared", ErrNoInterface))
	}
	in, err := net.InterfaceByName(l.conf.Interface)
	if err != nil {
		return nil, l.fault(op, fmt.Errorf("%w: %q; there are: %s", ErrNoInterface, l.conf.Interface, l.interfaces()))
	}
	if in.Flags&net.FlagUp == 0 {
		return nil, l.fault(op, ErrDown)
	}
	return in, nil
}

// network gives the declared interface and our addresses on it.
func (l *Link) network(op string) (*net.Interface, []netip.Prefix, error) {
	in, err := l.declared(op)
	if err != nil {
		return nil, nil, err
	}
	addrs, err := in.Addrs()
	if err != nil {
		return nil, nil, l.fault(op, err)
	}
	var own []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p)
		}
	}
	if len(own) == 0 {
		return nil, nil, l.fault(op, ErrNoAddress)
	}
	return in, own, nil
}

// around gives the addresses of our own small networks of IPv4, without our own,
// the network's and its broadcast.
func around(own []netip.Prefix) []netip.Addr {
	var out []netip.Addr
	for _, p := range own {
		if !p.Addr().Is4() || p.Addr().IsLoopback() {
			continue
		}
		small := netip.PrefixFrom(p.Addr(), max(p.Bits(), leastPrefix)).Masked()
		for a := small.Addr(); small.Contains(a); a = a.Next() {
			last := !small.Contains(a.Next())
			// In a /31 both are addresses (RFC 3021).
			if edge := small.Bits() < 31 && (a == small.Addr() || last); !edge && a != p.Addr() && !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

// fromMAC gives the link-local address of IPv6 that is made of a hardware
// address (RFC 4291, appendix A).
func fromMAC(mac net.HardwareAddr) (netip.Addr, bool) {
	if len(mac) != 6 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]}), true
}

// search is one search for a hardware address.
type search struct {
	l     *Link
	mac   net.HardwareAddr
	in    *net.Interface
	begun time.Time
	sweep []netip.Addr // to be asked, all of them
	wg    sync.WaitGroup
	// likely are the addresses of the last look that did not answer, and of which
	// the kernel has no doubt.
	likely []netip.Addr

	mu    sync.Mutex
	asked map[netip.Addr]bool // knocked at, or being knocked at
	live  map[netip.Addr]bool // answered since the search began
}

// run looks until the hardware address is found or the window is over.
func (s *search) run(window context.Context) (netip.Addr, error) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	turn := s.begun.Add(knownFirst) // until then only what the table has is asked
	for sweeps := 0; ; {
		if made, ok := fromMAC(s.mac); ok {
			s.knock(window, made)
		}
		found, tell, err := s.look(window, sweeps > 0)
		switch {
		case err != nil:
			return netip.Addr{}, err
		case len(found) == 1 && (tell || !time.Now().Before(turn)):
			return found[0], nil
		case len(found) > 1 && !time.Now().Before(turn):
			return netip.Addr{}, fmt.Errorf("%w: %v", wire.ErrAmbiguous, found)
		}
		if !time.Now().Before(turn) {
			if err := s.ask(window); err != nil {
				continue // the window is over
			}
			sweeps++
			turn = time.Now().Add(settle)
			if sweeps > 1 {
				turn = time.Now().Add(sweepAgain)
			}
			s.forget()
		}
		select {
		case <-look.C:
		case <-window.Done():
			// One that says nothing to whoever knocks, and of which the kernel has no
			// doubt: had the DUT moved, its new address would have answered.
			if len(s.likely) == 1 {
				return s.likely[0], nil
			}
			return netip.Addr{}, s.nobody()
		}
	}
}

// nobody says who was asked, and whether the cable is in.
func (s *search) nobody() error {
	err := fmt.Errorf("%w within %v, among %d addresses of the network", wire.ErrNobody, time.Since(s.begun).Round(time.Millisecond), len(s.sweep))
	if cable := s.l.carrier(); errors.Is(cable, ErrNoCarrier) {
		err = fmt.Errorf("%w (%w)", err, cable)
	}
	return err
}

// look reads the table: the addresses at which the hardware address is shown to
// answer now, those of IPv4 alone where there are any. Tell says that no sweep is
// needed: nothing else in the table could be it too.
func (s *search) look(window context.Context, swept bool) (found []netip.Addr, tell bool, err error) {
	all, err := neighbours()
	if err != nil {
		return nil, false, s.l.fault("find "+s.mac.String(), err)
	}
	var shown, others []netip.Addr
	s.likely = nil
	may := 0
	for _, n := range all {
		if n.iface != s.in.Index || !n.known() || !bytes.Equal(n.mac, s.mac) || n.addr.IsMulticast() {
			continue
		}
		s.knock(window, n.addr)
		answered := s.answered(n.addr) || n.confirmed >= 0 && n.confirmed+clockTick <= time.Since(s.begun)
		switch {
		case !n.addr.Is4():
			if answered && n.addr.IsLinkLocalUnicast() {
				others = append(others, n.addr.WithZone(s.in.Name))
			}
			continue
		case answered:
			shown = append(shown, n.addr)
		case n.state == nudReachable:
			s.likely = append(s.likely, n.addr)
		}
		may++
	}
	switch {
	case len(shown) > 0:
		return shown, may == 1 && !swept, nil
	case swept || len(s.sweep) == 0:
		return others, false, nil
	}
	return nil, false, nil
}

func (s *search) answered(a netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[a]
}

// forget lets every address be knocked at again.
func (s *search) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.asked)
}

// ask sends a datagram to each address of the sweep: to send one, the kernel has
// to ask who has the address. Its error is the window's end.
func (s *search) ask(window context.Context) error {
	lc := net.ListenConfig{Control: func(network, address string, c syscall.RawConn) error {
		return s.l.bind(window, network, address, c)
	}}
	conn, err := lc.ListenPacket(window, "udp4", ":0")
	if err != nil {
		return nil // no IPv4 here: what IPv6 has is looked at
	}
	defer func() { _ = conn.Close() }() // nothing is read from it
	if err := s.round(window, conn); err != nil || len(s.sweep) == 0 {
		return err
	}
	if err := pause(window, between); err != nil {
		return err
	}
	return s.round(window, conn)
}

func (s *search) round(window context.Context, conn net.PacketConn) error {
	for _, a := range s.sweep {
		for {
			if err := pause(window, sweepEvery); err != nil {
				return err
			}
			_, err := conn.WriteTo([]byte{0}, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, discard)))
			if !errors.Is(err, syscall.ENOBUFS) { // the table is full of addresses that are still asked
				break
			}
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// knock looks whether an address answers: a refusal is an answer. It returns at
// once.
func (s *search) knock(window context.Context, a netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked[a] {
		return
	}
	s.asked[a] = true
	s.wg.Go(func() {
		at := netip.AddrPortFrom(a, discard)
		if a.Is6() {
			at = netip.AddrPortFrom(a.WithZone(s.in.Name), discard)
		}
		if s.datagram(window, at) || s.connect(window, at) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.live[a] = true
		}
	})
}

// datagram says whether a datagram is answered, if only with a refusal.
func (s *search) datagram(window context.Context, at netip.AddrPort) bool {
	d := net.Dialer{ControlContext: s.l.bind}
	c, err := d.DialContext(window, "udp", at.String())
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }() // it was only asked
	defer context.AfterFunc(window, func() { _ = c.Close() })()
	if c.SetDeadline(time.Now().Add(knockUDP)) != nil {
		return false
	}
	if _, err := c.Write([]byte{0}); err != nil {
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	_, err = c.Read(make([]byte, 1))
	return err == nil || errors.Is(err, syscall.ECONNREFUSED)
}

// connect says whether a connection is taken or refused.
func (s *search) connect(window context.Context, at netip.AddrPort) bool {
	d := net.Dialer{ControlContext: s.l.bind, Timeout: knockTCP}
	c, err := d.DialContext(window, "tcp", at.String())
	if err == nil {
		_ = c.Close() // that it was taken is all that was asked
	}
	return err == nil || errors.Is(err, syscall.ECONNREFUSED)
}
