package shelf

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/firmware/mcuboot"
	"rigor/harness/firmware/mutant"
	"rigor/harness/profile"
)

func key(t *testing.T, b byte) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{b}, 32))
	require.NoError(t, err)
	return k
}

func public(t *testing.T, k *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// build makes an image that somebody signs.
func build(t *testing.T, version string, fill byte, by *ecdsa.PrivateKey) []byte {
	t.Helper()
	v, err := mcuboot.ParseVersion(version)
	require.NoError(t, err)
	img := &mcuboot.Image{Version: v, Payload: bytes.Repeat([]byte{fill}, 256), Protected: []mcuboot.TLV{mcuboot.CounterTLV(uint32(v.Minor))}}
	require.NoError(t, img.Sign(by, mcuboot.SignOptions{}))
	b, err := img.Marshal()
	require.NoError(t, err)
	return b
}

// files are what a maker hands out.
func files(t *testing.T) map[string][]byte {
	t.Helper()
	k := key(t, 9)
	return map[string][]byte{
		"key": public(t, k), "1.0": build(t, "1.0.0", 1, k), "1.0b": build(t, "1.0.0", 2, k), "1.1": build(t, "1.1.0", 1, k), "1.1b": build(t, "1.1.0", 2, k),
		"1.2": build(t, "1.2.0", 1, k), "0.9": build(t, "0.9.0", 1, k), "other": build(t, "3.0.0", 7, k), "forged": build(t, "1.1.0", 1, key(t, 8)), "text": []byte("no image"),
	}
}

func declared() *profile.Images {
	return &profile.Images{Format: "mcuboot", Keys: profile.Refs{"key"}, Current: "1.0", Newer: profile.Refs{"1.0b", "1.1", "1.2", "1.1b"}, Older: profile.Refs{"0.9"}, OtherProduct: profile.Refs{"other"}, Equal: true}
}

func load(t *testing.T, decl *profile.Images) (*Shelf, error) {
	t.Helper()
	all := files(t)
	return Load(decl, func(ref string) ([]byte, error) {
		if b, ok := all[ref]; ok {
			return b, nil
		}
		return nil, os.ErrNotExist
	})
}

func shelf(t *testing.T, decl *profile.Images) *Shelf {
	t.Helper()
	s, err := load(t, decl)
	require.NoError(t, err)
	return s
}

func named(t *testing.T, s *Shelf, ref string) *Image {
	t.Helper()
	for _, img := range s.all() {
		if img.Ref == ref {
			return img
		}
	}
	t.Fatalf("no image %s", ref)
	return nil
}

// TestLadder: what is next, and what costs nothing.
func TestLadder(t *testing.T) {
	s := shelf(t, declared())
	assert.Equal(t, 2, s.Rungs())
	for _, tt := range []struct{ runs, next string }{{"1.0", "1.0b"}, {"1.0b", "1.0"}, {"1.1", "1.1b"}, {"1.1b", "1.1"}} {
		assert.Equal(t, tt.next, s.Next(named(t, s, tt.runs)).Ref, "behind %s", tt.runs)
	}
	assert.Nil(t, s.Next(named(t, s, "1.2")), "the ladder is exhausted")
	assert.Nil(t, s.Next(nil))
	assert.False(t, s.HasTwins())
	assert.Equal(t, "1.1", s.Newer(named(t, s, "1.0b").Rank)[0].Ref)
	assert.Empty(t, s.Newer(named(t, s, "1.2").Rank))
	assert.Equal(t, 1, s.Below(named(t, s, "1.2")).Rank)
	assert.Nil(t, s.Below(named(t, s, "1.0")))

	decl := declared()
	decl.Equal = false
	s = shelf(t, decl)
	assert.Equal(t, "1.1", s.Next(named(t, s, "1.0")).Ref, "an image of the version that runs is not taken again")
}

// TestGenuine: a digest goes before a version.
func TestGenuine(t *testing.T) {
	s := shelf(t, declared())
	img := named(t, s, "1.1b")
	assert.Equal(t, img, s.Genuine("1.1.0", img.Shows.Hash))
	assert.Equal(t, "1.1", s.Genuine("1.1.0", "").Ref)
	assert.Nil(t, s.Genuine("1.1.0", named(t, s, "1.1").Shows.Hash[:62]+"00"), "it says the version of a genuine image, and is another")
	assert.Nil(t, s.Genuine("3.0.0", ""), "another product's is none for this device")
	assert.Equal(t, -1, s.Genuine("0.9.0", "").Rank)
	assert.True(t, SameVersion("v1.1.0", "1.1.0+0"))
	assert.False(t, SameVersion("", ""))
}

// TestSaysByDigest: where a device tells a digest, and one of an image is known, it decides,
// also where the format knows that of the payload alone: images of one version are many.
func TestSaysByDigest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		digest string
		shows  mutant.Shows
		want   bool
	}{
		{"aa", mutant.Shows{Version: "1.0", Hash: "AA", Payload: "bb"}, true},
		{"bb", mutant.Shows{Version: "1.0", Hash: "aa", Payload: "bb"}, true},
		{"cc", mutant.Shows{Version: "1.0", Hash: "aa", Payload: "bb"}, false},
		{"bb", mutant.Shows{Version: "1.0", Payload: "bb"}, true},
		{"cc", mutant.Shows{Version: "1.0", Payload: "bb"}, false},
		{"cc", mutant.Shows{Version: "1.0"}, true},
		{"", mutant.Shows{Version: "1.0", Payload: "bb"}, true},
	} {
		assert.Equal(t, c.want, Says("1.0", c.digest, c.shows), "%q %+v", c.digest, c.shows)
	}
}

// TestFits: nothing of what both have differs, and there is something.
func TestFits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version, digest string
		shows           mutant.Shows
		want            bool
	}{
		{"1.0", "AA", mutant.Shows{Version: "1.0+0", Hash: "aa"}, true},
		{"1.1", "aa", mutant.Shows{Version: "1.0", Hash: "aa"}, false},
		{"1.0", "cc", mutant.Shows{Version: "1.0", Hash: "aa"}, false},
		{"1.0", "bb", mutant.Shows{Version: "1.0", Hash: "aa", Payload: "bb"}, true},
		{"", "aa", mutant.Shows{Version: "1.0", Hash: "aa"}, true},
		{"1.0", "", mutant.Shows{Version: "1.0", Hash: "aa"}, true},
		{"1.0", "cc", mutant.Shows{Version: "1.0"}, true},
		{"1.0", "", mutant.Shows{Hash: "aa"}, false},
		{"", "", mutant.Shows{Version: "1.0", Hash: "aa"}, false},
	} {
		assert.Equal(t, c.want, Fits(c.version, c.digest, c.shows), "%q %q %+v", c.version, c.digest, c.shows)
	}
	s := shelf(t, declared())
	img := named(t, s, "1.1b")
	assert.Equal(t, img, s.Fits("1.1.0", img.Shows.Hash))
	assert.Equal(t, img, s.Fits("", img.Shows.Hash))
	assert.Nil(t, s.Fits("1.1.1", img.Shows.Hash), "another version was put into it")
}

// TestMutantsLeadBack: what is forged is newer than what runs, and not newer than the
// next genuine image.
func TestMutantsLeadBack(t *testing.T) {
	s := shelf(t, declared())
	running, parent := named(t, s, "1.0"), named(t, s, "1.1")
	set, err := s.Mutants(parent, running, 1, true)
	require.NoError(t, err)
	made := map[string]*mutant.Mutant{}
	for _, r := range set.Recipes {
		if r.Unmade == "" {
			m, err := r.Make()
			require.NoError(t, err, r.Name)
			made[r.Name] = m
		}
	}
	require.Contains(t, made, "unsigned")
	assert.Equal(t, "1.1.0+1", made["unsigned"].Shows.Version)
	assert.Nil(t, s.Genuine("1.1.0+1", made["unsigned"].Shows.Hash))
	assert.Contains(t, made, "older")
	assert.Contains(t, made, "other-product")

	set, err = s.Mutants(parent, running, 1, false)
	require.NoError(t, err)
	m, err := set.Of(mutant.Unsigned)[0].Make()
	require.NoError(t, err)
	assert.Equal(t, "1.2.1+0", m.Shows.Version, "where no hash is told, the version has to tell")
	assert.NotEqual(t, s.Garbage(parent, 1), s.Garbage(parent, 2))
	assert.Len(t, s.Garbage(parent, 1), len(parent.Bytes))
}

// TestLoadSaysWhatIsWrong: each name with which something is wrong, at its place.
func TestLoadSaysWhatIsWrong(t *testing.T) {
	decl := declared()
	decl.Newer = profile.Refs{"1.1", "forged", "text", "nowhere"}
	_, err := load(t, decl)
	require.Error(t, err)
	var refs []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() { //nolint:errorlint // it is joined
		var ref *RefError
		if errors.As(e, &ref) {
			refs = append(refs, ref.Ref.Ref)
		}
	}
	assert.ElementsMatch(t, []string{"forged", "text", "nowhere"}, refs)
	require.ErrorIs(t, err, os.ErrNotExist)

	decl = declared()
	decl.Keys = nil
	assert.False(t, shelf(t, decl).Anchored())
}

// TestHeld: a slot begins with an image, whatever stands behind that.
func TestHeld(t *testing.T) {
	s := shelf(t, declared())
	img := named(t, s, "1.1b")
	assert.Equal(t, img, s.Held(append(append([]byte{}, img.Bytes...), 0xff, 0xff)))
	assert.Nil(t, s.Held(img.Bytes[:len(img.Bytes)-1]))
	assert.Nil(t, s.Held(nil))
	assert.Equal(t, img, s.Named("1.1b"))
	assert.Nil(t, s.Named("9"))
}
