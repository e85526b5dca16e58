// Package ofmcuboot makes mutants of MCUboot images.
//
// Most of what lacks authenticity is made of a carrier: the parent with a version that
// no genuine image has, a bit changed in its payload where the caller says that it
// still runs, and its hash made right. A device that takes one shows that version, or
// that hash, and has taken what nobody signed. Were the content the parent's own, a
// device that only reads signatures more leniently than ours would seem to be broken.
//
// What leaves all signed bytes and the signature as they are is [mutant.Harmless]:
// MCUboot itself passes over unprotected TLVs that it does not know and over bytes
// after the image.
package ofmcuboot

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"

	"rigor/harness/firmware/mcuboot"
	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/stranger"
)

// Options say what is known of the device and its images.
type Options struct {
	Seed uint64
	// Keys are the maker's, as the device has them built in. Without one no refusal is
	// proven: see [mutant.Proof].
	Keys []mcuboot.Key
	// Version of what is forged; it is to be newer than all genuine ones. Zero: the
	// parent's with the next revision.
	Version mcuboot.Version
	// Free are ranges of the payload that can be changed without the image failing to
	// run: padding, texts. None: the payload of a carrier stays as it is.
	Free []Range
	// Policy is what the device asks of a genuine image. None: that it is not older than
	// the parent, by its version.
	Policy *mcuboot.Policy
	// Older are genuine images of the same product, older than the parent.
	Older [][]byte
	// OtherProduct are genuine images of something else.
	OtherProduct [][]byte
	// DevKeys are private keys that are published for development, beside those that
	// package stranger has.
	DevKeys []crypto.Signer
}

// Range is a stretch of bytes.
type Range struct{ Offset, Length int }

// maker makes the mutants of one image.
type maker struct {
	o         Options
	set       *mutant.Set
	parent    []byte
	img       *mcuboot.Image
	regions   []mcuboot.Region
	hash      uint16
	version   mcuboot.Version
	pure      bool
	sig, key  int // places of the signature that counts and of its key among the TLVs; key is -1 without one
	scheme    stranger.Scheme
	sigRegion mcuboot.Region // the value of the signature
}

// Plan says which mutants there are of a genuine image. It is an error where the
// parent is no image, is encrypted, is not signed, or is refused by the keys that are
// given: nothing could be concluded from a device that refuses a mutant of it.
func Plan(parent []byte, o Options) (*mutant.Set, error) {
	found, err := mcuboot.Unsigned(parent)
	if err != nil {
		return nil, fmt.Errorf("plan mutants of an MCUboot image: %w", err)
	}
	if len(o.Keys) > 0 {
		if _, err := (mcuboot.Verifier{Keys: o.Keys}).Verify(parent); err != nil {
			return nil, fmt.Errorf("plan mutants of an MCUboot image: the maker's keys do not verify it: %w", err)
		}
	}
	m := &maker{o: o, parent: parent, img: found.Image, hash: found.HashType, sig: -1, key: -1, version: o.Version}
	if m.regions, err = mcuboot.Regions(parent); err != nil {
		return nil, fmt.Errorf("plan mutants of an MCUboot image: %w", err)
	}
	if err := m.findSignature(); err != nil {
		return nil, err
	}
	for _, r := range o.Free {
		if r.Length <= 0 || r.Offset < 0 || r.Offset+r.Length > len(m.img.Payload) {
			return nil, fmt.Errorf("plan mutants of an MCUboot image: no range of a payload of %d bytes: %+v", len(m.img.Payload), r)
		}
	}
	if m.version == (mcuboot.Version{}) {
		m.version = m.img.Version
		m.version.Revision++
		if m.version.Revision == 0 {
			return nil, fmt.Errorf("plan mutants of an MCUboot image: no revision is after %s: say which version forged images are to have", m.img.Version)
		}
	}
	m.set = mutant.NewSet(parent, o.Seed, shows(parent))
	m.flips()
	m.unsigned()
	m.shapes()
	m.strangers()
	m.published()
	m.versions()
	m.unprotected()
	m.appended()
	m.truncated()
	m.lengths()
	m.mixed()
	m.genuine()
	return m.set, nil
}

// findSignature finds the signature that counts: the one that a key of the maker's
// made, or the first.
func (m *maker) findSignature() error {
	named := -1
	for i, t := range m.img.TLVs {
		switch {
		case t.Type == mcuboot.KeyHash || t.Type == mcuboot.PublicKeyTLV:
			named = i
		case t.Type == mcuboot.SigPure:
			m.pure = bytes.Equal(t.Value, []byte{1})
		case mcuboot.IsSignature(t.Type):
			if m.sig < 0 || (named >= 0 && m.ours(m.img.TLVs[named])) {
				m.sig, m.key = i, named
			}
			named = -1
		}
	}
	if m.sig < 0 {
		return errors.New("plan mutants of an MCUboot image: the parent has no signature")
	}
	m.scheme = schemes[m.img.TLVs[m.sig].Type]
	if m.scheme == "" {
		return fmt.Errorf("plan mutants of an MCUboot image: signatures of %s are not known here", mcuboot.TypeName(m.img.TLVs[m.sig].Type))
	}
	// Its value is the last region of that many TLVs.
	n := -1
	for _, r := range m.regions {
		if strings.HasPrefix(r.Name, "tlvs.") && strings.HasSuffix(r.Name, ".length") {
			n++
		}
		if n == m.sig && strings.HasSuffix(r.Name, ".value") {
			m.sigRegion = r
			return nil
		}
	}
	return errors.New("plan mutants of an MCUboot image: the parent's signature is empty")
}

// schemes of the types of TLVs.
var schemes = map[uint16]stranger.Scheme{mcuboot.RSA2048: stranger.RSA2048, mcuboot.RSA3072: stranger.RSA3072, mcuboot.ECDSA: stranger.ECDSAP256, mcuboot.ED25519: stranger.ED25519}

// ours says whether a TLV names a key of the maker's.
func (m *maker) ours(t mcuboot.TLV) bool {
	for _, k := range m.o.Keys {
		if bytes.Equal(t.Value, k.DER()) || bytes.Equal(t.Value, k.Hash(m.hash)) {
			return true
		}
	}
	return false
}

// end is where the image ends and its tail begins.
func (m *maker) end() int { return len(m.parent) - len(m.img.Tail) }

// carrier gives the parent as something that nobody signed, with its hash right.
func (m *maker) carrier() (*mcuboot.Image, error) {
	img := m.img.Clone()
	img.Version = m.version
	if len(m.o.Free) > 0 {
		r := m.set.Rand("carrier")
		free := m.o.Free[r.IntN(len(m.o.Free))]
		img.Payload = bytes.Clone(img.Payload)
		img.Payload[free.Offset+r.IntN(free.Length)] ^= 1
	}
	if err := img.Rehash(); err != nil {
		return nil, err
	}
	return img, nil
}

// forge adds a mutant that is made of a carrier.
func (m *maker) forge(kind mutant.Kind, name, why string, alter func(*mcuboot.Image) error) {
	m.set.Add(kind, name, mutant.Refuse, why, func() (mutant.Made, error) {
		img, err := m.carrier()
		if err != nil {
			return mutant.Made{}, err
		}
		if err := alter(img); err != nil {
			return mutant.Made{}, err
		}
		b, err := img.Marshal()
		if err != nil {
			return mutant.Made{}, err
		}
		return m.made(b)
	})
}

// edit adds a mutant that is made of the parent's bytes.
func (m *maker) edit(kind mutant.Kind, name string, expect mutant.Expect, why string, alter func() ([]byte, error)) {
	m.set.Add(kind, name, expect, why, func() (mutant.Made, error) {
		b, err := alter()
		if err != nil {
			return mutant.Made{}, err
		}
		made, err := m.made(b)
		if expect == mutant.Harmless {
			// What a device could show is the parent's: all that was signed is there.
			if !bytes.HasPrefix(b, m.parent[:m.tlvs()]) {
				return made, errors.New("signed bytes of what is to be harmless were changed")
			}
			made.Lacks, made.Shows = "", m.set.Shows
		}
		return made, err
	})
}

// tlvs is where the area of TLVs begins that are not protected.
func (m *maker) tlvs() int {
	for _, r := range m.regions {
		if r.Name == "tlvs.magic" {
			return r.Offset
		}
	}
	return len(m.parent)
}

// made judges a mutant, and takes it and its parent to parts.
func (m *maker) made(b []byte) (mutant.Made, error) {
	made := mutant.Made{Bytes: b, Parts: m.parts(b), Shows: shows(b)}
	_, unsigned := mcuboot.Unsigned(b)
	_, verified := mcuboot.Verifier{Keys: m.o.Keys}.Verify(b)
	made.Judged(unsigned, verified, mcuboot.ErrMalformed, len(m.o.Keys) > 0)
	return made, nil
}

// parts names the changes after the regions of the parent.
func (m *maker) parts(b []byte) []mutant.Part {
	var parts []mutant.Part
	switch {
	case len(b) == len(m.parent):
		for _, r := range m.regions {
			parts = append(parts, mutant.Part{What: r.Name, Old: m.parent[r.Offset:r.End()], New: b[r.Offset:r.End()]})
		}
	case bytes.HasPrefix(m.parent, b):
		parts = []mutant.Part{{What: "before the cut", Old: b, New: b}, {What: "all from here on", Old: m.parent[len(b):]}}
	case bytes.HasPrefix(b, m.parent):
		parts = []mutant.Part{{What: "image", Old: m.parent, New: m.parent}, {What: "after the end", New: b[len(m.parent):]}}
	default:
		return m.areas(b)
	}
	return parts
}

// areas names the changes of an image whose areas of TLVs have another size.
func (m *maker) areas(b []byte) []mutant.Part {
	names := []string{"header", "payload", "protected", "tlvs", "tail"}
	starts := func(b []byte) []int {
		regions, err := mcuboot.Regions(b)
		if err != nil {
			return nil
		}
		at := make([]int, len(names)+1)
		for i := range at {
			at[i] = len(b)
		}
		for i, name := range names {
			for _, r := range regions {
				if strings.HasPrefix(r.Name, name) {
					at[i] = r.Offset
					break
				}
			}
		}
		for i := len(names) - 1; i >= 0; i-- {
			at[i] = min(at[i], at[i+1])
		}
		return at
	}
	old, now := starts(m.parent), starts(b)
	if now == nil || old == nil {
		return []mutant.Part{{What: "image", Old: m.parent, New: b}}
	}
	var parts []mutant.Part
	for i, name := range names {
		parts = append(parts, mutant.Part{What: name, Old: m.parent[old[i]:old[i+1]], New: b[now[i]:now[i+1]]})
	}
	return parts
}

// shows reads out of an image what a device shows that runs it. What the bytes do not
// hold is empty.
func shows(b []byte) mutant.Shows {
	img, err := mcuboot.Parse(b)
	if err != nil {
		return mutant.Shows{}
	}
	s := mutant.Shows{Version: img.Version.String(), Payload: mutant.Digest(img.Payload)}
	if n, ok := img.SecurityCounter(); ok {
		s.Counter = fmt.Sprint(n)
	}
	if t, ok := img.Find(mcuboot.SHA256, mcuboot.SHA384, mcuboot.SHA512); ok {
		s.Hash = hex.EncodeToString(t.Value)
	}
	return s
}

// signWith signs an image with a key that is not the maker's.
func (m *maker) signWith(img *mcuboot.Image, key crypto.Signer, whole bool) error {
	o := mcuboot.SignOptions{Hash: m.hash, Pure: m.pure, WholeKey: whole}
	if s, _ := stranger.SchemeOf(key.Public()); s != stranger.ED25519 {
		o.Hash, o.Pure = mcuboot.SHA256, false
	}
	return img.Sign(key, o)
}

// keepKey puts what names the maker's key in the place of what names the signer's.
func (m *maker) keepKey(img *mcuboot.Image) {
	if m.key < 0 {
		return
	}
	for i, t := range img.TLVs {
		if t.Type == mcuboot.KeyHash || t.Type == mcuboot.PublicKeyTLV {
			img.TLVs[i] = m.img.TLVs[m.key]
		}
	}
}

// fits says whether so many bytes more fit among the TLVs.
func (m *maker) fits(more int) bool { return m.end()-m.tlvs()+more <= math.MaxUint16 }
