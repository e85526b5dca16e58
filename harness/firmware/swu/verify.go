package swu

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smallstep/pkcs7"

	"rigor/harness/firmware/internal/refusal"
)

// Kinds of refusal. Each error of a verifier or policy is one of them by errors.Is.
var (
	ErrMalformed    = errors.New("malformed")     // the bytes are no package
	ErrUnsupported  = errors.New("unsupported")   // it cannot be judged here
	ErrNoHash       = errors.New("no hash")       // something that is installed has none
	ErrWrongHash    = errors.New("wrong hash")    // something is not what the description says, or not there
	ErrWrongSum     = errors.New("wrong sum")     // of the archive
	ErrNoSignature  = errors.New("no signature")  // none stands behind the description
	ErrBadSignature = errors.New("bad signature") // what stands there is none of the description
	ErrUntrusted    = errors.New("untrusted")     // it is one, and of nobody who may
	ErrTooOld       = errors.New("too old")       // genuine, and older than may be
	ErrOtherProduct = errors.New("other product") // genuine, and for other hardware
)

// Verified is what a verifier says of a package that it takes.
type Verified struct {
	Archive     *Archive
	Description *Description
	Signer      *x509.Certificate // nil where no signature was asked for
}

// Verifier judges packages as a device does that has certificates.
type Verifier struct {
	Certs   []*x509.Certificate // trusted, as in swupdate's -k
	Purpose x509.ExtKeyUsage    // 0: mail, swupdate's default
	Time    time.Time           // of the device; zero: whether a certificate has run out is not asked
}

// Verify takes a package whose description one of the certificates signed, or one that
// they certify, and whose content is what the description says.
func (v Verifier) Verify(b []byte) (*Verified, error) {
	found, err := consistent(b)
	if err != nil {
		return nil, err
	}
	if found.Signer, err = v.signed(found.Archive); err != nil {
		return nil, err
	}
	return found, nil
}

// Both gives what [Unsigned] and Verify say, for the work of one of them.
func (v Verifier) Both(b []byte) (unsigned, verified error) {
	found, err := consistent(b)
	if err != nil {
		return err, err
	}
	_, err = v.signed(found.Archive)
	return nil, err
}

// signed judges the signature of a consistent package.
func (v Verifier) signed(a *Archive) (*x509.Certificate, error) {
	if len(a.Members) < 2 || a.Members[1].Name != SignatureName {
		return nil, refusal.Of(ErrNoSignature, "behind the description there is none")
	}
	return v.signature(a.Members[0].Data, a.Members[1].Data)
}

// signature judges a CMS signature that stands apart from what it is of.
func (v Verifier) signature(signed, sig []byte) (*x509.Certificate, error) {
	cms, err := pkcs7.Parse(sig)
	if err != nil {
		return nil, refusal.Of(ErrBadSignature, "it is no CMS: %v", err)
	}
	if len(cms.Content) > 0 {
		return nil, refusal.Of(ErrUnsupported, "a signature that brings what it is of")
	}
	signer := cms.GetOnlySigner()
	if signer == nil {
		return nil, refusal.Of(ErrBadSignature, "%d signers, of whom one was to be here with a certificate", len(cms.Signers))
	}
	cms.Content = signed
	if err := cms.Verify(); err != nil {
		return nil, refusal.Of(ErrBadSignature, "%v", err)
	}
	roots, others := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range v.Certs {
		roots.AddCert(c)
	}
	for _, c := range cms.Certificates {
		others.AddCert(c)
	}
	at, purpose := v.Time, v.Purpose
	if at.IsZero() {
		at = signer.NotBefore
	}
	if purpose == x509.ExtKeyUsageAny {
		purpose = x509.ExtKeyUsageEmailProtection
	}
	if _, err := signer.Verify(x509.VerifyOptions{Roots: roots, Intermediates: others, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{purpose}}); err != nil {
		return nil, refusal.Of(ErrUntrusted, "signed by %q: %v", signer.Subject, err)
	}
	if signer.KeyUsage != 0 && signer.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return nil, refusal.Of(ErrUntrusted, "signed by %q, whose key is not for signatures", signer.Subject)
	}
	return signer, nil
}

// Unsigned is the verifier with its signature check taken out: it takes every package
// whose structure, sums and hashes are right, whoever made it. It shows that a package
// lacks a signature and nothing else; a device that judges so is broken.
func Unsigned(b []byte) (*Verified, error) { return consistent(b) }

// consistent judges everything but the signature.
func consistent(b []byte) (*Verified, error) {
	a, err := Parse(b)
	if err != nil {
		return nil, err
	}
	if len(a.Members) == 0 || a.Members[0].Name != DescriptionName {
		return nil, refusal.Of(ErrMalformed, "the first member is not the description")
	}
	for _, m := range a.Members {
		if m.Sums && m.Check != sum(m.Data) {
			return nil, refusal.Of(ErrWrongSum, "of %q", m.Name)
		}
	}
	d, err := ParseDescription(a.Members[0].Data)
	if err != nil {
		return nil, err
	}
	sums := map[int]string{} // several entries may install one member
	for _, e := range d.Entries {
		if e.SHA256.Value == "" {
			return nil, refusal.Of(ErrNoHash, "of %q", e.File.Value)
		}
		found := false
		for i, m := range a.Members {
			if i == 0 || m.Name != e.File.Value {
				continue
			}
			found = true
			if sums[i] == "" {
				h := sha256.Sum256(m.Data)
				sums[i] = hex.EncodeToString(h[:])
			}
			if !strings.EqualFold(sums[i], e.SHA256.Value) {
				return nil, refusal.Of(ErrWrongHash, "%q is not what the description says", m.Name)
			}
		}
		if !found {
			return nil, refusal.Of(ErrWrongHash, "%q is not there", e.File.Value)
		}
	}
	return &Verified{Archive: a, Description: d}, nil
}

// Policy is what a device asks of a genuine package besides its signature. What is
// empty is not asked.
type Policy struct {
	Version  string // the package's has to be this at least, as with swupdate -N
	Hardware string // the revision that the package has to name, as with swupdate -H BOARD:REVISION
}

// Check judges a package that a verifier took.
func (p Policy) Check(d *Description) error {
	if p.Hardware != "" && !slices.ContainsFunc(d.Hardware, func(t Text) bool { return t.Value == p.Hardware }) {
		return refusal.Of(ErrOtherProduct, "it is for %d revisions of hardware, and %q is none of them", len(d.Hardware), p.Hardware)
	}
	if p.Version == "" {
		return nil
	}
	have, err := numbersOf(d.Version.Value)
	if err != nil {
		return err
	}
	want, err := numbersOf(p.Version)
	if err != nil {
		return err
	}
	if slices.Compare(have[:], want[:]) < 0 {
		return refusal.Of(ErrTooOld, "version %s, and %s is there", d.Version.Value, p.Version)
	}
	return nil
}

// numbersOf reads a version as swupdate does those of up to four numbers of 16 bits.
func numbersOf(version string) (n [4]uint64, err error) {
	parts := strings.Split(version, ".")
	if len(parts) > len(n) {
		return n, refusal.Of(ErrUnsupported, "version %q: more than four numbers", version)
	}
	for i, part := range parts {
		if n[i], err = strconv.ParseUint(part, 10, 16); err != nil {
			return n, refusal.Of(ErrUnsupported, "version %q is not up to four numbers", version)
		}
	}
	return n, nil
}

// Sign makes a CMS signature of a description, apart from it and without attributes:
// the same each time. The key is RSA or ECDSA. Other certificates may stand beside the
// signer's.
func Sign(description []byte, cert *x509.Certificate, key crypto.Signer, beside ...*x509.Certificate) ([]byte, error) {
	sd, err := pkcs7.NewSignedData(description)
	if err != nil {
		return nil, fmt.Errorf("sign a description: %w", err)
	}
	sd.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	for _, c := range beside {
		sd.AddCertificate(c)
	}
	if err := sd.SignWithoutAttr(cert, steady{key}, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, fmt.Errorf("sign a description: %w", err)
	}
	sd.Detach()
	sig, err := sd.Finish()
	if err != nil {
		return nil, fmt.Errorf("sign a description: %w", err)
	}
	return sig, nil
}

// SignedByNobody makes a CMS that brings a certificate and no signature.
func SignedByNobody(cert *x509.Certificate) ([]byte, error) {
	cms, err := pkcs7.DegenerateCertificate(cert.Raw)
	if err != nil {
		return nil, fmt.Errorf("put a certificate into a CMS: %w", err)
	}
	return cms, nil
}

// steady is a key that signs the same alike each time.
type steady struct{ crypto.Signer }

func (s steady) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	if _, ok := s.Signer.(*ecdsa.PrivateKey); ok {
		random = nil // RFC 6979
	}
	return s.Signer.Sign(random, digest, o)
}
