package mcuboot

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"crypto/ecdsa"
	"crypto/rand"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/firmware/stranger"
)

// sample is an image with everything in it.
func sample() *Image {
	return &Image{
		LoadAddr: 0x1000, Version: Version{1, 2, 3, 4}, Extension: []byte{0xff, 0xfe}, Payload: bytes.Repeat([]byte("payload "), 32),
		Protected: []TLV{CounterTLV(7), Needs{Image: 1, Version: Version{1, 0, 0, 0}}.TLV(), {BootRecord, []byte{0xa0}}},
		Tail:      []byte{0xff, 0xff},
	}
}

// signed signs it with a key of a scheme.
func signed(t testing.TB, s stranger.Scheme, o SignOptions) ([]byte, Key) {
	t.Helper()
	key, err := stranger.Key(s)
	require.NoError(t, err)
	img := sample()
	require.NoError(t, img.Sign(key, o))
	b, err := img.Marshal()
	require.NoError(t, err)
	k, err := NewKey(key.Public())
	require.NoError(t, err)
	return b, k
}

func TestSchemes(t *testing.T) {
	for _, c := range []struct {
		name   string
		scheme stranger.Scheme
		o      SignOptions
	}{
		{"RSA 2048", stranger.RSA2048, SignOptions{}}, {"RSA 3072", stranger.RSA3072, SignOptions{}}, {"P-256", stranger.ECDSAP256, SignOptions{}}, {"P-256 whole", stranger.ECDSAP256, SignOptions{WholeKey: true}},
		{"Ed25519", stranger.ED25519, SignOptions{}}, {"Ed25519 SHA-384", stranger.ED25519, SignOptions{Hash: SHA384}}, {"Ed25519 pure", stranger.ED25519, SignOptions{Hash: SHA512, Pure: true, WholeKey: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, k := signed(t, c.scheme, c.o)
			again, _ := signed(t, c.scheme, c.o)
			assert.Equal(t, b, again, "signed alike each time")
			found, err := Verifier{[]Key{k}}.Verify(b)
			require.NoError(t, err)
			assert.Equal(t, sample().Protected, found.Image.Protected)
			out, err := found.Image.Marshal()
			require.NoError(t, err)
			assert.Equal(t, b, out)
			// Each byte that is signed, and the signature, counts.
			covered, err := found.Image.Covered()
			require.NoError(t, err)
			for i := range covered {
				m := bytes.Clone(b)
				m[i] ^= 0x40
				_, err := Verifier{[]Key{k}}.Verify(m)
				require.Error(t, err, "byte %d", i)
				_, err = Unsigned(m)
				require.Error(t, err, "byte %d", i)
			}
			m := bytes.Clone(b)
			m[len(b)-len(sample().Tail)-8] ^= 0x40
			_, err = Verifier{[]Key{k}}.Verify(m)
			require.ErrorIs(t, err, ErrBadSignature)
			_, err = Unsigned(m)
			require.NoError(t, err)
		})
	}
}

func TestRefusals(t *testing.T) {
	good, k := signed(t, stranger.ECDSAP256, SignOptions{})
	_, other := signed(t, stranger.ED25519, SignOptions{})
	for _, c := range []struct {
		name  string
		keys  []Key
		alter func(*Image)
		want  error
	}{
		{"no keys", nil, func(*Image) {}, ErrUnknownKey},
		{"another's", []Key{other}, func(*Image) {}, ErrUnknownKey},
		{"no signature", []Key{k}, func(i *Image) { i.TLVs = i.TLVs[:2] }, ErrNoSignature},
		{"no key named", []Key{k}, func(i *Image) { i.TLVs = append(i.TLVs[:1], i.TLVs[2]) }, ErrUnknownKey},
		{"key behind the signature", []Key{k}, func(i *Image) { i.TLVs[1], i.TLVs[2] = i.TLVs[2], i.TLVs[1] }, ErrUnknownKey},
		{"no hash", []Key{k}, func(i *Image) { i.TLVs = i.TLVs[1:] }, ErrNoHash},
		{"two hashes", []Key{k}, func(i *Image) { i.TLVs = append(i.TLVs, TLV{SHA512, make([]byte, 64)}) }, ErrUnsupported},
		{"a second hash of the kind", []Key{k}, func(i *Image) { i.TLVs = append(i.TLVs, TLV{SHA256, make([]byte, 32)}) }, ErrWrongHash},
		{"short hash", []Key{k}, func(i *Image) { i.TLVs[0].Value = i.TLVs[0].Value[:31] }, ErrWrongHash},
		{"empty hash", []Key{k}, func(i *Image) { i.TLVs[0].Value = nil }, ErrWrongHash},
		{"another type", []Key{k}, func(i *Image) { i.TLVs[2].Type = ED25519 }, ErrBadSignature},
		{"pure", []Key{k}, func(i *Image) { i.TLVs = append(i.TLVs, TLV{SigPure, []byte{1}}) }, ErrUnsupported},
		{"encrypted", []Key{k}, func(i *Image) { i.Flags = FlagEncrypted256 }, ErrUnsupported},
		{"a second signature that is none", []Key{k}, func(i *Image) { i.TLVs = append(i.TLVs, i.TLVs[1], TLV{ECDSA, []byte{1}}) }, ErrBadSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			img, err := Parse(good)
			require.NoError(t, err)
			img = img.Clone()
			c.alter(img)
			b, err := img.Marshal()
			require.NoError(t, err)
			_, err = Verifier{c.keys}.Verify(b)
			assert.ErrorIs(t, err, c.want)
		})
	}
}

// TestPaddedSignature: imgtool --pad-sig makes every ECDSA signature 72 bytes long;
// nothing else may follow one.
func TestPaddedSignature(t *testing.T) {
	good, k := signed(t, stranger.ECDSAP256, SignOptions{})
	for _, c := range []struct {
		pad []byte
		ok  bool
	}{{nil, true}, {make([]byte, 1), false}, {[]byte{1}, false}} {
		img, err := Parse(good)
		require.NoError(t, err)
		img = img.Clone()
		img.TLVs[2].Value = append(bytes.Clone(img.TLVs[2].Value), c.pad...)
		b, err := img.Marshal()
		require.NoError(t, err)
		_, err = Verifier{[]Key{k}}.Verify(b)
		full := len(img.TLVs[2].Value) == 72 && len(c.pad) == 1 && c.pad[0] == 0
		assert.Equal(t, c.ok || full, err == nil, "%x", c.pad)
	}
	sig := append([]byte{0x30, 68}, make([]byte, 70)...)
	assert.Len(t, unpadded(sig), 70)
	sig[71] = 1
	assert.Len(t, unpadded(sig), 72)
}

func TestPolicy(t *testing.T) {
	n := func(n uint32) *uint32 { return &n }
	img := sample() // counter 7, version 1.2.3+4, needs image 1 in 1.0.0
	for _, c := range []struct {
		name  string
		p     Policy
		alter func(*Image)
		want  error
	}{
		{"nothing asked", Policy{}, nil, nil},
		{"equal counter", Policy{Counter: n(7)}, nil, nil},
		{"lower counter", Policy{Counter: n(8)}, nil, ErrTooOld},
		{"counter not there", Policy{Counter: n(0)}, func(i *Image) { i.Protected = nil }, ErrTooOld},
		{"counter not protected", Policy{Counter: n(1)}, func(i *Image) { i.TLVs, i.Protected = []TLV{CounterTLV(9)}, nil }, ErrTooOld},
		{"two counters", Policy{Counter: n(8)}, func(i *Image) { i.Protected = append(i.Protected, CounterTLV(9)) }, ErrTooOld},
		{"counter of two bytes", Policy{Counter: n(0)}, func(i *Image) { i.Protected = []TLV{{SecCounter, []byte{1, 0}}} }, ErrTooOld},
		{"equal version", Policy{Version: &Version{1, 2, 3, 4}}, nil, nil},
		{"older by its build", Policy{Version: &Version{1, 2, 3, 5}}, nil, ErrTooOld},
		{"met", Policy{Others: map[uint8]Version{1: {1, 0, 0, 0}}}, nil, nil},
		{"unmet", Policy{Others: map[uint8]Version{1: {0, 9, 0, 0}}}, nil, ErrUnmet},
		{"not there", Policy{Others: map[uint8]Version{}}, nil, ErrUnmet},
		{"no dependency", Policy{Others: map[uint8]Version{}}, func(i *Image) { i.Protected = []TLV{{Dependency, []byte{1}}} }, ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := img.Clone()
			if c.alter != nil {
				c.alter(i)
			}
			assert.ErrorIs(t, c.p.Check(i), c.want)
		})
	}
}

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		s    string
		want Version
	}{{"1", Version{Major: 1}}, {"1.2", Version{1, 2, 0, 0}}, {"1.2.3", Version{1, 2, 3, 0}}, {"255.255.65535+4294967295", Version{255, 255, 65535, 4294967295}}} {
		v, err := ParseVersion(c.s)
		require.NoError(t, err)
		assert.Equal(t, c.want, v)
		again, err := ParseVersion(v.String())
		require.NoError(t, err)
		assert.Equal(t, v, again)
	}
	for _, s := range []string{"", "1.2.3.4", "256", "1.-2", "1.2.65536", "1+", "v1"} {
		_, err := ParseVersion(s)
		assert.Error(t, err, s)
	}
	assert.Negative(t, Version{1, 2, 0, 9}.Compare(Version{1, 2, 1, 0}))
	assert.Positive(t, Version{1, 2, 1, 1}.Compare(Version{1, 2, 1, 0}))
	assert.Zero(t, Version{1, 2, 1, 1}.CompareReleases(Version{1, 2, 1, 0}))
}

// TestMalformed: each cut of an image is refused, and each says where.
func TestMalformed(t *testing.T) {
	b, _ := signed(t, stranger.ED25519, SignOptions{})
	end := len(b) - len(sample().Tail)
	for i := range end {
		_, err := Parse(b[:i])
		var f *FormatError
		require.ErrorAs(t, err, &f, "cut at %d", i)
		require.ErrorIs(t, err, ErrMalformed)
		require.LessOrEqual(t, f.Offset, i)
	}
	_, err := Parse(b[:end])
	require.NoError(t, err)
	for _, c := range []struct {
		name  string
		alter func(b []byte)
	}{
		{"magic", func(b []byte) { b[0]++ }},
		{"header of 31 bytes", func(b []byte) { binary.LittleEndian.PutUint16(b[8:], 31) }},
		{"payload of 4 GiB", func(b []byte) { binary.LittleEndian.PutUint32(b[12:], 0xffffffff) }},
		{"payload that wraps", func(b []byte) { binary.LittleEndian.PutUint32(b[12:], 0xffffffde) }},
		{"no protected TLVs by the header", func(b []byte) { binary.LittleEndian.PutUint16(b[10:], 0) }},
		{"more protected TLVs by the header", func(b []byte) { b[10]++ }},
	} {
		m := bytes.Clone(b)
		c.alter(m)
		_, err := Parse(m)
		assert.ErrorIs(t, err, ErrMalformed, c.name)
	}
}

func TestTooLarge(t *testing.T) {
	for name, img := range map[string]*Image{
		"header": {Extension: make([]byte, 65536)}, "TLV": {TLVs: []TLV{{0, make([]byte, 65536)}}}, "TLVs": {TLVs: []TLV{{0, make([]byte, 65530)}}}, "protected": {Protected: []TLV{{0, make([]byte, 65530)}}},
	} {
		_, err := img.Marshal()
		assert.Error(t, err, name)
	}
}

func TestKeys(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	for _, public := range []crypto.PublicKey{p384.Public(), "no key"} {
		_, err := NewKey(public)
		assert.ErrorIs(t, err, ErrNotUnderstood)
	}
	for _, text := range []string{"", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		_, err := ParseKey([]byte(text))
		assert.ErrorIs(t, err, ErrNotUnderstood)
	}
	assert.Error(t, sample().Sign(p384, SignOptions{}))
	rsa, err := stranger.Key(stranger.RSA2048)
	require.NoError(t, err)
	assert.ErrorIs(t, sample().Sign(rsa, SignOptions{Pure: true}), ErrUnsupported)
	assert.Error(t, sample().Sign(rsa, SignOptions{Hash: ECDSA}))
	assert.ErrorIs(t, sample().Rehash(), ErrNoHash)
	k, err := NewKey(rsa.Public())
	require.NoError(t, err)
	assert.Nil(t, k.Hash(ECDSA))
	assert.Equal(t, "0x00a0", TypeName(0xa0))
}

// TestBootRecord: imgtool writes such a map, by cbor2.
func TestBootRecord(t *testing.T) {
	good := "\xa5\x01\x62SP\x04\x65" + "1.2.3\x05\x58\x20" + strings.Repeat("k", 32) + "\x06\x66SHA256\x02\x58\x20" + strings.Repeat("v", 32)
	img := &Image{Protected: []TLV{{BootRecord, []byte(good)}}}
	r, ok, err := img.BootRecord()
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, Record{"SP", bytes.Repeat([]byte("v"), 32), "1.2.3", bytes.Repeat([]byte("k"), 32), "SHA256"}, r)
	_, ok, err = sample().BootRecord()
	assert.True(t, ok)
	assert.NoError(t, err, "an empty map")
	_, ok, err = (&Image{}).BootRecord()
	assert.False(t, ok)
	assert.NoError(t, err)
	for i := range len(good) {
		_, _, err := (&Image{Protected: []TLV{{BootRecord, []byte(good[:i])}}}).BootRecord()
		assert.ErrorIs(t, err, ErrMalformed, "cut at %d", i)
	}
	for _, bad := range []string{good + "x", "\x00", "\xa1\x61x\x00", "\xa1\x01\x01", "\xa1\x01\x7b\xff\xff\xff\xff\xff\xff\xff\xff", "\xbb\xff\xff\xff\xff\xff\xff\xff\xff", "\xbf\xff"} {
		_, _, err := (&Image{Protected: []TLV{{BootRecord, []byte(bad)}}}).BootRecord()
		assert.ErrorIs(t, err, ErrMalformed, "%q", bad)
	}
}

// FuzzParse: foreign bytes are an image that is written again byte for byte, or are
// refused; nothing of it costs more memory than the bytes.
func FuzzParse(f *testing.F) {
	for _, s := range stranger.Schemes() {
		b, _ := signed(f, s, SignOptions{})
		f.Add(b)
	}
	bare, err := (&Image{Protected: []TLV{}}).Marshal()
	require.NoError(f, err)
	f.Add(bare)
	_, k := signed(f, stranger.ECDSAP256, SignOptions{})
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := Parse(b)
		_, unsigned := Unsigned(b)
		_, verified := Verifier{[]Key{k}}.Verify(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || unsigned == nil || verified == nil {
				t.Fatalf("%v, %v, %v", err, unsigned, verified)
			}
			return
		}
		if verified == nil && unsigned != nil {
			t.Fatalf("signed, and %v", unsigned)
		}
		out, err := img.Marshal()
		if err != nil || !bytes.Equal(out, b) {
			t.Fatalf("written as %x, %v", out, err)
		}
		regions, err := Regions(b)
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for _, r := range regions {
			if r.Offset != at || r.Length <= 0 {
				t.Fatalf("%+v at %d", r, at)
			}
			at = r.End()
		}
		if at != len(b) {
			t.Fatalf("%d of %d bytes", at, len(b))
		}
		_, _ = img.Dependencies()
		_, _, _ = img.BootRecord()
		_ = Policy{Counter: new(uint32), Others: map[uint8]Version{}}.Check(img)
	})
}

func BenchmarkRead(b *testing.B) {
	for _, s := range stranger.Schemes() {
		key, err := stranger.Key(s)
		require.NoError(b, err)
		img := &Image{Payload: make([]byte, 1<<20)}
		require.NoError(b, img.Sign(key, SignOptions{}))
		data, err := img.Marshal()
		require.NoError(b, err)
		k, err := NewKey(key.Public())
		require.NoError(b, err)
		b.Run(fmt.Sprintf("verify-%s-1MiB", s), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := (Verifier{[]Key{k}}).Verify(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	data, _ := signed(b, stranger.ED25519, SignOptions{})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
