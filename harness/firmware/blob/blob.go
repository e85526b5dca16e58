// Package blob is for a maker's own image format: bytes that nobody here can read, with
// a declaration of which bytes are what. That is enough to change them one by one, to
// make checksums right again, and to know which of two genuine images is which.
//
// Where the signature's scheme and what it covers are declared too, a [Verifier] judges
// images as a device does. Else only a program of the maker's can.
package blob

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/md5" //nolint:gosec // makers use it as a checksum
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // makers use it as a checksum
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"slices"
	"strings"

	"rigor/harness/firmware/internal/refusal"
)

// Role is what a range of bytes is for.
type Role string

// The roles.
const (
	Header    Role = "header"
	Payload   Role = "payload"
	Version   Role = "version"
	Counter   Role = "counter"
	Length    Role = "length"
	Digest    Role = "digest"    // a hash or checksum that everybody can make
	Signature Role = "signature" // what only the maker can make
	Padding   Role = "padding"   // what nothing covers and nobody reads
)

var roles = []Role{Header, Payload, Version, Counter, Length, Digest, Signature, Padding}

// Range is a stretch of bytes. From and To are as in a slice of Go, but that a negative
// one counts from the end, and a To of 0 is the end.
type Range struct {
	Name     string
	Role     Role
	From, To int
}

// Check is a hash or checksum.
type Check struct {
	Range     string // which has the role of a digest
	Algorithm string // sha256, sha384, sha512, sha1, md5, crc32-le, crc32-be
	// Covers are the ranges that it is over, in this order. Itself among them counts as
	// zeros.
	Covers []string
}

// Signed is a signature.
type Signed struct {
	Range string // which has the role of a signature
	// Scheme: rsa-pkcs1, rsa-pss (with a salt of 32 bytes), ecdsa-der, ecdsa-raw, each
	// over a SHA-256; ed25519, over the bytes.
	Scheme string
	Covers []string
}

// Layout declares an image.
type Layout struct {
	Ranges []Range
	// Checks are made right in this order.
	Checks []Check
	Signed *Signed // nil: nothing is known of it
	Big    bool    // numbers have their first byte highest
}

// Kinds of refusal. Each error of a layout or verifier is one of them by errors.Is.
var (
	ErrLayout       = errors.New("layout")        // the declaration itself
	ErrMalformed    = errors.New("malformed")     // the bytes do not fit it
	ErrWrongDigest  = errors.New("wrong digest")  // a check is not right
	ErrBadSignature = errors.New("bad signature") // it is not of the key
	ErrUnsupported  = errors.New("unsupported")   // it cannot be judged here
)

// Region is a range of an image of a certain length.
type Region struct {
	Name           string
	Role           Role
	Offset, Length int
}

// End is the offset after the last byte.
func (r Region) End() int { return r.Offset + r.Length }

// Of gives its bytes.
func (r Region) Of(b []byte) []byte { return b[r.Offset:r.End():r.End()] }

// Validate judges the declaration.
func (l Layout) Validate() error {
	role := map[string]Role{}
	for _, r := range l.Ranges {
		if r.Name == "" || role[r.Name] != "" {
			return refusal.Of(ErrLayout, "two ranges are called %q, or one has no name", r.Name)
		}
		if !slices.Contains(roles, r.Role) {
			return refusal.Of(ErrLayout, "range %q: no role is called %q; there are %s", r.Name, r.Role, words(roles))
		}
		role[r.Name] = r.Role
	}
	covers := func(of string, names []string) error {
		for _, n := range names {
			if role[n] == "" {
				return refusal.Of(ErrLayout, "%s covers %q, which is not declared", of, n)
			}
		}
		if len(names) == 0 {
			return refusal.Of(ErrLayout, "%s covers nothing", of)
		}
		return nil
	}
	for _, c := range l.Checks {
		if role[c.Range] != Digest {
			return refusal.Of(ErrLayout, "a check is in %q, which is no digest", c.Range)
		}
		if size(c.Algorithm) == 0 {
			return refusal.Of(ErrLayout, "check %q: no algorithm is called %q; there are %s", c.Range, c.Algorithm, words(algorithms))
		}
		if err := covers("check "+c.Range, c.Covers); err != nil {
			return err
		}
	}
	if s := l.Signed; s != nil {
		if role[s.Range] != Signature {
			return refusal.Of(ErrLayout, "the signature is in %q, which is none", s.Range)
		}
		if !slices.Contains(schemes, s.Scheme) {
			return refusal.Of(ErrLayout, "no scheme is called %q; there are %s", s.Scheme, words(schemes))
		}
		if slices.Contains(s.Covers, s.Range) {
			return refusal.Of(ErrLayout, "the signature covers itself")
		}
		return covers("the signature", s.Covers)
	}
	return nil
}

// Regions gives the declared ranges of an image, by their place. They do not overlap.
func (l Layout) Regions(b []byte) ([]Region, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	var out []Region
	for _, r := range l.Ranges {
		from, to := r.From, r.To
		if from < 0 {
			from += len(b)
		}
		if to <= 0 {
			to += len(b)
		}
		if from < 0 || to > len(b) || from >= to {
			return nil, refusal.Of(ErrMalformed, "range %q is [%d:%d] of %d bytes", r.Name, r.From, r.To, len(b))
		}
		out = append(out, Region{r.Name, r.Role, from, to - from})
	}
	slices.SortStableFunc(out, func(a, b Region) int { return a.Offset - b.Offset })
	for i := 1; i < len(out); i++ {
		if out[i].Offset < out[i-1].End() {
			return nil, refusal.Of(ErrMalformed, "ranges %q and %q overlap", out[i-1].Name, out[i].Name)
		}
	}
	return out, nil
}

// Find gives the region of a name.
func Find(regions []Region, name string) Region {
	i := slices.IndexFunc(regions, func(r Region) bool { return r.Name == name })
	if i < 0 {
		return Region{}
	}
	return regions[i]
}

// What a declaration can name.
var (
	algorithms = []string{"sha256", "sha384", "sha512", "sha1", "md5", "crc32-le", "crc32-be"}
	schemes    = []string{"rsa-pkcs1", "rsa-pss", "ecdsa-der", "ecdsa-raw", "ed25519"}
)

// words joins what there is to choose from.
func words[T ~string](of []T) string {
	var b strings.Builder
	for i, w := range of {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}

// size gives the size of a digest in bytes, and 0 for what is none.
func size(algorithm string) int {
	return map[string]int{"sha256": 32, "sha384": 48, "sha512": 64, "sha1": 20, "md5": 16, "crc32-le": 4, "crc32-be": 4}[algorithm]
}

// digest makes one.
func digest(algorithm string, b []byte) []byte {
	switch algorithm {
	case "sha256":
		h := sha256.Sum256(b)
		return h[:]
	case "sha384":
		h := sha512.Sum384(b)
		return h[:]
	case "sha512":
		h := sha512.Sum512(b)
		return h[:]
	case "sha1":
		h := sha1.Sum(b) //nolint:gosec // makers use it as a checksum
		return h[:]
	case "md5":
		h := md5.Sum(b) //nolint:gosec // makers use it as a checksum
		return h[:]
	case "crc32-be":
		return binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b))
	default:
		return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b))
	}
}

// covered gives what a check or signature is over.
func covered(b []byte, regions []Region, names []string, zeroed string) []byte {
	var out []byte
	for _, n := range names {
		r := Find(regions, n)
		if n == zeroed {
			out = append(out, make([]byte, r.Length)...)
			continue
		}
		out = append(out, r.Of(b)...)
	}
	return out
}

// Fix makes all checks right, in a copy.
func (l Layout) Fix(b []byte) ([]byte, error) {
	regions, err := l.Regions(b)
	if err != nil {
		return nil, err
	}
	b = bytes.Clone(b)
	for _, c := range l.Checks {
		r := Find(regions, c.Range)
		d := digest(c.Algorithm, covered(b, regions, c.Covers, c.Range))
		if len(d) != r.Length {
			return nil, refusal.Of(ErrLayout, "range %q has %d bytes, and %s has %d", c.Range, r.Length, c.Algorithm, len(d))
		}
		copy(r.Of(b), d)
	}
	return b, nil
}

// Unsigned judges all but the signature: that the ranges fit and the checks are right. It
// shows that an image lacks a signature and nothing else; a device that judges so is
// broken.
func (l Layout) Unsigned(b []byte) error {
	regions, err := l.Regions(b)
	if err != nil {
		return err
	}
	for _, c := range l.Checks {
		if d := digest(c.Algorithm, covered(b, regions, c.Covers, c.Range)); !bytes.Equal(d, Find(regions, c.Range).Of(b)) {
			return refusal.Of(ErrWrongDigest, "%s is not that of the image", c.Range)
		}
	}
	return nil
}

// Verifier judges images as a device does that has keys.
type Verifier struct {
	Layout Layout
	Keys   []crypto.PublicKey // RSA, ECDSA or Ed25519, as the scheme says
}

// Verify takes an image whose checks are right and that one of the keys signed.
func (v Verifier) Verify(b []byte) error {
	if err := v.Layout.Unsigned(b); err != nil {
		return err
	}
	s := v.Layout.Signed
	if s == nil {
		return refusal.Of(ErrUnsupported, "nothing is declared of the signature")
	}
	regions, err := v.Layout.Regions(b)
	if err != nil {
		return err
	}
	sig, message := Find(regions, s.Range).Of(b), covered(b, regions, s.Covers, "")
	for _, k := range v.Keys {
		if s.signed(k, message, sig) {
			return nil
		}
	}
	return refusal.Of(ErrBadSignature, "%s is of none of %d keys", s.Range, len(v.Keys))
}

func (s *Signed) signed(key crypto.PublicKey, message, sig []byte) bool {
	h := sha256.Sum256(message)
	switch k := key.(type) {
	case *rsa.PublicKey:
		switch s.Scheme {
		case "rsa-pkcs1":
			return rsa.VerifyPKCS1v15(k, crypto.SHA256, h[:], sig) == nil
		case "rsa-pss":
			return rsa.VerifyPSS(k, crypto.SHA256, h[:], sig, &rsa.PSSOptions{SaltLength: sha256.Size}) == nil
		}
	case *ecdsa.PublicKey:
		switch s.Scheme {
		case "ecdsa-der":
			// A range has one size, and the encoding has not: zeros may follow.
			if n := derLength(sig); n > 0 {
				return len(bytes.Trim(sig[n:], "\x00")) == 0 && ecdsa.VerifyASN1(k, h[:], sig[:n])
			}
		case "ecdsa-raw":
			n := (k.Curve.Params().BitSize + 7) / 8
			return len(sig) == 2*n && ecdsa.Verify(k, h[:], new(big.Int).SetBytes(sig[:n]), new(big.Int).SetBytes(sig[n:]))
		}
	case ed25519.PublicKey:
		return s.Scheme == "ed25519" && len(sig) == ed25519.SignatureSize && ed25519.Verify(k, message, sig)
	}
	return false
}

// derLength gives the length of a short sequence, or 0.
func derLength(sig []byte) int {
	if len(sig) < 2 || sig[0] != 0x30 || sig[1] >= 0x80 || 2+int(sig[1]) > len(sig) {
		return 0
	}
	return 2 + int(sig[1])
}

// zeros is no randomness at all.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Sign makes all checks right and signs, in a copy. The range has to be as long as the
// signature; of ecdsa-der it may be longer. It is deterministic.
func (l Layout) Sign(b []byte, signer crypto.Signer) ([]byte, error) {
	s := l.Signed
	if s == nil {
		return nil, refusal.Of(ErrUnsupported, "nothing is declared of the signature")
	}
	b, err := l.Fix(b)
	if err != nil {
		return nil, err
	}
	regions, err := l.Regions(b)
	if err != nil {
		return nil, err
	}
	message := covered(b, regions, s.Covers, "")
	h := sha256.Sum256(message)
	var sig []byte
	switch k := signer.(type) {
	case *rsa.PrivateKey:
		if s.Scheme == "rsa-pss" {
			sig, err = rsa.SignPSS(zeros{}, k, crypto.SHA256, h[:], &rsa.PSSOptions{SaltLength: sha256.Size})
		} else {
			sig, err = rsa.SignPKCS1v15(nil, k, crypto.SHA256, h[:])
		}
	case *ecdsa.PrivateKey:
		if sig, err = k.Sign(nil, h[:], crypto.SHA256); err == nil && s.Scheme == "ecdsa-raw" {
			sig, err = raw(sig, (k.Curve.Params().BitSize+7)/8)
		}
	case ed25519.PrivateKey:
		sig = ed25519.Sign(k, message)
	default:
		err = refusal.Of(ErrUnsupported, "a key of type %T", signer)
	}
	if err != nil {
		return nil, fmt.Errorf("sign an image: %w", err)
	}
	r := Find(regions, s.Range)
	if len(sig) > r.Length || len(sig) < r.Length && s.Scheme != "ecdsa-der" {
		return nil, refusal.Of(ErrLayout, "range %q has %d bytes, and a signature %d", s.Range, r.Length, len(sig))
	}
	clear(r.Of(b))
	copy(r.Of(b), sig)
	if !s.signed(signer.Public(), message, r.Of(b)) {
		return nil, refusal.Of(ErrUnsupported, "a key of type %T does not sign as %s", signer, s.Scheme)
	}
	return l.refixed(b, s)
}

// refixed makes those checks right that cover the signature.
func (l Layout) refixed(b []byte, s *Signed) ([]byte, error) {
	fixed, err := l.Fix(b)
	if err != nil {
		return nil, err
	}
	regions, err := l.Regions(fixed)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(covered(b, regions, s.Covers, ""), covered(fixed, regions, s.Covers, "")) {
		return nil, refusal.Of(ErrLayout, "a check covers the signature, and the signature the check")
	}
	return fixed, nil
}

// raw makes two numbers of a size of an encoded signature.
func raw(der []byte, n int) ([]byte, error) {
	// SEQUENCE { INTEGER, INTEGER }, all lengths short: P-256.
	if len(der) < 8 || der[0] != 0x30 || der[2] != 2 {
		return nil, refusal.Of(ErrUnsupported, "a signature that is no short sequence")
	}
	first := int(der[3])
	if len(der) < 6+first {
		return nil, refusal.Of(ErrUnsupported, "a signature that is cut off")
	}
	out := make([]byte, 2*n)
	new(big.Int).SetBytes(der[4 : 4+first]).FillBytes(out[:n])
	new(big.Int).SetBytes(der[6+first:]).FillBytes(out[n:])
	return out, nil
}
