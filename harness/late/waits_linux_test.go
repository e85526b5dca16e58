package late

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestQueue sums up what the threads of a process and of its children have waited, also of
// those that have ended, each once.
func TestQueue(t *testing.T) {
	root, self := t.TempDir(), strconv.Itoa(os.Getpid())
	thread := func(pid, tid, waited, children string) {
		dir := filepath.Join(root, pid, "task", tid)
		require.NoError(t, os.MkdirAll(dir, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "schedstat"), []byte("5 "+waited+" 9\n"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "children"), []byte(children), 0o600))
	}
	q := &queue{root: root, of: map[string]time.Duration{}}
	assert.Zero(t, q.total())
	thread(self, self, "1000", "77 ")
	thread(self, "12", "100", "")
	thread("77", "77", "10", "")
	assert.Equal(t, time.Duration(1110), q.total())
	thread("77", "77", "30", "")
	require.NoError(t, os.RemoveAll(filepath.Join(root, self, "task", "12")))
	assert.Equal(t, time.Duration(1130), q.total())
	thread(self, self, "nonsense", "77")
	assert.Equal(t, time.Duration(1130), q.total())
}
