package fit

import (
	"bytes"
	"crypto"
	"crypto/md5" //nolint:gosec // the format has it
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the format has it
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"rigor/harness/firmware/internal/refusal"
)

// Kinds of refusal. Each error of a verifier is one of them by errors.Is.
var (
	ErrMalformed    = errors.New("malformed")     // the bytes are no image
	ErrUnsupported  = errors.New("unsupported")   // it cannot be judged here
	ErrNoConfig     = errors.New("no config")     // no configuration to start, or one of what is not there
	ErrNoHash       = errors.New("no hash")       // a component of it has none
	ErrWrongHash    = errors.New("wrong hash")    // or one that is not right
	ErrNoSignature  = errors.New("no signature")  // nothing is signed that has to be
	ErrBadSignature = errors.New("bad signature") // what is there is none of anybody who may
)

// Sum gives a hash of the algorithms that U-Boot knows (image.h, fit_calculate_hash).
func Sum(algo string, data []byte) ([]byte, error) {
	switch algo {
	case "crc32":
		return binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(data)), nil
	case "md5":
		h := md5.Sum(data) //nolint:gosec // what the image says is asked, not whether it is wise
		return h[:], nil
	case "sha1":
		h := sha1.Sum(data) //nolint:gosec // what the image says is asked, not whether it is wise
		return h[:], nil
	case "sha256":
		h := sha256.Sum256(data)
		return h[:], nil
	case "sha384":
		h := sha512.Sum384(data)
		return h[:], nil
	case "sha512":
		h := sha512.Sum512(data)
		return h[:], nil
	}
	return nil, refusal.Of(ErrUnsupported, "a hash called %q", algo)
}

// Unsigned is the verifier with its signature check taken out: it takes every image
// whose configuration is whole and whose hashes are right, whoever made it. It shows that
// an image lacks a signature and nothing else; a device that judges so is broken.
func Unsigned(b []byte) (*Image, error) {
	img, err := Parse(b)
	if err != nil {
		return nil, err
	}
	config, ok := img.Config()
	if !ok {
		return nil, refusal.Of(ErrNoConfig, "%d configurations, and the one to start is called %q", len(img.Configs), img.Default)
	}
	if len(config.Images) == 0 {
		return nil, refusal.Of(ErrNoConfig, "%q names no image", config.Name)
	}
	for _, name := range config.Images {
		c, ok := img.Component(name)
		if !ok || c.Data.Place == Nowhere {
			return nil, refusal.Of(ErrNoConfig, "%q names the image %q, which is not there, or without data", config.Name, name)
		}
		if len(c.Hashes) == 0 {
			return nil, refusal.Of(ErrNoHash, "of %q", name)
		}
		for _, h := range c.Hashes {
			sum, err := Sum(h.Algo, img.Bytes(c))
			if err != nil {
				return nil, err
			}
			if !bytes.Equal(sum, h.Value) {
				return nil, refusal.Of(ErrWrongHash, "%s of %q", h.Algo, name)
			}
		}
	}
	return img, nil
}

// Verifier judges images as U-Boot does whose device tree requires one of some keys.
type Verifier struct {
	Keys []*rsa.PublicKey
}

// Verify takes an image that [Unsigned] takes and whose configuration has a signature of
// one of the keys. Where the configuration has none, each of its images needs one. An
// image that the maker left out of sign-images is held to its hashes alone.
func (v Verifier) Verify(b []byte) (*Image, error) {
	img, err := Unsigned(b)
	if err != nil {
		return nil, err
	}
	if err := v.signed(img); err != nil {
		return nil, err
	}
	return img, nil
}

// Both gives what [Unsigned] and Verify say, for the work of one of them.
func (v Verifier) Both(b []byte) (unsigned, verified error) {
	img, err := Unsigned(b)
	if err != nil {
		return err, err
	}
	return nil, v.signed(img)
}

// signed judges the signatures of an image whose hashes are right.
func (v Verifier) signed(img *Image) error {
	config, _ := img.Config()
	if len(config.Signatures) > 0 {
		return v.one(img, config.Signatures)
	}
	for _, name := range config.Images {
		c, _ := img.Component(name)
		if err := v.one(img, c.Signatures); err != nil {
			return err
		}
	}
	return nil
}

// one asks for one signature of several that is of a key.
func (v Verifier) one(img *Image, all []Signature) error {
	err := refusal.Of(ErrNoSignature, "neither of the configuration nor of all its images")
	for _, s := range all {
		if err = v.check(img, s); err == nil {
			return nil
		}
	}
	return err
}

// check judges a signature.
func (v Verifier) check(img *Image, s Signature) error {
	h, bits, err := s.scheme()
	if err != nil {
		return err
	}
	covered, err := img.Covered(s)
	if err != nil {
		return err
	}
	sum := h.New()
	sum.Write(covered)
	digest := sum.Sum(nil)
	for _, k := range v.Keys {
		if k.N.BitLen() == bits && rsa.VerifyPKCS1v15(k, h, digest, s.Value) == nil {
			return nil
		}
	}
	return refusal.Of(ErrBadSignature, "%s is of none of the keys", s.Path)
}

// scheme reads what kind a signature is of: the hash, and the size of the RSA key.
func (s Signature) scheme() (h crypto.Hash, bits int, err error) {
	sum, key, _ := strings.Cut(s.Algo, ",")
	h = map[string]crypto.Hash{"sha1": crypto.SHA1, "sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512}[sum]
	bits = map[string]int{"rsa2048": 2048, "rsa3072": 3072, "rsa4096": 4096}[key]
	if h == 0 || bits == 0 || s.Padding != "" && s.Padding != "pkcs-1.5" {
		return 0, 0, refusal.Of(ErrUnsupported, "a signature of %q, padding %q", s.Algo, s.Padding)
	}
	return h, bits, nil
}

// Covered gives the bytes that a signature of this image covers: those of a component
// its data, those of a configuration parts of the tree, as U-Boot 2023.01 finds them
// (fdt_find_regions, with what the signature says are its nodes). Later releases make the
// list of nodes themselves (fit_config_get_signed_nodes): it is the same where the maker
// signed all images of the configuration. Root and configuration have to be in it.
func (img *Image) Covered(s Signature) ([]byte, error) {
	for _, c := range img.Components {
		if slices.ContainsFunc(c.Signatures, func(o Signature) bool { return o.Path == s.Path }) {
			return img.Bytes(c), nil
		}
	}
	config := s.Path[:max(strings.LastIndexByte(s.Path, '/'), 0)]
	if !slices.Contains(s.HashedNodes, "/") || !slices.Contains(s.HashedNodes, config) {
		return nil, refusal.Of(ErrBadSignature, "%s covers neither the root nor %s, or only one of them", s.Path, config)
	}
	if s.HashedStrings > img.tree.stringsEnd-img.tree.stringsAt {
		return nil, refusal.Of(ErrBadSignature, "%s covers %d bytes of names, and there are less", s.Path, s.HashedStrings)
	}
	covered := img.tree.regions(s.HashedNodes)
	if s.HashedStrings > 0 {
		covered = append(covered, img.b[img.tree.stringsAt:img.tree.stringsAt+s.HashedStrings]...)
	}
	return covered, nil
}

// unhashed are properties that no signature of a configuration covers: where data are,
// and themselves, of which there are hashes (exc_prop of fit_config_check_sig).
var unhashed = []string{string(Inside), dataSizeProp, string(ByPosition), string(ByOffset)}

// regions puts the parts of the structure together that belong to some nodes: the tokens
// and properties of each of them, and of the nodes right below it the tokens alone. The
// structure was read before, so that no token is wrong.
func (t *tree) regions(paths []string) (out []byte) {
	// How much of a node is wanted.
	const nothing, tokens, all = 0, 1, 2
	wanted := map[string]bool{}
	for _, p := range paths {
		wanted[p] = true
	}
	want, outer, names := nothing, []int{}, []string{}
	start := -1
	for at := t.structAt; ; {
		k, err := t.next(at)
		if err != nil {
			return nil
		}
		at = k.end
		include, stop := true, k.start
		switch k.kind {
		case tokenProp:
			include = want == all && !slices.Contains(unhashed, k.name)
		case tokenNop:
			include = want == all
		case tokenBegin:
			outer, names = append(outer, want), append(names, k.name)
			switch {
			case len(names) == 1 && wanted["/"], len(names) > 1 && wanted[strings.Join(names, "/")]:
				want = all
			case want > nothing:
				want--
			}
			include = want > nothing
		case tokenEnd:
			include, stop = want > nothing, k.end // a node that is not wanted ends after one that is
			want, outer, names = outer[len(outer)-1], outer[:len(outer)-1], names[:len(names)-1]
		}
		if include && start < 0 {
			start = k.start
		}
		if !include && start >= 0 {
			out = append(out, t.b[start:stop]...)
			start = -1
		}
		if k.kind == tokenLast {
			return append(out, t.b[start:k.end]...)
		}
	}
}

// Sign gives the value of a signature node of this image by another key, for
// [Image.Rewrite]. The nodes and names that it covers are those that it says to cover, so
// that nothing but the value changes. The key has the size that its algorithm says.
func (img *Image) Sign(s Signature, key *rsa.PrivateKey) ([]byte, error) {
	h, bits, err := s.scheme()
	if err == nil && bits != key.N.BitLen() {
		err = refusal.Of(ErrUnsupported, "%s by a key of %d bits", s.Algo, key.N.BitLen())
	}
	var covered []byte
	if err == nil {
		covered, err = img.Covered(s)
	}
	if err != nil {
		return nil, fmt.Errorf("sign a FIT image: %w", err)
	}
	sum := h.New()
	sum.Write(covered)
	value, err := rsa.SignPKCS1v15(nil, key, h, sum.Sum(nil))
	if err != nil {
		return nil, fmt.Errorf("sign a FIT image: %w", err)
	}
	return value, nil
}
