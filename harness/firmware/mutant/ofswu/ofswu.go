// Package ofswu makes mutants of update packages of SWUpdate.
//
// As with MCUboot's images, what lacks only authenticity is made of a carrier: the
// parent with a version that no genuine package has in its description, and with its
// sums right. What leaves description, signature and the images that it names as they
// are is [mutant.Harmless]: swupdate passes over members that it does not know and over
// bytes behind the archive.
package ofswu

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/swu"
)

// Options say what is known of the device and its packages.
type Options struct {
	Seed uint64
	// Certs are what the device trusts. Without one no refusal is proven: see
	// [mutant.Proof].
	Certs   []*x509.Certificate
	Purpose x509.ExtKeyUsage // as in [swu.Verifier]
	// Version of what is forged; it is to be newer than all genuine ones. Empty: the
	// parent's with its last number raised by one.
	Version string
	// Policy is what the device asks of a genuine package. None: that it is not older
	// than the parent, and for the same hardware where the parent names but one.
	Policy *swu.Policy
	// Older are genuine packages of the same product, older than the parent.
	Older [][]byte
	// OtherProduct are genuine packages of something else.
	OtherProduct [][]byte
	// DevKeys are published for development, by the system that the device is made with.
	DevKeys []Signer
}

// Signer is a key with its certificate.
type Signer struct {
	Name string
	Cert *x509.Certificate
	Key  crypto.Signer
}

// maker makes the mutants of one package.
type maker struct {
	o       Options
	set     *mutant.Set
	parent  []byte
	pkg     *swu.Archive
	desc    *swu.Description
	regions []swu.Region
	version string
	images  []int // places of the members that the description names
	sums    bool
	signer  *x509.Certificate // the maker's; nil where it is not known
}

// Plan says which mutants there are of a genuine package. It is an error where the
// parent is no package, is not signed, or is refused by the certificates that are given:
// nothing could be concluded from a device that refuses a mutant of it.
func Plan(parent []byte, o Options) (*mutant.Set, error) {
	const doing = "plan mutants of an update package"
	found, err := swu.Unsigned(parent)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	m := &maker{o: o, parent: parent, pkg: found.Archive, desc: found.Description, version: o.Version, sums: found.Archive.Members[0].Sums}
	if len(m.pkg.Members) < 2 || m.pkg.Members[1].Name != swu.SignatureName {
		return nil, fmt.Errorf("%s: the parent has no signature", doing)
	}
	if len(o.Certs) > 0 {
		verified, err := m.verifier().Verify(parent)
		if err != nil {
			return nil, fmt.Errorf("%s: the maker's certificates do not verify it: %w", doing, err)
		}
		m.signer = verified.Signer
	}
	if m.regions, err = swu.Regions(parent); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if m.version == "" {
		if m.version, err = next(m.desc.Version.Value); err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
	}
	if m.desc.Version.Length == 0 {
		return nil, fmt.Errorf("%s: the description has no version", doing)
	}
	for i, member := range m.pkg.Members {
		if i > 1 && slices.ContainsFunc(m.desc.Entries, func(e swu.Entry) bool { return e.File.Value == member.Name }) {
			m.images = append(m.images, i)
		}
	}
	m.set = mutant.NewSet(parent, o.Seed, shows(parent))
	m.flips()
	m.unsigned()
	m.shapes()
	m.strangers()
	m.published()
	m.versions()
	m.members()
	m.appended()
	m.truncated()
	m.sizes()
	m.order()
	m.mixed()
	m.genuine()
	return m.set, nil
}

// next raises the last number of a version by one.
func next(version string) (string, error) {
	at := len(version)
	for at > 0 && version[at-1] >= '0' && version[at-1] <= '9' {
		at--
	}
	n, err := strconv.ParseUint(version[at:], 10, 15)
	if err != nil {
		return "", fmt.Errorf("no version is known to be after %q: say which forged packages are to have", version)
	}
	return version[:at] + strconv.FormatUint(n+1, 10), nil
}

func (m *maker) verifier() swu.Verifier {
	return swu.Verifier{Certs: m.o.Certs, Purpose: m.o.Purpose}
}

// replaced puts other text in the place of one in a description.
func replaced(desc []byte, t swu.Text, with string) []byte {
	return slices.Concat(desc[:t.Offset], []byte(with), desc[t.Offset+t.Length:])
}

// carrier gives the parent as something that nobody signed, with its sums right.
func (m *maker) carrier() *swu.Archive {
	a := m.pkg.Clone()
	m.put(a, 0, replaced(a.Members[0].Data, m.desc.Version, m.version))
	return a
}

// put gives a member other data, and makes its sum right.
func (m *maker) put(a *swu.Archive, i int, data []byte) {
	a.Members[i].Data = data
	a.Members[i].Resum()
}

// forge adds a mutant that is made of a carrier.
func (m *maker) forge(kind mutant.Kind, name, why string, alter func(*swu.Archive) error) {
	m.edit(kind, name, mutant.Refuse, why, func() ([]byte, error) {
		a := m.carrier()
		if err := alter(a); err != nil {
			return nil, err
		}
		return a.Marshal()
	})
}

// edit adds a mutant that is made of bytes.
func (m *maker) edit(kind mutant.Kind, name string, expect mutant.Expect, why string, alter func() ([]byte, error)) {
	m.set.Add(kind, name, expect, why, func() (mutant.Made, error) {
		b, err := alter()
		if err != nil {
			return mutant.Made{}, err
		}
		made := m.made(b)
		if expect == mutant.Harmless {
			if err := m.holdsAll(b); err != nil {
				return made, err
			}
			made.Lacks, made.Shows = "", m.set.Shows
		}
		return made, nil
	})
}

// holdsAll says whether all that the maker signed, and the signature, are among bytes.
func (m *maker) holdsAll(b []byte) error {
	for _, i := range append([]int{0, 1}, m.images...) {
		if !bytes.Contains(b, m.pkg.Members[i].Data) {
			return fmt.Errorf("%q of what is to be harmless was changed", m.pkg.Members[i].Name)
		}
	}
	return nil
}

// made judges a mutant, and takes it and its parent to parts.
func (m *maker) made(b []byte) mutant.Made {
	made := mutant.Made{Bytes: b, Parts: m.parts(b), Shows: shows(b)}
	unsigned, verified := m.verifier().Both(b)
	made.Judged(unsigned, verified, swu.ErrMalformed, len(m.o.Certs) > 0)
	return made
}

// parts names the changes after the regions of parent and mutant.
func (m *maker) parts(b []byte) []mutant.Part {
	switch now, err := swu.Regions(b); {
	case len(b) == len(m.parent):
		var parts []mutant.Part
		for _, r := range m.regions {
			parts = append(parts, mutant.Part{What: r.Name, Old: m.parent[r.Offset:r.End()], New: b[r.Offset:r.End()]})
		}
		return parts
	case bytes.HasPrefix(m.parent, b):
		return []mutant.Part{{What: "before the cut", Old: b, New: b}, {What: "all from here on", Old: m.parent[len(b):]}}
	case bytes.HasPrefix(b, m.parent):
		return []mutant.Part{{What: "package", Old: m.parent, New: m.parent}, {What: "after the end", New: b[len(m.parent):]}}
	case err != nil:
		return []mutant.Part{{What: "package", Old: m.parent, New: b}}
	default:
		return pair(m.parent, b, m.regions, now)
	}
}

// pair puts regions of the same name together, in their order.
func pair(parent, b []byte, old, now []swu.Region) (parts []mutant.Part) {
	has := func(rs []swu.Region, name string) bool {
		return slices.ContainsFunc(rs, func(r swu.Region) bool { return r.Name == name })
	}
	for len(old) > 0 || len(now) > 0 {
		switch {
		case len(old) > 0 && len(now) > 0 && old[0].Name == now[0].Name:
			parts = append(parts, mutant.Part{What: old[0].Name, Old: parent[old[0].Offset:old[0].End()], New: b[now[0].Offset:now[0].End()]})
			old, now = old[1:], now[1:]
		case len(old) > 0 && (len(now) == 0 || !has(now, old[0].Name)):
			parts = append(parts, mutant.Part{What: old[0].Name, Old: parent[old[0].Offset:old[0].End()]})
			old = old[1:]
		default:
			parts = append(parts, mutant.Part{What: now[0].Name, New: b[now[0].Offset:now[0].End()]})
			now = now[1:]
		}
	}
	return parts
}

// Shows reads out of a package what a device shows that installed it.
func Shows(b []byte) mutant.Shows { return shows(b) }

// shows reads out of a package what a device shows that installed it: the version, the
// SHA-256 of the description, and that of all that is installed, in the order of the
// description.
func shows(b []byte) mutant.Shows {
	a, err := swu.Parse(b)
	if err != nil || len(a.Members) == 0 || a.Members[0].Name != swu.DescriptionName {
		return mutant.Shows{}
	}
	d, err := swu.ParseDescription(a.Members[0].Data)
	if err != nil {
		return mutant.Shows{}
	}
	all := sha256.New()
	seen := map[string]bool{}
	for _, e := range d.Entries {
		if i := a.Find(e.File.Value); i >= 0 && !seen[e.File.Value] {
			seen[e.File.Value] = true
			all.Write(a.Members[i].Data)
		}
	}
	return mutant.Shows{Version: d.Version.Value, Hash: mutant.Digest(a.Members[0].Data), Payload: hex.EncodeToString(all.Sum(nil))}
}

// start is where a member's header begins, and where its data do.
func (m *maker) start(i int) (header, data int) {
	n := -1
	for _, r := range m.regions {
		if strings.HasSuffix(r.Name, ".header") {
			if n++; n == i {
				return r.Offset, r.End()
			}
		}
	}
	return len(m.parent), len(m.parent)
}

// complete is where the last byte of what is signed ends.
func (m *maker) complete() (end int) {
	for _, i := range append([]int{0, 1}, m.images...) {
		_, data := m.start(i)
		end = max(end, data+len(m.pkg.Members[i].Data))
	}
	return end
}
