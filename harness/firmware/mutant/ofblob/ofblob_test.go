package ofblob

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/firmware/blob"
	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/stranger"
)

// layout has a signature at the end, over a header that holds the payload's hash.
func layout(scheme string, size int) blob.Layout {
	return blob.Layout{
		Ranges: []blob.Range{
			{Name: "magic", Role: blob.Header, From: 0, To: 4}, {Name: "version", Role: blob.Version, From: 4, To: 12}, {Name: "counter", Role: blob.Counter, From: 12, To: 16}, {Name: "length", Role: blob.Length, From: 16, To: 20},
			{Name: "hash", Role: blob.Digest, From: 20, To: 52}, {Name: "payload", Role: blob.Payload, From: 52, To: 452}, {Name: "padding", Role: blob.Padding, From: 456, To: 460}, {Name: "signature", Role: blob.Signature, From: 460, To: 460 + size},
		},
		Checks: []blob.Check{{Range: "hash", Algorithm: "sha256", Covers: []string{"payload"}}},
		Signed: &blob.Signed{Range: "signature", Scheme: scheme, Covers: []string{"magic", "version", "counter", "length", "hash"}},
	}
}

// genuine makes one.
func genuine(t testing.TB, l blob.Layout, size int, version string, fill byte, key crypto.Signer) []byte {
	t.Helper()
	b := make([]byte, 460+size)
	copy(b, "FWIM")
	copy(b[4:], version)
	b[12], b[16], b[17] = version[2], 0x90, 1
	copy(b[52:], bytes.Repeat([]byte{fill, 2}, 200))
	if l.Signed == nil {
		out, err := l.Fix(b)
		require.NoError(t, err)
		return out
	}
	out, err := l.Sign(b, key)
	require.NoError(t, err)
	return out
}

func makers(t testing.TB, scheme string) crypto.Signer {
	t.Helper()
	if scheme == "ed25519" {
		return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return k
}

func TestEveryMutant(t *testing.T) {
	for _, c := range []struct {
		scheme string
		size   int
	}{{"ed25519", 64}, {"ecdsa-der", 72}, {"ecdsa-raw", 64}, {"", 64}} {
		t.Run("signed by "+c.scheme, func(t *testing.T) {
			l := layout(c.scheme, c.size)
			key := makers(t, c.scheme)
			o := Options{Seed: 1, Layout: l, Keys: []crypto.PublicKey{key.Public()}, Version: []byte("1.5.1\x00\x00\x00"), Free: []string{"payload"}}
			if c.scheme == "" {
				l.Signed, o.Keys = nil, nil
				o.Layout = l
			} else {
				dev, err := stranger.Key(stranger.ECDSAP256)
				require.NoError(t, err)
				o.DevKeys = []crypto.Signer{dev}
			}
			o.Older, o.OtherProduct = [][]byte{genuine(t, l, c.size, "1.3.0", 7, key)}, [][]byte{genuine(t, l, c.size, "1.5.0", 8, key)}
			parent := genuine(t, l, c.size, "1.5.0", 1, key)
			set, err := Plan(parent, o)
			require.NoError(t, err)
			assert.Equal(t, "1.5.0", set.Shows.Version)
			made := 0
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
				again, err := r.Make()
				require.NoError(t, err)
				assert.Equal(t, m, again)
				assert.NotEmpty(t, m.Changes)
				assert.Equal(t, c.scheme != "", m.Proof.Anchored)
				if m.Lacks == mutant.Authenticity && m.Kind != mutant.BitFlip && m.Kind != mutant.MixMatch && m.Kind != mutant.Malformed {
					assert.True(t, m.Shows.TellsApart(set.Shows) || m.Shows.Counter != set.Shows.Counter, "%s: who took it would not show it", m.Name)
				}
				if c.scheme != "" && m.Expect == mutant.Refuse && (m.Lacks == mutant.Authenticity || m.Lacks == mutant.Integrity || m.Lacks == mutant.Structure) {
					assert.Error(t, blob.Verifier{Layout: l, Keys: o.Keys}.Verify(m.Bytes()), m.Name)
				}
			}
			t.Logf("%d made of %d", made, len(set.Recipes))
			assert.Greater(t, made, 35)
		})
	}
}

// TestNames: they are evidence of cases, in this order.
func TestNames(t *testing.T) {
	l := layout("ed25519", 64)
	key := makers(t, "ed25519")
	parent := genuine(t, l, 64, "1.5.0", 1, key)
	set, err := Plan(parent, Options{Layout: l, Keys: []crypto.PublicKey{key.Public()}, Version: []byte("1.5.1\x00\x00\x00")})
	require.NoError(t, err)
	var names []string
	for _, r := range set.Recipes {
		name := r.Name
		if r.Unmade != "" {
			name += " (unmade)"
		}
		names = append(names, name)
	}
	assert.Equal(t, []string{
		"flip-magic", "flip-version", "flip-counter", "flip-length", "flip-hash", "flip-payload", "flip-undeclared-452 (unmade)", "flip-padding", "flip-signature",
		"signature-stale", "signature-zeroed", "signature-ones", "signature-length (unmade)", "unsigned", "wrong-key-ed25519", "dev-key (unmade)",
		"version-raised", "version-raised-checks-right", "counter-raised", "counter-raised-checks-right", "append-bytes",
		"truncated-empty", "truncated-in-magic", "truncated-before-version", "truncated-in-version", "truncated-before-counter", "truncated-in-counter", "truncated-before-length", "truncated-in-length",
		"truncated-before-hash", "truncated-in-hash", "truncated-before-payload", "truncated-in-payload", "truncated-before-padding", "truncated-in-padding", "truncated-before-signature", "truncated-in-signature", "truncated-last-byte",
		"structure-length-zero", "structure-length-max", "structure-length-near", "structure-length-negative",
		"mix-magic-of-older (unmade)", "mix-version-of-older (unmade)", "mix-counter-of-older (unmade)", "mix-length-of-older (unmade)", "mix-hash-of-older (unmade)", "mix-payload-of-older (unmade)", "mix-signature-of-older (unmade)",
		"mix-magic-of-other-product (unmade)", "mix-version-of-other-product (unmade)", "mix-counter-of-other-product (unmade)", "mix-length-of-other-product (unmade)", "mix-hash-of-other-product (unmade)", "mix-payload-of-other-product (unmade)", "mix-signature-of-other-product (unmade)",
		"older (unmade)", "other-product (unmade)",
	}, names)
}

func TestNoPlan(t *testing.T) {
	l := layout("ed25519", 64)
	key := makers(t, "ed25519")
	parent := genuine(t, l, 64, "1.5.0", 1, key)
	other, err := stranger.Key(stranger.ED25519)
	require.NoError(t, err)
	bare := l
	bare.Ranges, bare.Signed = l.Ranges[:7], nil
	for _, c := range []struct {
		b    []byte
		o    Options
		want string
	}{
		{parent[:10], Options{Layout: l}, "malformed"},
		{parent, Options{Layout: l, Keys: []crypto.PublicKey{other.Public()}}, "not the maker's"},
		{parent, Options{Layout: bare}, "no range is a signature"},
		{parent, Options{Layout: l, Free: []string{"x"}}, "no range is called"},
		{parent, Options{Layout: l, Version: []byte("1")}, "no range of its size"},
		{parent, Options{Layout: l}, "to tell what is forged by"},
	} {
		_, err := Plan(c.b, c.o)
		assert.ErrorContains(t, err, c.want)
	}
}

func BenchmarkMake(b *testing.B) {
	l := layout("ed25519", 64)
	key := makers(b, "ed25519")
	parent := genuine(b, l, 64, "1.5.0", 1, key)
	set, err := Plan(parent, Options{Layout: l, Keys: []crypto.PublicKey{key.Public()}, Version: []byte("1.5.1\x00\x00\x00")})
	require.NoError(b, err)
	for b.Loop() {
		for _, r := range set.Recipes {
			if r.Unmade != "" {
				continue
			}
			if _, err := r.Make(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
