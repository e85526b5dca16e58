package ofswu

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/stranger"
	"rigor/harness/firmware/swu"
)

// unsigned takes the signature away.
func (m *maker) unsigned() {
	m.forge(mutant.Unsigned, "unsigned", "description, hashes and sums are right, and there is no signature: it decides whether more than hashes is checked", func(a *swu.Archive) error {
		a.Members = append(a.Members[:1:1], a.Members[2:]...)
		return nil
	})
	m.edit(mutant.Unsigned, "unsigned-as-it-is", mutant.Refuse, "the parent itself without its signature: where it is taken, nobody asks for one", func() ([]byte, error) {
		a := m.pkg.Clone()
		a.Members = append(a.Members[:1:1], a.Members[2:]...)
		return a.Marshal()
	})
}

// shapes makes the signature of a carrier something that is none.
func (m *maker) shapes() {
	stale := m.pkg.Members[1].Data
	shape := func(name, why string, value func(desc []byte) ([]byte, error)) {
		m.forge(mutant.SignatureShape, "signature-"+name, why, func(a *swu.Archive) error {
			sig, err := value(a.Members[0].Data)
			m.put(a, 1, sig)
			return err
		})
	}
	fixed := func(b []byte) func([]byte) ([]byte, error) {
		return func([]byte) ([]byte, error) { return b, nil }
	}
	shape("stale", "hashes and sums are right, and the signature is that of the parent", fixed(stale))
	shape("empty", "a signature of no bytes", fixed([]byte{}))
	shape("zeroed", "all bytes of the signature are 00", fixed(make([]byte, len(stale))))
	shape("ones", "all bytes of the signature are ff", fixed(bytes.Repeat([]byte{0xff}, len(stale))))
	shape("short", "the parent's signature without its last byte", fixed(stale[:len(stale)-1]))
	shape("long", "the parent's signature with a byte more", fixed(append(bytes.Clone(stale), 0)))
	shape("attached", "the parent's signature together with the description that it is of", func([]byte) ([]byte, error) {
		return attached(stale, m.pkg.Members[0].Data)
	})
	shape("raw-rsa", "a stranger's plain RSA signature, as swupdate takes it where it is built for that", func(desc []byte) ([]byte, error) {
		key, err := stranger.Key(stranger.RSA2048)
		if err != nil {
			return nil, err
		}
		h := sha256.Sum256(desc)
		return key.Sign(nil, h[:], crypto.SHA256)
	})
	shape("by-ecdsa-p256", "signed in another scheme by a stranger", func(desc []byte) ([]byte, error) {
		return m.signed(desc, stranger.ECDSAP256, nil)
	})
	if m.signer == nil {
		m.set.Cannot(mutant.SignatureShape, "signature-no-signers", "the maker's certificate, and nobody signed", noCert)
	} else {
		shape("no-signers", "a CMS with the maker's certificate that nobody signed", func([]byte) ([]byte, error) {
			return swu.SignedByNobody(m.signer)
		})
	}
	for _, i := range m.images {
		name := m.pkg.Members[i].Name
		m.forge(mutant.SignatureShape, "signature-stale-image-"+name, "one bit of an image, its hash in the description made right, and the signature is that of the parent", func(a *swu.Archive) error {
			return m.image(a, i, true)
		})
		m.forge(mutant.SignatureShape, "signature-stale-no-hash-"+name, "one bit of an image, and its hash taken out of the description", func(a *swu.Archive) error {
			return m.image(a, i, false)
		})
	}
}

const noCert = "the maker's certificate is not known"

// image flips a bit of an image of a carrier; its hash follows, or goes.
func (m *maker) image(a *swu.Archive, i int, follows bool) error {
	if len(a.Members[i].Data) == 0 {
		return errors.New("the image is empty")
	}
	data := bytes.Clone(a.Members[i].Data)
	r := m.set.Rand("image " + a.Members[i].Name)
	data[r.IntN(len(data))] ^= 1 << r.IntN(8)
	m.put(a, i, data)
	desc := a.Members[0].Data
	for {
		d, err := swu.ParseDescription(desc)
		if err != nil {
			return err
		}
		changed := false
		for _, e := range d.Entries {
			if e.File.Value != a.Members[i].Name || e.SHA256.Length == 0 || e.SHA256.Value == mutant.Digest(data) {
				continue
			}
			if follows {
				desc = replaced(desc, e.SHA256, mutant.Digest(data))
			} else {
				desc = replaced(desc, e.Whole, "")
			}
			changed = true
			break
		}
		if !changed {
			m.put(a, 0, desc)
			return nil
		}
	}
}

// data is the type of what is signed: bytes (RFC 5652, section 4).
var data = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}

// attached puts what a CMS signature is of into it.
func attached(sig, content []byte) ([]byte, error) {
	const doing = "put a description into its signature"
	var outer struct {
		Type asn1.ObjectIdentifier
		Data asn1.RawValue // [0], with the sequence in it
	}
	if _, err := asn1.Unmarshal(sig, &outer); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	var parts []asn1.RawValue
	if _, err := asn1.Unmarshal(outer.Data.Bytes, &parts); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if len(parts) < 4 {
		return nil, fmt.Errorf("%s: %d parts of what is signed", doing, len(parts))
	}
	inner, err := asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content []byte `asn1:"explicit,tag:0"`
	}{data, content})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	parts[2] = asn1.RawValue{FullBytes: inner}
	var all []byte
	for _, p := range parts {
		all = append(all, p.FullBytes...)
	}
	sequence, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSequence, IsCompound: true, Bytes: all})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	outer.Data = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: sequence}
	return asn1.Marshal(outer)
}

// signed signs with a stranger's key; like is the certificate that is imitated.
func (m *maker) signed(desc []byte, s stranger.Scheme, like *x509.Certificate) ([]byte, error) {
	key, err := stranger.Key(s)
	if err != nil {
		return nil, err
	}
	cert, err := certify(key, like)
	if err != nil {
		return nil, err
	}
	return swu.Sign(desc, cert, key)
}

// certify makes a certificate for a key by itself, as like another one as can be.
func certify(key crypto.Signer, like *x509.Certificate) (*x509.Certificate, error) {
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rigor stranger"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(0, 0).AddDate(130, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageCodeSigning}, BasicConstraintsValid: true, IsCA: true,
	}
	if like != nil {
		tmpl.SerialNumber, tmpl.RawSubject, tmpl.SubjectKeyId, tmpl.NotBefore, tmpl.NotAfter = like.SerialNumber, like.RawSubject, like.SubjectKeyId, like.NotBefore, like.NotAfter
	}
	der, err := x509.CreateCertificate(nil, tmpl, tmpl, key.Public(), steady{key})
	if err != nil {
		return nil, fmt.Errorf("certify a stranger's key: %w", err)
	}
	return x509.ParseCertificate(der)
}

// steady is a key that signs the same alike each time: RSA does, and ECDSA without
// randomness.
type steady struct{ crypto.Signer }

func (s steady) Sign(_ io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return s.Signer.Sign(nil, digest, o)
}

// strangers sign with a key that nobody trusts.
func (m *maker) strangers() {
	sign := func(name, why string, like *x509.Certificate) {
		m.forge(mutant.WrongKey, name, why, func(a *swu.Archive) error {
			sig, err := m.signed(a.Members[0].Data, stranger.RSA2048, like)
			m.put(a, 1, sig)
			return err
		})
	}
	sign("wrong-key-embedded", "well signed by a stranger, whose certificate stands in the signature", nil)
	if m.signer == nil {
		m.set.Cannot(mutant.WrongKey, "wrong-key-spoofed", "well signed by a stranger, whose certificate says that he is the maker", noCert)
		m.set.Cannot(mutant.WrongKey, "wrong-key-beside", "well signed by a stranger, with the maker's certificate beside his", noCert)
		return
	}
	sign("wrong-key-spoofed", "well signed by a stranger, whose certificate says that he is the maker: name, number and key's identifier", m.signer)
	m.forge(mutant.WrongKey, "wrong-key-beside", "well signed by a stranger, with the maker's certificate beside his", func(a *swu.Archive) error {
		key, err := stranger.Key(stranger.RSA2048)
		if err != nil {
			return err
		}
		cert, err := certify(key, nil)
		if err != nil {
			return err
		}
		sig, err := swu.Sign(a.Members[0].Data, cert, key, m.signer)
		m.put(a, 1, sig)
		return err
	})
}

// published sign with keys that everybody has.
func (m *maker) published() {
	const why = "well signed with a key that is published for development"
	if len(m.o.DevKeys) == 0 {
		m.set.Cannot(mutant.DevKey, "dev-key", why, "no key is known to be published for this format: give those of the system that the device is made with")
	}
	for _, k := range m.o.DevKeys {
		if m.signer != nil && bytes.Equal(m.signer.RawSubjectPublicKeyInfo, k.Cert.RawSubjectPublicKeyInfo) {
			m.set.Cannot(mutant.DevKey, "dev-key-"+k.Name, why, PublishedIsMakers)
			continue
		}
		m.forge(mutant.DevKey, "dev-key-"+k.Name, why, func(a *swu.Archive) error {
			sig, err := swu.Sign(a.Members[0].Data, k.Cert, k.Key)
			m.put(a, 1, sig)
			return err
		})
	}
}

// PublishedIsMakers is the reason why a mutant of kind DevKey is not made, where the
// parent itself is signed with the published key. That is a finding in itself.
const PublishedIsMakers = "the maker's own package is signed with this published key"

// versions lies in the description.
func (m *maker) versions() {
	lie := func(name, why string, t swu.Text, with string) {
		m.edit(mutant.VersionForge, name, mutant.Refuse, why, func() ([]byte, error) {
			a := m.pkg.Clone()
			m.put(a, 0, replaced(a.Members[0].Data, t, with))
			return a.Marshal()
		})
	}
	lie("version-raised", "another version in the description, and nothing else", m.desc.Version, m.version)
	if len(m.desc.Hardware) == 0 {
		m.set.Cannot(mutant.VersionForge, "hardware-forged", "another revision of hardware in the description", "the parent names none")
		return
	}
	lie("hardware-forged", "another revision of hardware in the description", m.desc.Hardware[0], "rigor-none")
}
