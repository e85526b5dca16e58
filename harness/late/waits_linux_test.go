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

// TestSharedIsFrugal: however often it is asked, looking takes no more than a fortieth of
// the time; what a look found holds for a quarter of a second at most.
func TestSharedIsFrugal(t *testing.T) {
	root, self := t.TempDir(), strconv.Itoa(os.Getpid())
	dir := filepath.Join(root, self, "task", self)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	waited := func(ns string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "schedstat"), []byte("5 "+ns+" 9\n"), 0o600))
	}
	now, takes := time.Now(), time.Millisecond
	looking := false
	s := &shared{queue: &queue{root: root, of: map[string]time.Duration{}}, now: func() time.Time {
		if looking { // the second time that it is asked, the look is over
			now = now.Add(takes)
		}
		looking = !looking
		return now
	}}
	ask := func() time.Duration {
		looking = false
		return s.total()
	}
	waited("100")
	assert.Equal(t, time.Duration(100), ask())
	waited("200")
	now = now.Add(39 * time.Millisecond)
	assert.Equal(t, time.Duration(100), ask(), "it looked a moment ago")
	now = now.Add(time.Millisecond)
	assert.Equal(t, time.Duration(200), ask())
	takes = time.Second
	waited("300")
	now = now.Add(40 * time.Millisecond)
	assert.Equal(t, time.Duration(300), ask())
	waited("400")
	now = now.Add(askEvery)
	assert.Equal(t, time.Duration(400), ask(), "an answer does not hold for longer than that")
}
