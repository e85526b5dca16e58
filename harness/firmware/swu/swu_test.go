package swu

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/firmware/internal/peers"
	"rigor/harness/firmware/stranger"
)

var makers = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// certified makes a certificate for a key by itself.
func certified(t testing.TB, key crypto.Signer, alter func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "maker"}, NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, BasicConstraintsValid: true}
	if alter != nil {
		alter(tmpl)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	require.NoError(t, err)
	c, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return c
}

// description makes one for two images.
func description(version, hardware string, files map[string][]byte) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "software = {\n\tversion = \"%s\";\n\thardware-compatibility: [ \"%s\" ];\n\timages: (\n", version, hardware)
	for i, name := range []string{"kernel.gz", "root.gz"} {
		fmt.Fprintf(&b, "\t\t{ filename = \"%s\"; type = \"raw\"; device = \"/tmp/rigor-none\"; sha256 = \"%x\"; }%s\n", name, sha256.Sum256(files[name]), []string{",", ""}[i])
	}
	b.WriteString("\t);\n};\n")
	return []byte(b.String())
}

// pack makes a package of two images; without a key it is not signed.
func pack(t testing.TB, sums bool, cert *x509.Certificate, key crypto.Signer) []byte {
	t.Helper()
	files := map[string][]byte{"kernel.gz": bytes.Repeat([]byte("kernel"), 301), "root.gz": bytes.Repeat([]byte("root"), 1000)}
	desc := description("1.5.0", "A", files)
	a := &Archive{Members: []Member{File(DescriptionName, desc, sums)}, End: Member{Header: Header{Sums: sums}}}
	if key != nil {
		sig, err := Sign(desc, cert, key)
		require.NoError(t, err)
		a.Members = append(a.Members, File(SignatureName, sig, sums))
	}
	for _, name := range []string{"kernel.gz", "root.gz"} {
		a.Members = append(a.Members, File(name, files[name], sums))
	}
	b, err := a.Marshal()
	require.NoError(t, err)
	return append(b, make([]byte, 512-len(b)%512)...)
}

func TestRoundTrip(t *testing.T) {
	for _, sums := range []bool{true, false} {
		b := pack(t, sums, certified(t, makers(), nil), makers())
		a, err := Parse(b)
		require.NoError(t, err)
		out, err := a.Marshal()
		require.NoError(t, err)
		assert.Equal(t, b, out)
		var names []string
		at := 0
		regions, err := Regions(b)
		require.NoError(t, err)
		for _, r := range regions {
			require.Equal(t, at, r.Offset)
			at = r.End()
			names = append(names, r.Name)
		}
		assert.Len(t, b, at)
		assert.Equal(t, []string{"sw-description.header", "sw-description.data", "sw-description.sig.header", "sw-description.sig.data", "kernel.gz.header", "kernel.gz.data", "root.gz.header", "root.gz.data", "trailer", "tail"}, names)
	}
}

// TestCpio: what cpio makes is written as it was read, and what is written here cpio
// reads.
func TestCpio(t *testing.T) {
	prog, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("needs cpio: apt-get install cpio")
	}
	for _, format := range []string{"crc", "newc"} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, DescriptionName), []byte("software = {};\n"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600))
		cmd := exec.CommandContext(t.Context(), prog, "-o", "-H", format)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(DescriptionName+"\nempty\n")
		b, err := cmd.Output()
		require.NoError(t, err)
		a, err := Parse(b)
		require.NoError(t, err)
		assert.Equal(t, "software = {};\n", string(a.Members[0].Data))
		out, err := a.Marshal()
		require.NoError(t, err)
		assert.Equal(t, b, out)
		cmd = exec.CommandContext(t.Context(), prog, "-t", "--only-verify-crc", "-H", format)
		if format == "newc" {
			cmd = exec.CommandContext(t.Context(), prog, "-t", "-H", format)
		}
		cmd.Stdin = bytes.NewReader(pack(t, format == "crc", nil, nil))
		list, err := cmd.CombinedOutput()
		require.NoError(t, err, string(list))
		assert.NotContains(t, string(list), "checksum error")
	}
}

func TestVerify(t *testing.T) {
	cert := certified(t, makers(), nil)
	other, err := stranger.Key(stranger.RSA2048)
	require.NoError(t, err)
	ec, err := stranger.Key(stranger.ECDSAP256)
	require.NoError(t, err)
	trust := Verifier{Certs: []*x509.Certificate{cert}}
	for _, c := range []struct {
		name     string
		b        []byte
		v        Verifier
		want     error
		unsigned error
	}{
		{"genuine", pack(t, true, cert, makers()), trust, nil, nil},
		{"without sums", pack(t, false, cert, makers()), trust, nil, nil},
		{"unsigned", pack(t, true, nil, nil), trust, ErrNoSignature, nil},
		{"stranger", pack(t, true, certified(t, other, nil), other), trust, ErrUntrusted, nil},
		{"stranger with the maker's certificate", pack(t, true, cert, other), trust, ErrBadSignature, nil},
		{"P-256", pack(t, true, certified(t, ec, nil), ec), Verifier{Certs: []*x509.Certificate{certified(t, ec, nil)}}, ErrUntrusted, nil},
		{"another purpose", pack(t, true, certified(t, makers(), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }), makers()), trust, ErrUntrusted, nil},
		{"code signing wanted", pack(t, true, cert, makers()), Verifier{Certs: trust.Certs, Purpose: x509.ExtKeyUsageCodeSigning}, ErrUntrusted, nil},
		{"run out", pack(t, true, cert, makers()), Verifier{Certs: trust.Certs, Time: time.Unix(5e9, 0)}, ErrUntrusted, nil},
		{"no certificates", pack(t, true, cert, makers()), Verifier{}, ErrUntrusted, nil},
		{"no package", []byte("PK"), trust, ErrMalformed, ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, err := c.v.Verify(c.b)
			assert.ErrorIs(t, err, c.want)
			if c.want == nil {
				require.NoError(t, err)
				assert.Equal(t, "maker", found.Signer.Subject.CommonName)
			}
			_, err = Unsigned(c.b)
			assert.ErrorIs(t, err, c.unsigned)
			unsigned, verified := c.v.Both(c.b)
			assert.ErrorIs(t, unsigned, c.unsigned)
			assert.ErrorIs(t, verified, c.want)
		})
	}
	ecCert := certified(t, ec, nil)
	_, err = Verifier{Certs: []*x509.Certificate{ecCert}}.Verify(pack(t, true, ecCert, ec))
	assert.NoError(t, err, "P-256")
	assert.Equal(t, pack(t, true, ecCert, ec), pack(t, true, ecCert, ec), "signed alike each time")
}

func TestInconsistent(t *testing.T) {
	good, err := Parse(pack(t, true, nil, nil))
	require.NoError(t, err)
	for _, c := range []struct {
		name  string
		alter func(a *Archive)
		want  error
	}{
		{"image changed", func(a *Archive) { a.Members[1].Data = []byte("x"); a.Members[1].Resum() }, ErrWrongHash},
		{"sum", func(a *Archive) { a.Members[2].Check++ }, ErrWrongSum},
		{"image gone", func(a *Archive) { a.Members = a.Members[:2] }, ErrWrongHash},
		{"image twice", func(a *Archive) { a.Members = append(a.Members, File("root.gz", []byte("x"), true)) }, ErrWrongHash},
		{"description second", func(a *Archive) { a.Members[0], a.Members[1] = a.Members[1], a.Members[0] }, ErrMalformed},
		{"no hash", func(a *Archive) {
			a.Members[0].Data = []byte(`software = { version = "1"; images: ({ filename = "root.gz"; }); };`)
			a.Members[0].Resum()
		}, ErrNoHash},
		{"no description", func(a *Archive) { a.Members[0].Data = []byte("{"); a.Members[0].Resum() }, ErrMalformed},
		{"nothing", func(a *Archive) { a.Members = nil }, ErrMalformed},
	} {
		a := good.Clone()
		c.alter(a)
		b, err := a.Marshal()
		require.NoError(t, err)
		_, err = Unsigned(b)
		assert.ErrorIs(t, err, c.want, c.name)
	}
}

func TestPolicy(t *testing.T) {
	d, err := ParseDescription(description("1.5.0", "A", nil))
	require.NoError(t, err)
	for _, c := range []struct {
		p    Policy
		want error
	}{{Policy{}, nil}, {Policy{Version: "1.5.0", Hardware: "A"}, nil}, {Policy{Version: "1.5.1"}, ErrTooOld}, {Policy{Version: "1.10"}, ErrTooOld}, {Policy{Version: "1.4.9.9"}, nil}, {Policy{Hardware: "B"}, ErrOtherProduct}, {Policy{Version: "1.5-rc1"}, ErrUnsupported}, {Policy{Version: "1.2.3.4.5"}, ErrUnsupported}} {
		assert.ErrorIs(t, c.p.Check(d), c.want, "%+v", c.p)
	}
}

func TestDescription(t *testing.T) {
	for name, s := range map[string]string{
		"libconfig": "# a comment\nsoftware = // another\n{\n version = \"1.\" \"5\";\n hardware-compatibility: [ \"A\", \"B\" ];\n stable: { a: { images: ( { filename = \"r\\x41\"; sha256 = \"ab\"; size = 0x10L; on = true; } /* , */ ); }; };\n};\n",
		"JSON":      `{"software": {"version": "1.5", "hardware-compatibility": ["A", "B"], "stable": {"a": {"images": [{"filename": "rA", "sha256": "ab", "size": 16, "on": true}]}}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			d, err := ParseDescription([]byte(s))
			require.NoError(t, err)
			assert.Equal(t, "1.5", d.Version.Value)
			require.Len(t, d.Hardware, 2)
			assert.Equal(t, "B", d.Hardware[1].Value)
			assert.Equal(t, "B", s[d.Hardware[1].Offset:d.Hardware[1].Offset+1])
			require.Len(t, d.Entries, 1)
			e := d.Entries[0]
			assert.Equal(t, "rA", e.File.Value)
			assert.Equal(t, "ab", s[e.SHA256.Offset:e.SHA256.Offset+e.SHA256.Length])
			assert.Contains(t, e.Whole.Value, "sha256")
			assert.Equal(t, e.Whole.Value, s[e.Whole.Offset:e.Whole.Offset+e.Whole.Length])
		})
	}
	for _, s := range []string{"", "software = 1;", "software = {", "software = { version = \"1", "software = ( ", "software { }", "= 1", "software = { a = ; };", "{\"software\": {}} x", "software = { a = \"\\", "software = { a = \"\\xzz\"; };",
		"software = " + strings.Repeat("(", 100)} {
		_, err := ParseDescription([]byte(s))
		assert.ErrorIs(t, err, ErrMalformed, s)
	}
}

// lay writes files into a new folder.
func lay(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	return dir
}

func certPEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// TestOpenSSL: each takes what the other signed, and refuses what it did not.
func TestOpenSSL(t *testing.T) {
	prog, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("needs openssl: apt-get install openssl")
	}
	cert := certified(t, makers(), nil)
	p8, err := x509.MarshalPKCS8PrivateKey(makers())
	require.NoError(t, err)
	desc := description("1.5.0", "A", nil)
	dir := lay(t, map[string][]byte{"cert": certPEM(cert), "key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: p8}), "desc": desc, "other": append(bytes.Clone(desc), '\n')})
	run := func(args ...string) error {
		cmd := exec.CommandContext(t.Context(), prog, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Logf("%v: %s", args, out)
		}
		return err
	}
	for _, extra := range [][]string{{"-noattr"}, nil, {"-nosmimecap"}} {
		require.NoError(t, run(append([]string{"cms", "-sign", "-in", "desc", "-out", "sig", "-signer", "cert", "-inkey", "key", "-outform", "DER", "-binary"}, extra...)...))
		sig, err := os.ReadFile(filepath.Join(dir, "sig"))
		require.NoError(t, err)
		v := Verifier{Certs: []*x509.Certificate{cert}}
		_, err = v.signature(desc, sig)
		assert.NoError(t, err, extra)
		_, err = v.signature(append(bytes.Clone(desc), '\n'), sig)
		assert.ErrorIs(t, err, ErrBadSignature)
		step := 1
		if testing.Short() {
			step = 13
		}
		for i := 0; i < len(sig); i += step {
			m := bytes.Clone(sig)
			m[i] ^= 0x20
			if c, err := v.signature(desc, m); err == nil {
				assert.Equal(t, cert.Raw, c.Raw, "byte %d", i) // what frames a signature is not all covered by it
			}
		}
	}
	require.NoError(t, run("cms", "-sign", "-in", "desc", "-out", "sig", "-signer", "cert", "-inkey", "key", "-outform", "DER", "-binary", "-nodetach"))
	sig, err := os.ReadFile(filepath.Join(dir, "sig"))
	require.NoError(t, err)
	_, err = Verifier{Certs: []*x509.Certificate{cert}}.signature(desc, sig)
	assert.ErrorIs(t, err, ErrUnsupported, "attached")
	ours, err := Sign(desc, cert, makers())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ours"), ours, 0o600))
	verify := []string{"cms", "-verify", "-in", "ours", "-inform", "DER", "-binary", "-CAfile", "cert", "-purpose", "smimesign", "-out", "out", "-content"}
	assert.NoError(t, run(append(verify, "desc")...))
	assert.Error(t, run(append(verify, "other")...))
}

// TestSwupdate: swupdate takes what is made here, and refuses what it should.
func TestSwupdate(t *testing.T) {
	if testing.Short() {
		t.Skip("swupdate takes a second for each answer: too long for -short")
	}
	peer := peers.NewSwupdate(t)
	cert := certified(t, makers(), nil)
	other, err := stranger.Key(stranger.RSA2048)
	require.NoError(t, err)
	good := pack(t, true, cert, makers())
	for _, c := range []struct {
		name string
		b    []byte
		ok   bool
	}{{"genuine", good, true}, {"newc", pack(t, false, cert, makers()), true}, {"unsigned", pack(t, true, nil, nil), false}, {"stranger", pack(t, true, certified(t, other, nil), other), false},
		{"another purpose", pack(t, true, certified(t, makers(), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }), makers()), false}} {
		t.Run(c.name, func(t *testing.T) {
			said := peer.Judge(t.Context(), cert, [][]byte{c.b}, "-H", "x:A")
			assert.Equal(t, map[bool]string{true: peers.Taken, false: peers.Refused}[c.ok], said[0])
			_, err := Verifier{Certs: []*x509.Certificate{cert}}.Verify(c.b)
			assert.Equal(t, c.ok, err == nil)
		})
	}
}

// FuzzParse: foreign bytes are a package that is written again byte for byte, or are
// refused.
func FuzzParse(f *testing.F) {
	key, err := stranger.Key(stranger.RSA2048) // the same in each process
	require.NoError(f, err)
	cert := certified(f, key, nil)
	f.Add(pack(f, true, cert, key))
	f.Add(pack(f, false, nil, nil))
	v := Verifier{Certs: []*x509.Certificate{cert}}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := Parse(b)
		_, unsigned := Unsigned(b)
		_, verified := v.Verify(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || unsigned == nil || verified == nil {
				t.Fatalf("%v, %v, %v", err, unsigned, verified)
			}
			return
		}
		if verified == nil && unsigned != nil {
			t.Fatalf("signed, and %v", unsigned)
		}
		out, err := a.Marshal()
		if err != nil || !bytes.Equal(out, b) {
			t.Fatalf("written as %q, %v", out, err)
		}
	})
}

// FuzzDescription: what a description names stands where it says.
func FuzzDescription(f *testing.F) {
	f.Add(description("1.5.0", "A", nil))
	f.Add([]byte(`{"software": {"version": "1"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseDescription(b)
		if err != nil {
			return
		}
		texts := append([]Text{d.Version}, d.Hardware...)
		for _, e := range d.Entries {
			texts = append(texts, e.File, e.SHA256, e.Whole)
		}
		for _, x := range texts {
			if x.Offset < 0 || x.Length < 0 || x.Offset+x.Length > len(b) {
				t.Fatalf("%+v of %d bytes", x, len(b))
			}
		}
	})
}

// FuzzSignature: no bytes but the maker's are a signature.
func FuzzSignature(f *testing.F) {
	key, err := stranger.Key(stranger.RSA2048) // the same in each process
	require.NoError(f, err)
	cert := certified(f, key, nil)
	desc := description("1.5.0", "A", nil)
	sig, err := Sign(desc, cert, key)
	require.NoError(f, err)
	f.Add(sig)
	v := Verifier{Certs: []*x509.Certificate{cert}}
	other := []byte("software = {};")
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := v.signature(other, b); err == nil {
			t.Fatal("a signature of what nobody signed")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	cert := certified(b, makers(), nil)
	files := map[string][]byte{"kernel.gz": make([]byte, 8<<20), "root.gz": make([]byte, 24<<20)}
	desc := description("1", "A", files)
	sig, err := Sign(desc, cert, makers())
	require.NoError(b, err)
	a := &Archive{Members: []Member{File(DescriptionName, desc, true), File(SignatureName, sig, true), File("kernel.gz", files["kernel.gz"], true), File("root.gz", files["root.gz"], true)}}
	data, err := a.Marshal()
	require.NoError(b, err)
	b.Run("parse-32MiB", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := Parse(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verify-32MiB", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := (Verifier{Certs: []*x509.Certificate{cert}}).Verify(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
