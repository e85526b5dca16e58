package check_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/verdict"
)

// TestUnheard: what nobody heard was counted by nobody; an answer to it is another thing.
func TestUnheard(t *testing.T) {
	for _, k := range []verdict.Kind{verdict.Unreachable, verdict.Refused} {
		assert.True(t, check.Unheard(dut.Answer{Kind: k, Unsent: true}), k)
		assert.False(t, check.Unheard(dut.Answer{Kind: k}), k)
	}
	for _, k := range []verdict.Kind{verdict.Accepted, verdict.LockedOut, verdict.Throttled, verdict.Silent, verdict.Garbled} {
		assert.False(t, check.Unheard(dut.Answer{Kind: k, Unsent: true}), k)
	}
}
