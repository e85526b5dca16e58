package smp

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"rigor/harness/update/stream"
)

// The two bytes that begin a packet's first frame, and each other.
var (
	opening    = []byte{0x06, 0x09}
	continuing = []byte{0x04, 0x14}
)

const (
	// lineMax is the longest frame of the standard, with its two bytes and its
	// newline; a device's line buffer is made for that.
	lineMax = 127
	// around is what a packet has around its header and body: length and CRC.
	around = 4
	// keepLine is how much of a line is kept: no sound frame is longer.
	keepLine = 8 << 10
)

// appendFrames appends a packet (header and body) as frames of at most line
// bytes.
func appendFrames(dst, packet []byte, line int) []byte {
	raw := make([]byte, 0, len(packet)+around)
	raw = binary.BigEndian.AppendUint16(raw, uint16(len(packet)+2))
	raw = append(raw, packet...)
	raw = binary.BigEndian.AppendUint16(raw, stream.CRC16(packet))
	text := base64.StdEncoding.AppendEncode(nil, raw)
	per := (line - 3) / 4 * 4 // each frame can be decoded by itself
	for i := 0; i < len(text); i += per {
		start := continuing
		if i == 0 {
			start = opening
		}
		dst = append(dst, start...)
		dst = append(dst, text[i:min(i+per, len(text))]...)
		dst = append(dst, '\n')
	}
	return dst
}

// decoder makes packets of what a device says. What is between frames, such as
// the text of a console, is skipped.
type decoder struct {
	line  []byte
	over  bool   // the line is longer than is kept
	raw   []byte // decoded, from the length on
	begun bool
}

// feed takes a byte. It gives a packet (header and body) when that ends one, and
// an error where a frame is broken; the packet that it belonged to is then lost.
func (d *decoder) feed(b byte) (packet []byte, err error) {
	if b != '\n' {
		if d.over = d.over || len(d.line) >= keepLine; !d.over {
			d.line = append(d.line, b)
		}
		return nil, nil
	}
	line, over := d.line, d.over
	d.line, d.over = d.line[:0], false
	packet, err = d.frame(line)
	if err == nil && over && d.begun {
		err = fmt.Errorf("a frame of more than %d bytes", keepLine)
	}
	if err != nil || packet != nil {
		d.begun, d.raw = false, nil
	}
	return packet, err
}

// frame takes a line without its newline.
func (d *decoder) frame(line []byte) ([]byte, error) {
	// The bytes may stand behind text, such as a prompt.
	at := bytes.LastIndex(line, opening)
	switch {
	case at >= 0:
		if d.begun {
			// The rest of the one before is lost; this one may be whole.
			d.raw = nil
		}
		d.begun = true
	case d.begun:
		if at = bytes.LastIndex(line, continuing); at < 0 {
			return nil, nil
		}
	default:
		return nil, nil // the rest of a packet whose beginning was broken, or text
	}
	text := bytes.TrimRight(line[at+2:], "\r")
	part := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(part, text)
	if err != nil {
		return nil, fmt.Errorf("a frame that is no base64: %w", err)
	}
	d.raw = append(d.raw, part[:n]...)
	if len(d.raw) < 2 {
		return nil, fmt.Errorf("a first frame of %d bytes", len(d.raw))
	}
	want, have := int(binary.BigEndian.Uint16(d.raw)), len(d.raw)-2
	switch {
	case want < headerLen+2:
		return nil, fmt.Errorf("a packet of %d bytes", want)
	case have < want:
		return nil, nil
	case have > want:
		return nil, fmt.Errorf("%d bytes in a packet of %d", have, want)
	case stream.CRC16(d.raw[2:]) != 0:
		return nil, fmt.Errorf("a packet of %d bytes whose CRC is wrong", want)
	}
	return d.raw[2 : len(d.raw)-2], nil
}

// headerLen is the length of a header in bytes.
const headerLen = 8

// Operations. A response is its request's plus one.
const (
	opRead  = 0
	opWrite = 2
)

// header is the head of a packet.
type header struct {
	op      byte // 3 bits
	version byte // 2 bits: 0 is SMP version 1, 1 is version 2
	flags   byte
	group   uint16
	seq, id byte
}

// packet gives header and body as they go over the line.
func (h header) packet(body []byte) []byte {
	p := make([]byte, 0, headerLen+len(body))
	p = append(p, h.version&3<<3|h.op&7, h.flags)
	p = binary.BigEndian.AppendUint16(p, uint16(len(body)))
	p = binary.BigEndian.AppendUint16(p, h.group)
	p = append(p, h.seq, h.id)
	return append(p, body...)
}

// parse takes a packet apart.
func parse(p []byte) (header, []byte, error) {
	if len(p) < headerLen {
		return header{}, nil, fmt.Errorf("a packet of %d bytes", len(p))
	}
	h := header{op: p[0] & 7, version: p[0] >> 3 & 3, flags: p[1], group: binary.BigEndian.Uint16(p[4:]), seq: p[6], id: p[7]}
	if n := int(binary.BigEndian.Uint16(p[2:])); n != len(p)-headerLen {
		return header{}, nil, fmt.Errorf("a packet that says %d bytes of body, and has %d", n, len(p)-headerLen)
	}
	return h, p[headerLen:], nil
}
