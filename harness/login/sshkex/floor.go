package sshkex

import (
	"slices"
	"strings"
)

// Grade says what is thought of an algorithm.
type Grade int

// The grades. What no table of ours knows is Unknown, neither good nor bad.
const (
	Unknown Grade = iota
	Good
	Weak   // under the floor, unless the maker declares it
	Broken // under every floor
)

// Kinds of algorithms.
const (
	KeyExchange = "key exchange"
	HostKey     = "host key"
	Cipher      = "cipher"
	MAC         = "MAC"
)

// graded are the algorithms by kind and grade. Sources: RFC 9142 for key exchanges, RFC
// 8758 for RC4, RFC 8332 for signatures with SHA-1, RFC 4253 for what is optional there
// and old; OpenSSH's release notes for what its client refuses by default.
var graded = map[string]map[Grade][]string{
	KeyExchange: {
		Good: {"mlkem768x25519-sha256", "mlkem768nistp256-sha256", "mlkem1024nistp384-sha384", "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com",
			"curve25519-sha256", "curve25519-sha256@libssh.org", "curve448-sha512", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521",
			"diffie-hellman-group-exchange-sha256", "diffie-hellman-group14-sha256", "diffie-hellman-group15-sha512", "diffie-hellman-group16-sha512",
			"diffie-hellman-group17-sha512", "diffie-hellman-group18-sha512", "rsa2048-sha256",
			// no algorithms: marks by which both sides say what they know
			"ext-info-s", "kex-strict-s-v00@openssh.com", "kexguess2@matt.ucc.asn.au"},
		Weak:   {"diffie-hellman-group14-sha1", "diffie-hellman-group-exchange-sha1"},
		Broken: {"diffie-hellman-group1-sha1", "rsa1024-sha1", "none"},
	},
	HostKey: {
		Good: {"ssh-ed25519", "ssh-ed448", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-256", "rsa-sha2-512",
			"sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", "ssh-ed25519-cert-v01@openssh.com", "ecdsa-sha2-nistp256-cert-v01@openssh.com",
			"ecdsa-sha2-nistp384-cert-v01@openssh.com", "ecdsa-sha2-nistp521-cert-v01@openssh.com", "rsa-sha2-256-cert-v01@openssh.com", "rsa-sha2-512-cert-v01@openssh.com"},
		Weak:   {"ssh-rsa", "ssh-rsa-cert-v01@openssh.com"},
		Broken: {"ssh-dss", "ssh-dss-cert-v01@openssh.com", "null", "none"},
	},
	Cipher: {
		Good: {"chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM"},
		Weak: {"aes128-cbc", "aes192-cbc", "aes256-cbc", "rijndael-cbc@lysator.liu.se", "3des-cbc", "3des-ctr", "twofish-cbc", "twofish128-cbc", "twofish192-cbc", "twofish256-cbc",
			"serpent128-cbc", "serpent192-cbc", "serpent256-cbc"},
		Broken: {"none", "des-cbc", "des-cbc@ssh.com", "arcfour", "arcfour128", "arcfour256", "blowfish-cbc", "blowfish-ctr", "cast128-cbc", "cast128-ctr", "idea-cbc"},
	},
	MAC: {
		// HMAC does not lean on collisions: with SHA-1 it holds (RFC 6194).
		Good: {"hmac-sha1", "hmac-sha1-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com",
			"umac-128@openssh.com", "umac-128-etm@openssh.com", "umac-64@openssh.com", "umac-64-etm@openssh.com", // of OpenSSH's default
			"AEAD_AES_128_GCM", "AEAD_AES_256_GCM"},
		Weak: {"hmac-sha1-96", "hmac-sha1-96-etm@openssh.com", "hmac-ripemd160", "hmac-ripemd160@openssh.com",
			"hmac-ripemd160-etm@openssh.com", "hmac-sha2-256-96", "hmac-sha2-512-96"},
		Broken: {"none", "hmac-md5", "hmac-md5-96", "hmac-md5-etm@openssh.com", "hmac-md5-96-etm@openssh.com", "umac-32@openssh.com"},
	},
}

// GradeOf gives what is thought of an algorithm of a kind.
func GradeOf(kind, name string) Grade {
	for g, names := range graded[kind] {
		if slices.Contains(names, name) {
			return g
		}
	}
	if kind == KeyExchange && strings.HasPrefix(name, "gss-") { // with the name of a mechanism behind, RFC 4462 and 8732
		switch {
		case strings.HasPrefix(name, "gss-group1-sha1-"):
			return Broken
		case strings.HasPrefix(name, "gss-gex-sha1-"), strings.HasPrefix(name, "gss-group14-sha1-"):
			return Weak
		}
		return Good
	}
	return Unknown
}

// Declarable gives the algorithms that a maker may declare in spite of their age.
func Declarable() (out []string) {
	for _, kind := range []string{KeyExchange, HostKey, Cipher, MAC} {
		out = append(out, graded[kind][Weak]...)
	}
	return out
}

// Named is one offered algorithm.
type Named struct{ Kind, Name string }

// All gives what is offered, by kind.
func (o Offer) All() (out []Named) {
	for _, l := range []struct {
		kind  string
		names []string
	}{{KeyExchange, o.KeyExchanges}, {HostKey, o.HostKeys}, {Cipher, o.Ciphers}, {MAC, o.MACs}} {
		for _, n := range l.names {
			out = append(out, Named{l.kind, n})
		}
	}
	return out
}
