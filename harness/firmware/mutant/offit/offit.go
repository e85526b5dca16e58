// Package offit makes mutants of U-Boot's FIT images.
//
// What lacks only authenticity is made of a carrier: the parent with other descriptions
// of itself and of its configuration, which the signature of a configuration covers and
// no running system needs, and with one bit changed of what the caller says to be free.
package offit

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"rigor/harness/firmware/fit"
	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/stranger"
)

// Range is a stretch of bytes.
type Range struct{ Offset, Length int }

// Options say what is known of the device and its images.
type Options struct {
	Seed uint64
	// Keys are what the device requires. Without one no refusal is proven: see
	// [mutant.Proof].
	Keys []*rsa.PublicKey
	// Free are stretches of the data of the configuration's first image that can be
	// changed without it failing to run.
	Free []Range
}

// maker makes the mutants of one image.
type maker struct {
	o      Options
	set    *mutant.Set
	parent []byte
	img    *fit.Image
	config fit.Config
	images []fit.Component // of the configuration, in its order
	signed []fit.Signature // of the configuration, and of its images
	each   bool            // images have signatures of their own
}

// Plan says which mutants there are of a genuine image. It is an error where the parent
// is no image that could be started, or is refused by the keys that are given: nothing
// could be concluded from a device that refuses a mutant of it.
func Plan(parent []byte, o Options) (*mutant.Set, error) {
	const doing = "plan mutants of a FIT image"
	img, err := fit.Unsigned(parent)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	m := &maker{o: o, parent: parent, img: img}
	m.config, _ = img.Config()
	m.signed = slices.Clone(m.config.Signatures)
	for _, name := range m.config.Images {
		c, _ := img.Component(name)
		m.images, m.each = append(m.images, c), m.each || len(c.Signatures) > 0
		m.signed = append(m.signed, c.Signatures...)
	}
	if len(o.Keys) > 0 {
		if _, err := m.verifier().Verify(parent); err != nil {
			return nil, fmt.Errorf("%s: the maker's keys do not verify it: %w", doing, err)
		}
	}
	for _, r := range o.Free {
		if size := m.images[0].Data.Length; r.Offset < 0 || r.Length <= 0 || r.Offset > size-r.Length {
			return nil, fmt.Errorf("%s: %d bytes at %d are no range of the %d bytes of %q", doing, r.Length, r.Offset, size, m.images[0].Name)
		}
	}
	m.set = mutant.NewSet(parent, o.Seed, Shows(parent))
	m.unsigned()
	m.stale()
	m.stranger()
	m.flip()
	return m.set, nil
}

func (m *maker) verifier() fit.Verifier { return fit.Verifier{Keys: m.o.Keys} }

// Shows reads out of an image what a device shows that runs it: the SHA-256 of the image
// without what follows it, and that of the data of all images of the configuration, in
// its order. The format has no version.
func Shows(b []byte) mutant.Shows {
	img, err := fit.Parse(b)
	if err != nil {
		return mutant.Shows{}
	}
	s := mutant.Shows{Hash: mutant.Digest(b[:img.Len])}
	config, ok := img.Config()
	if !ok {
		return s
	}
	all := sha256.New()
	for _, name := range config.Images {
		if c, ok := img.Component(name); ok {
			all.Write(img.Bytes(c))
		}
	}
	s.Payload = hex.EncodeToString(all.Sum(nil))
	return s
}

const (
	noSignature = "it holds no signature that could be taken away"
	nothingElse = "it has neither descriptions nor a time, and nothing of its data is said to be free"
	onlyData    = "a device may go by the signatures of images, which cover their data alone, and nothing of them is said to be free"
)

// unsigned takes all signatures away.
func (m *maker) unsigned() {
	const name = "fit-unsigned"
	all := m.img.Signatures()
	why := fmt.Sprintf("%s, and no signature is left of %d", m.differs(), len(all))
	switch {
	case len(all) == 0:
		m.set.Cannot(mutant.Unsigned, name, why, noSignature)
		return
	case len(m.described()) == 0 && len(m.o.Free) == 0:
		m.set.Cannot(mutant.Unsigned, name, why, nothingElse)
		return
	}
	m.add(mutant.Unsigned, name, why, func() ([]byte, error) {
		img, err := m.carrier()
		if err != nil {
			return nil, err
		}
		var edits []fit.Edit
		for _, s := range all {
			edits = append(edits, fit.Edit{Node: s.Path})
		}
		return img.Rewrite(edits...)
	})
}

// stale leaves the signatures as they are.
func (m *maker) stale() {
	const name = "fit-stale-signature"
	why := m.differs() + ", and the signatures are those of the parent"
	if reason := m.unsignable(); reason != "" {
		m.set.Cannot(mutant.Unsigned, name, why, reason)
		return
	}
	m.add(mutant.Unsigned, name, why, func() ([]byte, error) {
		img, err := m.carrier()
		if err != nil {
			return nil, err
		}
		return img.Rewrite()
	})
}

// unsignable says why there is no carrier that differs in what was signed; empty where
// there is one.
func (m *maker) unsignable() string {
	switch {
	case len(m.signed) == 0:
		return noSignature
	case m.each && len(m.o.Free) == 0:
		return onlyData
	case len(m.described()) == 0 && len(m.o.Free) == 0:
		return nothingElse
	}
	return ""
}

// stranger signs anew with a key that nobody trusts.
func (m *maker) stranger() {
	const name = "fit-wrong-key"
	why := m.differs() + ", and well signed by a stranger, who has the name of the maker's key"
	reason := ""
	switch {
	case len(m.signed) == 0:
		reason = noSignature
	case len(m.described()) == 0 && len(m.o.Free) == 0:
		reason = nothingElse
	default:
		for _, s := range m.signed {
			if _, err := m.img.Covered(s); err != nil {
				reason = err.Error()
			}
			if !strings.Contains(s.Algo, ",rsa") || s.Padding != "" && s.Padding != "pkcs-1.5" {
				reason = fmt.Sprintf("%s is of %q, padding %q, which cannot be made here", s.Path, s.Algo, s.Padding)
			}
		}
	}
	if reason != "" {
		m.set.Cannot(mutant.WrongKey, name, why, reason)
		return
	}
	m.add(mutant.WrongKey, name, why, func() ([]byte, error) {
		img, err := m.carrier()
		if err != nil {
			return nil, err
		}
		var edits []fit.Edit
		for _, s := range m.signed {
			key, algo, err := like(s)
			if err != nil {
				return nil, err
			}
			s.Algo = algo
			value, err := img.Sign(s, key)
			if err != nil {
				return nil, err
			}
			edits = append(edits, fit.Edit{Node: s.Path, Prop: "value", Value: value}, fit.Edit{Node: s.Path, Prop: "algo", Value: append([]byte(algo), 0)})
		}
		return img.Rewrite(edits...)
	})
}

// like gives a stranger's key of the size of a signature's, or of 2048 bits where there
// is none, and what the signature then calls itself.
func like(s fit.Signature) (*rsa.PrivateKey, string, error) {
	sum, size, _ := strings.Cut(s.Algo, ",rsa")
	scheme := stranger.Scheme("rsa-" + size)
	if scheme != stranger.RSA3072 {
		scheme, size = stranger.RSA2048, "2048"
	}
	signer, err := stranger.Key(scheme)
	if err != nil {
		return nil, "", err
	}
	key, ok := signer.(*rsa.PrivateKey)
	if !ok {
		return nil, "", fmt.Errorf("a stranger's key of %s is a %T", scheme, signer)
	}
	return key, sum + ",rsa" + size, nil
}

// flip changes one bit of the data of an image.
func (m *maker) flip() {
	const name, why = "fit-payload-bit", "one bit of the data of an image, and the hashes are those of the parent"
	images := slices.DeleteFunc(slices.Clone(m.images), func(c fit.Component) bool { return c.Data.Length == 0 })
	if len(images) == 0 {
		m.set.Cannot(mutant.BitFlip, name, why, "its images are empty")
		return
	}
	m.add(mutant.BitFlip, name, why, func() ([]byte, error) {
		r := m.set.Rand(name)
		c := images[r.IntN(len(images))]
		at := c.Data.Offset + r.IntN(c.Data.Length)
		if len(m.o.Free) > 0 {
			at = m.free(name)
		}
		b := bytes.Clone(m.parent[:m.img.Len])
		b[at] ^= 1 << r.IntN(8)
		return b, nil
	})
}

// free chooses a byte that is free, by its offset in the parent.
func (m *maker) free(name string) int {
	r := m.set.Rand("free " + name)
	free := m.o.Free[r.IntN(len(m.o.Free))]
	return m.images[0].Data.Offset + free.Offset + r.IntN(free.Length)
}

// described gives the changes that no running system feels: other descriptions of image
// and configuration, as long as they were, or another time of the image.
func (m *maker) described() (edits []fit.Edit) {
	text := func(n *fit.Node, path, name string) bool {
		p, ok := n.Prop(name)
		if !ok || len(p.Value) < 2 || bytes.IndexByte(p.Value, 0) != len(p.Value)-1 {
			return false
		}
		edits = append(edits, fit.Edit{Node: path, Prop: name, Value: append(other(p.Value[:len(p.Value)-1]), 0)})
		return true
	}
	if !text(m.img.Root, "/", "description") {
		if p, ok := m.img.Root.Prop("timestamp"); ok && len(p.Value) == 4 {
			edits = append(edits, fit.Edit{Node: "/", Prop: "timestamp", Value: binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(p.Value)+1)})
		}
	}
	path := "/configurations"
	text(m.img.Root.Child(path[1:]).Child(m.config.Name), path+"/"+m.config.Name, "description")
	return edits
}

// other gives another text of the same length.
func other(text []byte) []byte {
	const words = "changed by Rigor "
	b := []byte(strings.Repeat(words, len(text)/len(words)+1)[:len(text)])
	if bytes.Equal(b, text) {
		b[0] ^= 1
	}
	return b
}

// differs says what a carrier differs in.
func (m *maker) differs() string {
	var what []string
	for _, e := range m.described() {
		what = append(what, fmt.Sprintf("%s of %s", e.Prop, e.Node))
	}
	if len(m.o.Free) > 0 {
		what = append(what, fmt.Sprintf("one bit of a free stretch of %q", m.images[0].Name))
	}
	return strings.Join(what, ", ") + " changed, all hashes right"
}

// carrier gives the parent as something that nobody signed, with its hashes right.
func (m *maker) carrier() (*fit.Image, error) {
	b := bytes.Clone(m.parent[:m.img.Len])
	edits := m.described()
	if len(m.o.Free) > 0 {
		b[m.free("carrier")] ^= 1
	}
	img, err := fit.Parse(b)
	if err != nil {
		return nil, err
	}
	hashes, err := rehashed(m.img, img)
	if err != nil {
		return nil, err
	}
	edits = append(edits, hashes...)
	if b, err = img.Rewrite(edits...); err != nil {
		return nil, err
	}
	return fit.Parse(b)
}

// add adds a mutant that is made of bytes, without what follows the parent's image.
func (m *maker) add(kind mutant.Kind, name, why string, alter func() ([]byte, error)) {
	m.set.Add(kind, name, mutant.Refuse, why, func() (mutant.Made, error) {
		b, err := alter()
		if err == nil {
			b, err = m.placed(b)
		}
		if err != nil {
			return mutant.Made{}, err
		}
		made := mutant.Made{Bytes: b, Shows: Shows(b)}
		if made.Parts, err = m.parts(b); err != nil {
			return mutant.Made{}, err
		}
		unsigned, verified := m.verifier().Both(b)
		made.Judged(unsigned, verified, fit.ErrMalformed, len(m.o.Keys) > 0)
		return made, nil
	})
}

// placed puts behind a mutant what follows the parent's image, where it stood: in a slot
// something else may be there.
func (m *maker) placed(b []byte) ([]byte, error) {
	if m.img.Len == len(m.parent) {
		return b, nil
	}
	if len(b) > m.img.Len {
		return nil, fmt.Errorf("it would have %d bytes, and after %d of the parent something else follows", len(b), m.img.Len)
	}
	return slices.Concat(b, make([]byte, m.img.Len-len(b)), m.parent[m.img.Len:]), nil
}

// parts puts regions of the same name of parent and mutant together, in their order.
func (m *maker) parts(b []byte) (parts []mutant.Part, err error) {
	img, err := fit.Parse(b)
	if err != nil {
		return nil, err
	}
	old, now := m.img.Regions(), img.Regions()
	has := func(rs []fit.Region) map[string]bool {
		names := map[string]bool{}
		for _, r := range rs {
			names[r.Name] = true
		}
		return names
	}
	inOld, inNow := has(old), has(now)
	for len(old) > 0 || len(now) > 0 {
		var p mutant.Part
		takeOld := len(old) > 0 && (len(now) == 0 || !inNow[old[0].Name] || inOld[now[0].Name])
		takeNow := len(now) > 0 && (!takeOld || old[0].Name == now[0].Name)
		if takeOld {
			p.What, p.Old, old = old[0].Name, m.parent[old[0].Offset:old[0].End()], old[1:]
		}
		if takeNow {
			p.What, p.New, now = now[0].Name, b[now[0].Offset:now[0].End()], now[1:]
		}
		parts = append(parts, p)
	}
	return append(parts, mutant.Part{What: "behind the image", Old: m.parent[m.img.Len:], New: b[img.Len:]}), nil
}
