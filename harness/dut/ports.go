package dut

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"rigor/harness/portscan"
	"rigor/harness/wire"
)

// Ports is the way to all ports of the DUT at one of its addresses. What is asked
// through it is asked at the pace that the profile declares (network).
type Ports struct {
	d      *Device
	dial   wire.Dialer // inside of the session's operations only
	host   string
	limits portscan.Limits
	tcp    *portscan.TCP
}

// Ports gives the way to the DUT's ports, at the address of the state that it is
// in, or at the declared one of IPv6. Canary is a port of TCP that is open: amid
// silence it shows that the path is alive; 0 where none is.
func (d *Device) Ports(ctx context.Context, ipv6 bool, canary int) (*Ports, error) {
	if d.bench.Link == nil {
		return nil, fmt.Errorf("network: %w", ErrNotWired)
	}
	if len(d.bench.Ports) > 0 {
		return nil, fmt.Errorf("the way to all ports: %w: a forwarder between carries %d of them", ErrNotWired, len(d.bench.Ports))
	}
	n := d.Profile.Network
	p := &Ports{d: d, dial: &verified{d.bench.Link, d}, limits: portscan.Limits{Connections: n.Connections, Rate: n.Rate}}
	var err error
	if ipv6 {
		p.host, err = d.hostIPv6()
	} else {
		p.host, err = d.host(ctx)
	}
	if err != nil {
		return nil, err
	}
	p.tcp = portscan.NewTCP(p.dial, p.host, canary, p.limits)
	return p, nil
}

// hostIPv6 is where the profile, or a value of the rig's unit, says that the DUT is.
func (d *Device) hostIPv6() (string, error) {
	h := d.Profile.Network.IPv6.Host
	if name, ok := strings.CutPrefix(h, "unit."); ok {
		h = d.unit.Values[name]
	}
	if h == "" {
		return "", fmt.Errorf("address of IPv6 (network.ipv6 in the profile): %w", ErrNotDeclared)
	}
	return h, nil
}

// Host gives the address at which the ports are asked.
func (p *Ports) Host() string { return p.host }

// TCP gives ports of TCP their states, see portscan.TCP.
func (p *Ports) TCP(ctx context.Context, ports []int) (res *portscan.Result, err error) {
	return res, p.asked(ctx, fmt.Sprintf("%d ports of tcp", len(ports)), func(ctx context.Context) error {
		res, err = p.tcp.Scan(ctx, ports)
		return err
	})
}

// UDP gives ports of UDP their states, see portscan.ScanUDP. Tries is how often a
// silent one is asked; 0 for the usual.
func (p *Ports) UDP(ctx context.Context, ports []int, tries int) (res *portscan.Result, err error) {
	return res, p.asked(ctx, fmt.Sprintf("%d ports of udp", len(ports)), func(ctx context.Context) error {
		l := p.limits
		l.Tries = tries
		res, err = portscan.ScanUDP(ctx, p.dial, p.host, ports, l)
		return err
	})
}

// Greeting gives what a port of TCP says, and to what, see portscan.Greeting.
func (p *Ports) Greeting(ctx context.Context, port int) (said []byte, to string, err error) {
	return said, to, p.asked(ctx, fmt.Sprintf("what tcp/%d says", port), func(ctx context.Context) error {
		said, to, err = portscan.Greeting(ctx, p.dial, p.host, port)
		return err
	})
}

func (p *Ports) asked(ctx context.Context, what string, op func(context.Context) error) error {
	defer p.d.waiting(what)()
	return p.d.s.Do(ctx, PartLink, op)
}

// Hardware says whose hardware address is behind the ports' address: the unit's
// (own), or another's. Known is false where the rig file does not give the unit's,
// or our end does not see the DUT's: behind a router, or without a declared
// interface. Who says what was seen.
func (p *Ports) Hardware(ctx context.Context) (own, known bool, who string, err error) {
	mac, finder, err := p.d.hardware()
	if errors.Is(err, ErrNotDeclared) || errors.Is(err, ErrNotWired) {
		return false, false, err.Error(), nil
	}
	if err != nil {
		return false, false, "", err
	}
	addr, err := netip.ParseAddr(p.host)
	if err != nil {
		return false, false, fmt.Sprintf("%q is a name", p.host), nil
	}
	var is net.HardwareAddr
	var unseen error
	err = p.d.s.Do(ctx, PartLink, func(ctx context.Context) error {
		// That nobody can say is no trouble of the rig's.
		is, unseen = finder.Neighbour(ctx, addr)
		return ctx.Err()
	})
	switch {
	case err != nil:
		return false, false, "", err
	case unseen != nil:
		return false, false, unseen.Error(), nil
	case len(is) == 0:
		return false, false, fmt.Sprintf("no hardware address is known behind %v", addr), nil
	}
	return bytes.Equal(is, mac), true, is.String(), nil
}
