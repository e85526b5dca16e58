package pubkey

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

func rsaKey(t *testing.T, bits int) Key {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	out, err := Of(k.Public(), "a test")
	require.NoError(t, err)
	return out
}

func TestFaults(t *testing.T) {
	assert.Empty(t, rsaKey(t, 2048).Faults())
	assert.Equal(t, []string{"its modulus has 1024 bits, and 2048 are the least"}, rsaKey(t, 1024).Faults())
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	k, err := Of(pub, "")
	require.NoError(t, err)
	assert.Empty(t, k.Faults())

	// A power of 65537 modulo all of the primes, as the flawed library makes them.
	m := big.NewInt(1)
	for _, p := range rocaPrimes {
		m.Mul(m, big.NewInt(p))
	}
	n := new(big.Int).Exp(big.NewInt(65537), big.NewInt(1_234_567), m)
	n.Add(n, new(big.Int).Mul(m, new(big.Int).Lsh(big.NewInt(3), 2000)))
	assert.True(t, ROCA(n))
	assert.False(t, ROCA(n.Add(n, big.NewInt(2))))
	assert.Contains(t, strings.Join(Key{n: new(big.Int).Mul(n, big.NewInt(7))}.Faults(), ";"), "small factor")
}

func TestShared(t *testing.T) {
	var ps []*big.Int
	for range 3 {
		p, err := rand.Prime(rand.Reader, 1024)
		require.NoError(t, err)
		ps = append(ps, p)
	}
	of := func(a, b int) Key {
		p, err := ssh.NewPublicKey(&rsa.PublicKey{N: new(big.Int).Mul(ps[a], ps[b]), E: 65537})
		require.NoError(t, err)
		return OfSSH(p, "")
	}
	assert.Equal(t, "their moduli share a prime", Shared(of(0, 1), of(1, 2)))
	assert.Equal(t, "they are the same key", Shared(of(0, 1), of(0, 1)))
	assert.Empty(t, Shared(of(0, 1), rsaKey(t, 2048)))
}

func TestParse(t *testing.T) {
	k := rsaKey(t, 2048)
	again, err := Parse(k.Line + " a comment")
	require.NoError(t, err)
	assert.Equal(t, "they are the same key", Shared(k, again))
	assert.Equal(t, 2048, again.Bits)
	again, err = Parse(k.Fingerprint)
	require.NoError(t, err)
	assert.Equal(t, "they are the same key", Shared(k, again))
	both, err := ParseList(k.Fingerprint + ", " + k.Line)
	require.NoError(t, err)
	assert.Len(t, both, 2)
	for _, bad := range []string{"", "SHA256:short", "ssh-rsa", "ssh-rsa AAAA", "MD5:00:11"} {
		_, err := Parse(bad)
		assert.Error(t, err, bad)
	}
}

// The fingerprint is the one that ssh-keygen gives.
func TestAgainstKeygen(t *testing.T) {
	bin, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("needs ssh-keygen: apt-get install openssh-client")
	}
	k := rsaKey(t, 2048)
	cmd := exec.Command(bin, "-lf", "-")
	cmd.Stdin = strings.NewReader(k.Line + "\n")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), k.Fingerprint)
	assert.Contains(t, string(out), "2048 ")
}

func FuzzParse(f *testing.F) {
	f.Add("SHA256:MlQfTrr4GkwEXWhIdaO2UQqraKMWLwNos2gDRkahH9g")
	f.Add("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINkvt5FDLWCDLr7DfhdM5aE6WUcuF1EjcnkZ3gaUQUBi")
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := Parse(text); err == nil {
			assert.Contains(t, k.Fingerprint, "SHA256:")
			_ = k.Faults()
		}
	})
}
