// Package swu reads, writes and verifies update packages of SWUpdate: a cpio archive
// that begins with a description, with the description's signature behind it, and the
// images that the description names with their hashes.
//
// What is written of a package that was read is what was read, byte for byte.
//
// A [Verifier] says what swupdate with a CMS key has to say: the signature is of one
// of the given certificates or of what they certify, and that may sign mail, as
// swupdate wants it by default; each image has its hash and it is right; the sums of
// the archive are right. [Unsigned] is the same with the signature check taken out.
//
// Not here: signatures by a plain RSA key, signers named by their key's identifier,
// encrypted images, and the choice of one set of images of several: all of them are
// held to their hashes.
package swu

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Names of members that mean something.
const (
	DescriptionName = "sw-description"
	SignatureName   = "sw-description.sig"
	trailerName     = "TRAILER!!!"
)

const (
	magicPlain = "070701" // "newc"
	magicSums  = "070702" // "crc"
	headerSize = 110
	fields     = 13
	align      = 4
)

// Header is a member's header. The size of the data and of the name follow.
type Header struct {
	Sums bool // "crc": Check is the sum of the data's bytes
	Ino, Mode, UID, GID, Links, Time,
	DevMajor, DevMinor, RDevMajor, RDevMinor uint32
	Check uint32
}

// Member is one file of an archive.
type Member struct {
	Header
	Name string
	Data []byte

	raw string // the header as it was read
}

// Archive is a package, taken apart. The data of members are slices of what was read.
type Archive struct {
	Members []Member
	End     Member // the trailer
	Tail    []byte // what stands behind it: zeros up to a block, mostly
}

// FormatError says where bytes are no package, and why.
type FormatError struct {
	Offset int // in bytes from the beginning
	What   string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("no update package: at byte %d: %s", e.Offset, e.What)
}

// Is makes every FormatError an [ErrMalformed].
func (e *FormatError) Is(target error) bool { return target == ErrMalformed }

// Region is a range of bytes of a package with a stable name: sw-description.header,
// root.gz.data, trailer, tail. A second member of its name has a number.
type Region struct {
	Name           string
	Offset, Length int
}

// End is the offset after the last byte.
func (r Region) End() int { return r.Offset + r.Length }

// Parse takes a package apart. Its error is a *[FormatError].
func Parse(b []byte) (*Archive, error) {
	a, _, err := parse(b)
	return a, err
}

// Regions gives the parts of a package in their order. They cover it without a gap;
// empty ones are left out.
func Regions(b []byte) ([]Region, error) {
	_, regions, err := parse(b)
	return regions, err
}

func parse(b []byte) (*Archive, []Region, error) {
	a := &Archive{}
	var regions []Region
	put := func(name string, from, to int) {
		if to > from {
			regions = append(regions, Region{name, from, to - from})
		}
	}
	seen := map[string]int{}
	for at := 0; ; {
		m, data, next, err := member(b, at)
		if err != nil {
			return nil, nil, err
		}
		if m.Name == trailerName {
			if len(m.Data) != 0 {
				return nil, nil, &FormatError{at, "a trailer with data"}
			}
			a.End, a.Tail = m, b[next:len(b):len(b)]
			put("trailer", at, next)
			put("tail", next, len(b))
			return a, regions, nil
		}
		a.Members = append(a.Members, m)
		name := m.Name
		if seen[name]++; seen[name] > 1 {
			name = fmt.Sprintf("%s-%d", name, seen[name])
		}
		put(name+".header", at, data)
		put(name+".data", data, next)
		at = next
	}
}

// member reads one at an offset, and says where its data begin and the next one is.
func member(b []byte, at int) (m Member, data, next int, err error) {
	if at+headerSize > len(b) {
		return m, 0, 0, &FormatError{at, "a member's header is cut off"}
	}
	raw := string(b[at : at+headerSize])
	values, err := numbers(raw)
	if err != nil {
		return m, 0, 0, &FormatError{at, err.Error()}
	}
	m = Member{raw: raw, Header: Header{raw[:6] == magicSums, values[0], values[1], values[2], values[3], values[4], values[5], values[7], values[8], values[9], values[10], values[12]}}
	size, nameSize := int64(values[6]), int64(values[11])
	if nameSize < 2 || int64(at)+headerSize+nameSize > int64(len(b)) {
		return m, 0, 0, &FormatError{at + 94, fmt.Sprintf("a name of %d bytes", nameSize)}
	}
	name := b[at+headerSize : at+headerSize+int(nameSize)]
	if bytes.IndexByte(name, 0) != len(name)-1 {
		return m, 0, 0, &FormatError{at + headerSize, "a name that does not end where it says"}
	}
	m.Name = string(name[:len(name)-1])
	if data, err = padded(b, at+headerSize+int(nameSize)); err != nil {
		return m, 0, 0, err
	}
	if int64(data)+size > int64(len(b)) {
		return m, 0, 0, &FormatError{at + 54, fmt.Sprintf("%q is to have %d bytes, and %d are there", m.Name, size, len(b)-data)}
	}
	end := data + int(size)
	m.Data = b[data:end:end]
	if next, err = padded(b, end); err != nil {
		return m, 0, 0, err
	}
	return m, data, next, nil
}

// padded gives the next offset that is a multiple of 4; zeros have to be before it.
func padded(b []byte, at int) (int, error) {
	end := (at + align - 1) / align * align
	if end > len(b) {
		return 0, &FormatError{at, "the padding is cut off"}
	}
	if len(bytes.Trim(b[at:end], "\x00")) != 0 {
		return 0, &FormatError{at, "padding that is not zero"}
	}
	return end, nil
}

// numbers reads the fields of a header.
func numbers(raw string) (v [fields]uint32, err error) {
	if m := raw[:6]; m != magicPlain && m != magicSums {
		return v, fmt.Errorf("magic %q, want %s or %s", m, magicPlain, magicSums)
	}
	for i := range v {
		text := raw[6+8*i : 14+8*i]
		n, err := strconv.ParseUint(text, 16, 32)
		if err != nil || strings.ContainsAny(text, "+-_") {
			return v, fmt.Errorf("field %d of the header is %q", i+1, text)
		}
		v[i] = uint32(n)
	}
	return v, nil
}

// Marshal writes the package.
func (a *Archive) Marshal() ([]byte, error) {
	var b bytes.Buffer
	for _, m := range a.Members {
		if err := m.write(&b); err != nil {
			return nil, err
		}
	}
	end := a.End
	end.Name, end.Data = trailerName, nil
	if end.raw == "" {
		end.Links = 1
	}
	if err := end.write(&b); err != nil {
		return nil, err
	}
	b.Write(a.Tail)
	return b.Bytes(), nil
}

// write puts a member at the end.
func (m Member) write(b *bytes.Buffer) error {
	if uint64(len(m.Data)) > 0xffffffff {
		return fmt.Errorf("write the member %q: %d bytes; the format has four bytes for that", m.Name, len(m.Data))
	}
	if m.Name == "" || strings.ContainsRune(m.Name, 0) {
		return fmt.Errorf("write a member of the name %q", m.Name)
	}
	magic := magicPlain
	if m.Sums {
		magic = magicSums
	}
	values := [fields]uint32{m.Ino, m.Mode, m.UID, m.GID, m.Links, m.Time, uint32(len(m.Data)), m.DevMajor, m.DevMinor, m.RDevMajor, m.RDevMinor, uint32(len(m.Name) + 1), m.Check}
	header := m.raw
	if old, err := numbers(pad110(header)); err != nil || old != values || header[:6] != magic {
		header = magic
		for _, v := range values {
			header += fmt.Sprintf("%08X", v)
		}
	}
	b.WriteString(header)
	b.WriteString(m.Name)
	b.WriteByte(0)
	zeros(b)
	b.Write(m.Data)
	zeros(b)
	return nil
}

// pad110 makes a header that was not read one that no number is in.
func pad110(raw string) string {
	if len(raw) != headerSize {
		return strings.Repeat(" ", headerSize)
	}
	return raw
}

func zeros(b *bytes.Buffer) {
	for b.Len()%align != 0 {
		b.WriteByte(0)
	}
}

// File makes a member as a build makes it; sums says whether the archive is "crc".
func File(name string, data []byte, sums bool) Member {
	m := Member{Name: name, Data: data, Header: Header{Sums: sums, Mode: 0o100644, Links: 1}}
	m.Resum()
	return m
}

// Resum makes the sum of a member's data right.
func (m *Member) Resum() {
	m.Check = 0
	if m.Sums {
		m.Check = sum(m.Data)
	}
}

func sum(data []byte) (n uint32) {
	for _, c := range data {
		n += uint32(c)
	}
	return n
}

// Find gives the place of the first member of a name, or -1.
func (a *Archive) Find(name string) int {
	for i, m := range a.Members {
		if m.Name == name {
			return i
		}
	}
	return -1
}

// Clone gives a copy with members of its own; their data are shared.
func (a *Archive) Clone() *Archive {
	c := *a
	c.Members = append([]Member(nil), a.Members...)
	return &c
}
