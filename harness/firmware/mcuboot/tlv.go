package mcuboot

import (
	"encoding/binary"
	"fmt"
	"slices"

	"rigor/harness/firmware/internal/refusal"
)

// Types of TLVs that are known by name. Others are carried as they are.
const (
	KeyHash      uint16 = 0x01
	PublicKeyTLV uint16 = 0x02 // the whole public key
	SHA256       uint16 = 0x10
	SHA384       uint16 = 0x11
	SHA512       uint16 = 0x12
	RSA2048      uint16 = 0x20
	ECDSA224     uint16 = 0x21 // no longer used
	ECDSA        uint16 = 0x22
	RSA3072      uint16 = 0x23
	ED25519      uint16 = 0x24
	SigPure      uint16 = 0x25 // the signature is over the image, not over its hash
	Dependency   uint16 = 0x40
	SecCounter   uint16 = 0x50
	BootRecord   uint16 = 0x60
)

var typeNames = map[uint16]string{
	KeyHash: "KEYHASH", PublicKeyTLV: "PUBKEY", SHA256: "SHA256", SHA384: "SHA384", SHA512: "SHA512", RSA2048: "RSA2048", ECDSA224: "ECDSA224", ECDSA: "ECDSASIG",
	RSA3072: "RSA3072", ED25519: "ED25519", SigPure: "SIG_PURE", 0x30: "ENCRSA2048", 0x31: "ENCKW", 0x32: "ENCEC256", 0x33: "ENCX25519", 0x34: "ENCX25519_SHA512",
	Dependency: "DEPENDENCY", SecCounter: "SEC_CNT", BootRecord: "BOOT_RECORD", 0x70: "DECOMP_SIZE", 0x71: "DECOMP_SHA", 0x72: "DECOMP_SIGNATURE", 0x73: "COMP_DEC_SIZE",
}

// TypeName gives imgtool's name of a type, or its number: 0x00a0.
func TypeName(t uint16) string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return fmt.Sprintf("%#04x", t)
}

// Known says whether imgtool has a name for a type.
func Known(t uint16) bool {
	_, ok := typeNames[t]
	return ok
}

// Needs is a dependency: another image of the device has to have a version at least.
type Needs struct {
	Image   uint8
	Slot    uint8 // 0: any, of newer formats: 1 primary, 2 secondary
	Version Version
}

// SecurityCounter gives the security counter, which counts only among the protected
// TLVs. It is not ok where there is none, or one that is no counter.
func (img *Image) SecurityCounter() (counter uint32, ok bool) {
	counter, err := img.counter()
	return counter, err == nil
}

// counter is SecurityCounter with the reason. Of several the lowest counts.
func (img *Image) counter() (uint32, error) {
	found, lowest := false, uint32(0)
	for _, t := range img.Protected {
		if t.Type != SecCounter {
			continue
		}
		if len(t.Value) != 4 {
			return 0, fmt.Errorf("a security counter of %d bytes", len(t.Value))
		}
		if n := binary.LittleEndian.Uint32(t.Value); !found || n < lowest {
			found, lowest = true, n
		}
	}
	if !found {
		return 0, errNoCounter
	}
	return lowest, nil
}

// CounterTLV makes a security counter.
func CounterTLV(n uint32) TLV {
	return TLV{SecCounter, binary.LittleEndian.AppendUint32(nil, n)}
}

// Dependencies gives what the image needs of other images of the device.
func (img *Image) Dependencies() ([]Needs, error) {
	var needs []Needs
	for _, t := range img.Protected {
		if t.Type != Dependency {
			continue
		}
		if len(t.Value) != 12 {
			return nil, refusal.Of(ErrMalformed, "a dependency of %d bytes", len(t.Value))
		}
		v := t.Value
		needs = append(needs, Needs{v[0], v[1], Version{v[4], v[5], binary.LittleEndian.Uint16(v[6:]), binary.LittleEndian.Uint32(v[8:])}})
	}
	return needs, nil
}

// TLV makes the entry for a dependency.
func (n Needs) TLV() TLV {
	v := []byte{n.Image, n.Slot, 0, 0, n.Version.Major, n.Version.Minor}
	v = binary.LittleEndian.AppendUint16(v, n.Version.Revision)
	return TLV{Dependency, binary.LittleEndian.AppendUint32(v, n.Version.Build)}
}

// Find gives the value of the first TLV of one of the types that is not protected.
func (img *Image) Find(types ...uint16) (TLV, bool) {
	for _, t := range img.TLVs {
		if slices.Contains(types, t.Type) {
			return t, true
		}
	}
	return TLV{}, false
}

// IsSignature says whether a TLV of this type holds a signature.
func IsSignature(t uint16) bool {
	return t == RSA2048 || t == RSA3072 || t == ECDSA || t == ECDSA224 || t == ED25519
}

// isHash says whether a TLV of this type holds the image's hash.
func isHash(t uint16) bool { return t == SHA256 || t == SHA384 || t == SHA512 }

// Region is a range of bytes of an image with a stable name: header.version, payload,
// protected.SEC_CNT.value, tlvs.KEYHASH.length, tail.
type Region struct {
	Name           string
	Offset, Length int
}

// End is the offset after the last byte.
func (r Region) End() int { return r.Offset + r.Length }

// Regions gives the parts of an image in their order. They cover it without a gap;
// empty ones are left out.
func Regions(b []byte) ([]Region, error) {
	_, regions, err := parse(b)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(regions, func(r Region) bool { return r.Length == 0 }), nil
}

// headerRegions names the parts of the header, and the payload.
func headerRegions(h header) []Region {
	return []Region{
		{"header.magic", 0, 4}, {"header.load-addr", 4, 4}, {"header.header-size", 8, 2}, {"header.protected-size", 10, 2}, {"header.payload-size", 12, 4},
		{"header.flags", 16, 4}, {"header.version", 20, 8}, {"header.reserved", 28, 4}, {"header.extension", HeaderSize, int(h.size) - HeaderSize}, {"payload", int(h.size), int(h.payload)},
	}
}

// entryRegions names the parts of a TLV. A second one of its type has a number.
func entryRegions(area string, kind uint16, before, at, length int) []Region {
	name := area + "." + TypeName(kind)
	if before > 0 {
		name = fmt.Sprintf("%s-%d", name, before+1)
	}
	return []Region{{name + ".type", at, 2}, {name + ".length", at + 2, 2}, {name + ".value", at + entrySize, length}}
}
