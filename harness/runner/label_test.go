package runner

import (
	"context"
	"runtime/pprof"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Two runs of one process may be at the same case: what one of them has running
// is no leak of the other's.
func TestGoroutinesOfAnotherRunAreNoLeak(t *testing.T) {
	one, other := &run{}, &run{}
	ready, end := make(chan struct{}), make(chan struct{})
	go pprof.Do(t.Context(), pprof.Labels("case", one.label("cred-blank[ssh]")), func(context.Context) {
		close(ready)
		<-end
	})
	<-ready
	left := labelled(one.label("cred-blank[ssh]"))
	if assert.Len(t, left, 1) {
		assert.Contains(t, left[0], "runner.TestGoroutinesOfAnotherRunAreNoLeak", "it is said where it is")
		assert.NotContains(t, left[0], "runtime.")
	}
	assert.Empty(t, labelled(other.label("cred-blank[ssh]")))
	close(end)
	assert.Empty(t, leaked(t.Context(), one.label("cred-blank[ssh]")))
}
