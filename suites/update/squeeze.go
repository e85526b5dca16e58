package update

import (
	"fmt"
	"slices"

	"rigor/harness/dut"
	"rigor/harness/firmware/mutant"
	"rigor/harness/shelf"
)

// squeezed is a mutant in memory while it waits: what is the same in its parent is not
// kept twice. A check has dozens of them, of images that may be as large as a disk.
type squeezed struct {
	parent      []byte
	front, back int // bytes that are the parent's
	middle      []byte
}

// squeeze takes a mutant's bytes away that its parent has.
func (s *seat) squeeze(parent *shelf.Image, m *mutant.Mutant) {
	p, b := parent.Bytes, m.Bytes
	q := squeezed{parent: p}
	for most := min(len(p), len(b)); q.front < most && p[q.front] == b[q.front]; q.front++ {
	}
	for most := min(len(p), len(b)) - q.front; q.back < most && p[len(p)-1-q.back] == b[len(b)-1-q.back]; q.back++ {
	}
	q.middle = slices.Clone(b[q.front : len(b)-q.back])
	if s.squeezed == nil {
		s.squeezed = map[*mutant.Mutant]squeezed{}
	}
	s.squeezed[m], m.Bytes = q, nil
}

// bytes gives all of a mutant's bytes.
func (s *seat) bytes(m *mutant.Mutant) []byte {
	q, ok := s.squeezed[m]
	if !ok {
		return m.Bytes
	}
	return slices.Concat(q.parent[:q.front], q.middle, q.parent[len(q.parent)-q.back:])
}

// image is a mutant as it is delivered. One of which nothing is left would be refused for
// that alone: it is an error of ours.
func (s *seat) image(m *mutant.Mutant) dut.Image {
	b := s.bytes(m)
	if len(b) == 0 && m.Kind != mutant.Truncated {
		s.t.OK(fmt.Errorf("deliver %s: it has no byte", m.Name))
	}
	return dut.Image{Name: m.Name, Bytes: b}
}
