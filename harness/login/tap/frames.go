package tap

import (
	"net"
	"net/netip"
	"slices"

	"rigor/harness/capture"
	"rigor/harness/wire"
)

// addrPort gives the address of a connection's end; one of no network has an address of
// RFC 5737.
func addrPort(a net.Addr) netip.AddrPort {
	if a != nil {
		if ap, err := netip.ParseAddrPort(a.String()); err == nil {
			return netip.AddrPortFrom(ap.Addr().WithZone(""), ap.Port())
		}
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), 1)
}

// conversation gives what a connection carried, in its order.
func (r *Record) conversation() (capture.Conversation, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := capture.Conversation{Client: r.client, Server: r.server, Opened: r.Opened}
	at := map[bool]int{}
	for _, ch := range r.chunks {
		from := r.received
		if ch.sent {
			from = r.sent
		}
		c.Chunks = append(c.Chunks, capture.Chunk{At: ch.at, Sent: ch.sent, Data: slices.Clone(from[at[ch.sent] : at[ch.sent]+ch.n])})
		at[ch.sent] += ch.n
	}
	return c, r.cut
}

// Frames gives what was carried as frames: connection by connection, each in its order.
// The Dialer is a wire.Capturer by it.
func (d *Dialer) Frames() (frames []wire.Frame, cut bool) {
	for _, r := range d.Records() {
		c, short := r.conversation()
		frames, cut = append(frames, c.Frames()...), cut || short
	}
	return frames, cut
}

// Scope says what the ear hears.
func (d *Dialer) Scope() string {
	return "the rig's own connections to the DUT, as frames made from what their end on the rig sent and received; what the DUT says to others, and what is no connection, is not heard"
}
