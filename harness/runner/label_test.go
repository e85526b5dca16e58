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
	assert.Equal(t, 1, labelled(one.label("cred-blank[ssh]")))
	assert.Zero(t, labelled(other.label("cred-blank[ssh]")))
	close(end)
	assert.Zero(t, leaked(t.Context(), one.label("cred-blank[ssh]")))
}
