package link

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"rigor/harness/wire"
)

var _ wire.Listener = (*Link)(nil)

// Listen takes TCP connections on the address of ours from which packets go to the
// DUT at toward, host:port. Nothing is sent for that.
func (l *Link) Listen(ctx context.Context, toward string) (net.Listener, error) {
	c, err := l.DialContext(ctx, "udp", toward)
	if err != nil {
		return nil, fmt.Errorf("find our address on the way to %s: %w", toward, err)
	}
	local, perr := netip.ParseAddrPort(c.LocalAddr().String())
	_ = c.Close() // it only said which way leads there
	if perr != nil {
		return nil, l.fault("find our address on the way to "+toward, perr)
	}
	var lc net.ListenConfig
	on, err := lc.Listen(ctx, "tcp", netip.AddrPortFrom(local.Addr(), 0).String())
	if err != nil {
		return nil, l.fault("listen for the DUT", err)
	}
	return on, nil
}
