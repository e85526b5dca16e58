package protection

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/login/sshkex"
	"rigor/harness/login/tlshello"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

func TestOffers(t *testing.T) {
	count := func(p profile.TLS) int { return len(offers(p)) }
	assert.Equal(t, 3+7+3, count(profile.TLS{}), "three old versions, seven classes, and what TLS 1.2 can have wrong")
	assert.Equal(t, 4+7+3, count(profile.TLS{Oldest: "1.3"}))
	assert.Equal(t, 3+6+3, count(profile.TLS{Allow: []string{"cbc-sha1"}}))
	assert.Equal(t, 1+3*5+3, count(profile.TLS{Oldest: "1.0", Allow: []string{"cbc-sha1", "3des"}}), "each class in each version")
	for _, o := range offers(profile.TLS{}) {
		assert.LessOrEqual(t, o.hello.Version, tlshello.TLS12)
	}
}

func TestTaken(t *testing.T) {
	for bits, want := range map[int]verdict.Kind{0: verdict.Unproven, 1024: verdict.Accepted, 2047: verdict.Accepted, 2048: verdict.Refused, 3072: verdict.Refused} {
		assert.Equal(t, want, group(tlshello.Answer{Kind: verdict.Accepted, GroupBits: bits}).Kind, "%d bits", bits)
	}
	for number, want := range map[uint16]verdict.Kind{0: verdict.Garbled, 29: verdict.Garbled, 19: verdict.Accepted} {
		assert.Equal(t, want, curve(tlshello.Answer{Kind: verdict.Accepted, Curve: number}).Kind, "curve %d", number)
	}
	assert.Equal(t, verdict.Accepted, compression(tlshello.Answer{Kind: verdict.Accepted, Deflate: true}).Kind)
	assert.Equal(t, verdict.Refused, compression(tlshello.Answer{Kind: verdict.Accepted}).Kind)
}

func TestFaults(t *testing.T) {
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	cert := func(change func(c *x509.Certificate)) *x509.Certificate {
		c := &x509.Certificate{PublicKey: &ecdsa.PublicKey{Curve: elliptic.P256()}, SignatureAlgorithm: x509.ECDSAWithSHA256, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0),
			RawIssuer: []byte("an authority"), RawSubject: []byte("a device")}
		if change != nil {
			change(c)
		}
		return c
	}
	small := new(big.Int).Lsh(big.NewInt(1), 1023)
	root := cert(func(c *x509.Certificate) { c.SignatureAlgorithm, c.RawSubject = x509.SHA1WithRSA, c.RawIssuer })
	for want, chain := range map[string][]*x509.Certificate{
		"":                                   {cert(nil), root},
		"an RSA key of 1024 bits":            {cert(func(c *x509.Certificate) { c.PublicKey = &rsa.PublicKey{N: small} })},
		"signed with SHA1-RSA":               {cert(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA })},
		"certificate 2 of the chain is sign": {cert(nil), cert(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.MD5WithRSA })},
		"was valid until":                    {cert(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) })},
		"valid only from":                    {cert(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) })},
	} {
		got := faults(chain, now)
		if want == "" {
			assert.Empty(t, got)
		} else if assert.Len(t, got, 1, want) {
			assert.Contains(t, got[0], want)
		}
	}
}

// What is broken cannot be declared, and what is weak can.
func TestFloorsAgree(t *testing.T) {
	const rest = "profile: p\nssh: {allow: [\""
	for _, name := range sshkex.Declarable() {
		_, err := profile.Parse("p.yaml", []byte(rest+name+"\"]}\n"))
		assert.NoError(t, err, name)
	}
	for _, name := range []string{"none", "ssh-dss", "diffie-hellman-group1-sha1", "arcfour", "hmac-md5"} {
		_, err := profile.Parse("p.yaml", []byte(rest+name+"\"]}\n"))
		assert.ErrorContains(t, err, "broken", name)
	}
	for text, want := range map[string]string{`tls: {oldest: "1.4"}`: "oldest", `tls: {oldest: 1.2}`: "", `tls: {allow: [rc4]}`: "rc4", `keys: {reset: gone}`: "reset"} {
		_, err := profile.Parse("p.yaml", []byte("profile: p\n"+text+"\n"))
		if want != "" {
			assert.ErrorContains(t, err, want, text)
		}
	}
}
