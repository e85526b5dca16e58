package ofswu

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/firmware/internal/peers"
	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/stranger"
	"rigor/harness/firmware/swu"
)

// maker1 is a maker's key with its certificate.
var maker1 = sync.OnceValue(func() Signer {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "maker"}, NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, BasicConstraintsValid: true, IsCA: true, SubjectKeyId: []byte{1, 2, 3, 4}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		panic(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return Signer{"maker", c, k}
})

var update = flag.Bool("update", false, "write the golden file anew")

// pack makes a genuine package.
func pack(t testing.TB, version, hardware string, fill byte, sums bool, size int) []byte {
	t.Helper()
	files := map[string][]byte{"kernel.gz": bytes.Repeat([]byte{fill, 2, 3}, size), "root.gz": bytes.Repeat([]byte{fill, 9}, size)}
	var desc strings.Builder
	fmt.Fprintf(&desc, "software = {\n\tversion = \"%s\";\n\thardware-compatibility: [ \"%s\" ];\n\timages: (\n", version, hardware)
	for i, name := range []string{"kernel.gz", "root.gz"} {
		fmt.Fprintf(&desc, "\t\t{ filename = \"%s\"; type = \"raw\"; device = \"/tmp/rigor-none\"; sha256 = \"%x\"; }%s\n", name, sha256.Sum256(files[name]), []string{",", ""}[i])
	}
	desc.WriteString("\t);\n};\n")
	sig, err := swu.Sign([]byte(desc.String()), maker1().Cert, maker1().Key)
	require.NoError(t, err)
	a := &swu.Archive{End: swu.Member{Header: swu.Header{Sums: sums}}, Members: []swu.Member{swu.File(swu.DescriptionName, []byte(desc.String()), sums), swu.File(swu.SignatureName, sig, sums),
		swu.File("kernel.gz", files["kernel.gz"], sums), swu.File("root.gz", files["root.gz"], sums)}}
	b, err := a.Marshal()
	require.NoError(t, err)
	return append(b, make([]byte, 512-len(b)%512)...)
}

// plan gives a parent and all that can be made of it.
func plan(t testing.TB, sums bool) ([]byte, *mutant.Set) {
	t.Helper()
	parent := pack(t, "1.5.0", "A", 1, sums, 500)
	ec, err := stranger.Key(stranger.RSA3072)
	require.NoError(t, err)
	cert, err := certify(ec, nil)
	require.NoError(t, err)
	set, err := Plan(parent, Options{Seed: 1, Certs: []*x509.Certificate{maker1().Cert}, Older: [][]byte{pack(t, "1.3.0", "A", 3, sums, 500)}, OtherProduct: [][]byte{pack(t, "1.5.0", "Z", 4, sums, 500)},
		DevKeys: []Signer{{"example", cert, ec}}})
	require.NoError(t, err)
	return parent, set
}

// TestTwinOfAnotherProduct: another product's package that has the parent's content says
// with the parent's hardware what the parent says. Its acceptance would not show.
func TestTwinOfAnotherProduct(t *testing.T) {
	parent := pack(t, "1.5.0", "A", 1, true, 500)
	set, err := Plan(parent, Options{Seed: 1, Certs: []*x509.Certificate{maker1().Cert}, OtherProduct: [][]byte{pack(t, "1.5.0", "Z", 1, true, 500), pack(t, "1.5.0", "Z", 4, true, 500)}})
	require.NoError(t, err)
	unmade := map[string]string{}
	for _, r := range set.Of(mutant.VersionForge) {
		unmade[r.Name] = r.Unmade
	}
	assert.Equal(t, "that is the parent's own description", unmade["other-product-1-hardware-forged"])
	assert.Empty(t, unmade["other-product-2-hardware-forged"])
}

func TestEveryMutant(t *testing.T) {
	for _, sums := range []bool{true, false} {
		t.Run(fmt.Sprintf("sums %v", sums), func(t *testing.T) {
			parent, set := plan(t, sums)
			v := swu.Verifier{Certs: []*x509.Certificate{maker1().Cert}}
			kinds, made := map[mutant.Kind]int{}, 0
			for _, r := range set.Recipes {
				m, err := r.Make()
				if r.Unmade != "" {
					assert.ErrorIs(t, err, mutant.ErrUnmade)
					continue
				}
				if !assert.NoError(t, err) {
					continue
				}
				made++
				kinds[r.Kind]++
				again, err := r.Make()
				require.NoError(t, err)
				assert.Equal(t, m, again, "the same each time")
				assert.NotEmpty(t, m.Changes)
				assert.Equal(t, mutant.Digest(parent), m.Parent)
				_, unsigned := swu.Unsigned(m.Bytes())
				_, real := v.Verify(m.Bytes())
				if m.Expect == mutant.Harmless {
					continue
				}
				switch m.Lacks {
				case mutant.Authenticity:
					assert.NoError(t, unsigned, m.Name)
					assert.Error(t, real, m.Name)
				case mutant.Integrity, mutant.Structure:
					assert.Error(t, unsigned, m.Name)
					assert.Error(t, real, m.Name)
				case mutant.Freshness, mutant.Product:
					assert.NoError(t, real, m.Name)
					assert.False(t, m.Proof.Policy.Accepts)
				default:
					assert.Fail(t, "no property", m.Name)
				}
			}
			for _, k := range []mutant.Kind{mutant.BitFlip, mutant.Unsigned, mutant.SignatureShape, mutant.WrongKey, mutant.DevKey, mutant.VersionForge, mutant.Unprotected, mutant.Append,
				mutant.Truncated, mutant.Malformed, mutant.MixMatch, mutant.Downgrade, mutant.OtherProduct} {
				assert.Positive(t, kinds[k], k)
			}
			t.Logf("%d made of %d", made, len(set.Recipes))
		})
	}
}

// TestNames: they are evidence of cases, in this order.
func TestNames(t *testing.T) {
	_, set := plan(t, true)
	var got bytes.Buffer
	for _, r := range set.Recipes {
		got.WriteString(string(r.Kind) + " " + r.Name + " " + string(r.Expect))
		if r.Unmade != "" {
			got.WriteString(" unmade: " + r.Unmade)
		}
		got.WriteString("\n")
	}
	golden := filepath.Join("testdata", "names.txt")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), got.String())
}

func TestNoPlan(t *testing.T) {
	good := pack(t, "1.5.0", "A", 1, true, 10)
	a, err := swu.Parse(good)
	require.NoError(t, err)
	bare := a.Clone()
	bare.Members = append(bare.Members[:1:1], bare.Members[2:]...)
	unsigned, err := bare.Marshal()
	require.NoError(t, err)
	key, err := stranger.Key(stranger.RSA2048)
	require.NoError(t, err)
	cert, err := certify(key, nil)
	require.NoError(t, err)
	for _, c := range []struct {
		b    []byte
		o    Options
		want string
	}{{[]byte("PK"), Options{}, "no update package"}, {unsigned, Options{}, "no signature"}, {good, Options{Certs: []*x509.Certificate{cert}}, "do not verify it"}, {pack(t, "1.5-rc", "A", 1, true, 10), Options{}, "say which"}} {
		_, err := Plan(c.b, c.o)
		assert.ErrorContains(t, err, c.want)
	}
	set, err := Plan(pack(t, "1.5-rc", "A", 1, true, 10), Options{Version: "2.0"})
	require.NoError(t, err)
	m, err := set.Of(mutant.Unsigned)[0].Make()
	require.NoError(t, err)
	assert.False(t, m.Proof.Anchored)
	assert.Equal(t, "2.0", m.Shows.Version)
	set, err = Plan(good, Options{Certs: []*x509.Certificate{maker1().Cert}, DevKeys: []Signer{maker1()}})
	require.NoError(t, err)
	assert.Equal(t, PublishedIsMakers, set.Of(mutant.DevKey)[0].Unmade)
}

// TestSwupdate: swupdate takes the parent and refuses every mutant but harmless ones;
// of those it says what it says.
func TestSwupdate(t *testing.T) {
	if testing.Short() {
		t.Skip("a hundred runs of swupdate take too long for -short")
	}
	peer := peers.NewSwupdate(t)
	for _, sums := range []bool{true, false} {
		parent, set := plan(t, sums)
		var all []*mutant.Mutant
		for _, r := range set.Recipes {
			if r.Unmade == "" {
				m, err := r.Make()
				require.NoError(t, err)
				all = append(all, m)
			}
		}
		files := [][]byte{parent}
		for _, m := range all {
			files = append(files, m.Bytes())
		}
		said := peer.Judge(t.Context(), maker1().Cert, append(files, parent), "-H", "x:A", "-N", "1.5.0")
		assert.Equal(t, peers.Taken, said[0], "the parent")
		assert.Equal(t, peers.Taken, said[len(said)-1], "the parent again")
		n, harmless := 0, []string{}
		for i, m := range all {
			switch said := said[i+1]; {
			case m.Expect == mutant.Refuse:
				assert.Equal(t, peers.Refused, said, "%s (%s)", m.Name, m.Why)
				n++
			case said == peers.Taken:
				harmless = append(harmless, m.Name)
			default:
				assert.Equal(t, peers.Refused, said, m.Name)
			}
		}
		t.Logf("sums %v: %d refused; harmless and taken: %s", sums, n, strings.Join(harmless, " "))
	}
}

func BenchmarkMake(b *testing.B) {
	parent := pack(b, "1.5.0", "A", 1, true, 800<<10)
	set, err := Plan(parent, Options{Certs: []*x509.Certificate{maker1().Cert}})
	require.NoError(b, err)
	n := 0
	for b.Loop() {
		n = 0
		for _, r := range set.Recipes {
			if r.Unmade != "" {
				continue
			}
			if _, err := r.Make(); err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	b.ReportMetric(float64(n), "mutants/op")
	b.SetBytes(int64(n * len(parent)))
}
