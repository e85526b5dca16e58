package ofmcuboot

import (
	"bytes"
	"errors"
	"fmt"

	"rigor/harness/firmware/mcuboot"
	"rigor/harness/firmware/mutant"
)

// policy is what a device asks of a genuine image.
func (m *maker) policy() mcuboot.Policy {
	if m.o.Policy != nil {
		return *m.o.Policy
	}
	v := m.img.Version
	return mcuboot.Policy{Version: &v}
}

// whole adds a mutant that is another image, as it is or nearly.
func (m *maker) whole(kind mutant.Kind, lacks mutant.Property, name, why string, b func() ([]byte, error), policy func(*mcuboot.Image) error) {
	m.set.Add(kind, name, mutant.Refuse, why, func() (mutant.Made, error) {
		data, err := b()
		if err != nil {
			return mutant.Made{}, err
		}
		made, err := m.made(data)
		if err != nil {
			return made, err
		}
		made.Lacks, made.Parts = lacks, []mutant.Part{{What: "another genuine image", Old: m.parent, New: data}}
		if policy != nil {
			img, err := mcuboot.Parse(data)
			if err != nil {
				return made, err
			}
			j := mutant.Judge(policy(img))
			made.Proof.Policy = &j
		}
		return made, nil
	})
}

// genuine adds what is signed and is not for this device, or no longer.
func (m *maker) genuine() {
	const downgrade, replay = "genuine and older", "genuine and older, with the parent's security counter where no signature covers it"
	if len(m.o.Older) == 0 {
		m.set.Cannot(mutant.Downgrade, "older", downgrade, "no older image was given")
	}
	for i, b := range m.o.Older {
		name := numbered("older", i, len(m.o.Older))
		img, err := m.isGenuine(b)
		if err == nil && m.policy().Check(img) == nil {
			err = fmt.Errorf("it is %s, and by what the device goes by it is not older", img.Version)
		}
		if err != nil {
			m.set.Cannot(mutant.Downgrade, name, downgrade, err.Error())
			continue
		}
		m.whole(mutant.Downgrade, mutant.Freshness, name, fmt.Sprintf("%s: %s, and the parent is %s", downgrade, img.Version, m.img.Version),
			func() ([]byte, error) { return bytes.Clone(b), nil }, m.policy().Check)
		m.olderForged(name, img)
		n, ok := m.img.SecurityCounter()
		if !ok {
			m.set.Cannot(mutant.Downgrade, name+"-counter-unprotected", replay, "the parent has no security counter")
			continue
		}
		m.whole(mutant.Downgrade, mutant.Freshness, name+"-counter-unprotected", replay, func() ([]byte, error) {
			c := img.Clone()
			c.TLVs = append(c.TLVs, mcuboot.CounterTLV(n))
			return c.Marshal()
		}, m.policy().Check)
	}
	const other = "genuine, and of another product"
	if len(m.o.OtherProduct) == 0 {
		m.set.Cannot(mutant.OtherProduct, "other-product", other, "no image of another product was given")
	}
	for i, b := range m.o.OtherProduct {
		name := numbered("other-product", i, len(m.o.OtherProduct))
		if _, err := mcuboot.Unsigned(b); err != nil {
			m.set.Cannot(mutant.OtherProduct, name, other, err.Error())
			continue
		}
		m.whole(mutant.OtherProduct, mutant.Product, name, other, func() ([]byte, error) { return bytes.Clone(b), nil }, nil)
	}
}

// olderForged lies about the version of an older image.
func (m *maker) olderForged(name string, img *mcuboot.Image) {
	for _, f := range []struct {
		name, why string
		rehash    bool
	}{{"-version-raised", "genuine and older, with a newer version in the header and nothing else changed", false}, {"-version-raised-hash-right", "genuine and older, with a newer version in the header and the hash made right", true}} {
		lacks := mutant.Integrity
		if f.rehash {
			lacks = mutant.Authenticity
		}
		m.whole(mutant.VersionForge, lacks, name+f.name, f.why, func() ([]byte, error) {
			c := img.Clone()
			c.Version = m.version
			if f.rehash {
				if err := c.Rehash(); err != nil {
					return nil, err
				}
			}
			return c.Marshal()
		}, nil)
	}
}

// isGenuine says whether another image is of the maker's, and is not the parent.
func (m *maker) isGenuine(b []byte) (*mcuboot.Image, error) {
	found, err := mcuboot.Unsigned(b)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(b, m.parent) {
		return nil, errSame
	}
	if len(m.o.Keys) == 0 {
		return found.Image, nil
	}
	if _, err := (mcuboot.Verifier{Keys: m.o.Keys}).Verify(b); err != nil {
		return nil, fmt.Errorf("the maker's keys do not verify it: %w", err)
	}
	return found.Image, nil
}

// numbered names one of several.
func numbered(name string, i, of int) string {
	if of == 1 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, i+1)
}

// sameCovered says whether hash and signature of another image are over the same.
func (m *maker) sameCovered(other *mcuboot.Image) bool {
	b, err := other.Covered()
	return err == nil && bytes.Equal(b, m.parent[:m.tlvs()])
}

// mixed puts the parts of two genuine images together.
func (m *maker) mixed() {
	mix := func(with, why string, others [][]byte, missing string) {
		if len(others) == 0 {
			for _, part := range []string{"payload", "header", "tlvs"} {
				m.set.Cannot(mutant.MixMatch, "mix-"+part+"-of-"+with, why, missing)
			}
			return
		}
		other, err := mcuboot.Parse(others[0])
		if err != nil {
			for _, part := range []string{"payload", "header", "tlvs"} {
				m.set.Cannot(mutant.MixMatch, "mix-"+part+"-of-"+with, why, err.Error())
			}
			return
		}
		for _, part := range []struct {
			name string
			same bool
			take func(img *mcuboot.Image)
		}{
			{"payload", bytes.Equal(other.Payload, m.img.Payload), func(img *mcuboot.Image) { img.Payload = other.Payload }},
			{"header", other.Version == m.img.Version && other.LoadAddr == m.img.LoadAddr && other.Flags == m.img.Flags, func(img *mcuboot.Image) {
				img.Version, img.LoadAddr, img.Flags = other.Version, other.LoadAddr, other.Flags
			}},
			{"tlvs", m.sameCovered(other), func(img *mcuboot.Image) { img.TLVs = other.TLVs }},
		} {
			name := "mix-" + part.name + "-of-" + with
			if part.same {
				m.set.Cannot(mutant.MixMatch, name, why, "it is the same in both")
				continue
			}
			m.edit(mutant.MixMatch, name, mutant.Refuse, why, func() ([]byte, error) {
				img := m.img.Clone()
				part.take(img)
				return img.Marshal()
			})
		}
	}
	mix("older", "the parent with a part of an older genuine image", m.o.Older, "no older image was given")
	mix("other-product", "the parent with a part of another product's genuine image", m.o.OtherProduct, "no image of another product was given")
	needs, err := m.img.Dependencies()
	const name, why = "mix-dependency-dropped", "what the image needs of others is taken out, and the hash made right"
	if err == nil && len(needs) == 0 {
		err = errors.New("the parent has no dependency")
	}
	if err != nil {
		m.set.Cannot(mutant.MixMatch, name, why, err.Error())
		return
	}
	m.forge(mutant.MixMatch, name, why, func(img *mcuboot.Image) error {
		var kept []mcuboot.TLV
		for _, t := range img.Protected {
			if t.Type != mcuboot.Dependency {
				kept = append(kept, t)
			}
		}
		img.Protected = kept
		return img.Rehash()
	})
}
