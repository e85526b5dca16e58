package update_test

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rigor/harness/firmware/fit"
	"rigor/harness/firmware/swu"
)

// partsMaker is the maker's key, with which packages and what is started are signed.
var partsMaker = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

var partsCert = sync.OnceValue(func() *x509.Certificate {
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "maker"}, NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, BasicConstraintsValid: true, IsCA: true, SubjectKeyId: []byte{1, 2, 3, 4}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, partsMaker().Public(), partsMaker())
	if err != nil {
		panic(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return c
})

// partsKernel makes what is started of a version: an image of mkimage's with another
// description, and the maker's signature.
func partsKernel(t *testing.T, version string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "harness", "firmware", "fit", "testdata", "data-offset.fit"))
	require.NoError(t, err)
	edit := func(edits ...fit.Edit) *fit.Image {
		img, err := fit.Parse(b)
		require.NoError(t, err)
		b, err = img.Rewrite(edits...)
		require.NoError(t, err)
		img, err = fit.Parse(b)
		require.NoError(t, err)
		return img
	}
	img := edit(fit.Edit{Node: "/", Prop: "description", Value: []byte("GX-1 " + version + "\x00")})
	s := img.Signatures()[0]
	value, err := img.Sign(s, partsMaker())
	require.NoError(t, err)
	edit(fit.Edit{Node: s.Path, Prop: "value", Value: value})
	_, err = fit.Verifier{Keys: []*rsa.PublicKey{&partsMaker().PublicKey}}.Verify(b)
	require.NoError(t, err)
	return b
}

// partsPackage makes a package of the maker's. What the device tells comes out of its
// root, and what is started out of name.
func partsPackage(t *testing.T, version, name string, kernel []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(kernel)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	files := []swu.Member{swu.File(name, packed.Bytes(), true), swu.File("root", []byte("root of "+version), true)}
	var desc strings.Builder
	fmt.Fprintf(&desc, "software = {\n\tversion = \"%s\";\n\thardware-compatibility: [ \"A\" ];\n\timages: (\n", version)
	for i, f := range files {
		fmt.Fprintf(&desc, "\t\t{ filename = \"%s\"; type = \"raw\"; device = \"/dev/none\"; %ssha256 = \"%x\"; }%s\n", f.Name, []string{`compressed = "zlib"; `, ""}[i], sha256.Sum256(f.Data), []string{",", ""}[i])
	}
	desc.WriteString("\t);\n};\n")
	sig, err := swu.Sign([]byte(desc.String()), partsCert(), partsMaker())
	require.NoError(t, err)
	a := &swu.Archive{End: swu.Member{Header: swu.Header{Sums: true}}, Members: append([]swu.Member{swu.File(swu.DescriptionName, []byte(desc.String()), true), swu.File(swu.SignatureName, sig, true)}, files...)}
	b, err := a.Marshal()
	require.NoError(t, err)
	return b
}
