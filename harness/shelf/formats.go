package shelf

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math"

	"rigor/harness/firmware/blob"
	"rigor/harness/firmware/mcuboot"
	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/mutant/ofblob"
	"rigor/harness/firmware/mutant/ofmcuboot"
	"rigor/harness/firmware/mutant/ofswu"
	"rigor/harness/firmware/swu"
	"rigor/harness/profile"
)

// mcu are MCUboot's images.
type mcu struct {
	keys []mcuboot.Key
	dev  []crypto.Signer
	free []ofmcuboot.Range
}

func newMCUboot(decl *profile.Images, keys, dev []namedFile) (format, error) {
	m := &mcu{}
	var err, derr error
	m.keys, err = each(keys, mcuboot.ParseKey)
	m.dev, derr = each(dev, parsePrivate)
	for _, f := range decl.Free {
		m.free = append(m.free, ofmcuboot.Range{Offset: f.At, Length: f.Bytes})
	}
	return m, errors.Join(err, derr)
}

func (m *mcu) anchored() bool { return len(m.keys) > 0 }

func (m *mcu) read(b []byte, ours bool) (mutant.Shows, error) {
	found, err := mcuboot.Unsigned(b)
	if err != nil {
		return mutant.Shows{}, err
	}
	if ours && len(m.keys) > 0 {
		if _, err := (mcuboot.Verifier{Keys: m.keys}).Verify(b); err != nil {
			return mutant.Shows{}, fmt.Errorf("the maker's keys do not verify it: %w", err)
		}
	}
	img := found.Image
	s := mutant.Shows{Version: img.Version.String(), Payload: mutant.Digest(img.Payload), Hash: hex.EncodeToString(found.Hash)}
	if n, ok := img.SecurityCounter(); ok {
		s.Counter = fmt.Sprint(n)
	}
	return s, nil
}

func (m *mcu) plan(s *Shelf, parent, running *Image, seed uint64, hash bool) (*mutant.Set, error) {
	o := ofmcuboot.Options{Seed: seed, Keys: m.keys, Free: m.free, Older: s.older(running), OtherProduct: s.others(), DevKeys: m.dev}
	for _, img := range append(s.all(), parent) {
		v, err := mcuboot.ParseVersion(img.Shows.Version)
		if err == nil && v.Compare(o.Version) > 0 {
			o.Version = v
		}
	}
	o.Version.Revision++
	o.Version.Build = 0
	if v, err := mcuboot.ParseVersion(parent.Shows.Version); err == nil && hash && v.Build < math.MaxUint32 {
		o.Version = v
		o.Version.Build++
	}
	if running != nil {
		got, err := mcuboot.Parse(running.Bytes)
		if err != nil {
			return nil, err
		}
		o.Policy = &mcuboot.Policy{Version: &got.Version}
		if n, ok := got.SecurityCounter(); ok {
			o.Policy.Counter = &n
		}
	}
	return ofmcuboot.Plan(parent.Bytes, o)
}

// packages are SWUpdate's packages.
type packages struct {
	certs []*x509.Certificate
	dev   []ofswu.Signer
}

func newSWU(keys, dev []namedFile) (format, error) {
	p := &packages{}
	var err error
	p.certs, err = each(keys, func(text []byte) (*x509.Certificate, error) {
		b, _ := pem.Decode(text)
		if b == nil || b.Type != "CERTIFICATE" {
			return nil, errors.New("it is no certificate in PEM")
		}
		return x509.ParseCertificate(b.Bytes)
	})
	for _, f := range dev {
		signer, serr := publishedSigner(f)
		if serr != nil {
			err = errors.Join(err, &RefError{f.ref, serr})
			continue
		}
		p.dev = append(p.dev, signer)
	}
	return p, err
}

// publishedSigner reads a key and its certificate of one file.
func publishedSigner(f namedFile) (s ofswu.Signer, err error) {
	s.Name = f.ref.Ref
	for rest := f.data; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if b.Type == "CERTIFICATE" {
			if s.Cert, err = x509.ParseCertificate(b.Bytes); err != nil {
				return s, err
			}
			continue
		}
		if s.Key, err = parsePrivate(pem.EncodeToMemory(b)); err != nil {
			return s, err
		}
	}
	if s.Cert == nil || s.Key == nil {
		return s, errors.New("it does not hold a private key and its certificate in PEM")
	}
	return s, nil
}

func (p *packages) anchored() bool { return len(p.certs) > 0 }

func (p *packages) read(b []byte, ours bool) (mutant.Shows, error) {
	if _, err := swu.Unsigned(b); err != nil {
		return mutant.Shows{}, err
	}
	if ours && len(p.certs) > 0 {
		if _, err := (swu.Verifier{Certs: p.certs}).Verify(b); err != nil {
			return mutant.Shows{}, fmt.Errorf("the maker's certificates do not verify it: %w", err)
		}
	}
	return ofswu.Shows(b), nil
}

func (p *packages) plan(s *Shelf, parent, running *Image, seed uint64, _ bool) (*mutant.Set, error) {
	return ofswu.Plan(parent.Bytes, ofswu.Options{Seed: seed, Certs: p.certs, Older: s.older(running), OtherProduct: s.others(), DevKeys: p.dev})
}

// blobs are images of a maker's own.
type blobs struct {
	layout  blob.Layout
	keys    []crypto.PublicKey
	dev     []crypto.Signer
	version []byte
	free    []string
}

func newBlob(decl *profile.Images, keys, dev []namedFile) (format, error) {
	b := &blobs{free: decl.Layout.Free}
	l := decl.Layout
	b.layout.Big = l.Big
	for _, r := range l.Ranges {
		b.layout.Ranges = append(b.layout.Ranges, blob.Range{Name: r.Name, Role: blob.Role(r.Role), From: r.From, To: r.To})
	}
	for _, c := range l.Checks {
		b.layout.Checks = append(b.layout.Checks, blob.Check{Range: c.Range, Algorithm: c.Algorithm, Covers: c.Covers})
	}
	if l.Signed.Range != "" {
		b.layout.Signed = &blob.Signed{Range: l.Signed.Range, Scheme: l.Signed.Scheme, Covers: l.Signed.Covers}
	}
	if err := b.layout.Validate(); err != nil {
		return nil, fmt.Errorf("images.layout: %w", err)
	}
	var err, derr, verr error
	b.keys, err = each(keys, func(text []byte) (crypto.PublicKey, error) {
		block, _ := pem.Decode(text)
		if block == nil {
			return nil, errors.New("it is no key in PEM")
		}
		return x509.ParsePKIXPublicKey(block.Bytes)
	})
	b.dev, derr = each(dev, parsePrivate)
	if l.Version != "" {
		if b.version, verr = hex.DecodeString(l.Version); verr != nil {
			verr = fmt.Errorf("images.layout.version: %w", verr)
		}
	}
	return b, errors.Join(err, derr, verr)
}

func (b *blobs) anchored() bool { return len(b.keys) > 0 && b.layout.Signed != nil }

func (b *blobs) options() ofblob.Options {
	o := ofblob.Options{Layout: b.layout, Version: b.version, Free: b.free, DevKeys: b.dev}
	if b.layout.Signed != nil {
		o.Keys = b.keys
	}
	return o
}

func (b *blobs) read(data []byte, ours bool) (mutant.Shows, error) {
	o := b.options()
	if !ours {
		o.Keys = nil
	}
	set, err := ofblob.Plan(data, o)
	if err != nil {
		return mutant.Shows{}, err
	}
	return set.Shows, nil
}

func (b *blobs) plan(s *Shelf, parent, running *Image, seed uint64, _ bool) (*mutant.Set, error) {
	o := b.options()
	o.Seed, o.Older, o.OtherProduct = seed, s.older(running), s.others()
	return ofblob.Plan(parent.Bytes, o)
}

// parsePrivate reads a private key in PEM.
func parsePrivate(text []byte) (crypto.Signer, error) {
	b, _ := pem.Decode(text)
	if b == nil {
		return nil, errors.New("it is no key in PEM")
	}
	var key any
	var err error
	switch b.Type {
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(b.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(b.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
	}
	if err != nil {
		return nil, err
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return k, nil
	case *ecdsa.PrivateKey:
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("a key of type %T signs no images", key)
}
