package update

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/firmware/mutant"
	"rigor/harness/shelf"
)

// TestSqueeze: what a mutant shares with its parent is kept once, and nothing is lost.
func TestSqueeze(t *testing.T) {
	parent := &shelf.Image{Bytes: []byte("aaaabbbbcccc")}
	for _, b := range []string{"aaaabbbbcccc", "aaaabXbbcccc", "aaaabbbbccccdd", "aaaabbbb", "", "aaaa", "xyz", "aaaabbbbbbcccc", "aaacccc"} {
		s, m := &seat{}, &mutant.Mutant{Bytes: []byte(b)}
		s.squeeze(parent, m)
		assert.Empty(t, m.Bytes)
		assert.Equal(t, b, string(s.bytes(m)))
	}
	assert.Equal(t, "kept", string((&seat{}).bytes(&mutant.Mutant{Bytes: []byte("kept")})))
}
