package mutant

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// What a mutant shares with its parent is kept once, and nothing is lost.
func TestHeld(t *testing.T) {
	parent := []byte("aaaabbbbcccc")
	for _, b := range []string{"aaaabbbbcccc", "aaaabXbbcccc", "aaaabbbbccccdd", "aaaabbbb", "", "aaaa", "xyz", "aaaabbbbbbcccc", "aaacccc"} {
		m := &Mutant{held: hold(parent, []byte(b))}
		assert.Equal(t, b, string(m.Bytes()))
		assert.Equal(t, len(b), m.Len())
		assert.LessOrEqual(t, len(m.held.middle), len(b))
	}
	assert.Empty(t, (&Mutant{held: hold(parent, parent)}).held.middle)
}
