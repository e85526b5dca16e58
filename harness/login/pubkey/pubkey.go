// Package pubkey holds the public keys that a device shows of itself, by SSH and by
// its certificates, in one form, and says what is wrong with one, or with two.
package pubkey

import (
	"crypto"
	"crypto/rsa"
	"fmt"
	"math/big"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Key is a public key. One that only its fingerprint is known of has no Line.
type Key struct {
	Fingerprint string // SHA256:…, as OpenSSH gives it
	Type        string // "ssh-ed25519", "ssh-rsa" …
	Line        string // "ssh-ed25519 AAAA…"
	Bits        int    // of an RSA modulus; 0 for others
	Where       string // that showed it

	n *big.Int
}

// String says which key it is and where it was seen.
func (k Key) String() string {
	s := k.Fingerprint
	if k.Type != "" {
		s += " " + k.Type
	}
	if k.Bits > 0 {
		s += fmt.Sprintf(" of %d bits", k.Bits)
	}
	if k.Where != "" {
		s += ", " + k.Where
	}
	return s
}

// Of gives a key as crypto has it: of a certificate. An error is about its kind.
func Of(key crypto.PublicKey, where string) (Key, error) {
	p, err := ssh.NewPublicKey(key)
	if err != nil {
		return Key{}, fmt.Errorf("the key of %s: %w", where, err)
	}
	return OfSSH(p, where), nil
}

// OfSSH gives a key as an SSH server shows it.
func OfSSH(p ssh.PublicKey, where string) Key {
	if c, ok := p.(*ssh.Certificate); ok { // the key that it is about
		p = c.Key
	}
	k := Key{Fingerprint: ssh.FingerprintSHA256(p), Type: p.Type(), Line: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p))), Where: where}
	if c, ok := p.(ssh.CryptoPublicKey); ok {
		if r, ok := c.CryptoPublicKey().(*rsa.PublicKey); ok {
			k.n, k.Bits = r.N, r.N.BitLen()
		}
	}
	return k
}

// Parse reads a key as it is recorded: SHA256:…, or TYPE BASE64.
func Parse(text string) (Key, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "SHA256:") {
		if len(text) != len("SHA256:")+43 || strings.ContainsAny(text, " \t") {
			return Key{}, fmt.Errorf("%q is no fingerprint: want SHA256: and 43 characters", text)
		}
		return Key{Fingerprint: text}, nil
	}
	p, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil {
		return Key{}, fmt.Errorf("%.40q is no public key: want SHA256:…, or TYPE BASE64 as OpenSSH writes it", text)
	}
	return OfSSH(p, ""), nil
}

// ParseList reads several, with commas between.
func ParseList(text string) (out []Key, err error) {
	for part := range strings.SplitSeq(text, ",") {
		k, err := Parse(part)
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// MinRSA is the least size of an RSA modulus in bits: NIST SP 800-131A, SOG-IS.
const MinRSA = 2048

// Faults says what is wrong with the key itself.
func (k Key) Faults() (out []string) {
	if k.Bits > 0 && k.Bits < MinRSA {
		out = append(out, fmt.Sprintf("its modulus has %d bits, and %d are the least", k.Bits, MinRSA))
	}
	if k.n != nil && ROCA(k.n) {
		out = append(out, "its modulus is of the kind that a flawed library made, and can be factored (CVE-2017-15361)")
	}
	if k.n != nil && smallFactor(k.n) {
		out = append(out, "its modulus has a small factor")
	}
	return out
}

// Shared says what two keys have in common, "" for nothing: that they are one, or
// that their moduli share a prime, by which both are broken.
func Shared(a, b Key) string {
	if a.Fingerprint == b.Fingerprint {
		return "they are the same key"
	}
	if a.n != nil && b.n != nil {
		if g := new(big.Int).GCD(nil, nil, a.n, b.n); g.Cmp(big.NewInt(1)) != 0 {
			return "their moduli share a prime"
		}
	}
	return ""
}

// rocaPrimes are those by which keys of the flawed library are told: all their
// primes are a power of 65537 modulo each of these (Nemec et al., "The Return of
// Coppersmith's Attack", 2017). By chance a modulus is so once in 2^27 and more.
var rocaPrimes = []int64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157}

// ROCA says whether a modulus is of the flawed library's kind.
func ROCA(n *big.Int) bool {
	for _, p := range rocaPrimes {
		r, in := new(big.Int).Mod(n, big.NewInt(p)).Int64(), false
		for x, i := int64(1), int64(0); i < p && !in; i++ {
			in = x == r
			x = x * 65537 % p
		}
		if !in {
			return false
		}
	}
	return true
}

// smallFactor says whether a modulus is divided by a prime under 1000: a generator
// without a test of primes.
func smallFactor(n *big.Int) bool {
	for p := int64(2); p < 1000; p++ {
		if new(big.Int).Mod(n, big.NewInt(p)).Sign() == 0 {
			return true
		}
	}
	return false
}
