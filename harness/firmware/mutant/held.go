package mutant

import "slices"

// held are the bytes of a mutant, of which what is the same in its parent is not kept
// twice: a check has dozens of them, of images that may be as large as a disk.
type held struct {
	parent      []byte
	front, back int // bytes that are the parent's
	middle      []byte
}

// hold keeps what b has in place of its parent's bytes.
func hold(parent, b []byte) held {
	h := held{parent: parent}
	for most := min(len(parent), len(b)); h.front < most && parent[h.front] == b[h.front]; h.front++ {
	}
	for most := min(len(parent), len(b)) - h.front; h.back < most && parent[len(parent)-1-h.back] == b[len(b)-1-h.back]; h.back++ {
	}
	h.middle = slices.Clone(b[h.front : len(b)-h.back])
	return h
}

// Bytes gives all of the mutant, in a slice of its own.
func (m *Mutant) Bytes() []byte {
	h := m.held
	return slices.Concat(h.parent[:h.front], h.middle, h.parent[len(h.parent)-h.back:])
}

// Len is how many bytes the mutant has.
func (m *Mutant) Len() int { return m.held.front + len(m.held.middle) + m.held.back }
