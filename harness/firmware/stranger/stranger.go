// Package stranger has keys that no maker signs with: our own, which anybody can
// derive who reads this, and those that a bootloader's project publishes for trying
// things out, with which devices have shipped all the same.
package stranger

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
)

// Scheme is a kind of signature with its size of key.
type Scheme string

// The schemes.
const (
	RSA2048   Scheme = "rsa-2048"
	RSA3072   Scheme = "rsa-3072"
	ECDSAP256 Scheme = "ecdsa-p256"
	ED25519   Scheme = "ed25519"
)

// Schemes are all of them, in their order.
func Schemes() []Scheme { return []Scheme{RSA2048, RSA3072, ECDSAP256, ED25519} }

// SchemeOf gives the scheme of a public key; ok is false for any other key.
func SchemeOf(public crypto.PublicKey) (s Scheme, ok bool) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		s = Scheme(fmt.Sprintf("rsa-%d", k.N.BitLen()))
		return s, s == RSA2048 || s == RSA3072
	case *ecdsa.PublicKey:
		return ECDSAP256, k.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return ED25519, true
	}
	return "", false
}

// primes say how far after the number that its name gives a prime is, in steps of 2.
var primes = map[Scheme]struct {
	bits int
	p, q int64
}{RSA2048: {2048, 164, 228}, RSA3072: {3072, 397, 652}}

// Key gives a stranger's key of a scheme: the same each time. It protects nothing.
func Key(s Scheme) (crypto.Signer, error) {
	switch s {
	case RSA2048, RSA3072:
		return rsaKey(s)
	case ECDSAP256:
		h := sha256.Sum256([]byte("rigor stranger ecdsa-p256"))
		return ecdsa.ParseRawPrivateKey(elliptic.P256(), h[:])
	case ED25519:
		h := sha256.Sum256([]byte("rigor stranger ed25519"))
		return ed25519.NewKeyFromSeed(h[:]), nil
	}
	return nil, fmt.Errorf("make a stranger's key: no scheme is called %q", s)
}

// rsaKey puts a key together of its primes.
func rsaKey(s Scheme) (*rsa.PrivateKey, error) {
	d := primes[s]
	prime := func(which string, steps int64) *big.Int {
		var b []byte
		for c := uint64(0); len(b) < d.bits/16; c++ {
			h := sha256.Sum256(binary.BigEndian.AppendUint64(fmt.Appendf(nil, "rigor stranger %s %s", s, which), c))
			b = append(b, h[:]...)
		}
		b = b[:d.bits/16]
		b[0] |= 0xc0
		b[len(b)-1] |= 1
		return new(big.Int).Add(new(big.Int).SetBytes(b), big.NewInt(2*steps))
	}
	one, e := big.NewInt(1), 65537
	p, q := prime("p", d.p), prime("q", d.q)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: e}, D: new(big.Int).ModInverse(big.NewInt(int64(e)), phi), Primes: []*big.Int{p, q}}
	k.Precompute()
	if err := k.Validate(); err != nil {
		return nil, fmt.Errorf("make a stranger's key of %s: %w", s, err)
	}
	return k, nil
}

// Published is a development key that its project publishes.
type Published struct {
	Name   string
	Scheme Scheme
	Source string // where it is published
	sum    string // hex: the SHA-256 of the public key
}

// mcuboot publishes its development keys in the root of its repository; device makers
// are told not to ship them (GHSA-gcxh-546h-phg4).
const mcuboot = "github.com/mcu-tools/mcuboot, "

// published are the keys. Public halves are from sim/mcuboot-sys/csupport/keys.c of
// MCUboot. The private ones are not here, since they are others': the user gives the
// file.
var published = []Published{
	{"mcuboot-root-rsa-2048", RSA2048, mcuboot + "root-rsa-2048.pem", "fc5701dc6135e1323847bdc40f04d2e5bee5833b23c29f93593d00018cfa9994"},
	{"mcuboot-root-rsa-3072", RSA3072, mcuboot + "root-rsa-3072.pem", "449793fb65cd7698753d5b3f35fab15f1e3a45111ff24e1d46741de5ae12d59e"},
	{"mcuboot-root-ec-p256", ECDSAP256, mcuboot + "root-ec-p256.pem", "e30466f6b8470c1f29070b17f1e2d3e94d445e3f608087fdc711e4382bb538b6"},
	{"mcuboot-root-ed25519", ED25519, mcuboot + "root-ed25519.pem", "c1907fa4eac7fae3840a78902b6f0710b037e9968e5c6274a12a28790c7d4e3c"},
	{"mcuboot-cypress-test-ec-p256", ECDSAP256, mcuboot + "boot/cypress/BlinkyApp/keys/cypress-test-ec-p256.pem", "6d480226638605f9f4cee9790630d5be3374d0deb0a43f19434bf60c9cc47c36"},
}

// AllPublished gives the published keys, in their order.
func AllPublished() []Published { return append([]Published(nil), published...) }

// Sum gives the SHA-256 of the public key as [Sum] does, in hex.
func (p Published) Sum() string { return p.sum }

// Is says whether a public key is this one.
func (p Published) Is(public crypto.PublicKey) bool {
	sum, err := Sum(public)
	return err == nil && sum == p.sum
}

// Signer gives the private key: the one of the given ones that it is, nil where none is.
func (p Published) Signer(given []crypto.Signer) crypto.Signer {
	for _, s := range given {
		if p.Is(s.Public()) {
			return s
		}
	}
	return nil
}

// Sum gives the SHA-256 of a public key as bootloaders have it, in hex: PKCS #1 of
// RSA, PKIX of the others. It is what MCUboot's KEYHASH holds in an image with a
// SHA-256.
func Sum(public crypto.PublicKey) (string, error) {
	if k, ok := public.(*rsa.PublicKey); ok {
		h := sha256.Sum256(x509.MarshalPKCS1PublicKey(k))
		return hex.EncodeToString(h[:]), nil
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("sum of a public key: %w", err)
	}
	h := sha256.Sum256(der)
	return hex.EncodeToString(h[:]), nil
}
