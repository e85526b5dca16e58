package dut

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"

	"rigor/harness/profile"
	"rigor/harness/wire"
)

// place is where the DUT is. All devices of a run share it.
type place struct {
	mu    sync.Mutex
	state string     // that it is taken to be in; empty where nothing is known
	found netip.Addr // by its hardware address; none: to be looked for
}

// In says in which state the DUT is taken to be from now on: that decides at
// which address it is. The empty state is an unknown one.
func (d *Device) In(state string) {
	d.place.mu.Lock()
	defer d.place.mu.Unlock()
	if d.place.state != state {
		d.booted.forget()
		d.place.state, d.place.found = state, netip.Addr{}
	}
}

// moved says that the DUT may have another address now: after a boot, a reset, or
// when it does not answer.
func (d *Device) moved() {
	d.place.mu.Lock()
	defer d.place.mu.Unlock()
	d.place.found = netip.Addr{}
}

// Address gives host:port of a service of the DUT: of the state that it is in, or
// as the rig file says. Where the state says that it is found by its hardware
// address, it is looked for on the rig's interface, and never taken for granted:
// one that is not found is ErrLost.
func (d *Device) Address(ctx context.Context, port int) (string, error) {
	host, err := d.host(ctx)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}

func (d *Device) host(ctx context.Context) (string, error) {
	d.place.mu.Lock()
	state := d.place.state
	d.place.mu.Unlock()
	at := profile.Address{}
	if s := d.Profile.States.Items[state]; s != nil {
		at = s.Address
	} else {
		at = d.anyAddress()
	}
	switch {
	case at.Find == "mac":
		addr, err := d.find(ctx)
		if err != nil {
			return "", err
		}
		return addr.String(), nil
	case at.Host != "":
		return at.Host, nil
	case d.bench.Address != "":
		return d.bench.Address, nil
	}
	if other := d.anyAddress(); other.Host != "" {
		return other.Host, nil
	}
	return "", fmt.Errorf("address of the DUT: %w (network.address in the rig file, or address in a state of the profile)", ErrNotDeclared)
}

// anyAddress is where the DUT is while its state is not known. Its hardware
// address is its own in each state; the rig file's address goes before that of a
// state.
func (d *Device) anyAddress() profile.Address {
	var at profile.Address
	for _, name := range d.Profile.States.Order {
		switch a := d.Profile.States.Items[name].Address; {
		case a.Find != "":
			return a
		case at.Host == "":
			at = a
		}
	}
	if d.bench.Address != "" {
		at.Host = ""
	}
	return at
}

// hardware gives the unit's hardware address, and who can look for it.
func (d *Device) hardware() (net.HardwareAddr, wire.Finder, error) {
	if d.unit.MAC == "" {
		return nil, nil, fmt.Errorf("the unit's hardware address (unit.mac in the rig file): %w", ErrNotDeclared)
	}
	mac, err := net.ParseMAC(d.unit.MAC)
	if err != nil {
		return nil, nil, fmt.Errorf("unit.mac: %w", err)
	}
	finder, ok := d.bench.Link.(wire.Finder)
	if !ok {
		return nil, nil, fmt.Errorf("a network on which a hardware address can be looked for: %w", ErrNotWired)
	}
	return mac, finder, nil
}

// find gives the address of the unit's hardware address. One that was found
// before is believed as long as our own end sends to that hardware address.
func (d *Device) find(ctx context.Context) (addr netip.Addr, err error) {
	mac, finder, err := d.hardware()
	if err != nil {
		return addr, err
	}
	d.place.mu.Lock()
	addr = d.place.found
	d.place.mu.Unlock()
	err = d.s.Do(ctx, PartLink, func(ctx context.Context) error {
		if addr.IsValid() {
			if is, err := finder.Neighbour(ctx, addr); err != nil || bytes.Equal(is, mac) {
				return err
			}
		}
		addr, err = finder.Find(ctx, mac)
		return err
	})
	if errors.Is(err, wire.ErrNobody) || errors.Is(err, wire.ErrAmbiguous) {
		err = fmt.Errorf("%w: where it is (address: {find: mac}): %w", ErrLost, err)
	}
	d.place.mu.Lock()
	defer d.place.mu.Unlock()
	d.place.found = netip.Addr{}
	if err == nil {
		d.place.found = addr
	}
	return addr, err
}

// verified dials an address that was found by its hardware address, and gives a
// connection only to that: another device may have taken the address since.
type verified struct {
	wire.Dialer
	d *Device
}

// DialContext dials, and looks who answered.
func (v *verified) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	v.d.place.mu.Lock()
	found := v.d.place.found
	v.d.place.mu.Unlock()
	c, err := v.Dialer.DialContext(ctx, network, address)
	host, _, _ := net.SplitHostPort(address) // the dialer has read it
	if at, aerr := netip.ParseAddr(host); aerr != nil || at != found {
		return c, err
	}
	if err != nil {
		v.d.moved() // the next try looks for it anew
		return nil, err
	}
	if err := v.same(ctx, found); err != nil {
		_ = c.Close() // nothing was sent over it
		v.d.moved()
		return nil, err
	}
	return c, nil
}

// ListenPacket hears datagrams, where the link can.
func (v *verified) ListenPacket(ctx context.Context, network string) (net.PacketConn, error) {
	p, ok := v.Dialer.(wire.Packeter)
	if !ok {
		return nil, wire.ErrUnsupported
	}
	return p.ListenPacket(ctx, network)
}

// same says as a fault who answers at the address, if it is not the unit: two
// devices on one address are the bench's trouble.
func (v *verified) same(ctx context.Context, at netip.Addr) error {
	mac, finder, err := v.d.hardware()
	if err != nil {
		return err
	}
	is, err := finder.Neighbour(ctx, at)
	switch {
	case err != nil:
		return err
	case len(is) == 0:
		return fmt.Errorf("%w: who answers at %v is not known", ErrLost, at)
	case !bytes.Equal(is, mac):
		return &wire.Fault{Part: PartLink, Op: "dial " + at.String(), Err: fmt.Errorf("another device answers: %v, and the unit is %v", is, mac)}
	}
	return nil
}
