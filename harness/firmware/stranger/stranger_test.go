package stranger

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestKeys: each scheme has one key, the same each time, and it signs.
func TestKeys(t *testing.T) {
	digest := sha256.Sum256([]byte("x"))
	for _, s := range Schemes() {
		k, err := Key(s)
		require.NoError(t, err)
		again, err := Key(s)
		require.NoError(t, err)
		sum, err := Sum(k.Public())
		require.NoError(t, err)
		same, err := Sum(again.Public())
		require.NoError(t, err)
		assert.Equal(t, sum, same)
		is, ok := SchemeOf(k.Public())
		assert.True(t, ok)
		assert.Equal(t, s, is)
		switch k := k.(type) {
		case *rsa.PrivateKey:
			for _, p := range k.Primes {
				assert.True(t, p.ProbablyPrime(20))
			}
		case *ecdsa.PrivateKey:
			sig, err := k.Sign(nil, digest[:], crypto.SHA256)
			require.NoError(t, err)
			assert.True(t, ecdsa.VerifyASN1(&k.PublicKey, digest[:], sig))
		case ed25519.PrivateKey:
			assert.True(t, ed25519.Verify(k.Public().(ed25519.PublicKey), digest[:], ed25519.Sign(k, digest[:])))
		}
	}
	_, err := Key("dsa")
	assert.Error(t, err)
}

// TestPublished: of keys that are published only their sums are here; whoever gives
// the private one gets it back.
func TestPublished(t *testing.T) {
	ours, err := Key(ED25519)
	require.NoError(t, err)
	sum, err := Sum(ours.Public())
	require.NoError(t, err)
	p := Published{Name: "ours", Scheme: ED25519, sum: sum}
	assert.Equal(t, ours, p.Signer([]crypto.Signer{ours}))
	assert.Nil(t, p.Signer(nil))
	for _, p := range AllPublished() {
		assert.False(t, p.Is(ours.Public()))
		assert.NotEmpty(t, p.Source)
	}
	_, err = Sum("no key")
	assert.Error(t, err)
	_, ok := SchemeOf("no key")
	assert.False(t, ok)
}
