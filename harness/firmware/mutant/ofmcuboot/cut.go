package ofmcuboot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"rigor/harness/firmware/mcuboot"
	"rigor/harness/firmware/mutant"
)

// truncated ends the image at each boundary.
func (m *maker) truncated() {
	cut := func(name, why string, at int) {
		expect := mutant.Refuse
		if at >= m.sigRegion.End() {
			expect, why = mutant.Harmless, why+", behind the signature"
		}
		if mutant.Erased(m.parent[at:m.end()]) {
			m.set.Cannot(mutant.Truncated, "truncated-"+name, why, "what would be missing is what erased flash holds: it would be whole there")
			return
		}
		m.edit(mutant.Truncated, "truncated-"+name, expect, why, func() ([]byte, error) { return bytes.Clone(m.parent[:at]), nil })
	}
	cut("empty", "no byte at all", 0)
	for _, r := range m.regions {
		switch {
		case r.Offset == 0, r.Name == "tail":
		default:
			cut("before-"+r.Name, fmt.Sprintf("it ends at byte %d", r.Offset), r.Offset)
		}
		if r.Name == "payload" && r.Length > 1 {
			cut("in-payload", "it ends half way through the payload", r.Offset+r.Length/2)
		}
	}
	cut("last-byte", "its last byte is missing", m.end()-1)
}

// lengths makes each length nothing, too much, and a little wrong.
func (m *maker) lengths() {
	for _, r := range m.regions {
		var kind string
		switch {
		case strings.HasPrefix(r.Name, "header.") && strings.HasSuffix(r.Name, "-size"):
			kind = "header"
		case strings.HasSuffix(r.Name, ".length"), strings.HasSuffix(r.Name, "s.size"), strings.HasSuffix(r.Name, "protected.size"):
			kind = "area"
		default:
			continue
		}
		now := number(m.parent[r.Offset:r.End()])
		most := uint64(1)<<(8*r.Length) - 1
		tries := []struct {
			name  string
			value uint64
		}{{"zero", 0}, {"max", most}, {"less", now - 1}, {"more", now + 1}}
		if r.Name == "header.payload-size" {
			tries = append(tries, struct {
				name  string
				value uint64
			}{"wraps", (most + 1 - uint64(mcuboot.HeaderSize+len(m.img.Extension))) & most})
		}
		for _, t := range tries {
			name, value := "structure-"+r.Name+"-"+t.name, t.value&most
			why := fmt.Sprintf("a length of %d, and not of %d", value, now)
			switch {
			case value == now:
				m.set.Cannot(mutant.Malformed, name, why, "it is that already")
				continue
			case now == 0 && t.name == "less", now == most && t.name == "more":
				m.set.Cannot(mutant.Malformed, name, why, "there is no such number")
				continue
			}
			m.edit(mutant.Malformed, name, m.lengthExpect(kind, r, value), why, func() ([]byte, error) {
				b := bytes.Clone(m.parent)
				for i := range r.Length {
					b[r.Offset+i] = byte(value >> (8 * i))
				}
				return b, nil
			})
		}
	}
}

// lengthExpect says what a device does about a length that is wrong: where no
// signature covers it, and the signature can still be found, it may look away.
func (m *maker) lengthExpect(kind string, r mcuboot.Region, value uint64) mutant.Expect {
	switch {
	case kind == "header" || r.Offset < m.tlvs():
		return mutant.Refuse
	case r.End() == m.sigRegion.Offset && value == 0:
		return mutant.Refuse // a signature of no bytes
	}
	return mutant.Harmless
}

// number reads a number as the format has it.
func number(b []byte) uint64 {
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:])
}
