package ofmcuboot

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/firmware/mcuboot"
	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/stranger"
)

// makers are the keys of a maker who is no stranger.
var makers = sync.OnceValue(func() map[stranger.Scheme]crypto.Signer {
	r2, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	r3 := r2
	if !testing.Short() {
		if r3, err = rsa.GenerateKey(rand.Reader, 3072); err != nil {
			panic(err)
		}
	}
	ec, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{9}, 32))
	if err != nil {
		panic(err)
	}
	return map[stranger.Scheme]crypto.Signer{stranger.RSA2048: r2, stranger.RSA3072: r3, stranger.ECDSAP256: ec, stranger.ED25519: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))}
})

// image makes a genuine one.
func image(t testing.TB, s stranger.Scheme, v mcuboot.Version, fill byte, o mcuboot.SignOptions) []byte {
	t.Helper()
	img := &mcuboot.Image{Version: v, Extension: make([]byte, 32), Payload: bytes.Repeat([]byte{fill, 2, 3, 4}, 100),
		Protected: []mcuboot.TLV{mcuboot.CounterTLV(uint32(v.Minor)), mcuboot.Needs{Image: 1, Version: v}.TLV()}}
	require.NoError(t, img.Sign(makers()[s], o))
	b, err := img.Marshal()
	require.NoError(t, err)
	return b
}

var update = flag.Bool("update", false, "write the golden file anew")

func key(t testing.TB, public crypto.PublicKey) mcuboot.Key {
	t.Helper()
	k, err := mcuboot.NewKey(public)
	require.NoError(t, err)
	return k
}

// development gives a key as a user has one that is published.
func development(t testing.TB) crypto.Signer {
	t.Helper()
	d := sha256.Sum256([]byte("a development key"))
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:])
	require.NoError(t, err)
	return k
}

// subject is a genuine image with what is known about it.
type subject struct {
	name   string
	parent []byte
	o      Options
}

// subjects are images of every scheme, made here.
func subjects(t testing.TB) []subject {
	t.Helper()
	var out []subject
	for _, s := range stranger.Schemes() {
		if s == stranger.RSA3072 && testing.Short() {
			continue // its keys take long to make
		}
		for _, v := range []struct {
			name string
			o    mcuboot.SignOptions
		}{{"", mcuboot.SignOptions{}}, {" whole key", mcuboot.SignOptions{WholeKey: true}}, {" pure", mcuboot.SignOptions{Pure: true, Hash: mcuboot.SHA512}}} {
			if v.o.Pure && s != stranger.ED25519 {
				continue
			}
			out = append(out, subject{string(s) + v.name, image(t, s, mcuboot.Version{Major: 1, Minor: 5}, 1, v.o), Options{
				Seed: 1, Keys: []mcuboot.Key{key(t, makers()[s].Public())}, Free: []Range{{40, 8}}, DevKeys: []crypto.Signer{development(t)},
				Older:        [][]byte{image(t, s, mcuboot.Version{Major: 1, Minor: 3}, 9, v.o)},
				OtherProduct: [][]byte{image(t, s, mcuboot.Version{Major: 1, Minor: 5}, 77, v.o)},
			}})
		}
	}
	return out
}

// TestEveryMutant: each that can be made is what it claims to be, by the real verifier
// and by the one without its signature check; each that cannot has its reason.
func TestEveryMutant(t *testing.T) {
	for _, s := range subjects(t) {
		t.Run(s.name, func(t *testing.T) { everyMutant(t, s) })
	}
}

func everyMutant(t *testing.T, s subject) {
	t.Helper()
	set, err := Plan(s.parent, s.o)
	require.NoError(t, err)
	made, kinds := 0, map[mutant.Kind]int{}
	digests := map[string]string{}
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
		judge(t, s, set, m)
		again, err := r.Make()
		require.NoError(t, err)
		assert.Equal(t, m, again, "the same each time")
		digests[m.Digest] = m.Name // a flipped bit of a length may be the length that is one more
	}
	for _, k := range []mutant.Kind{mutant.BitFlip, mutant.Unsigned, mutant.SignatureShape, mutant.WrongKey, mutant.DevKey, mutant.VersionForge, mutant.Unprotected, mutant.Append,
		mutant.Truncated, mutant.Malformed, mutant.MixMatch, mutant.Downgrade, mutant.OtherProduct} {
		assert.Positive(t, kinds[k], k)
	}
	assert.Greater(t, len(digests), 100)
	t.Logf("%d made of %d, %d of them different", made, len(set.Recipes), len(digests))
}

// judge asks the verifiers once more, by themselves.
func judge(t *testing.T, s subject, set *mutant.Set, m *mutant.Mutant) {
	t.Helper()
	_, unsigned := mcuboot.Unsigned(m.Bytes())
	_, real := mcuboot.Verifier{Keys: s.o.Keys}.Verify(m.Bytes())
	assert.True(t, m.Proof.Anchored)
	assert.NotEmpty(t, m.Changes, m.Name)
	assert.Equal(t, mutant.Digest(s.parent), m.Parent)
	if m.Expect == mutant.Harmless {
		assert.Empty(t, m.Lacks)
		return
	}
	switch m.Lacks {
	case mutant.Authenticity:
		assert.NoError(t, unsigned, m.Name)
		assert.Error(t, real, m.Name)
		flip := m.Kind == mutant.BitFlip || m.Kind == mutant.Malformed
		assert.True(t, flip || m.Shows.TellsApart(set.Shows), "%s: who took it would not show it", m.Name)
	case mutant.Integrity, mutant.Structure:
		assert.Error(t, unsigned, m.Name)
		assert.Error(t, real, m.Name)
	case mutant.Freshness:
		assert.NoError(t, real, m.Name)
		assert.False(t, m.Proof.Policy.Accepts)
	case mutant.Product:
		assert.NoError(t, unsigned, m.Name)
	default:
		assert.Fail(t, "no property", m.Name)
	}
}

// TestChangesAreAll: what a mutant says of its changes makes it out of its parent.
func TestChangesAreAll(t *testing.T) {
	s := subjects(t)[0]
	set, err := Plan(s.parent, s.o)
	require.NoError(t, err)
	for _, r := range set.Recipes {
		m, err := r.Make()
		if errors.Is(err, mutant.ErrUnmade) {
			continue
		}
		require.NoError(t, err)
		var b []byte
		at, place := 0, 0
		for _, c := range m.Changes {
			b = append(b, s.parent[at:c.Offset]...)
			place += c.Offset - at
			b = append(b, m.Bytes()[place:place+c.Added]...)
			at, place = c.Offset+c.Removed, place+c.Added
		}
		b = append(b, s.parent[at:]...)
		assert.Equal(t, m.Digest, mutant.Digest(b), m.Name)
	}
}

// TestNames: they are evidence of cases, in this order.
func TestNames(t *testing.T) {
	all := subjects(t)
	s := all[slices.IndexFunc(all, func(s subject) bool { return s.name == string(stranger.ECDSAP256) })]
	set, err := Plan(s.parent, s.o)
	require.NoError(t, err)
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

// TestSeed: another seed chooses other bits, and no other names.
func TestSeed(t *testing.T) {
	s := subjects(t)[0]
	a, err := Plan(s.parent, s.o)
	require.NoError(t, err)
	s.o.Seed = 2
	b, err := Plan(s.parent, s.o)
	require.NoError(t, err)
	require.Len(t, b.Recipes, len(a.Recipes))
	differ := 0
	for i := range a.Recipes {
		assert.Equal(t, a.Recipes[i].Name, b.Recipes[i].Name)
		m, err := a.Recipes[i].Make()
		if err != nil {
			continue
		}
		n, err := b.Recipes[i].Make()
		require.NoError(t, err)
		if m.Digest != n.Digest {
			differ++
		}
	}
	assert.Greater(t, differ, 20)
}

// TestUnproven: what is not what it claims to be is not given out.
func TestUnproven(t *testing.T) {
	s := subjects(t)[0]
	set, err := Plan(s.parent, s.o)
	require.NoError(t, err)
	// The one who is called a stranger is the maker's second key here.
	trusted, err := stranger.Key(stranger.RSA2048)
	require.NoError(t, err)
	s.o.Keys = append(s.o.Keys, key(t, trusted.Public()))
	trusting, err := Plan(s.parent, s.o)
	require.NoError(t, err)
	for i, r := range set.Recipes {
		if r.Name == "wrong-key" {
			_, err := r.Make()
			require.NoError(t, err)
			_, err = trusting.Recipes[i].Make()
			assert.ErrorIs(t, err, mutant.ErrUnproven)
		}
	}
}

func TestNoPlan(t *testing.T) {
	s := subjects(t)[0]
	unsigned := &mcuboot.Image{Payload: []byte{1}, TLVs: []mcuboot.TLV{{Type: mcuboot.SHA256, Value: make([]byte, 32)}}}
	require.NoError(t, unsigned.Rehash())
	bare, err := unsigned.Marshal()
	require.NoError(t, err)
	encrypted, err := mcuboot.Parse(s.parent)
	require.NoError(t, err)
	encrypted = encrypted.Clone()
	encrypted.Flags = mcuboot.FlagEncrypted128
	secret, err := encrypted.Marshal()
	require.NoError(t, err)
	last := image(t, stranger.ED25519, mcuboot.Version{Revision: 0xffff}, 1, mcuboot.SignOptions{})
	for _, c := range []struct {
		name string
		b    []byte
		o    Options
		want string
	}{
		{"no image", []byte("MZ"), Options{}, "no MCUboot image"},
		{"no signature", bare, Options{}, "no signature"},
		{"another's", s.parent, Options{Keys: []mcuboot.Key{key(t, makers()[stranger.ED25519].Public())}}, "do not verify it"},
		{"encrypted", secret, Options{}, "encrypted"},
		{"free of nothing", s.parent, Options{Free: []Range{{0, 4000}}}, "no range"},
		{"no version left", last, Options{}, "no revision is after"},
	} {
		_, err := Plan(c.b, c.o)
		assert.ErrorContains(t, err, c.want, c.name)
	}
}

// TestPublishedIsMakers: where the maker signs with a published key, that is said in
// place of a mutant that would be genuine.
func TestPublishedIsMakers(t *testing.T) {
	for _, p := range stranger.AllPublished() {
		// Its private half is not ours: the image names it all the same.
		img := &mcuboot.Image{Payload: []byte{1, 2, 3, 4}}
		require.NoError(t, img.Sign(makers()[p.Scheme], mcuboot.SignOptions{}))
		sum, err := hex.DecodeString(p.Sum())
		require.NoError(t, err)
		for n := range img.TLVs {
			if img.TLVs[n].Type == mcuboot.KeyHash {
				img.TLVs[n].Value = sum
			}
		}
		b, err := img.Marshal()
		require.NoError(t, err)
		set, err := Plan(b, Options{})
		require.NoError(t, err)
		found := false
		for _, r := range set.Of(mutant.DevKey) {
			if r.Name == "dev-key-"+p.Name {
				assert.True(t, strings.HasPrefix(r.Unmade, PublishedIsMakers), r.Unmade)
				found = true
			}
		}
		assert.True(t, found)
	}
}

// TestErasedEnd: an image whose last byte is what erased flash holds is not truncated by
// it; a device that takes it takes all that was signed.
func TestErasedEnd(t *testing.T) {
	for i := range 1 << 16 {
		img := &mcuboot.Image{Payload: []byte{byte(i), byte(i >> 8)}}
		require.NoError(t, img.Sign(makers()[stranger.ED25519], mcuboot.SignOptions{}))
		b, err := img.Marshal()
		require.NoError(t, err)
		if last := b[len(b)-1]; last != 0 && last != 0xff {
			continue
		}
		set, err := Plan(b, Options{})
		require.NoError(t, err)
		for _, r := range set.Of(mutant.Truncated) {
			assert.Equal(t, r.Name == "truncated-last-byte", r.Unmade != "", r.Name)
		}
		return
	}
	assert.Fail(t, "no such image")
}

// TestEvidence: a mutant is evidence as JSON, without its bytes.
func TestEvidence(t *testing.T) {
	s := subjects(t)[0]
	set, err := Plan(s.parent, s.o)
	require.NoError(t, err)
	m, err := set.Of(mutant.Unsigned)[0].Make()
	require.NoError(t, err)
	b, err := json.Marshal(m)
	require.NoError(t, err)
	assert.Less(t, len(b), 2000)
	assert.Contains(t, string(b), `"lacks":"authenticity"`)
	t.Log(string(b))
}

// vectors gives the folder with images that imgtool made, which is no part of the
// project.
func vectors(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("RIGOR_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "..", "shared", "vectors")
	}
	dir = filepath.Join(dir, "mcuboot")
	if _, err := os.Stat(filepath.Join(dir, "app-a.bin")); err != nil {
		t.Skip("needs the vectors: set RIGOR_VECTORS to a folder with mcuboot/*.bin as imgtool signed them, their keys and dumps")
	}
	return dir
}

// TestVectors: the same of images that imgtool signed.
func TestVectors(t *testing.T) {
	dir := vectors(t)
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return b
	}
	for _, v := range []struct{ name, key string }{{"rsa-2048-v1.3.0+7", "rsa-2048"}, {"rsa-3072-v1.3.0+7", "rsa-3072"}, {"ecdsa-p256-v1.3.0+7", "ecdsa-p256"}, {"ed25519-v1.3.0+7", "ed25519"},
		{"ed25519pure-v1.3.0+7", "ed25519"}, {"fullpubkey-v1.3.0+7", "ecdsa-p256"}, {"dep-v2.0.0", "ecdsa-p256"}} {
		t.Run(v.name, func(t *testing.T) {
			block, _ := pem.Decode(read(v.key + ".pub.pem"))
			pub, err := x509.ParsePKIXPublicKey(block.Bytes)
			require.NoError(t, err)
			everyMutant(t, subject{v.name, read(v.name + ".bin"), Options{Keys: []mcuboot.Key{key(t, pub)}, DevKeys: []crypto.Signer{development(t)}, Older: [][]byte{read(v.key + "-v1.1.0+0.bin")}, OtherProduct: [][]byte{read("wrongkey-v1.3.0+7.bin")}}})
		})
	}
}

func BenchmarkPlan(b *testing.B) {
	s := subjects(b)[0]
	for b.Loop() {
		if _, err := Plan(s.parent, s.o); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMake makes every mutant of an image of 256 KiB, with its proof.
func BenchmarkMake(b *testing.B) {
	for _, s := range []stranger.Scheme{stranger.ECDSAP256, stranger.RSA2048} {
		b.Run(string(s), func(b *testing.B) {
			img := &mcuboot.Image{Version: mcuboot.Version{Major: 1}, Payload: make([]byte, 256<<10), Protected: []mcuboot.TLV{mcuboot.CounterTLV(1)}}
			require.NoError(b, img.Sign(makers()[s], mcuboot.SignOptions{}))
			parent, err := img.Marshal()
			require.NoError(b, err)
			set, err := Plan(parent, Options{Keys: []mcuboot.Key{key(b, makers()[s].Public())}})
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
		})
	}
}
