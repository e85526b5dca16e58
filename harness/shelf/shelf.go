// Package shelf is the maker's images as a profile names them, read and understood:
// which of them are genuine, in which order they go up, which one a device runs by what
// it says, what mutants can be made of one, and how far up there is still to go.
package shelf

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rigor/harness/firmware/mutant"
	"rigor/harness/profile"
)

// Image is one file of the maker's.
type Image struct {
	Ref   string
	Bytes []byte
	Shows mutant.Shows // what a device shows that runs it
	// Rank orders the genuine ones for this device: 0 for the version of the current
	// one, one more for each newer version. Images of one version have one rank.
	Rank int
}

// Version gives the version as a device would say it.
func (i *Image) Version() string { return plain(i.Shows.Version) }

// String gives "1.4.3 (virtual:newer-1)".
func (i *Image) String() string {
	if i.Version() == "" {
		return i.Ref
	}
	return fmt.Sprintf("%s (%s)", i.Version(), i.Ref)
}

// Shelf is all of them.
type Shelf struct {
	decl  *profile.Images
	known format
	// Ladder are current and newer, in their order.
	Ladder       []*Image
	Older        []*Image
	OtherProduct []*Image
	Unconfirmed  *Image // nil where none is given
}

// format is what is known of a kind of images.
type format interface {
	// read understands a genuine image, and verifies it where a key is given.
	read(b []byte, ours bool) (mutant.Shows, error)
	// plan says which mutants there are of a parent, on a device that runs an image.
	plan(s *Shelf, parent, running *Image, seed uint64, hash bool) (*mutant.Set, error)
	// anchored says whether a verifier is there that has the maker's key.
	anchored() bool
}

// RefError is trouble with one of the names.
type RefError struct {
	Ref profile.ImageRef
	Err error
}

// Error says which one and what.
func (e *RefError) Error() string {
	return fmt.Sprintf("%s: %s: %v", strings.Join(e.Ref.Path, "."), e.Ref.Ref, e.Err)
}

// Unwrap gives the cause.
func (e *RefError) Unwrap() error { return e.Err }

// Load reads all that is named. The error joins a *RefError for each name with which
// something is wrong: it is not there, it is no image, or the maker's keys do not verify
// it.
func Load(decl *profile.Images, read func(ref string) ([]byte, error)) (*Shelf, error) {
	s := &Shelf{decl: decl}
	var errs []error
	files := map[string][]byte{}
	for _, r := range decl.All() {
		b, err := read(r.Ref)
		if err != nil {
			errs = append(errs, &RefError{r, err})
			continue
		}
		files[strings.Join(r.Path, ".")] = b
	}
	var keys, dev []namedFile
	for _, r := range decl.All() {
		if b, ok := files[strings.Join(r.Path, ".")]; ok && r.Key {
			f := namedFile{r, b}
			if r.Path[1] == "keys" {
				keys = append(keys, f)
			} else {
				dev = append(dev, f)
			}
		}
	}
	known, ferr := formatOf(decl, keys, dev)
	if ferr != nil {
		return nil, errors.Join(append(errs, ferr)...)
	}
	s.known = known
	rank := 0
	for _, r := range decl.All() {
		b, ok := files[strings.Join(r.Path, ".")]
		if !ok || r.Key {
			continue
		}
		shows, err := known.read(b, r.Path[1] != "other-product")
		if err != nil {
			errs = append(errs, &RefError{r, err})
			continue
		}
		img := &Image{Ref: r.Ref, Bytes: b, Shows: shows, Rank: -1}
		switch r.Path[1] {
		case "current":
			img.Rank = 0
			s.Ladder = append(s.Ladder, img)
		case "newer":
			if i := slices.IndexFunc(s.Ladder, func(o *Image) bool { return sameVersion(o, img) }); i >= 0 {
				img.Rank = s.Ladder[i].Rank
			} else {
				rank++
				img.Rank = rank
			}
			s.Ladder = append(s.Ladder, img)
		case "older":
			s.Older = append(s.Older, img)
		case "other-product":
			s.OtherProduct = append(s.OtherProduct, img)
		case "unconfirmed":
			s.Unconfirmed = img
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// sameVersion says whether two images say that they have one version. Those of a format
// without versions never do.
func sameVersion(a, b *Image) bool { return a.Version() != "" && a.Version() == b.Version() }

type namedFile struct {
	ref  profile.ImageRef
	data []byte
}

// plain is a version as devices say it: MCUboot's build number of 0 is left out.
func plain(version string) string {
	return strings.TrimSuffix(version, "+0")
}

// SameVersion says whether a device that says a version means that of an image.
func SameVersion(said, of string) bool {
	return said != "" && plain(strings.TrimPrefix(strings.TrimSpace(said), "v")) == plain(of)
}

// Says says whether what a device tells of what it runs is what an image shows: by its
// digest where both have one, else by the version.
func Says(version, digest string, s mutant.Shows) bool {
	if digest != "" && (s.Hash != "" || s.Payload != "") {
		return s.Hash != "" && strings.EqualFold(digest, s.Hash) || s.Payload != "" && strings.EqualFold(digest, s.Payload)
	}
	return s.Version != "" && SameVersion(version, s.Version)
}

// Fits says whether what a device tells of what it runs is what an image shows, by its
// version and by its digest as far as both have them; not where they have neither.
func Fits(version, digest string, s mutant.Shows) bool {
	byVersion, byDigest := version != "" && s.Version != "", digest != "" && (s.Hash != "" || s.Payload != "")
	return (byVersion || byDigest) && (!byVersion || SameVersion(version, s.Version)) && (!byDigest || Says("", digest, s))
}

// Fits gives an image of the maker's, for this device, that fits what it tells of what it
// runs; nil for none.
func (s *Shelf) Fits(version, digest string) *Image {
	for _, img := range s.all() {
		if Fits(version, digest, img.Shows) {
			return img
		}
	}
	return nil
}

// Genuine gives the image of the maker's, for this device, that a device runs; nil where
// it is none.
func (s *Shelf) Genuine(version, digest string) *Image {
	for _, img := range s.all() {
		if Says(version, digest, img.Shows) {
			return img
		}
	}
	return nil
}

func (s *Shelf) all() []*Image {
	out := slices.Concat(s.Ladder, s.Older)
	if s.Unconfirmed != nil {
		out = append(out, s.Unconfirmed)
	}
	return out
}

// Held gives the image of the maker's, for this device, with which a slot begins; nil where
// it is none of those that are given.
func (s *Shelf) Held(slot []byte) *Image {
	for _, img := range s.all() {
		if bytes.HasPrefix(slot, img.Bytes) {
			return img
		}
	}
	return nil
}

// Named gives an image by its name; nil for none.
func (s *Shelf) Named(ref string) *Image {
	for _, img := range s.all() {
		if img.Ref == ref {
			return img
		}
	}
	return nil
}

// Newer gives the images above a rank, in their order.
func (s *Shelf) Newer(rank int) []*Image {
	var out []*Image
	for _, img := range s.Ladder {
		if img.Rank > rank {
			out = append(out, img)
		}
	}
	return out
}

// Twin gives another image of the same version, where the device takes that again; nil
// where there is none.
func (s *Shelf) Twin(of *Image) *Image {
	if !s.decl.Equal || of == nil {
		return nil
	}
	for _, img := range s.Ladder {
		if img.Rank == of.Rank && img != of && img.Shows.TellsApart(of.Shows) && img.Shows.Hash != of.Shows.Hash {
			return img
		}
	}
	return nil
}

// Next gives the image by which it costs least to show that a genuine one is taken: a
// twin of what runs, or the next newer one; nil where the ladder is exhausted.
func (s *Shelf) Next(running *Image) *Image {
	if running == nil {
		return nil
	}
	if twin := s.Twin(running); twin != nil {
		return twin
	}
	if up := s.Newer(running.Rank); len(up) > 0 {
		return up[0]
	}
	return nil
}

// Below gives the newest image of the ladder that is older than one; nil for none.
func (s *Shelf) Below(of *Image) *Image {
	var out *Image
	for _, img := range s.Ladder {
		if img.Rank < of.Rank && (out == nil || img.Rank > out.Rank) {
			out = img
		}
	}
	return out
}

// Rungs is how many versions there are above the current one.
func (s *Shelf) Rungs() int {
	most := 0
	for _, img := range s.Ladder {
		most = max(most, img.Rank)
	}
	return most
}

// HasTwins says whether each version of the ladder has another image of it.
func (s *Shelf) HasTwins() bool {
	for _, img := range s.Ladder {
		if s.Twin(img) == nil {
			return false
		}
	}
	return true
}

// Mutants says which mutants there are of a genuine image, on a device that runs
// another. Hash says that the device tells the hash of what runs. Forged ones are then
// hardly newer than their parent, so that the next genuine image leads back from one that
// was taken; else they have a version that no genuine image has, to be told by it.
func (s *Shelf) Mutants(parent, running *Image, seed uint64, hash bool) (*mutant.Set, error) {
	set, err := s.known.plan(s, parent, running, seed, hash)
	if err != nil {
		return nil, fmt.Errorf("mutants of %s: %w", parent, err)
	}
	return set, nil
}

// Anchored says whether the maker's keys are there: whether a genuine image is genuine is
// shown by them alone.
func (s *Shelf) Anchored() bool { return s.known.anchored() }

// Garbage gives as many bytes as an image has, that are none.
func (s *Shelf) Garbage(like *Image, seed uint64) []byte {
	r := mutant.NewSet(like.Bytes, seed, like.Shows).Rand("no image at all")
	b := make([]byte, len(like.Bytes))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	if bytes.Equal(b, like.Bytes) {
		b[0]++
	}
	return b
}

// older gives the bytes of what is older than what runs.
func (s *Shelf) older(running *Image) (out [][]byte) {
	for _, img := range s.Older {
		out = append(out, img.Bytes)
	}
	if running != nil {
		if below := s.Below(running); below != nil {
			out = append(out, below.Bytes)
		}
	}
	return out
}

func (s *Shelf) others() (out [][]byte) {
	for _, img := range s.OtherProduct {
		out = append(out, img.Bytes)
	}
	return out
}

func formatOf(decl *profile.Images, keys, dev []namedFile) (format, error) {
	switch decl.Format {
	case "mcuboot":
		return newMCUboot(decl, keys, dev)
	case "swu":
		return newSWU(keys, dev)
	case "blob":
		return newBlob(decl, keys, dev)
	}
	return nil, fmt.Errorf("images of format %q are not known", decl.Format)
}

// each parses files, and joins what is wrong with them.
func each[T any](files []namedFile, parse func([]byte) (T, error)) ([]T, error) {
	var out []T
	var errs []error
	for _, f := range files {
		v, err := parse(f.data)
		if err != nil {
			errs = append(errs, &RefError{f.ref, err})
			continue
		}
		out = append(out, v)
	}
	return out, errors.Join(errs...)
}
