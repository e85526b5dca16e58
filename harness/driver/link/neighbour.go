package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// neighbour is one entry of the kernel's table of neighbours, for IPv4 (ARP) and
// IPv6 (neighbour discovery) alike.
type neighbour struct {
	iface int // index of the interface
	addr  netip.Addr
	mac   net.HardwareAddr // empty where nobody has answered
	state uint16           // one of the nud constants
	// confirmed is how long ago the neighbour was last shown to be there; to
	// within 10 ms. Negative where the kernel does not say.
	confirmed time.Duration
}

// States of an entry (rtnetlink(7)).
const (
	nudIncomplete = 0x01
	nudReachable  = 0x02
	nudStale      = 0x04
	nudDelay      = 0x08
	nudProbe      = 0x10
	nudFailed     = 0x20
	nudNoARP      = 0x40
)

// known says whether the kernel sends to the entry's hardware address.
func (n neighbour) known() bool {
	return len(n.mac) > 0 && n.state&(nudIncomplete|nudFailed|nudNoARP) == 0
}

// Layout of the messages (rtnetlink(7), linux/neighbour.h), in the order of
// bytes of the computer.
const (
	headerLen     = 16 // struct nlmsghdr
	neighbourLen  = 12 // struct ndmsg
	attributeLen  = 4  // struct rtattr
	newNeighbour  = 28 // RTM_NEWNEIGH
	messageDone   = 3  // NLMSG_DONE
	messageError  = 2  // NLMSG_ERROR
	attrAddress   = 1  // NDA_DST
	attrHardware  = 2  // NDA_LLADDR
	attrCacheInfo = 3  // NDA_CACHEINFO
	// clockTick is the unit in which the kernel tells times: USER_HZ is 100 on
	// every architecture that Go runs on.
	clockTick = 10 * time.Millisecond
)

// errTable says that the kernel's answer is not as it is declared.
var errTable = errors.New("the table of neighbours cannot be read")

// parseNeighbours reads the answer to RTM_GETNEIGH. Entries of other families
// than IPv4 and IPv6, such as those of a bridge, are left out.
func parseNeighbours(b []byte) ([]neighbour, error) {
	var out []neighbour
	for len(b) > 0 {
		if len(b) < headerLen {
			return nil, fmt.Errorf("%w: %d bytes where a header has %d", errTable, len(b), headerLen)
		}
		size, kind := int(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint16(b[4:])
		if size < headerLen || size > len(b) {
			return nil, fmt.Errorf("%w: a message of %d bytes in %d", errTable, size, len(b))
		}
		body := b[headerLen:size]
		b = b[min(align(size), len(b)):]
		switch kind {
		case messageDone:
			return out, nil
		case messageError:
			return nil, fmt.Errorf("%w: the kernel answers with an error", errTable)
		case newNeighbour:
		default:
			continue
		}
		n, ok, err := parseNeighbour(body)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, n)
		}
	}
	return out, nil
}

// parseNeighbour reads one entry; it is none of ours where ok is false.
func parseNeighbour(b []byte) (n neighbour, ok bool, err error) {
	if len(b) < neighbourLen {
		return n, false, fmt.Errorf("%w: an entry of %d bytes", errTable, len(b))
	}
	n.iface = int(int32(binary.NativeEndian.Uint32(b[4:])))
	n.state = binary.NativeEndian.Uint16(b[8:])
	n.confirmed = -1
	for b = b[neighbourLen:]; len(b) >= attributeLen; {
		size, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if size < attributeLen || size > len(b) {
			return n, false, fmt.Errorf("%w: an attribute of %d bytes in %d", errTable, size, len(b))
		}
		value := b[attributeLen:size]
		b = b[min(align(size), len(b)):]
		switch kind {
		case attrAddress:
			n.addr, _ = netip.AddrFromSlice(value) // of another family: none
		case attrHardware:
			n.mac = append(net.HardwareAddr(nil), value...)
		case attrCacheInfo:
			if len(value) >= 4 {
				n.confirmed = time.Duration(binary.NativeEndian.Uint32(value)) * clockTick
			}
		}
	}
	return n, n.addr.IsValid(), nil
}

// align gives the length with the padding that follows it.
func align(n int) int { return (n + 3) &^ 3 }
