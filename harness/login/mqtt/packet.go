package mqtt

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"rigor/harness/login/internal/stream"
)

// Types of control packets, in the upper half of the first byte (MQTT 3.1.1 and
// 5.0, section 2.1.2).
const (
	connect    = 1
	connack    = 2
	publish    = 3
	subscribe  = 8
	suback     = 9
	pingresp   = 13
	disconnect = 14
	auth       = 15
)

// maxPacket bounds a packet that is read, in bytes. What a DUT retains on a topic
// that proves access is small.
const maxPacket = 256 << 10

// packet is one control packet.
type packet struct {
	kind  byte
	flags byte // the lower half of the first byte
	body  []byte
}

// readPacket reads one packet.
func readPacket(r *bufio.Reader) (packet, error) {
	first, err := r.ReadByte()
	if err != nil {
		return packet{}, err
	}
	p := packet{kind: first >> 4, flags: first & 0xf}
	// Of those that a broker sends to who asked for nothing more than we do, messages
	// alone have flags.
	if p.kind == 0 || p.kind != publish && p.flags != 0 {
		return p, stream.Foreign("a packet that begins with %#x", first)
	}
	size, err := varint(r)
	if err != nil {
		return p, err
	}
	if size > maxPacket {
		return p, stream.Foreign("a packet of %d bytes", size)
	}
	p.body = make([]byte, size)
	if _, err := io.ReadFull(r, p.body); err != nil {
		return p, fmt.Errorf("the rest of a packet of %d bytes: %w", size, err)
	}
	return p, nil
}

// varint reads a number of one to four bytes (section 2.2.3 of MQTT 3.1.1).
func varint(r io.ByteReader) (int, error) {
	n := 0
	for shift := 0; shift < 28; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return n, nil
		}
	}
	return 0, stream.Foreign("a length of more than four bytes")
}

// appendVarint writes such a number.
func appendVarint(b []byte, n int) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

// appendText writes a text behind its length. Ours are shorter than 64 KiB.
func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// bytes gives the packet as it is sent.
func (p packet) bytes() []byte {
	return append(appendVarint([]byte{p.kind<<4 | p.flags}, len(p.body)), p.body...)
}

// fields reads what a body holds, one after the other. Once something is missing,
// all that follows is.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) take(n int) []byte {
	if f.bad || n > len(f.rest) {
		f.bad = true
		return nil
	}
	out := f.rest[:n]
	f.rest = f.rest[n:]
	return out
}

func (f *fields) byte() byte {
	if b := f.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (f *fields) text() []byte {
	if b := f.take(2); b != nil {
		return f.take(int(binary.BigEndian.Uint16(b)))
	}
	return nil
}

func (f *fields) ReadByte() (byte, error) {
	b := f.byte()
	if f.bad {
		return 0, io.ErrUnexpectedEOF
	}
	return b, nil
}

// Properties of MQTT 5 that are looked at (section 2.2.2.2).
const (
	propServer = 28 // Server Reference
	propReason = 31 // Reason String
)

// properties reads the properties of MQTT 5 and gives the texts among them by
// their identifiers.
func (f *fields) properties() map[int]string {
	size, err := varint(f)
	if err != nil {
		f.bad = true
		return nil
	}
	in := fields{rest: f.take(size), bad: f.bad}
	texts := map[int]string{}
	for len(in.rest) > 0 && !in.bad {
		id, err := varint(&in)
		if err != nil {
			break
		}
		switch id {
		case 1, 23, 25, 36, 37, 40, 41, 42: // a byte
			in.take(1)
		case 19, 33, 34, 35: // two bytes
			in.take(2)
		case 2, 17, 24, 39: // four bytes
			in.take(4)
		case 11: // a number
			_, err = varint(&in)
		case 3, 8, 9, 18, 21, 22, 26, propServer, propReason: // a text or bytes
			texts[id] = string(in.text())
		case 38: // a pair of texts
			in.text()
			in.text()
		default:
			in.bad = true
		}
		in.bad = in.bad || err != nil
	}
	f.bad = f.bad || in.bad
	return texts
}

// answer is what a CONNACK, a SUBACK or a DISCONNECT says.
type answer struct {
	code   byte
	reason string // in the broker's own words
	server string // another one that it points to
}

// parseConnack reads a CONNACK. A broker that knows no MQTT 5 answers in the form
// of 3.1.1, whatever was asked.
func parseConnack(body []byte, five bool) (answer, error) {
	f := fields{rest: body}
	f.byte() // whether the session was there
	a := answer{code: f.byte()}
	if five && len(body) > 2 {
		texts := f.properties()
		a.reason, a.server = texts[propReason], texts[propServer]
	}
	if f.bad {
		return a, stream.Foreign("a broken CONNACK of %d bytes", len(body))
	}
	return a, nil
}

// parseSuback reads the answer to one subscription.
func parseSuback(body []byte, five bool) (answer, error) {
	f := fields{rest: body}
	f.take(2) // the number of our packet: there is only one
	var a answer
	if five {
		a.reason = f.properties()[propReason]
	}
	a.code = f.byte()
	if f.bad {
		return a, stream.Foreign("a broken SUBACK of %d bytes", len(body))
	}
	return a, nil
}

// parseDisconnect reads the goodbye of a broker, which MQTT 5 alone has.
func parseDisconnect(body []byte) (answer, error) {
	f := fields{rest: body}
	var a answer
	if len(body) > 0 {
		a.code = f.byte()
	}
	if len(body) > 1 {
		texts := f.properties()
		a.reason, a.server = texts[propReason], texts[propServer]
	}
	if f.bad {
		return a, stream.Foreign("a broken DISCONNECT of %d bytes", len(body))
	}
	return a, nil
}

// parsePublish gives topic and payload of a message.
func parsePublish(p packet, five bool) (topic, payload []byte, err error) {
	f := fields{rest: p.body}
	topic = f.text()
	if p.flags&0x6 != 0 { // a number, behind a quality of 1 or 2
		f.take(2)
	}
	if five {
		f.properties()
	}
	if f.bad {
		return nil, nil, stream.Foreign("a broken PUBLISH of %d bytes", len(p.body))
	}
	return topic, f.rest, nil
}
