package debugport

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/debugport/ladder"
	"rigor/harness/debugport/lock"
)

// TestRegisters: what a register says of erasing says nothing of the port; one that was not
// held against its source says so.
func TestRegisters(t *testing.T) {
	s := &survey{}
	s.Looks = []ladder.Look{{Reply: ladder.Answered, Locks: []ladder.Reading{{Name: "ERASEPROTECTSTATUS", State: lock.Locked, Erase: true}}}}
	seen, told := s.registers(nil)
	assert.Len(t, seen, 1)
	assert.False(t, told)
	s.Looks[0].Locks = append(s.Looks[0].Locks, ladder.Reading{Name: "RDP", State: lock.Locked, Unverified: true})
	seen, told = s.registers(nil)
	assert.Len(t, seen, 2)
	assert.True(t, told)
	assert.NotContains(t, seen[0], "not held against")
	assert.Contains(t, seen[1], "not held against")
}
