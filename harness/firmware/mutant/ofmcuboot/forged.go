package ofmcuboot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rigor/harness/firmware/mcuboot"
	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/stranger"
)

// flips changes one bit in each region, and one in the last byte of the payload: a
// verifier that hashes whole blocks alone, or stops short, takes that.
func (m *maker) flips() {
	for _, r := range m.regions {
		name := "flip-" + r.Name
		expect, why := mutant.Refuse, "one bit of what is signed"
		switch {
		case r == m.sigRegion:
			why = "one bit of the signature"
		case r.Offset >= m.tlvs():
			expect, why = mutant.Harmless, "one bit that no signature covers"
		}
		if r.Offset >= m.tlvs() && r.End() == m.sigRegion.Offset-2 {
			m.flipType(name, r)
			continue
		}
		m.edit(mutant.BitFlip, name, expect, why, func() ([]byte, error) {
			rnd := m.set.Rand(name)
			at := r.Offset + rnd.IntN(r.Length)
			if r.Name == "payload" && len(m.o.Free) > 0 {
				free := m.o.Free[rnd.IntN(len(m.o.Free))]
				at = r.Offset + free.Offset + rnd.IntN(free.Length)
			}
			if r == m.sigRegion && m.scheme == stranger.ECDSAP256 {
				at = r.Offset + min(8+rnd.IntN(16), r.Length-1) // within a number, not in what frames it
			}
			return m.flipped(at, rnd.IntN(8)), nil
		})
		if r.Name == "payload" {
			m.edit(mutant.BitFlip, name+"-end", expect, "one bit of the last byte of the payload", func() ([]byte, error) {
				return m.flipped(r.End()-1, m.set.Rand(name+"-end").IntN(8)), nil
			})
		}
	}
}

// flipType changes one bit of the type of the signature, once so that nobody knows the
// type and once so that it is that of another scheme: a verifier that goes over what it
// does not know takes the first for an image without a signature, and one that does not
// know a scheme may take the second. Which of them is tried must not hang on the seed.
func (m *maker) flipType(name string, r mcuboot.Region) {
	was := m.img.TLVs[m.sig].Type
	var unknown, scheme []int
	for bit := range 16 {
		switch t := was ^ 1<<bit; {
		case mcuboot.IsSignature(t):
			scheme = append(scheme, bit)
		case !mcuboot.Known(t):
			unknown = append(unknown, bit)
		}
	}
	one := func(name, why string, bits []int) {
		m.edit(mutant.BitFlip, name, mutant.Refuse, "one bit of what says that there is a signature: "+why, func() ([]byte, error) {
			bit := bits[m.set.Rand(name).IntN(len(bits))]
			return m.flipped(r.Offset+bit/8, bit%8), nil
		})
	}
	one(name, "a type that nobody knows", unknown)
	one(name+"-scheme", "the type of another scheme", scheme)
}

// flipped is the parent with one bit changed.
func (m *maker) flipped(at, bit int) []byte {
	b := bytes.Clone(m.parent)
	b[at] ^= 1 << bit
	return b
}

// without takes TLVs out.
func without(img *mcuboot.Image, drop func(mcuboot.TLV) bool) {
	img.TLVs = slices.DeleteFunc(img.TLVs, drop)
}

func isKey(t mcuboot.TLV) bool {
	return t.Type == mcuboot.KeyHash || t.Type == mcuboot.PublicKeyTLV
}

// unsigned takes the signature away.
func (m *maker) unsigned() {
	m.forge(mutant.Unsigned, "unsigned", "hash and sizes are right, and there is neither key nor signature: it decides whether more than a hash is checked", func(img *mcuboot.Image) error {
		without(img, func(t mcuboot.TLV) bool {
			return mcuboot.IsSignature(t.Type) || isKey(t) || t.Type == mcuboot.SigPure
		})
		return nil
	})
	m.forge(mutant.Unsigned, "unsigned-key-named", "hash and sizes are right, the maker's key is named, and there is no signature", func(img *mcuboot.Image) error {
		without(img, func(t mcuboot.TLV) bool { return mcuboot.IsSignature(t.Type) })
		return nil
	})
	m.edit(mutant.Unsigned, "unsigned-no-tlvs", mutant.Refuse, "an empty area of TLVs: neither hash nor signature", func() ([]byte, error) {
		img := m.img.Clone()
		img.Version, img.TLVs = m.version, nil
		return img.Marshal()
	})
}

// shapes makes the signature of a carrier something that is none.
func (m *maker) shapes() {
	stale := m.img.TLVs[m.sig].Value
	same := func(b byte) []byte { return bytes.Repeat([]byte{b}, len(stale)) }
	shape := func(name, why string, value []byte) {
		m.forge(mutant.SignatureShape, "signature-"+name, why, func(img *mcuboot.Image) error {
			img.TLVs[m.sig].Value = value
			return nil
		})
	}
	shape("stale", "the hash is right, and the signature is that of the parent", stale)
	shape("empty", "a signature of no bytes", []byte{})
	shape("zeroed", "all bytes of the signature are 00", same(0))
	shape("ones", "all bytes of the signature are ff, as erased flash", same(0xff))
	shape("short", "the parent's signature without its last byte", stale[:len(stale)-1])
	shape("long", "the parent's signature with a byte more", append(bytes.Clone(stale), 0))
	if m.scheme == stranger.ECDSAP256 {
		shape("null", "both numbers of the signature are 0, in good form (CVE-2022-21449)", []byte{0x30, 6, 2, 1, 0, 2, 1, 0})
	} else {
		m.set.Cannot(mutant.SignatureShape, "signature-null", "both numbers of the signature are 0", "only ECDSA signatures have them, and the parent's is "+string(m.scheme))
	}
	for _, s := range stranger.Schemes() {
		if s == m.scheme {
			continue
		}
		m.forge(mutant.SignatureShape, "signature-by-"+string(s), "signed in another scheme by a stranger, with the maker's key named", func(img *mcuboot.Image) error {
			key, err := stranger.Key(s)
			if err != nil {
				return err
			}
			if err := m.signWith(img, key, false); err != nil {
				return err
			}
			m.keepKey(img)
			return nil
		})
	}
	for _, t := range []uint16{mcuboot.RSA2048, mcuboot.RSA3072, mcuboot.ECDSA, mcuboot.ED25519} {
		if t == m.img.TLVs[m.sig].Type {
			continue
		}
		m.forge(mutant.SignatureShape, "signature-called-"+strings.ToLower(mcuboot.TypeName(t)), "the parent's signature under the type of another scheme", func(img *mcuboot.Image) error {
			img.TLVs[m.sig] = mcuboot.TLV{Type: t, Value: stale}
			return nil
		})
	}
	m.forge(mutant.SignatureShape, "signature-purity", "what says whether the signature is over the image or over its hash is turned round", func(img *mcuboot.Image) error {
		if m.pure {
			without(img, func(t mcuboot.TLV) bool { return t.Type == mcuboot.SigPure })
			return nil
		}
		img.TLVs = slices.Insert(img.TLVs, m.sig, mcuboot.TLV{Type: mcuboot.SigPure, Value: []byte{1}})
		return nil
	})
}

// strangers sign with a key of the parent's scheme that nobody trusts.
func (m *maker) strangers() {
	sign := func(name, why string, whole bool, then func(*mcuboot.Image)) {
		m.forge(mutant.WrongKey, name, why, func(img *mcuboot.Image) error {
			key, err := stranger.Key(m.scheme)
			if err != nil {
				return err
			}
			if err := m.signWith(img, key, whole); err != nil {
				return err
			}
			then(img)
			return nil
		})
	}
	pair := func(img *mcuboot.Image) int {
		return slices.IndexFunc(img.TLVs, isKey)
	}
	sign("wrong-key", "well signed by a stranger, who names a key that is not the device's", false, func(*mcuboot.Image) {})
	sign("wrong-key-embedded", "well signed by a stranger, whose whole key stands in the image", true, func(*mcuboot.Image) {})
	if m.key < 0 {
		for _, name := range []string{"wrong-key-spoofed", "wrong-key-embedded-beside", "wrong-key-first"} {
			m.set.Cannot(mutant.WrongKey, name, "the maker's key is named, and a stranger signed", "the parent names no key")
		}
		return
	}
	sign("wrong-key-spoofed", "signed by a stranger, and the maker's key is named", false, m.keepKey)
	sign("wrong-key-embedded-beside", "well signed by a stranger, whose whole key stands behind the name of the maker's", true, func(img *mcuboot.Image) {
		img.TLVs = slices.Insert(img.TLVs, pair(img), m.img.TLVs[m.key])
	})
	sign("wrong-key-first", "well signed by a stranger first, then the parent's signature with the maker's key named", false, func(img *mcuboot.Image) {
		img.TLVs = append(img.TLVs, m.img.TLVs[m.key], m.img.TLVs[m.sig])
	})
}

// published sign with keys that everybody has.
func (m *maker) published() {
	const why = "well signed with a key that is published for development: a device that trusts it can be given anything by anybody"
	known := map[int]bool{}
	for _, p := range stranger.AllPublished() {
		name := "dev-key-" + p.Name
		for i, k := range m.o.DevKeys {
			known[i] = known[i] || p.Is(k.Public())
		}
		key := p.Signer(m.o.DevKeys)
		switch {
		case m.signedBy(p):
			m.set.Cannot(mutant.DevKey, name, why, PublishedIsMakers+": "+p.Source)
		case key == nil:
			m.set.Cannot(mutant.DevKey, name, why, "its private key is not part of this program; give the file: "+p.Source)
		default:
			m.forge(mutant.DevKey, name, why, func(img *mcuboot.Image) error { return m.signWith(img, key, false) })
		}
	}
	for i, key := range m.o.DevKeys {
		scheme, ok := stranger.SchemeOf(key.Public())
		switch name := fmt.Sprintf("dev-key-given-%d", i+1); {
		case known[i]:
		case !ok:
			m.set.Cannot(mutant.DevKey, name, why, fmt.Sprintf("a key of type %T", key))
		default:
			m.forge(mutant.DevKey, name+"-"+string(scheme), why, func(img *mcuboot.Image) error { return m.signWith(img, key, false) })
		}
	}
}

// PublishedIsMakers begins the reason why a mutant of kind DevKey is not made, where
// the parent itself is signed with the published key. That is a finding in itself.
const PublishedIsMakers = "the maker's own image is signed with this published key"

// signedBy says whether the parent names a published key.
func (m *maker) signedBy(p stranger.Published) bool {
	if m.key < 0 {
		return false
	}
	t := m.img.TLVs[m.key]
	if t.Type == mcuboot.KeyHash && m.hash == mcuboot.SHA256 {
		return p.Sum() == fmt.Sprintf("%x", t.Value)
	}
	if t.Type == mcuboot.PublicKeyTLV {
		return p.Sum() == mutant.Digest(t.Value)
	}
	for _, k := range m.o.Keys {
		if bytes.Equal(t.Value, k.Hash(m.hash)) {
			return p.Sum() == mutant.Digest(k.DER())
		}
	}
	return false
}

// versions lies about version and security counter.
func (m *maker) versions() {
	m.edit(mutant.VersionForge, "version-raised", mutant.Refuse, "another version in the header, and nothing else", func() ([]byte, error) {
		img := m.img.Clone()
		img.Version = m.version
		return img.Marshal()
	})
	m.edit(mutant.VersionForge, "version-raised-hash-right", mutant.Refuse, "another version in the header, and the hash made right", func() ([]byte, error) {
		img := m.img.Clone()
		img.Version = m.version
		if err := img.Rehash(); err != nil {
			return nil, err
		}
		return img.Marshal()
	})
	n, ok := m.img.SecurityCounter()
	if !ok {
		for _, name := range []string{"counter-raised", "counter-dropped"} {
			m.set.Cannot(mutant.VersionForge, name, "another security counter", "the parent has none")
		}
		return
	}
	m.counter("counter-raised", "a security counter that is higher by one, and the hash made right", []mcuboot.TLV{mcuboot.CounterTLV(n + 1)}, n+1 == 0)
	m.counter("counter-dropped", "no security counter, and the hash made right", nil, false)
}

// counter puts others in the place of the security counter.
func (m *maker) counter(name, why string, others []mcuboot.TLV, over bool) {
	if over {
		m.set.Cannot(mutant.VersionForge, name, why, "the parent's counter is as high as it can be")
		return
	}
	m.forge(mutant.VersionForge, name, why, func(img *mcuboot.Image) error {
		img.Protected = append(slices.DeleteFunc(img.Protected, func(t mcuboot.TLV) bool { return t.Type == mcuboot.SecCounter }), others...)
		if len(img.Protected) == 0 {
			img.Protected = nil
		}
		return img.Rehash()
	})
}

// unprotected adds TLVs that nothing covers.
func (m *maker) unprotected() {
	for _, u := range []struct {
		name, why string
		tlv       mcuboot.TLV
	}{
		{"unknown", "a TLV of a type that makers may use", mcuboot.TLV{Type: 0x00a0, Value: bytes.Repeat([]byte{0x5a}, 16)}},
		{"counter", "a security counter that no signature covers, as high as can be", mcuboot.CounterTLV(0xffffffff)},
		{"dependency", "a dependency that no signature covers", mcuboot.Needs{Image: 1, Version: mcuboot.Version{Major: 255}}.TLV()},
		{"boot-record", "a boot record that no signature covers", mcuboot.TLV{Type: mcuboot.BootRecord, Value: []byte{0xa0}}},
		{"no-hash-more", "a second hash, of an image that is not there", mcuboot.TLV{Type: m.hash, Value: bytes.Repeat([]byte{0}, m.hashSize())}},
	} {
		name, size := "unprotected-"+u.name, 4+len(u.tlv.Value)
		if !m.fits(size) {
			m.set.Cannot(mutant.Unprotected, name, u.why, "no more fits into the parent's TLVs")
			continue
		}
		m.edit(mutant.Unprotected, name, mutant.Harmless, u.why, func() ([]byte, error) {
			img := m.img.Clone()
			img.TLVs = append(img.TLVs, u.tlv)
			return img.Marshal()
		})
	}
}

func (m *maker) hashSize() int {
	t, _ := m.img.Find(m.hash)
	return len(t.Value)
}

// appended puts bytes after the image.
func (m *maker) appended() {
	after := func(name, why string, more func() ([]byte, error)) {
		m.edit(mutant.Append, "append-"+name, mutant.Harmless, why, func() ([]byte, error) {
			b, err := more()
			return append(bytes.Clone(m.parent), b...), err
		})
	}
	after("bytes", "64 bytes after the end", func() ([]byte, error) {
		b, r := make([]byte, 64), m.set.Rand("append-bytes")
		for i := 0; i < len(b); i += 8 {
			binary.LittleEndian.PutUint64(b[i:], r.Uint64())
		}
		return b, nil
	})
	after("image", "a second image after the end, consistent and unsigned", func() ([]byte, error) {
		img, err := m.carrier()
		if err != nil {
			return nil, err
		}
		without(img, func(t mcuboot.TLV) bool { return mcuboot.IsSignature(t.Type) || isKey(t) })
		img.Tail = nil
		return img.Marshal()
	})
	after("tlvs", "a second area of TLVs after the end, with a stranger's signature of the image", func() ([]byte, error) {
		key, err := stranger.Key(m.scheme)
		if err != nil {
			return nil, err
		}
		img := m.img.Clone()
		if err := m.signWith(img, key, true); err != nil {
			return nil, err
		}
		img.Tail = nil
		b, err := img.Marshal()
		if err != nil {
			return nil, err
		}
		return b[m.tlvs():], nil
	})
	after("trailer", "the magic of a slot's trailer after the end", func() ([]byte, error) {
		return []byte{0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f, 0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80}, nil
	})
}

// errSame says that nothing would differ.
var errSame = errors.New("it would be its parent")
