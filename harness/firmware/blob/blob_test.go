package blob

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/firmware/stranger"
)

// layout is an image with everything: a header with version, counter and length, a
// payload, a CRC and a SHA-256 behind it, and a signature at the end.
func layout(scheme string, signature int) Layout {
	return Layout{
		Ranges: []Range{
			{"magic", Header, 0, 4}, {"version", Version, 4, 12}, {"counter", Counter, 12, 16}, {"length", Length, 16, 20},
			{"payload", Payload, 20, -(signature + 52)}, {"padding", Padding, -(signature + 52), -(signature + 36)},
			{"crc", Digest, -(signature + 36), -(signature + 32)}, {"hash", Digest, -(signature + 32), -signature}, {"signature", Signature, -signature, 0},
		},
		Checks: []Check{{"crc", "crc32-le", []string{"payload"}}, {"hash", "sha256", []string{"magic", "version", "counter", "length", "payload"}}},
		Signed: &Signed{"signature", scheme, []string{"magic", "version", "counter", "length", "payload", "hash"}},
	}
}

// image makes one that is not signed.
func image(signature int) []byte {
	b := append([]byte("FWIM1.5.0\x00\x00\x00"), 5, 0, 0, 0, 0x90, 1, 0, 0)
	b = append(b, bytes.Repeat([]byte("pay."), 100)...)
	return append(b, make([]byte, signature+52)...)
}

func TestSchemes(t *testing.T) {
	for _, c := range []struct {
		scheme string
		size   int
		key    stranger.Scheme
	}{{"rsa-pkcs1", 256, stranger.RSA2048}, {"rsa-pss", 384, stranger.RSA3072}, {"ecdsa-der", 72, stranger.ECDSAP256}, {"ecdsa-raw", 64, stranger.ECDSAP256}, {"ed25519", 64, stranger.ED25519}} {
		t.Run(c.scheme, func(t *testing.T) {
			l := layout(c.scheme, c.size)
			key, err := stranger.Key(c.key)
			require.NoError(t, err)
			b, err := l.Sign(image(c.size), key)
			require.NoError(t, err)
			again, err := l.Sign(image(c.size), key)
			require.NoError(t, err)
			assert.Equal(t, b, again, "signed alike each time")
			v := Verifier{l, []crypto.PublicKey{key.Public()}}
			require.NoError(t, v.Verify(b))
			assert.ErrorIs(t, Verifier{l, nil}.Verify(b), ErrBadSignature)
			regions, err := l.Regions(b)
			require.NoError(t, err)
			for _, r := range regions {
				m := bytes.Clone(b)
				m[r.Offset+r.Length/2] ^= 1
				if r.Role == Padding {
					assert.NoError(t, v.Verify(m))
					continue
				}
				assert.Error(t, v.Verify(m), r.Name)
				if r.Role != Signature {
					fixed, err := l.Fix(m)
					require.NoError(t, err)
					assert.NoError(t, l.Unsigned(fixed), r.Name)
				}
			}
		})
	}
}

func TestDigests(t *testing.T) {
	for algorithm, want := range map[string]string{"md5": "900150983cd24fb0d6963f7d28e17f72", "sha1": "a9993e364706816aba3e25717850c26c9cd0d89d",
		"sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "crc32-be": "352441c2", "crc32-le": "c2412435"} {
		got := digest(algorithm, []byte("abc"))
		assert.Equal(t, want, hex.EncodeToString(got))
		assert.Len(t, got, size(algorithm))
	}
	for _, algorithm := range []string{"sha384", "sha512"} {
		assert.Len(t, digest(algorithm, nil), size(algorithm))
	}
	// A check over itself counts itself as zeros.
	l := Layout{Ranges: []Range{{"all", Payload, 0, 8}, {"crc", Digest, 8, 12}}, Checks: []Check{{"crc", "crc32-be", []string{"all", "crc"}}}}
	b, err := l.Fix([]byte("12345678abcd"))
	require.NoError(t, err)
	assert.Equal(t, crc32.ChecksumIEEE([]byte("12345678\x00\x00\x00\x00")), binary.BigEndian.Uint32(b[8:]))
	require.NoError(t, l.Unsigned(b))
	assert.ErrorIs(t, l.Unsigned([]byte("12345678abcd")), ErrWrongDigest)
}

func TestLayouts(t *testing.T) {
	for name, alter := range map[string]func(*Layout){
		"two of a name":     func(l *Layout) { l.Ranges[1].Name = "magic" },
		"no name":           func(l *Layout) { l.Ranges[1].Name = "" },
		"no such role":      func(l *Layout) { l.Ranges[1].Role = "x" },
		"check elsewhere":   func(l *Layout) { l.Checks[0].Range = "payload" },
		"algorithm":         func(l *Layout) { l.Checks[0].Algorithm = "sum" },
		"check of nothing":  func(l *Layout) { l.Checks[0].Covers = nil },
		"check of unknown":  func(l *Layout) { l.Checks[0].Covers = []string{"x"} },
		"signature nowhere": func(l *Layout) { l.Signed.Range = "payload" },
		"scheme":            func(l *Layout) { l.Signed.Scheme = "dsa" },
		"signs itself":      func(l *Layout) { l.Signed.Covers = append(l.Signed.Covers, "signature") },
	} {
		l := layout("ed25519", 64)
		alter(&l)
		assert.ErrorIs(t, l.Unsigned(image(64)), ErrLayout, name)
	}
	// Who mistypes a word is told those that there are.
	for want, alter := range map[string]func(*Layout){
		`no role is called "x"; there are header, payload, version, `:                 func(l *Layout) { l.Ranges[1].Role = "x" },
		`no algorithm is called "sum"; there are sha256, sha384, sha512, sha1, md5, `: func(l *Layout) { l.Checks[0].Algorithm = "sum" },
		`no scheme is called "dsa"; there are rsa-pkcs1, rsa-pss, ecdsa-der, `:        func(l *Layout) { l.Signed.Scheme = "dsa" },
	} {
		l := layout("ed25519", 64)
		alter(&l)
		assert.ErrorContains(t, l.Validate(), want)
	}
	l := layout("ed25519", 64)
	for n := range 20 + 64 + 52 {
		assert.ErrorIs(t, l.Unsigned(make([]byte, n)), ErrMalformed)
	}
	l.Ranges[1].To = 13
	assert.ErrorIs(t, l.Unsigned(image(64)), ErrMalformed, "they overlap")
	l = layout("ed25519", 64)
	l.Checks[1].Algorithm = "sha1"
	_, err := l.Fix(image(64))
	assert.ErrorIs(t, err, ErrLayout)
	l = layout("ed25519", 64)
	l.Signed = nil
	fixed, err := l.Fix(image(64))
	require.NoError(t, err)
	assert.ErrorIs(t, Verifier{Layout: l}.Verify(fixed), ErrUnsupported)
	key, err := stranger.Key(stranger.ED25519)
	require.NoError(t, err)
	_, err = l.Sign(fixed, key)
	assert.ErrorIs(t, err, ErrUnsupported)
	_, err = layout("rsa-pss", 64).Sign(image(64), key)
	assert.ErrorIs(t, err, ErrUnsupported, "another scheme than the key's")
	_, err = layout("ed25519", 65).Sign(image(65), key)
	assert.ErrorIs(t, err, ErrLayout, "too long")
	l = layout("ed25519", 64)
	l.Checks[0].Covers = []string{"signature"}
	l.Signed.Covers = append(l.Signed.Covers, "crc")
	_, err = l.Sign(image(64), key)
	assert.ErrorIs(t, err, ErrLayout, "each over the other")
}

// FuzzVerify: no bytes make a verifier fail otherwise than by a refusal.
func FuzzVerify(f *testing.F) {
	key, err := stranger.Key(stranger.ECDSAP256)
	require.NoError(f, err)
	l := layout("ecdsa-der", 72)
	good, err := l.Sign(image(72), key)
	require.NoError(f, err)
	f.Add(good)
	v := Verifier{l, []crypto.PublicKey{key.Public()}}
	f.Fuzz(func(t *testing.T, b []byte) {
		unsigned, err := l.Unsigned(b), v.Verify(b)
		if err == nil && unsigned != nil {
			t.Fatal("signed, and", unsigned)
		}
		if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrWrongDigest) && !errors.Is(err, ErrBadSignature) {
			t.Fatal(err)
		}
		if !errors.Is(unsigned, ErrMalformed) {
			fixed, err := l.Fix(b)
			if err != nil || l.Unsigned(fixed) != nil {
				t.Fatal(err, l.Unsigned(fixed))
			}
		}
	})
}
