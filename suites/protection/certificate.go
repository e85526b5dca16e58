package protection

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login/pubkey"
	"rigor/harness/verdict"
)

// certificates claims that what the server shows of itself holds: keys and signatures
// of today, valid now, signed by somebody else unless it is declared to be the unit's
// own. It gives the digests of the server's certificates.
func (s *tlsServer) certificates(ctx context.Context) (digests []string) {
	t := s.t
	chains, why, err := t.Device().Certificates(ctx, s.port)
	t.OK(err)
	var text bytes.Buffer
	for _, chain := range chains {
		digests = append(digests, dut.CertDigest(chain[0]))
		for _, cert := range chain {
			fmt.Fprintf(&text, "subject %s\nissuer %s\nvalid from %s to %s\nkey %s, signed with %s\n", cert.Subject, cert.Issuer,
				cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339), keyText(cert), cert.SignatureAlgorithm)
			_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}) // a buffer takes everything
		}
		text.WriteByte('\n')
	}
	if why != nil {
		fmt.Fprintf(&text, "%s\n", why)
	}
	ref := t.Keep("certificates.txt", "the certificates that the server shows, each with its chain", text.Bytes())
	t.Claim("the certificate's key and signature are of today, and it is valid now", func(c *check.Claim) {
		c.Show(ref)
		now := time.Now()
		var ok []string
		for _, chain := range chains {
			for _, bad := range faults(chain, now) {
				c.Fail(verdict.ReasonExpectation, "%s", bad)
			}
			ok = append(ok, fmt.Sprintf("%s, signed with %s, until %s", keyText(chain[0]), chain[0].SignatureAlgorithm, chain[0].NotAfter.UTC().Format(time.DateOnly)))
		}
		c.Expect(fmt.Sprintf("RSA of %d bits or a curve of 224, no MD5 nor SHA-1, valid", pubkey.MinRSA), strings.Join(ok, "; "))
		switch {
		case len(chains) == 0:
			c.Unknown(verdict.ReasonPrecondition, "no certificate was shown: %v", why)
		case why != nil:
			c.Unknown(verdict.ReasonPrecondition, "that the server has the key to its certificate was not shown: %v", why)
		}
	})
	declared := t.Profile().TLS.SelfSigned
	t.Claim("the certificate is signed by whom the profile says", func(c *check.Claim) {
		c.Show(ref)
		if len(chains) == 0 {
			c.Unknown(verdict.ReasonPrecondition, "no certificate was shown: %v", why)
			return
		}
		for _, chain := range chains {
			own := selfSigned(chain[0])
			c.Expect("as declared", fmt.Sprintf("issuer %s; its own: %v", chain[0].Issuer, own))
			switch {
			case own && declared == nil:
				c.Unknown(verdict.ReasonProfileMissing, "the certificate is signed by itself, and the profile does not say that it is (tls: {self-signed: true})")
			case own && !*declared:
				c.Fail(verdict.ReasonContradicted, "the certificate is signed by itself, and the profile says that it is not")
			}
		}
	})
	return digests
}

// minCurve is the least size of a curve in bits.
const minCurve = 224

// faults says what is wrong with a chain, its own certificate first.
func faults(chain []*x509.Certificate, now time.Time) (out []string) {
	for i, cert := range chain {
		name := fmt.Sprintf("certificate %d of the chain", i+1)
		switch k := cert.PublicKey.(type) {
		case *rsa.PublicKey:
			if k.N.BitLen() < pubkey.MinRSA {
				out = append(out, fmt.Sprintf("%s has an RSA key of %d bits", name, k.N.BitLen()))
			}
		case *ecdsa.PublicKey:
			if k.Curve.Params().BitSize < minCurve {
				out = append(out, fmt.Sprintf("%s has a key on a curve of %d bits", name, k.Curve.Params().BitSize))
			}
		}
		// Who trusts a root trusts it for itself, and not for its own signature.
		if root := i > 0 && selfSigned(cert); !root {
			switch cert.SignatureAlgorithm {
			case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1:
				out = append(out, fmt.Sprintf("%s is signed with %s", name, cert.SignatureAlgorithm))
			}
		}
		switch {
		case now.Before(cert.NotBefore):
			out = append(out, fmt.Sprintf("%s is valid only from %s on", name, cert.NotBefore.UTC().Format(time.RFC3339)))
		case now.After(cert.NotAfter):
			out = append(out, fmt.Sprintf("%s was valid until %s", name, cert.NotAfter.UTC().Format(time.RFC3339)))
		}
	}
	return out
}

func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject)
}

func keyText(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA of %d bits", k.N.BitLen())
	case *ecdsa.PublicKey:
		return k.Curve.Params().Name
	}
	return c.PublicKeyAlgorithm.String()
}
