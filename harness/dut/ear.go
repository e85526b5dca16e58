package dut

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"rigor/harness/login/tap"
	"rigor/harness/wire"
)

// discardPort is one to which nothing is said here: an address is asked for (RFC 863).
const discardPort = 9

// Heard gives the same device, and an ear on the network; the caller closes it. It is
// the wire itself, and all that the unit says over it, where the link shows frames and
// the unit's hardware address is declared and is what answers; else it hears what goes
// over the device that is given.
func (d *Device) Heard(ctx context.Context) (*Device, wire.Ear, error) {
	ear, err := d.wireEar(ctx)
	if err != nil && !errors.Is(err, wire.ErrUnsupported) {
		return nil, nil, err
	}
	cp := *d
	if err == nil {
		context.AfterFunc(d.s.ctx, func() { _ = ear.Close() }) // of a check that lost its session
		return &cp, ear, nil
	}
	cp.ear = tap.New(nil, 0)
	return &cp, tapped{cp.ear}, nil
}

// tapped is the ear on connections, with which nothing has to be let go.
type tapped struct{ *tap.Dialer }

func (tapped) Close() error { return nil }

// wireEar gives an ear on the wire, or ErrUnsupported. A unit that is reached by
// another hardware address than its own, as behind a router, is not heard by it.
func (d *Device) wireEar(ctx context.Context) (ear wire.Ear, err error) {
	hearer, ok := d.bench.Link.(wire.Hearer)
	mac, finder, merr := d.hardware()
	if !ok || merr != nil {
		return nil, wire.ErrUnsupported
	}
	err = d.s.Do(ctx, PartLink, func(ctx context.Context) (err error) {
		ear, err = hearer.Hear(ctx, mac)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := d.answersBy(ctx, mac, finder); err != nil {
		_ = ear.Close() // nothing was heard yet
		return nil, err
	}
	return ear, nil
}

// answersBy says with ErrUnsupported that the DUT is not reached by a hardware address.
func (d *Device) answersBy(ctx context.Context, mac net.HardwareAddr, finder wire.Finder) error {
	host, err := d.Address(ctx, discardPort)
	if err != nil {
		return err
	}
	at, err := netip.ParseAddrPort(host)
	if err != nil {
		return fmt.Errorf("%s has no hardware address: %w", host, wire.ErrUnsupported)
	}
	return d.s.Do(ctx, PartLink, func(ctx context.Context) error {
		is, err := finder.Neighbour(ctx, at.Addr())
		if err == nil && len(is) == 0 { // nothing was sent there lately
			var found netip.Addr
			if found, err = finder.Find(ctx, mac); found == at.Addr() {
				is = mac
			}
		}
		switch {
		case errors.Is(err, wire.ErrNobody), errors.Is(err, wire.ErrAmbiguous):
			return fmt.Errorf("%w: %w", err, wire.ErrUnsupported)
		case err != nil:
			return err
		case !bytes.Equal(is, mac):
			return fmt.Errorf("what answers at %v is %v: %w", at.Addr(), is, wire.ErrUnsupported)
		}
		return nil
	})
}
