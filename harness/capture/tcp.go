package capture

import (
	"encoding/binary"
	"net/netip"
	"time"

	"rigor/harness/wire"
)

// Frame is one frame of a capture.
type Frame = wire.Frame

// Chunk is what one side of a connection said at one time.
type Chunk struct {
	At   time.Time
	Sent bool // by the side that opened it
	Data []byte
}

// Conversation is what went over one TCP connection, as its two ends saw it.
type Conversation struct {
	Client, Server netip.AddrPort
	Opened         time.Time
	Chunks         []Chunk
}

// TCP's flags.
const (
	flagSYN = 0x02
	flagPSH = 0x08
	flagACK = 0x10

	segment = 1400 // bytes of data in a frame
)

// Frames gives a connection as frames of Ethernet: its opening, and what was said. They
// are made from what the two ends said, so they have no loss, nothing twice and no
// addresses of hardware but made-up ones.
func (c Conversation) Frames() (out []wire.Frame) {
	seq := [2]uint32{1000, 5000} // of the client and of the server
	add := func(at time.Time, sent bool, flags byte, data []byte) {
		from, to, me, you := c.Server, c.Client, 1, 0
		if sent {
			from, to, me, you = c.Client, c.Server, 0, 1
		}
		out = append(out, wire.Frame{At: at, Data: frame(from, to, seq[me], seq[you], flags, data)})
		seq[me] += uint32(len(data)) //nolint:gosec // of one segment
		if flags&flagSYN != 0 {
			seq[me]++
		}
	}
	add(c.Opened, true, flagSYN, nil)
	add(c.Opened, false, flagSYN|flagACK, nil)
	add(c.Opened, true, flagACK, nil)
	for _, ch := range c.Chunks {
		for data := ch.Data; len(data) > 0; data = data[min(len(data), segment):] {
			add(ch.At, ch.Sent, flagPSH|flagACK, data[:min(len(data), segment)])
		}
	}
	return out
}

// frame makes one frame of TCP over IPv4 or IPv6.
func frame(from, to netip.AddrPort, seq, ack uint32, flags byte, data []byte) []byte {
	tcp := binary.BigEndian.AppendUint16(nil, from.Port())
	tcp = binary.BigEndian.AppendUint16(tcp, to.Port())
	tcp = binary.BigEndian.AppendUint32(tcp, seq)
	if flags&flagACK == 0 {
		ack = 0
	}
	tcp = binary.BigEndian.AppendUint32(tcp, ack)
	tcp = append(tcp, 5<<4, flags, 0xff, 0xff, 0, 0, 0, 0)
	tcp = append(tcp, data...)

	src, dst := from.Addr().Unmap(), to.Addr().Unmap()
	v4 := src.Is4() && dst.Is4()
	a, b := src.AsSlice(), dst.AsSlice()
	if !v4 { // one of the two may be of IPv4
		x, y := src.As16(), dst.As16()
		a, b = x[:], y[:]
	}
	pseudo := append(append([]byte{}, a...), b...)
	pseudo = append(pseudo, 0, 6)
	pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(tcp))) //nolint:gosec // one segment
	binary.BigEndian.PutUint16(tcp[16:], checksum(append(pseudo, tcp...)))

	mac := func(last byte) []byte { return []byte{0x02, 0, 0, 0, 0, last} }
	dstMAC, srcMAC := mac(2), mac(1)
	if from.Port() < to.Port() { // the server's, mostly
		dstMAC, srcMAC = srcMAC, dstMAC
	}
	eth := append(append([]byte{}, dstMAC...), srcMAC...)
	if !v4 {
		eth = append(eth, 0x86, 0xdd, 0x60, 0, 0, 0)
		eth = binary.BigEndian.AppendUint16(eth, uint16(len(tcp))) //nolint:gosec // one segment
		eth = append(eth, 6, 64)
		return append(append(append(eth, a...), b...), tcp...)
	}
	ip := []byte{0x45, 0}
	ip = binary.BigEndian.AppendUint16(ip, uint16(20+len(tcp))) //nolint:gosec // one segment
	ip = append(ip, 0, 0, 0x40, 0, 64, 6, 0, 0)
	ip = append(append(ip, a...), b...)
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	return append(append(append(eth, 0x08, 0x00), ip...), tcp...)
}

func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum) //nolint:gosec // folded above
}
