package ofswu

import (
	"bytes"
	"errors"
	"fmt"

	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/swu"
)

// policy is what a device asks of a genuine package.
func (m *maker) policy() swu.Policy {
	if m.o.Policy != nil {
		return *m.o.Policy
	}
	p := swu.Policy{Version: m.desc.Version.Value}
	if len(m.desc.Hardware) == 1 {
		p.Hardware = m.desc.Hardware[0].Value
	}
	return p
}

// isGenuine says whether another package is of the maker's, and is not the parent.
func (m *maker) isGenuine(b []byte) (*swu.Verified, error) {
	found, err := swu.Unsigned(b)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(b, m.parent) {
		return nil, errors.New("it would be its parent")
	}
	if len(found.Archive.Members) < 2 || found.Archive.Members[1].Name != swu.SignatureName {
		return nil, errors.New("it has no signature")
	}
	if len(m.o.Certs) == 0 {
		return found, nil
	}
	if _, err := m.verifier().Verify(b); err != nil {
		return nil, fmt.Errorf("the maker's certificates do not verify it: %w", err)
	}
	return found, nil
}

// whole adds a mutant that is another package, as it is or nearly.
func (m *maker) whole(kind mutant.Kind, lacks mutant.Property, name, why string, b func() ([]byte, error), policy func(*swu.Description) error) {
	m.set.Add(kind, name, mutant.Refuse, why, func() (mutant.Made, error) {
		data, err := b()
		if err != nil {
			return mutant.Made{}, err
		}
		made := m.made(data)
		made.Lacks, made.Parts = lacks, []mutant.Part{{What: "another genuine package", Old: m.parent, New: data}}
		if policy != nil {
			found, err := swu.Unsigned(data)
			if err != nil {
				return made, err
			}
			j := mutant.Judge(policy(found.Description))
			made.Proof.Policy = &j
		}
		return made, nil
	})
}

// genuine adds what is signed and is not for this device, or no longer.
func (m *maker) genuine() {
	const downgrade = "genuine and older"
	if len(m.o.Older) == 0 {
		m.set.Cannot(mutant.Downgrade, "older", downgrade, "no older package was given")
	}
	for i, b := range m.o.Older {
		name := numbered("older", i, len(m.o.Older))
		found, err := m.isGenuine(b)
		if err == nil {
			if old := m.policy().Check(found.Description); old == nil {
				err = fmt.Errorf("it is %s, and by what the device goes by it is not older", found.Description.Version.Value)
			} else if !errors.Is(old, swu.ErrTooOld) {
				err = fmt.Errorf("a device would refuse it for something else: %w", old)
			}
		}
		if err != nil {
			m.set.Cannot(mutant.Downgrade, name, downgrade, err.Error())
			continue
		}
		m.whole(mutant.Downgrade, mutant.Freshness, name, fmt.Sprintf("%s: %s, and the parent is %s", downgrade, found.Description.Version.Value, m.desc.Version.Value),
			func() ([]byte, error) { return bytes.Clone(b), nil }, m.policy().Check)
		m.whole(mutant.VersionForge, mutant.Authenticity, name+"-version-raised", "genuine and older, with a newer version in the description", func() ([]byte, error) {
			a := found.Archive.Clone()
			m.put(a, 0, replaced(a.Members[0].Data, found.Description.Version, m.version))
			return a.Marshal()
		}, nil)
	}
	const other = "genuine, and of another product"
	if len(m.o.OtherProduct) == 0 {
		m.set.Cannot(mutant.OtherProduct, "other-product", other, "no package of another product was given")
	}
	for i, b := range m.o.OtherProduct {
		name := numbered("other-product", i, len(m.o.OtherProduct))
		found, err := swu.Unsigned(b)
		if err != nil {
			m.set.Cannot(mutant.OtherProduct, name, other, err.Error())
			continue
		}
		var policy func(*swu.Description) error
		if errors.Is(m.policy().Check(found.Description), swu.ErrOtherProduct) {
			policy = m.policy().Check
		}
		m.whole(mutant.OtherProduct, mutant.Product, name, other, func() ([]byte, error) { return bytes.Clone(b), nil }, policy)
		m.claimed(name, found)
	}
}

// claimed makes another product's package say that it is for this hardware.
func (m *maker) claimed(name string, found *swu.Verified) {
	name += "-hardware-forged"
	const why = "another product's package, with the parent's hardware in its description"
	if len(m.desc.Hardware) == 0 || len(found.Description.Hardware) == 0 {
		m.set.Cannot(mutant.VersionForge, name, why, "one of them names no hardware")
		return
	}
	if m.desc.Hardware[0].Value == found.Description.Hardware[0].Value {
		m.set.Cannot(mutant.VersionForge, name, why, "both name the same")
		return
	}
	forged := replaced(found.Archive.Members[0].Data, found.Description.Hardware[0], m.desc.Hardware[0].Value)
	if bytes.Equal(forged, m.pkg.Members[0].Data) { // its acceptance would not show: it is the parent under another signature
		m.set.Cannot(mutant.VersionForge, name, why, "that is the parent's own description")
		return
	}
	m.whole(mutant.VersionForge, mutant.Authenticity, name, why, func() ([]byte, error) {
		a := found.Archive.Clone()
		m.put(a, 0, forged)
		return a.Marshal()
	}, nil)
}

func numbered(name string, i, of int) string {
	if of == 1 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, i+1)
}

// mixed puts the members of two genuine packages together.
func (m *maker) mixed() {
	for _, with := range []struct {
		name   string
		others [][]byte
	}{{"older", m.o.Older}, {"other-product", m.o.OtherProduct}} {
		why := "the parent with a member of a genuine package: " + with.name
		var other *swu.Archive
		err := errors.New("no such package was given")
		if len(with.others) > 0 {
			other, err = swu.Parse(with.others[0])
		}
		for _, i := range append([]int{0, 1}, m.images...) {
			name := "mix-" + m.label(i) + "-of-" + with.name
			j := -1
			if err == nil {
				j = other.Find(m.pkg.Members[i].Name)
			}
			switch {
			case err != nil:
				m.set.Cannot(mutant.MixMatch, name, why, err.Error())
			case j < 0:
				m.set.Cannot(mutant.MixMatch, name, why, "it has no such member")
			case bytes.Equal(other.Members[j].Data, m.pkg.Members[i].Data):
				m.set.Cannot(mutant.MixMatch, name, why, "it is the same in both")
			default:
				m.edit(mutant.MixMatch, name, mutant.Refuse, why, func() ([]byte, error) {
					a := m.pkg.Clone()
					m.put(a, i, other.Members[j].Data)
					return a.Marshal()
				})
			}
		}
	}
}
