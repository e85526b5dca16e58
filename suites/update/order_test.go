package update

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/firmware/mutant"
)

// TestStrongestLast: what a verifier without a signature check takes comes last, in the
// order in which it was made.
func TestStrongestLast(t *testing.T) {
	of := func(name string, takes bool) *mutant.Mutant {
		m := &mutant.Mutant{Name: name}
		m.Proof.Unsigned.Accepts = takes
		return m
	}
	list := []*mutant.Mutant{of("a", true), of("b", false), of("c", true), of("d", false)}
	var names string
	for _, m := range strongestLast(list) {
		names += m.Name
	}
	assert.Equal(t, "bdac", names)
	assert.Equal(t, "a", list[0].Name, "the list itself stays")
}
