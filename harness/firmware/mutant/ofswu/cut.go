package ofswu

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/swu"
)

// Fields of a member's header, with where they are in it: 8 digits each.
const (
	atMode, atSize, atNameSize, atCheck, atName = 14, 54, 94, 102, 110
)

// flips changes one bit of each member: of what frames it, and of its data.
func (m *maker) flips() {
	for i, member := range m.pkg.Members {
		header, data := m.start(i)
		signed := i < 2 || slices.Contains(m.images, i)
		flip := func(name, why string, expect mutant.Expect, at func(r func(int) int) (offset int, bit int), resum bool) {
			name = "flip-" + m.label(i) + "." + name
			if !signed {
				expect = mutant.Harmless
			}
			m.edit(mutant.BitFlip, name, expect, why, func() ([]byte, error) {
				offset, bit := at(m.set.Rand(name).IntN)
				b := bytes.Clone(m.parent)
				b[offset] ^= 1 << bit
				if resum {
					copy(b[header+atCheck:], fmt.Sprintf("%08X", total(b[data:data+len(member.Data)])))
				}
				return b, nil
			})
		}
		digit := func(field int) func(func(int) int) (int, int) {
			return func(func(int) int) (int, int) { return header + field + 7, 0 }
		}
		size := mutant.Refuse
		if i == 1 && len(member.Data)%2 == 0 {
			size = mutant.Harmless // a byte of padding more behind the signature
		}
		flip("size", "the last digit of the size", size, digit(atSize), false)
		named := len(member.Name) + 1
		flip("name-size", "the last digit of the name's size", nameSize(named, flipped(named)), digit(atNameSize), false)
		flip("name", "the first letter of the name", mutant.Refuse, digit(atName-7), false)
		flip("mode", "the last digit of the mode, which nothing covers", mutant.Harmless, digit(atMode), false)
		if m.sums {
			flip("sum", "the last digit of the sum", mutant.Refuse, digit(atCheck), false)
		} else {
			m.set.Cannot(mutant.BitFlip, "flip-"+m.label(i)+".sum", "the last digit of the sum", "the parent has no sums")
		}
		if len(member.Data) == 0 {
			m.set.Cannot(mutant.BitFlip, "flip-"+m.label(i)+".data", "one bit of the data", "there are none")
			continue
		}
		anywhere := func(n func(int) int) (int, int) { return data + n(len(member.Data)), n(8) }
		if i == 1 {
			// What signed is at the end of the signature.
			anywhere = func(n func(int) int) (int, int) {
				return data + len(member.Data) - 1 - n(min(32, len(member.Data))), n(8)
			}
		}
		flip("data", "one bit of the data, the sum made right where there is one", mutant.Refuse, anywhere, m.sums)
	}
	m.edit(mutant.BitFlip, "flip-trailer", mutant.Harmless, "one bit of what ends the archive", func() ([]byte, error) {
		b := bytes.Clone(m.parent)
		b[m.trailer()] ^= 1
		return b, nil
	})
}

// flipped gives a number whose last digit was flipped as a character: not every
// character is a digit.
func flipped(n int) int {
	digit := fmt.Sprintf("%X", n&15)[0] ^ 1
	last, err := strconv.ParseUint(string(digit), 16, 8)
	if err != nil {
		return -1
	}
	return n&^15 | int(last)
}

// nameSize says what a device does about a wrong size of a name: where the data begin at
// the same place nevertheless, and the name ends with a zero, it may look away.
func nameSize(is, said int) mutant.Expect {
	if said > 0 && (atName+is+3)/4 == (atName+said+3)/4 {
		return mutant.Harmless
	}
	return mutant.Refuse
}

func total(b []byte) (n uint32) {
	for _, c := range b {
		n += uint32(c)
	}
	return n
}

// label names a member; a second one of its name has a number.
func (m *maker) label(i int) string {
	n := -1
	for _, r := range m.regions {
		if name, ok := strings.CutSuffix(r.Name, ".header"); ok {
			if n++; n == i {
				return name
			}
		}
	}
	return fmt.Sprint(i)
}

// trailer is where the archive's end begins.
func (m *maker) trailer() int {
	for _, r := range m.regions {
		if r.Name == "trailer" {
			return r.Offset
		}
	}
	return len(m.parent)
}

// members adds some that nobody signed.
func (m *maker) members() {
	add := func(name, why string, expect mutant.Expect, alter func(a *swu.Archive)) {
		m.edit(mutant.Unprotected, "member-"+name, expect, why, func() ([]byte, error) {
			a := m.pkg.Clone()
			alter(a)
			return a.Marshal()
		})
	}
	marker := []byte("This is no part of the update.\n")
	more := func(name string, data []byte) func(*swu.Archive) {
		return func(a *swu.Archive) { a.Members = append(a.Members, swu.File(name, data, m.sums)) }
	}
	add("unknown", "a member that the description does not name", mutant.Harmless, more("rigor-extra", marker))
	add("outside", "a member whose name leads out of the folder", mutant.Harmless, more("../rigor-extra", marker))
	add("description-again", "a second description behind all others, of another version", mutant.Harmless, func(a *swu.Archive) {
		more(swu.DescriptionName, replaced(a.Members[0].Data, m.desc.Version, m.version))(a)
	})
	for _, i := range m.images {
		name, data := m.label(i), m.pkg.Members[i].Data
		if len(data) == 0 {
			m.set.Cannot(mutant.Unprotected, "member-"+name+"-again", "an image a second time, changed", "the image is empty")
			continue
		}
		changed := func() []byte {
			b := bytes.Clone(data)
			b[len(b)/2] ^= 1
			return b
		}
		add(name+"-again", "an image a second time, one bit of it changed", mutant.Refuse, func(a *swu.Archive) { more(m.pkg.Members[i].Name, changed())(a) })
		add(name+"-before", "an image twice, one bit of the first changed", mutant.Refuse, func(a *swu.Archive) {
			a.Members = slices.Insert(a.Members, i, swu.File(m.pkg.Members[i].Name, changed(), m.sums))
		})
	}
}

// appended puts bytes after the package.
func (m *maker) appended() {
	m.edit(mutant.Append, "append-bytes", mutant.Harmless, "64 bytes after the end", func() ([]byte, error) {
		b, r := bytes.Clone(m.parent), m.set.Rand("append-bytes")
		for range 8 {
			b = binary.LittleEndian.AppendUint64(b, r.Uint64())
		}
		return b, nil
	})
	m.edit(mutant.Append, "append-package", mutant.Harmless, "a second package after the end, consistent and unsigned", func() ([]byte, error) {
		a := m.carrier()
		a.Members = append(a.Members[:1:1], a.Members[2:]...)
		b, err := a.Marshal()
		return append(bytes.Clone(m.parent), b...), err
	})
}

// truncated ends the package at each boundary.
func (m *maker) truncated() {
	cut := func(name, why string, at int) {
		expect := mutant.Refuse
		if at >= m.complete() {
			expect = mutant.Harmless
		}
		m.edit(mutant.Truncated, "truncated-"+name, expect, why, func() ([]byte, error) { return bytes.Clone(m.parent[:at]), nil })
	}
	cut("empty", "no byte at all", 0)
	n := -1
	for _, r := range m.regions {
		if strings.HasSuffix(r.Name, ".header") {
			n++
			cut("in-"+r.Name, "it ends within a header", r.Offset+atSize)
		}
		if r.Offset > 0 {
			cut("before-"+r.Name, fmt.Sprintf("it ends at byte %d", r.Offset), r.Offset)
		}
		if strings.HasSuffix(r.Name, ".data") && len(m.pkg.Members[n].Data) > 1 {
			cut("in-"+r.Name, "it ends half way through the data", r.Offset+len(m.pkg.Members[n].Data)/2)
			cut("last-of-"+r.Name, "the last byte of the data is missing", r.Offset+len(m.pkg.Members[n].Data)-1)
		}
	}
}

// sizes makes each size nothing, too much, and a little wrong.
func (m *maker) sizes() {
	for i, member := range m.pkg.Members {
		header, _ := m.start(i)
		for _, field := range []struct {
			name string
			at   int
			now  uint64
		}{{"size", atSize, uint64(len(member.Data))}, {"name-size", atNameSize, uint64(len(member.Name) + 1)}} {
			for _, t := range []struct {
				name  string
				value uint64
			}{{"zero", 0}, {"max", 0xffffffff}, {"less", field.now - 1}, {"more", field.now + 1}} {
				name, why := fmt.Sprintf("structure-%s.%s-%s", m.label(i), field.name, t.name), fmt.Sprintf("a size of %d, and not of %d", uint32(t.value), field.now)
				if uint32(t.value) == uint32(field.now) || field.now == 0 && t.name == "less" {
					m.set.Cannot(mutant.Malformed, name, why, "it is that already, or there is no such number")
					continue
				}
				expect := mutant.Refuse
				if field.name == "name-size" && t.value <= math.MaxUint16 {
					expect = nameSize(int(field.now), int(t.value))
				}
				if i > 1 && !slices.Contains(m.images, i) && header >= m.complete() || i == 1 && field.name == "size" && t.name == "more" {
					expect = mutant.Harmless
				}
				m.edit(mutant.Malformed, name, expect, why, func() ([]byte, error) {
					b := bytes.Clone(m.parent)
					copy(b[header+field.at:], fmt.Sprintf("%08X", uint32(t.value)))
					return b, nil
				})
			}
		}
	}
}

// order puts the members in another one.
func (m *maker) order() {
	for _, c := range []struct {
		name, why string
		alter     func([]swu.Member) []swu.Member
	}{
		{"signature-last", "the signature behind the images", func(ms []swu.Member) []swu.Member {
			return append(slices.Delete(ms, 1, 2), m.pkg.Members[1])
		}},
		{"description-last", "the description behind the images", func(ms []swu.Member) []swu.Member {
			return append(slices.Delete(ms, 0, 1), m.pkg.Members[0])
		}},
	} {
		m.edit(mutant.Malformed, "structure-"+c.name, mutant.Harmless, c.why, func() ([]byte, error) {
			a := m.pkg.Clone()
			a.Members = c.alter(a.Members)
			return a.Marshal()
		})
	}
}
