package mcuboot

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"

	"rigor/harness/firmware/internal/refusal"
)

// SignOptions say how an image is signed. The zero value is imgtool's own way: a
// SHA-256, the key named by its hash.
type SignOptions struct {
	Hash     uint16    // type of the hash: SHA256 where it is 0
	Pure     bool      // over the image itself; Ed25519 only
	WholeKey bool      // the whole public key in place of its hash
	Salt     io.Reader // of RSA's padding; nil: zeros, so that the same image is signed alike each time
}

// Sign makes the image's own TLVs new: hash, key and signature in imgtool's order,
// with any others after them. Signing is deterministic for a given salt.
func (img *Image) Sign(signer crypto.Signer, o SignOptions) error {
	k, err := NewKey(signer.Public())
	if err != nil {
		return err
	}
	if o.Hash == 0 {
		o.Hash = SHA256
	}
	covered, err := img.Covered()
	if err != nil {
		return err
	}
	hash := digest(o.Hash, covered)
	if hash == nil {
		return fmt.Errorf("sign an image: %s is no type of hash", TypeName(o.Hash))
	}
	message := hash
	if o.Pure {
		message = covered
	}
	sig, err := k.sign(signer, o, message)
	if err != nil {
		return fmt.Errorf("sign an image with %s: %w", TypeName(k.kind), err)
	}
	tlvs := []TLV{{o.Hash, hash}}
	if o.Pure {
		tlvs = append(tlvs, TLV{SigPure, []byte{1}})
	}
	if o.WholeKey {
		tlvs = append(tlvs, TLV{PublicKeyTLV, k.DER()})
	} else {
		tlvs = append(tlvs, TLV{KeyHash, k.Hash(o.Hash)})
	}
	tlvs = append(tlvs, TLV{k.kind, sig})
	img.TLVs = append(tlvs, slices.DeleteFunc(slices.Clone(img.TLVs), func(t TLV) bool { return own(t.Type) })...)
	return nil
}

// own says whether a TLV is one that signing makes.
func own(t uint16) bool {
	return isHash(t) || IsSignature(t) || t == SigPure || t == KeyHash || t == PublicKeyTLV
}

// Rehash makes the hash right, and leaves key and signature as they are.
func (img *Image) Rehash() error {
	covered, err := img.Covered()
	if err != nil {
		return err
	}
	found := false
	for i, t := range img.TLVs {
		if isHash(t.Type) {
			img.TLVs[i].Value, found = digest(t.Type, covered), true
		}
	}
	if !found {
		return refusal.Of(ErrNoHash, "none of the %d TLVs is one", len(img.TLVs))
	}
	return nil
}

// sign makes one signature.
func (k Key) sign(signer crypto.Signer, o SignOptions, message []byte) ([]byte, error) {
	switch s := signer.(type) {
	case *rsa.PrivateKey:
		if o.Pure || o.Hash != SHA256 {
			return nil, refusal.Of(ErrUnsupported, "RSA is only over a SHA-256")
		}
		salt := o.Salt
		if salt == nil {
			salt = zeros{}
		}
		return rsa.SignPSS(salt, s, crypto.SHA256, message, &rsa.PSSOptions{SaltLength: sha256.Size})
	case *ecdsa.PrivateKey:
		if o.Pure || o.Hash != SHA256 {
			return nil, refusal.Of(ErrUnsupported, "P-256 is only over a SHA-256")
		}
		return s.Sign(nil, message, crypto.SHA256) // without randomness by RFC 6979
	case ed25519.PrivateKey:
		return ed25519.Sign(s, message), nil
	}
	return nil, refusal.Of(ErrNotUnderstood, "a key of type %T", signer)
}

// zeros is no randomness at all.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
