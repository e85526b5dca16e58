package capture

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"rigor/harness/wire"
)

// Stream is what one side of a connection said, or one datagram, put together out of
// frames.
type Stream struct {
	From, To netip.AddrPort
	Data     []byte
	// Gap says that a part is missing between what is there.
	Gap    bool
	pieces []part
}

// part is where a part of a stream stands: in a frame, by its index, from an offset.
type part struct {
	seq         uint32
	frame, off  int
	at, n, skip int // in the stream; skip bytes were there before
}

// key is what tells streams apart.
type key struct {
	from, to netip.AddrPort
	datagram int // 0 for TCP; the frame's number for what is no stream
}

// Streams puts the streams of TCP together, and gives each other frame's content as one
// of its own. What is no frame of IP is one too, whole.
func Streams(frames []wire.Frame) []*Stream {
	byKey, begun := map[key]*Stream{}, map[key]uint32{}
	var order []key
	for i, f := range frames {
		from, to, tcp, off := addresses(f.Data)
		k := key{from: from, to: to}
		if !tcp {
			k.datagram = i + 1
		}
		s := byKey[k]
		if s == nil {
			s = &Stream{From: from, To: to}
			byKey[k], order = s, append(order, k)
		}
		if !tcp {
			s.pieces = append(s.pieces, part{frame: i, off: off, n: len(f.Data) - off})
			continue
		}
		h := f.Data[off:]
		seq, head, flags := binary.BigEndian.Uint32(h[4:]), int(h[12]>>4)*4, h[13]
		if flags&flagSYN != 0 {
			seq++
			if old, again := begun[k]; again && old != seq && len(s.pieces) > 0 { // the ports are used anew
				s = &Stream{From: from, To: to}
				byKey[k] = s
				order = append(order, key{from: from, to: to, datagram: -i - 1})
				byKey[order[len(order)-1]] = s
			}
			begun[k] = seq
		}
		if head < 20 || head >= len(h) {
			continue
		}
		if _, ok := begun[k]; !ok { // heard from its middle on
			begun[k] = seq
		}
		s.pieces = append(s.pieces, part{seq: seq - begun[k], frame: i, off: off + head, n: len(h) - head})
	}
	var out []*Stream
	for _, k := range order {
		s := byKey[k]
		if slices.Contains(out, s) {
			continue
		}
		s.join(frames)
		if len(s.Data) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// join puts the parts into their order, each byte once.
func (s *Stream) join(frames []wire.Frame) {
	slices.SortStableFunc(s.pieces, func(a, b part) int { return cmp.Compare(int32(a.seq), int32(b.seq)) }) //nolint:gosec // by the distance, as TCP does
	var kept []part
	next := int64(0)
	for _, p := range s.pieces {
		at := int64(int32(p.seq)) //nolint:gosec // the same
		switch {
		case at+int64(p.n) <= next && len(kept) > 0:
			continue // said before
		case at < next && len(kept) > 0:
			p.skip = int(next - at)
		case at > next && len(kept) > 0:
			s.Gap = true
		}
		next = at + int64(p.n)
		p.at = len(s.Data)
		s.Data = append(s.Data, frames[p.frame].Data[p.off+p.skip:p.off+p.n]...)
		kept = append(kept, p)
	}
	s.pieces = kept
}

// Frame gives the number, from 1 as Wireshark counts, of the frame in which a byte of
// the stream stands.
func (s *Stream) Frame(at int) int {
	for i := len(s.pieces) - 1; i >= 0; i-- {
		if s.pieces[i].at <= at {
			return s.pieces[i].frame + 1
		}
	}
	return 0
}

// Blank overwrites bytes of the stream where they stand in the frames.
func (s *Stream) Blank(frames []wire.Frame, from, n int) {
	for _, p := range s.pieces {
		for i := range p.n - p.skip {
			if at := p.at + i; at >= from && at < from+n {
				frames[p.frame].Data[p.off+p.skip+i] = '*'
				s.Data[at] = '*'
			}
		}
	}
}

// addresses reads who says something to whom in a frame, whether it is TCP, and where
// its content begins: TCP's head, UDP's data, or the whole frame.
func addresses(f []byte) (from, to netip.AddrPort, tcp bool, off int) {
	if len(f) < 14 {
		return from, to, false, 0
	}
	kind, off := binary.BigEndian.Uint16(f[12:]), 14
	for kind == 0x8100 && len(f) >= off+4 { // with the number of a virtual network
		kind = binary.BigEndian.Uint16(f[off+2:])
		off += 4
	}
	ip := f[off:]
	var a, b netip.Addr
	var proto byte
	switch {
	case kind == 0x0800 && len(ip) >= 20 && ip[0]>>4 == 4:
		head := int(ip[0]&15) * 4
		if head < 20 || len(ip) < head || binary.BigEndian.Uint16(ip[6:])&0x1fff != 0 { // or a later fragment
			return from, to, false, 0
		}
		a, _ = netip.AddrFromSlice(ip[12:16])
		b, _ = netip.AddrFromSlice(ip[16:20])
		proto, off = ip[9], off+head
	case kind == 0x86dd && len(ip) >= 40:
		a, _ = netip.AddrFromSlice(ip[8:24])
		b, _ = netip.AddrFromSlice(ip[24:40])
		proto, off = ip[6], off+40
	default:
		return from, to, false, 0
	}
	if len(f) < off+4 {
		return from, to, false, 0
	}
	from = netip.AddrPortFrom(a, binary.BigEndian.Uint16(f[off:]))
	to = netip.AddrPortFrom(b, binary.BigEndian.Uint16(f[off+2:]))
	switch {
	case proto == 6 && len(f) >= off+20:
		return from, to, true, off
	case proto == 17 && len(f) >= off+8:
		return from, to, false, off + 8
	}
	return from, to, false, 0
}
