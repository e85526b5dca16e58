package shelf

import (
	"bytes"
	"fmt"
	"math"

	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/mutant/offit"
	"rigor/harness/firmware/swu"
)

// Part is the file of a package that lies in a slot of the device, as it is installed
// there (images.slots.part of the profile).
type Part struct {
	Of    *Image
	Name  string
	Bytes []byte
}

// String gives "kernel.gz of 1.4.0 (update-same.swu)".
func (p *Part) String() string { return p.Name + " of " + p.Of.String() }

// Part unpacks that file of an image of the maker's.
func (s *Shelf) Part(of *Image) (*Part, error) {
	p := &Part{Of: of, Name: s.decl.Slots.Part}
	a, err := swu.Parse(of.Bytes)
	if err == nil {
		p.Bytes, err = a.Installed(p.Name, s.room())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	return p, nil
}

// room is how many bytes a part may have that fits into each slot.
func (s *Shelf) room() int64 {
	n := int64(math.MaxInt32)
	for _, at := range s.decl.Slots.At {
		n = min(n, at.Length)
	}
	return n
}

// HeldPart gives the part with which a slot begins, of the maker's images for this device;
// nil where it is of none of those that are given.
func (s *Shelf) HeldPart(slot []byte) (*Part, error) {
	for _, img := range s.all() {
		p, err := s.Part(img)
		if err != nil {
			return nil, err
		}
		if bytes.HasPrefix(slot, p.Bytes) {
			return p, nil
		}
	}
	return nil, nil
}

// PartMutants says which mutants there are of a part: by its declared format, and as far
// as nothing but a start has to tell them from it.
func (s *Shelf) PartMutants(p *Part, seed uint64) (*mutant.Set, error) {
	set, err := offit.Plan(p.Bytes, offit.Options{Seed: seed})
	if err != nil {
		return nil, fmt.Errorf("mutants of %s: %w", p, err)
	}
	return set, nil
}

// HollowPart gives a part of which nothing can run, and which a start judges as it judges
// the given one.
func (s *Shelf) HollowPart(part []byte) ([]byte, error) { return offit.Hollow(part) }
