package snmp

import (
	"fmt"
	"strconv"
	"strings"
)

// Tags of the basic encoding rules, as far as SNMP has them (RFC 3417, section 8;
// RFC 1157 and 3416).
const (
	tagInteger  = 0x02
	tagOctets   = 0x04
	tagNull     = 0x05
	tagOID      = 0x06
	tagSequence = 0x30
	tagAddress  = 0x40
	tagCounter  = 0x41
	tagGauge    = 0x42
	tagTicks    = 0x43
	tagBig      = 0x46 // Counter64
	noObject    = 0x80
	noInstance  = 0x81
	endOfView   = 0x82

	pduGet      = 0xa0
	pduResponse = 0xa2
	pduReport   = 0xa8
)

// tlv writes a value behind its tag and length.
func tlv(tag byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	out := []byte{tag}
	switch {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	default: // ours are shorter than 64 KiB
		out = append(out, 0x82, byte(n>>8), byte(n))
	}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// number writes an INTEGER that is not negative.
func number(n int) []byte {
	b := []byte{byte(n)}
	for n >>= 8; n > 0; n >>= 8 {
		b = append([]byte{byte(n)}, b...)
	}
	if b[0] >= 0x80 {
		b = append([]byte{0}, b...)
	}
	return tlv(tagInteger, b)
}

// ParseOID reads an object identifier as it is written, 1.3.6.1.2.1.1.1.0.
func ParseOID(text string) ([]uint32, error) {
	parts := strings.Split(strings.TrimPrefix(text, "."), ".")
	if len(parts) < 2 || len(parts) > 128 {
		return nil, fmt.Errorf("%q is no object identifier", text)
	}
	var out []uint32
	for _, p := range parts {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is no object identifier", text)
		}
		out = append(out, uint32(n))
	}
	if out[0] > 2 || out[0] < 2 && out[1] > 39 || out[1] > 1<<30 {
		return nil, fmt.Errorf("%q is no object identifier", text)
	}
	return out, nil
}

// oid writes an object identifier.
func oid(ids []uint32) []byte {
	b := base128(nil, ids[0]*40+ids[1])
	for _, n := range ids[2:] {
		b = base128(b, n)
	}
	return tlv(tagOID, b)
}

func base128(b []byte, n uint32) []byte {
	part := []byte{byte(n & 0x7f)}
	for n >>= 7; n > 0; n >>= 7 {
		part = append([]byte{byte(n&0x7f) | 0x80}, part...)
	}
	return append(b, part...)
}

// dotted gives an object identifier as it is written; ok is false where the bytes
// are none.
func dotted(b []byte) (text string, ok bool) {
	var out []string
	var n uint64
	for i, c := range b {
		if n = n<<7 | uint64(c&0x7f); n > 1<<32-1 {
			return "", false
		}
		if c >= 0x80 {
			if i == len(b)-1 {
				return "", false
			}
			continue
		}
		if len(out) == 0 {
			first := min(n/40, 2)
			out, n = append(out, strconv.FormatUint(first, 10)), n-first*40
		}
		out, n = append(out, strconv.FormatUint(n, 10)), 0
	}
	return strings.Join(out, "."), len(out) > 0
}

// reader takes values out of foreign bytes, one after the other. Once one is
// broken, all that follow are.
type reader struct {
	rest []byte
	bad  bool
}

// next gives the next value with its tag.
func (r *reader) next() (tag byte, value []byte) {
	fail := func() (byte, []byte) {
		r.bad = true
		return 0, nil
	}
	if r.bad || len(r.rest) < 2 || r.rest[0]&0x1f == 0x1f {
		return fail()
	}
	tag, n, head := r.rest[0], int(r.rest[1]), 2
	if n >= 0x80 {
		size := n & 0x7f
		if size == 0 || size > 3 || len(r.rest) < 2+size {
			return fail()
		}
		n = 0
		for _, b := range r.rest[2 : 2+size] {
			n = n<<8 | int(b)
		}
		head += size
	}
	if n > len(r.rest)-head {
		return fail()
	}
	value = r.rest[head : head+n]
	r.rest = r.rest[head+n:]
	return tag, value
}

// want gives the value of a tag.
func (r *reader) want(tag byte) []byte {
	got, value := r.next()
	if got != tag {
		r.bad = true
		return nil
	}
	return value
}

// in opens a value that holds others.
func (r *reader) in(tag byte) *reader {
	value := r.want(tag)
	return &reader{rest: value, bad: r.bad}
}

// integer reads an INTEGER of four bytes at most.
func (r *reader) integer() int {
	value := r.want(tagInteger)
	n, ok := signed(value)
	if r.bad = r.bad || !ok || len(value) > 4; r.bad {
		return 0
	}
	return int(n)
}

// signed gives the number that up to eight bytes are.
func signed(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 8 {
		return 0, false
	}
	n := int64(int8(b[0]))
	for _, c := range b[1:] {
		n = n<<8 | int64(c)
	}
	return n, true
}

// shown gives a value as the patterns of a profile see it: text as it is, numbers
// in digits, object identifiers and addresses with their dots.
func shown(tag byte, value []byte) []byte {
	switch tag {
	case tagInteger:
		if n, ok := signed(value); ok {
			return strconv.AppendInt(nil, n, 10)
		}
	case tagCounter, tagGauge, tagTicks, tagBig:
		var n uint64
		for _, b := range value[max(0, len(value)-8):] {
			n = n<<8 | uint64(b)
		}
		return strconv.AppendUint(nil, n, 10)
	case tagOID:
		if text, ok := dotted(value); ok {
			return []byte(text)
		}
	case tagAddress:
		if len(value) == 4 {
			return fmt.Appendf(nil, "%d.%d.%d.%d", value[0], value[1], value[2], value[3])
		}
	}
	return value
}
