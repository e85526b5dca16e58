package profile

import (
	"slices"
	"strconv"
)

// What a maker may declare in spite of its age. What is not here is under every
// floor: no encryption, no certificate, export's keys, RC4, DES, SSL 3.0.
var (
	// TLSVersions are those that can be the oldest one, in their order.
	TLSVersions = []string{"1.0", "1.1", "1.2", "1.3"}
	tlsClasses  = []string{"cbc-sha1", "3des"}
	sshNever    = []string{"none", "null", "ssh-dss", "ssh-dss-cert-v01@openssh.com", "diffie-hellman-group1-sha1", "rsa1024-sha1", "des-cbc", "des-cbc@ssh.com",
		"arcfour", "arcfour128", "arcfour256", "hmac-md5", "hmac-md5-96", "hmac-md5-etm@openssh.com", "hmac-md5-96-etm@openssh.com"}
)

// floors is what the maker declares of the protection on the wire.
func (l *linter) floors() {
	p := l.p
	l.oneOf([]string{"tls", "oldest"}, p.TLS.Oldest, TLSVersions...)
	for i, a := range p.TLS.Allow {
		if !slices.Contains(tlsClasses, a) {
			l.errorf([]string{"tls", "allow", strconv.Itoa(i)}, near(a, tlsClasses), "no class of suites %q can be allowed", a)
		}
	}
	for i, a := range p.SSH.Allow {
		if slices.Contains(sshNever, a) || a == "" {
			l.errorf([]string{"ssh", "allow", strconv.Itoa(i)}, "take it out: the device must not offer it", "%q is broken, and cannot be allowed", a)
		}
	}
	l.oneOf([]string{"keys", "reset"}, p.Keys.Reset, KeysNew, KeysKept)
}
