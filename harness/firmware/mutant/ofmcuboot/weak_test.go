package ofmcuboot

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/firmware/mcuboot"
	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/stranger"
)

// errNo is a refusal of a weak verifier.
var errNo = errors.New("no")

// TestWeakDevices: devices that are broken in one way each take the mutants that are for
// it, and no others; one that is sound takes none.
func TestWeakDevices(t *testing.T) {
	key1, err := mcuboot.NewKey(makers()[stranger.ECDSAP256].Public())
	require.NoError(t, err)
	real := mcuboot.Verifier{Keys: []mcuboot.Key{key1}}
	all := subjects(t)
	s := all[slices.IndexFunc(all, func(s subject) bool { return s.name == string(stranger.ECDSAP256) })]
	counter := uint32(5)
	s.o.Policy = &mcuboot.Policy{Counter: &counter}
	sound := func(b []byte) error {
		found, err := real.Verify(b)
		if err != nil {
			return err
		}
		return s.o.Policy.Check(found.Image)
	}
	trusting := func(public ...mcuboot.Key) func([]byte) error {
		return func(b []byte) error {
			found, err := mcuboot.Verifier{Keys: append(public, real.Keys...)}.Verify(b)
			if err != nil {
				return err
			}
			return s.o.Policy.Check(found.Image)
		}
	}
	dev, err := mcuboot.NewKey(development(t).Public())
	require.NoError(t, err)
	unsigned := []string{"unsigned", "unsigned-key-named"}
	for _, c := range []struct {
		name  string
		takes func(b []byte) error
		want  []string
	}{
		{"sound", sound, nil},
		{"no signature, no question", func(b []byte) error {
			found, err := mcuboot.Unsigned(b)
			if err != nil {
				return err
			}
			if _, ok := found.Image.Find(mcuboot.ECDSA, mcuboot.RSA2048, mcuboot.RSA3072, mcuboot.ED25519); !ok {
				return nil
			}
			return sound(b)
		}, append(slices.Clone(unsigned), "flip-tlvs.ECDSASIG.type")},
		{"an empty signature is one", signatureIs(sound, func(sig []byte) bool { return len(sig) == 0 }), []string{"signature-empty"}},
		{"zeros are a signature", signatureIs(sound, func(sig []byte) bool { return bytes.Count(sig, []byte{0}) == len(sig) && len(sig) > 0 }), []string{"signature-zeroed"}},
		{"erased flash is a signature", signatureIs(sound, func(sig []byte) bool { return bytes.Count(sig, []byte{0xff}) == len(sig) && len(sig) > 0 }), []string{"signature-ones"}},
		{"two zeros are a signature", signatureIs(sound, func(sig []byte) bool { return bytes.HasSuffix(sig, []byte{2, 1, 0, 2, 1, 0}) }), []string{"signature-null"}},
		{"the key in the image is trusted", func(b []byte) error {
			if img, err := mcuboot.Parse(b); err == nil {
				if t, ok := img.Find(mcuboot.PublicKeyTLV); ok {
					return trusting(parsed(t.Value)...)(b)
				}
			}
			return sound(b)
		}, []string{"wrong-key-embedded", "wrong-key-embedded-beside"}},
		{"a development key is trusted", trusting(dev), []string{"dev-key-given-1-ecdsa-p256"}},
		{"the hash in the image is signed, and is not that of the image", func(b []byte) error {
			img, err := mcuboot.Parse(b)
			if err != nil {
				return err
			}
			h, _ := img.Find(mcuboot.SHA256)
			sig, _ := img.Find(mcuboot.ECDSA)
			if !ecdsa.VerifyASN1(makers()[stranger.ECDSAP256].Public().(*ecdsa.PublicKey), h.Value, sig.Value) {
				return errNo
			}
			return nil
		}, []string{"flip-payload", "flip-payload-end", "version-raised", "older", "older-version-raised", "mix-payload-of-older", "mix-header-of-older", "flip-header.version"}},
		{"any counter counts", func(b []byte) error {
			found, err := real.Verify(b)
			if err != nil {
				return err
			}
			all := found.Image.Clone()
			all.Protected = nil
			for _, t := range slices.Concat(found.Image.Protected, found.Image.TLVs) {
				if t.Type == mcuboot.SecCounter {
					all.Protected = []mcuboot.TLV{t} // the last one
				}
			}
			return s.o.Policy.Check(all)
		}, []string{"older-counter-unprotected"}},
		{"nothing is older", func(b []byte) error { _, err := real.Verify(b); return err }, []string{"older", "older-counter-unprotected"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.NoError(t, c.takes(s.parent), "the parent")
			set, err := Plan(s.parent, s.o)
			require.NoError(t, err)
			var took []string
			for _, r := range set.Recipes {
				m, err := r.Make()
				if r.Unmade != "" {
					continue
				}
				require.NoError(t, err)
				// An image of another product that the same maker signed is not for this test.
				if m.Expect == mutant.Refuse && m.Kind != mutant.OtherProduct && c.takes(m.Bytes()) == nil {
					took = append(took, m.Name)
				}
			}
			if len(c.want) < 6 {
				assert.ElementsMatch(t, c.want, took)
			} else {
				assert.Subset(t, took, c.want)
			}
		})
	}
}

// signatureIs takes what has such a signature and is otherwise right.
func signatureIs(sound func([]byte) error, such func([]byte) bool) func([]byte) error {
	return func(b []byte) error {
		found, err := mcuboot.Unsigned(b)
		if err != nil {
			return err
		}
		if sig, ok := found.Image.Find(mcuboot.ECDSA); ok && such(sig.Value) {
			return nil
		}
		return sound(b)
	}
}

// parsed reads the key of an image, if it is one.
func parsed(der []byte) []mcuboot.Key {
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil
	}
	k, err := mcuboot.NewKey(public)
	if err != nil {
		return nil
	}
	return []mcuboot.Key{k}
}
