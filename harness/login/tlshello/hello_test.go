package tlshello

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/verdict"
)

// served gives what a server that crypto/tls makes of a configuration says to a hello.
func served(t *testing.T, conf *tls.Config, h Hello) Answer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	require.NoError(t, err)
	conf.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tls.Server(server, conf).HandshakeContext(t.Context())
		_ = server.Close()
	}()
	a, err := Ask(t.Context(), client, h, 5*time.Second)
	require.NoError(t, err)
	_ = client.Close()
	<-done
	return a
}

func TestAskGo(t *testing.T) {
	modern := func() *tls.Config {
		return &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
	}
	for _, c := range []struct {
		name string
		conf *tls.Config
		h    Hello
		want verdict.Kind
		v    uint16
	}{
		{"1.3", modern(), Modern(TLS13), verdict.Accepted, TLS13},
		{"1.2", modern(), Modern(TLS12), verdict.Accepted, TLS12},
		{"1.1 is over", modern(), Old(TLS11), verdict.Refused, 0},
		{"1.0 is over", modern(), Old(TLS10), verdict.Refused, 0},
		{"SSL 3.0 is over", modern(), Old(SSL30), verdict.Refused, 0},
		{"nonsense", modern(), Nonsense(), verdict.Refused, 0},
		{"no CBC", modern(), With(TLS12, CBCSHA1), verdict.Refused, 0},
		{"no weak curve", modern(), WeakCurves(), verdict.Refused, 0},
		{"1.0 is there", &tls.Config{MinVersion: tls.VersionTLS10, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, Old(TLS10), verdict.Accepted, TLS10},
		{"RC4 is there", &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA}}, With(TLS12, RC4), verdict.Accepted, TLS12}, //nolint:gosec // to be found
		{"1.3 alone", &tls.Config{MinVersion: tls.VersionTLS13}, Modern(TLS12), verdict.Refused, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := served(t, c.conf, c.h)
			assert.Equal(t, c.want, a.Kind, "%s", a)
			assert.Equal(t, c.v, a.Version)
			if c.v == TLS12 {
				assert.True(t, a.Renegotiation)
			}
			assert.False(t, a.Deflate)
		})
	}
}

// A server that says nothing, nonsense or good-bye has not said no.
func TestAskKinds(t *testing.T) {
	for _, c := range []struct {
		name string
		say  func(c net.Conn)
		want verdict.Kind
	}{
		{"closes", func(net.Conn) {}, verdict.Incompatible},
		{"HTTP", func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, verdict.Garbled},
		{"half a record", func(c net.Conn) { _, _ = c.Write([]byte{22, 3, 3, 0, 90, 2, 0}) }, verdict.Garbled},
		{"alert", func(c net.Conn) { _, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 70}) }, verdict.Refused},
		{"a warning and then an alert", func(c net.Conn) { _, _ = c.Write([]byte{21, 3, 3, 0, 2, 1, 112, 21, 3, 3, 0, 2, 2, 40}) }, verdict.Refused},
		{"waits", func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }, verdict.Silent},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, server := net.Pipe()
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = server.Read(make([]byte, 4096))
				c.say(server)
				_ = server.Close()
			}()
			a, err := Ask(t.Context(), client, Modern(TLS12), 300*time.Millisecond)
			require.NoError(t, err)
			assert.Equal(t, c.want, a.Kind, "%s", a)
			assert.NotEmpty(t, a.String())
			_ = client.Close()
			<-done
		})
	}
	client, server := net.Pipe()
	defer func() { _, _ = client.Close(), server.Close() }()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("it is late"))
	_, err := Ask(ctx, client, Modern(TLS12), time.Minute)
	assert.ErrorContains(t, err, "it is late")
}

// No suite is in two classes, and none of the good ones in any.
func TestSuites(t *testing.T) {
	seen := map[uint16]Class{}
	for _, c := range Classes() {
		for _, s := range suites[c] {
			assert.Empty(t, seen[s], "%04x is in two classes", s)
			seen[s] = c
			assert.Equal(t, c, ClassOf(s))
		}
	}
	for _, s := range append(append([]uint16{}, modern12...), modern13...) {
		assert.Empty(t, seen[s], "%04x", s)
	}
	for _, s := range tls.CipherSuites() { // what crypto/tls has nothing against
		if c := ClassOf(s.ID); c != "" {
			assert.Equal(t, CBCSHA1, c, "%s", s.Name)
		}
	}
	for _, s := range tls.InsecureCipherSuites() {
		switch s.ID {
		case tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_CBC_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256:
			continue // without forward secrecy, or CBC with SHA-2: nothing that a floor names
		}
		assert.NotEmpty(t, ClassOf(s.ID), "%s", s.Name)
	}
	// Servers are known that hang at a hello of 256 to 511 bytes, RFC 7685.
	for _, v := range []uint16{SSL30, TLS10, TLS11} {
		assert.Less(t, len(Old(v).Bytes([64]byte{})), 420)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{21, 3, 3, 0, 2, 2, 40}, false)
	f.Add([]byte{22, 3, 3, 0, 4, 14, 0, 0, 0}, true)
	hello := append([]byte{22, 3, 3, 0, 44, 2, 0, 0, 40, 3, 3}, make([]byte, 35)...)
	f.Add(append(hello, 0, 0), true)
	f.Add([]byte("HTTP/1.1 400 Bad Request"), false)
	f.Fuzz(func(t *testing.T, b []byte, exchange bool) {
		a, done := Parse(b, exchange)
		_ = a.String()
		if a.Kind == verdict.Accepted {
			assert.GreaterOrEqual(t, len(b), 5+4+38)
		}
		// What was enough stays enough, and says the same, whatever comes behind it.
		if done {
			again, still := Parse(append(append([]byte{}, b...), 22, 3, 3, 0), exchange)
			assert.True(t, still)
			assert.Equal(t, a.Kind, again.Kind)
			assert.Equal(t, a.Version, again.Version)
		}
	})
}
