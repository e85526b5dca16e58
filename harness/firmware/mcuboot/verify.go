package mcuboot

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"rigor/harness/firmware/internal/refusal"
)

// Kinds of refusal. Each error of a verifier or policy is one of them by errors.Is.
var (
	ErrMalformed     = errors.New("malformed")                // the bytes are no image
	ErrUnsupported   = errors.New("unsupported")              // it cannot be judged here
	ErrNoHash        = errors.New("no hash")                  // the image has none
	ErrWrongHash     = errors.New("wrong hash")               // what it covers was changed
	ErrNoSignature   = errors.New("no signature")             // the image has none
	ErrUnknownKey    = errors.New("unknown key")              // none of its signatures is of a key of ours
	ErrBadSignature  = errors.New("bad signature")            // one that says it is of our key is not
	ErrTooOld        = errors.New("too old")                  // genuine, and older than may be
	ErrUnmet         = errors.New("dependency that is unmet") // genuine, and not for what else is there
	ErrNotUnderstood = errors.New("no key")                   // bytes that are no key of a kind that images are signed with
)

// Key is a public key that images are signed with: RSA of 2048 or 3072 bits, P-256,
// Ed25519.
type Key struct {
	public crypto.PublicKey
	der    []byte // as images have it and its hash
	kind   uint16
}

// NewKey takes a public key.
func NewKey(public crypto.PublicKey) (Key, error) {
	k := Key{public: public}
	var err error
	switch p := public.(type) {
	case *rsa.PublicKey:
		switch p.N.BitLen() {
		case 2048:
			k.kind = RSA2048
		case 3072:
			k.kind = RSA3072
		default:
			return k, refusal.Of(ErrNotUnderstood, "an RSA key of %d bits", p.N.BitLen())
		}
		k.der = x509.MarshalPKCS1PublicKey(p)
		return k, nil
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return k, refusal.Of(ErrNotUnderstood, "an ECDSA key on another curve than P-256")
		}
		k.kind = ECDSA
	case ed25519.PublicKey:
		k.kind = ED25519
	default:
		return k, refusal.Of(ErrNotUnderstood, "a key of type %T", public)
	}
	if k.der, err = x509.MarshalPKIXPublicKey(public); err != nil {
		return k, refusal.Of(ErrNotUnderstood, "%v", err)
	}
	return k, nil
}

// ParseKey reads a public key from PEM, as imgtool getpub -e pem writes it.
func ParseKey(text []byte) (Key, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return Key{}, refusal.Of(ErrNotUnderstood, "it is not PEM")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Key{}, refusal.Of(ErrNotUnderstood, "%v", err)
	}
	return NewKey(public)
}

// DER gives the key as a device has it built in, and as images have it whole.
func (k Key) DER() []byte { return bytes.Clone(k.der) }

// Scheme gives the type of the TLV that holds a signature of this key.
func (k Key) Scheme() uint16 { return k.kind }

// Hash gives the hash of the key, as a KEYHASH of an image with this type of hash
// has it. It is nil for a type that is no hash.
func (k Key) Hash(kind uint16) []byte { return digest(kind, k.der) }

// digest hashes as the TLV of a type says.
func digest(kind uint16, b []byte) []byte {
	switch kind {
	case SHA256:
		h := sha256.Sum256(b)
		return h[:]
	case SHA384:
		h := sha512.Sum384(b)
		return h[:]
	case SHA512:
		h := sha512.Sum512(b)
		return h[:]
	}
	return nil
}

// Verified is what a verifier says of an image that it takes.
type Verified struct {
	Image    *Image
	Hash     []byte // of what is signed: what tools and devices call the image's hash
	HashType uint16
	Key      *Key // nil where no signature was asked for
}

// Verifier judges images by keys, as a boot loader does that has them built in.
type Verifier struct{ Keys []Key }

// Verify takes an image whose hash is right and that one of the keys signed. A
// signature that names one of the keys and is not its own refuses the image, whatever
// else stands there. It does not look at versions: see [Policy].
func (v Verifier) Verify(b []byte) (*Verified, error) {
	found, covered, err := consistent(b)
	if err != nil {
		return nil, err
	}
	img := found.Image
	pure := false
	if t, ok := img.Find(SigPure); ok {
		pure = bytes.Equal(t.Value, []byte{1})
	}
	message := found.Hash
	if pure {
		message = covered
	}
	signatures, named := 0, -1
	for _, t := range img.TLVs {
		switch {
		case t.Type == KeyHash:
			named = v.find(func(k Key) bool { return bytes.Equal(t.Value, k.Hash(found.HashType)) })
		case t.Type == PublicKeyTLV:
			named = v.find(func(k Key) bool { return bytes.Equal(t.Value, k.der) })
		case IsSignature(t.Type):
			signatures++
			if named < 0 {
				continue // MCUboot passes over a signature whose key it does not know
			}
			k := v.Keys[named]
			named = -1
			if t.Type != k.kind {
				return nil, refusal.Of(ErrBadSignature, "it is %s, and the key that it names signs with %s", TypeName(t.Type), TypeName(k.kind))
			}
			if err := k.check(found.HashType, pure, message, t.Value); err != nil {
				return nil, err
			}
			found.Key = &k
		}
	}
	switch {
	case signatures == 0:
		return nil, refusal.Of(ErrNoSignature, "none of the %d TLVs is one", len(img.TLVs))
	case found.Key == nil:
		return nil, refusal.Of(ErrUnknownKey, "%d signatures, none with a key of ours before it", signatures)
	}
	return found, nil
}

// find gives the place of the first key that is meant, or -1.
func (v Verifier) find(meant func(Key) bool) int {
	for i, k := range v.Keys {
		if meant(k) {
			return i
		}
	}
	return -1
}

// check judges one signature over the hash, or over the image itself where it is pure.
func (k Key) check(hash uint16, pure bool, message, sig []byte) error {
	ok := false
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		if pure || hash != SHA256 {
			return refusal.Of(ErrUnsupported, "RSA is only over a SHA-256")
		}
		ok = rsa.VerifyPSS(p, crypto.SHA256, message, sig, &rsa.PSSOptions{SaltLength: sha256.Size}) == nil
	case *ecdsa.PublicKey:
		if pure || hash != SHA256 {
			return refusal.Of(ErrUnsupported, "P-256 is only over a SHA-256")
		}
		ok = ecdsa.VerifyASN1(p, message, unpadded(sig))
	case ed25519.PublicKey:
		ok = len(sig) == ed25519.SignatureSize && ed25519.Verify(p, message, sig)
	}
	if !ok {
		return refusal.Of(ErrBadSignature, "%d bytes of %s are no signature by the key that they name", len(sig), TypeName(k.kind))
	}
	return nil
}

// unpadded takes off the zeros that imgtool --pad-sig puts after an ECDSA
// signature, two at most, to make it 72 bytes.
func unpadded(sig []byte) []byte {
	if len(sig) < 2 || sig[0] != 0x30 || sig[1] >= 0x80 {
		return sig
	}
	n := 2 + int(sig[1])
	if len(sig) == 72 && n < len(sig) && n >= len(sig)-2 && len(bytes.Trim(sig[n:], "\x00")) == 0 {
		return sig[:n]
	}
	return sig
}

// Unsigned is the verifier with its signature check taken out: it takes every image
// whose structure and hash are right, whoever made it. It shows that an image lacks a
// signature and nothing else; a device that judges so is broken.
func Unsigned(b []byte) (*Verified, error) {
	found, _, err := consistent(b)
	return found, err
}

// consistent judges structure and hash.
func consistent(b []byte) (*Verified, []byte, error) {
	img, err := Parse(b)
	if err != nil {
		return nil, nil, err
	}
	if img.Encrypted() {
		return nil, nil, refusal.Of(ErrUnsupported, "the payload is encrypted, and the hash over what it decrypts to")
	}
	covered := b[:HeaderSize+len(img.Extension)+len(img.Payload)+protectedSize(img)]
	found := &Verified{Image: img}
	for _, t := range img.TLVs {
		if !isHash(t.Type) {
			continue
		}
		if found.Hash != nil && found.HashType != t.Type {
			return nil, nil, refusal.Of(ErrUnsupported, "hashes of two kinds")
		}
		found.Hash, found.HashType = digest(t.Type, covered), t.Type
		if !bytes.Equal(found.Hash, t.Value) {
			return nil, nil, refusal.Of(ErrWrongHash, "%s in the image is not that of the image", TypeName(t.Type))
		}
	}
	if found.Hash == nil {
		return nil, nil, refusal.Of(ErrNoHash, "none of the %d TLVs is one", len(img.TLVs))
	}
	return found, covered, nil
}

// protectedSize gives the size of the area of protected TLVs in bytes.
func protectedSize(img *Image) int {
	if img.Protected == nil {
		return 0
	}
	n := infoSize
	for _, t := range img.Protected {
		n += entrySize + len(t.Value)
	}
	return n
}

// Policy is what a device asks of a genuine image besides its signature. What is nil
// is not asked.
type Policy struct {
	Counter *uint32           // the image's security counter has to be this at least, and it has to have one
	Version *Version          // its version has to be this at least, build number and all
	Others  map[uint8]Version // the other images that are there, by number: dependencies are on them
}

// Check judges an image that a verifier took. An equal counter or version is no
// downgrade, as in MCUboot.
func (p Policy) Check(img *Image) error {
	if p.Counter != nil {
		n, err := img.counter()
		if err != nil {
			return refusal.Of(ErrTooOld, "%v, and %d is wanted", err, *p.Counter)
		}
		if n < *p.Counter {
			return refusal.Of(ErrTooOld, "security counter %d, and %d is wanted", n, *p.Counter)
		}
	}
	if p.Version != nil && img.Version.Compare(*p.Version) < 0 {
		return refusal.Of(ErrTooOld, "version %s, and %s is there", img.Version, *p.Version)
	}
	if p.Others == nil {
		return nil
	}
	needs, err := img.Dependencies()
	if err != nil {
		return err
	}
	for _, n := range needs {
		have, ok := p.Others[n.Image]
		if !ok {
			return refusal.Of(ErrUnmet, "image %d, which is not there, in version %s", n.Image, n.Version)
		}
		if have.Compare(n.Version) < 0 {
			return refusal.Of(ErrUnmet, "image %d in version %s, and %s is there", n.Image, n.Version, have)
		}
	}
	return nil
}
