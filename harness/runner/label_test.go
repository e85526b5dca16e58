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

// What is left is named by who waits, and not by what all wait in.
func TestLeaksAreNamed(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "net/http.(*persistConn).close < net/http.(*persistConn).readLoop", functions(`1 @ 0x1 0x2
# labels: {"case":"x"}
#	0x1	internal/sync.runtime_SemacquireMutex+0x24	/go/src/runtime/sema.go:95
#	0x2	internal/sync.(*Mutex).lockSlow+0x15c	/go/src/internal/sync/mutex.go:149
#	0x3	sync.(*Mutex).Lock+0x2c	/go/src/sync/mutex.go:46
#	0x4	net/http.(*persistConn).close+0x30	/go/src/net/http/transport.go:2900
#	0x5	net/http.(*persistConn).readLoop+0x30	/go/src/net/http/transport.go:2300
`))
}
