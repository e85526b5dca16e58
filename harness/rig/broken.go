package rig

import (
	"context"
	"net"
	"net/netip"
	"time"

	"rigor/harness/wire"
)

// The broken instruments stand for those that did not open: whoever uses one
// gets the fault of its opening, at once.

type brokenPower struct {
	err error
}

func (p brokenPower) On(context.Context) error  { return p.err }
func (p brokenPower) Off(context.Context) error { return p.err }
func (p brokenPower) Close() error              { return nil }
func (p brokenPower) State(context.Context) (wire.PowerState, error) {
	return wire.PowerUnknown, p.err
}

type brokenLine struct {
	err error
}

func (l brokenLine) Assert(context.Context) error                         { return l.err }
func (l brokenLine) Release(context.Context) error                        { return l.err }
func (l brokenLine) Asserted(context.Context) (bool, error)               { return false, l.err }
func (l brokenLine) Wait(context.Context, bool) (at time.Time, err error) { return at, l.err }
func (l brokenLine) Close() error                                         { return nil }

type brokenPort struct {
	err error
}

func (p brokenPort) Read([]byte) (int, error)                   { return 0, p.err }
func (p brokenPort) Write(context.Context, []byte) error        { return p.err }
func (p brokenPort) Break(context.Context, time.Duration) error { return p.err }
func (p brokenPort) SetRate(context.Context, int) error         { return p.err }
func (p brokenPort) SetFrame(context.Context, string) error     { return p.err }
func (p brokenPort) Close() error                               { return nil }

type brokenLink struct {
	err error
}

func (l brokenLink) Check(context.Context) error { return l.err }
func (l brokenLink) Close() error                { return nil }
func (l brokenLink) DialContext(context.Context, string, string) (net.Conn, error) {
	return nil, l.err
}
func (l brokenLink) Find(context.Context, net.HardwareAddr) (addr netip.Addr, err error) {
	return addr, l.err
}
func (l brokenLink) Neighbour(context.Context, netip.Addr) (net.HardwareAddr, error) {
	return nil, l.err
}
