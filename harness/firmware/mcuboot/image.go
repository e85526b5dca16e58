package mcuboot

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The fixed parts of the format.
const (
	Magic          = 0x96f3b83d // first word of an image
	InfoMagic      = 0x6907     // first half word of the area of TLVs
	ProtectedMagic = 0x6908     // the same of that of protected ones
	HeaderSize     = 32         // bytes that every header has
	infoSize       = 4
	entrySize      = 4 // type and length of a TLV
)

// Flags of an image that matter here.
const (
	FlagEncrypted128 = 0x04
	FlagEncrypted256 = 0x08
	FlagNonBootable  = 0x10
)

// Version of an image. It is in the header, and so covered by hash and signature.
type Version struct {
	Major, Minor uint8
	Revision     uint16
	Build        uint32
}

// String is what imgtool prints: 1.3.0+7.
func (v Version) String() string {
	return fmt.Sprintf("%d.%d.%d+%d", v.Major, v.Minor, v.Revision, v.Build)
}

// Compare orders versions, the build number last. MCUboot itself leaves the build
// number out unless it is built with MCUBOOT_VERSION_CMP_USE_BUILD_NUMBER; see
// [Version.CompareReleases].
func (v Version) Compare(w Version) int {
	return cmp.Or(v.CompareReleases(w), cmp.Compare(v.Build, w.Build))
}

// CompareReleases orders versions without their build numbers.
func (v Version) CompareReleases(w Version) int {
	return cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor), cmp.Compare(v.Revision, w.Revision))
}

// ParseVersion reads MAJOR[.MINOR[.REVISION]][+BUILD], as imgtool takes it.
func ParseVersion(s string) (Version, error) {
	var v Version
	rest, build, hasBuild := strings.Cut(s, "+")
	parts := strings.Split(rest, ".")
	if len(parts) > 3 {
		return v, fmt.Errorf("version %q: more than three numbers before the +", s)
	}
	bits := []int{8, 8, 16, 32}
	values := make([]uint64, 4)
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, bits[i])
		if err != nil {
			return v, fmt.Errorf("version %q: %w", s, err)
		}
		values[i] = n
	}
	if hasBuild {
		n, err := strconv.ParseUint(build, 10, 32)
		if err != nil {
			return v, fmt.Errorf("version %q: build number: %w", s, err)
		}
		values[3] = n
	}
	return Version{uint8(values[0]), uint8(values[1]), uint16(values[2]), uint32(values[3])}, nil
}

// Image is an image, taken apart. Sizes are not fields: they follow.
type Image struct {
	LoadAddr  uint32
	Flags     uint32
	Version   Version
	Reserved  uint32 // the last word of the fixed header
	Extension []byte // header after the fixed one
	Payload   []byte
	Protected []TLV  // nil: there is no such area; empty: there is one with nothing in it
	TLVs      []TLV  // hash, key and signature among them
	Tail      []byte // what stands after the image: a slot's padding and trailer. Nothing covers it
}

// TLV is one entry of an area.
type TLV struct {
	Type  uint16
	Value []byte
}

// FormatError says where bytes are no image, and why.
type FormatError struct {
	Offset int // in bytes from the beginning
	What   string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("no MCUboot image: at byte %d: %s", e.Offset, e.What)
}

// Is makes every FormatError a [ErrMalformed].
func (e *FormatError) Is(target error) bool { return target == ErrMalformed }

// header is the fixed header as it stands there.
type header struct {
	size, protected uint16
	payload         uint32
}

// Parse takes an image apart. The parts are slices of b. Its error is a
// *[FormatError].
func Parse(b []byte) (*Image, error) {
	img, _, err := parse(b)
	return img, err
}

// parse takes an image apart and says where its parts are.
func parse(b []byte) (*Image, []Region, error) {
	if len(b) < HeaderSize {
		return nil, nil, &FormatError{len(b), fmt.Sprintf("the header wants %d bytes", HeaderSize)}
	}
	if m := binary.LittleEndian.Uint32(b); m != Magic {
		return nil, nil, &FormatError{0, fmt.Sprintf("magic %#08x, want %#08x", m, uint32(Magic))}
	}
	h := header{size: binary.LittleEndian.Uint16(b[8:]), protected: binary.LittleEndian.Uint16(b[10:]), payload: binary.LittleEndian.Uint32(b[12:])}
	if h.size < HeaderSize {
		return nil, nil, &FormatError{8, fmt.Sprintf("a header of %d bytes", h.size)}
	}
	end := int64(h.size) + int64(h.payload)
	if end+infoSize > int64(len(b)) {
		return nil, nil, &FormatError{12, fmt.Sprintf("header and payload are to be %d bytes, and %d are there", end, len(b))}
	}
	img := &Image{
		LoadAddr: binary.LittleEndian.Uint32(b[4:]), Flags: binary.LittleEndian.Uint32(b[16:]),
		Version:  Version{b[20], b[21], binary.LittleEndian.Uint16(b[22:]), binary.LittleEndian.Uint32(b[24:])},
		Reserved: binary.LittleEndian.Uint32(b[28:]), Extension: b[HeaderSize:h.size:h.size], Payload: b[h.size:end:end],
	}
	regions := headerRegions(h)
	at := int(end)
	if h.protected != 0 {
		tlvs, next, more, err := area(b, at, ProtectedMagic, "protected", int(h.protected))
		if err != nil {
			return nil, nil, err
		}
		img.Protected, at, regions = tlvs, next, append(regions, more...)
	}
	tlvs, next, more, err := area(b, at, InfoMagic, "tlvs", -1)
	if err != nil {
		return nil, nil, err
	}
	img.TLVs, regions = tlvs, append(regions, more...)
	img.Tail = b[next:len(b):len(b)]
	if len(img.Tail) > 0 {
		regions = append(regions, Region{"tail", next, len(img.Tail)})
	}
	return img, regions, nil
}

// area reads an area of TLVs that begins at a byte. A size of -1 means that the
// header does not say it.
func area(b []byte, at int, magic uint16, name string, size int) (tlvs []TLV, next int, regions []Region, err error) {
	if at+infoSize > len(b) {
		return nil, 0, nil, &FormatError{at, "the area of TLVs has no beginning"}
	}
	if m := binary.LittleEndian.Uint16(b[at:]); m != magic {
		return nil, 0, nil, &FormatError{at, fmt.Sprintf("magic %#04x of the area of TLVs, want %#04x", m, magic)}
	}
	total := int(binary.LittleEndian.Uint16(b[at+2:]))
	if size >= 0 && total != size {
		return nil, 0, nil, &FormatError{at + 2, fmt.Sprintf("the area of protected TLVs is %d bytes, by the header %d", total, size)}
	}
	if total < infoSize || at+total > len(b) {
		return nil, 0, nil, &FormatError{at + 2, fmt.Sprintf("an area of TLVs of %d bytes, and %d are there", total, len(b)-at)}
	}
	regions = append(regions, Region{name + ".magic", at, 2}, Region{name + ".size", at + 2, 2})
	tlvs = []TLV{}
	end := at + total
	seen := map[uint16]int{}
	for at += infoSize; at < end; {
		if at+entrySize > end {
			return nil, 0, nil, &FormatError{at, "a TLV that is cut off"}
		}
		kind, length := binary.LittleEndian.Uint16(b[at:]), int(binary.LittleEndian.Uint16(b[at+2:]))
		if at+entrySize+length > end {
			return nil, 0, nil, &FormatError{at + 2, fmt.Sprintf("a TLV of %d bytes where %d are left", length, end-at-entrySize)}
		}
		tlvs = append(tlvs, TLV{kind, b[at+entrySize : at+entrySize+length : at+entrySize+length]})
		regions = append(regions, entryRegions(name, kind, seen[kind], at, length)...)
		seen[kind]++
		at += entrySize + length
	}
	return tlvs, end, regions, nil
}

// Marshal writes the image.
func (img *Image) Marshal() ([]byte, error) {
	covered, err := img.Covered()
	if err != nil {
		return nil, err
	}
	tlvs, err := marshalArea(InfoMagic, img.TLVs)
	if err != nil {
		return nil, fmt.Errorf("write an image: TLVs: %w", err)
	}
	return append(append(covered, tlvs...), img.Tail...), nil
}

// Covered gives what hash and signature cover: header, payload and protected TLVs.
func (img *Image) Covered() ([]byte, error) {
	size := HeaderSize + len(img.Extension)
	if size > math.MaxUint16 {
		return nil, fmt.Errorf("write an image: a header of %d bytes; the format has two bytes for that", size)
	}
	if uint64(len(img.Payload)) > math.MaxUint32 {
		return nil, fmt.Errorf("write an image: a payload of %d bytes; the format has four bytes for that", len(img.Payload))
	}
	var protected []byte
	if img.Protected != nil {
		var err error
		if protected, err = marshalArea(ProtectedMagic, img.Protected); err != nil {
			return nil, fmt.Errorf("write an image: protected TLVs: %w", err)
		}
	}
	b := make([]byte, HeaderSize, size+len(img.Payload)+len(protected)+1024)
	binary.LittleEndian.PutUint32(b, Magic)
	binary.LittleEndian.PutUint32(b[4:], img.LoadAddr)
	binary.LittleEndian.PutUint16(b[8:], uint16(size))
	binary.LittleEndian.PutUint16(b[10:], uint16(len(protected)))
	binary.LittleEndian.PutUint32(b[12:], uint32(len(img.Payload)))
	binary.LittleEndian.PutUint32(b[16:], img.Flags)
	b[20], b[21] = img.Version.Major, img.Version.Minor
	binary.LittleEndian.PutUint16(b[22:], img.Version.Revision)
	binary.LittleEndian.PutUint32(b[24:], img.Version.Build)
	binary.LittleEndian.PutUint32(b[28:], img.Reserved)
	b = append(append(b, img.Extension...), img.Payload...)
	return append(b, protected...), nil
}

// marshalArea writes an area of TLVs.
func marshalArea(magic uint16, tlvs []TLV) ([]byte, error) {
	b := binary.LittleEndian.AppendUint16(nil, magic)
	b = append(b, 0, 0)
	for _, t := range tlvs {
		if len(t.Value) > math.MaxUint16 {
			return nil, fmt.Errorf("%s of %d bytes; the format has two bytes for that", TypeName(t.Type), len(t.Value))
		}
		b = binary.LittleEndian.AppendUint16(b, t.Type)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(t.Value)))
		b = append(b, t.Value...)
	}
	if len(b) > math.MaxUint16 {
		return nil, fmt.Errorf("%d bytes; the format has two bytes for that", len(b))
	}
	binary.LittleEndian.PutUint16(b[2:], uint16(len(b)))
	return b, nil
}

// Clone gives a copy that shares no slice of TLVs with the image; the bytes of
// values and payload are shared.
func (img *Image) Clone() *Image {
	c := *img
	if img.Protected != nil {
		c.Protected = append([]TLV{}, img.Protected...)
	}
	c.TLVs = append([]TLV{}, img.TLVs...)
	return &c
}

// Encrypted says whether the payload is.
func (img *Image) Encrypted() bool { return img.Flags&(FlagEncrypted128|FlagEncrypted256) != 0 }

// errNoCounter says that an image has no security counter.
var errNoCounter = errors.New("no security counter among the protected TLVs")
