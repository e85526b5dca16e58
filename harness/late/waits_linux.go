package late

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// waiting gives what tells how long this program, and all that it started, has waited for
// a processor so far: of each of their threads what the kernel counts of its time on a run
// queue (/proc/PID/task/TID/schedstat, sched-stats.rst). Nil where the kernel does not.
func waiting() func() time.Duration {
	if _, err := os.Stat("/proc/self/schedstat"); err != nil {
		return nil
	}
	return ours().total
}

// ours is the one queue of this program: it is the same for every run in it.
var ours = sync.OnceValue(func() *shared {
	return &shared{queue: &queue{root: "/proc", of: map[string]time.Duration{}}, now: time.Now}
})

// frugal is how many times as long as a look took its answer holds: what measures how busy
// the computer is must not be what keeps it busy. It holds for askEvery at most.
const frugal = 40

// shared is a queue that whoever wants to know may ask as often as they like.
type shared struct {
	mu    sync.Mutex
	queue *queue
	now   func() time.Time
	until time.Time // the last answer holds
	sum   time.Duration
}

func (s *shared) total() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	begun := s.now()
	if begun.Before(s.until) {
		return s.sum
	}
	s.sum = s.queue.total()
	over := s.now()
	s.until = over.Add(min(frugal*over.Sub(begun), askEvery))
	return s.sum
}

// queue sums up what threads have waited, also of those that have ended.
type queue struct {
	root string // of the file system of processes
	of   map[string]time.Duration
	sum  time.Duration
}

func (q *queue) total() time.Duration {
	now := map[string]time.Duration{}
	q.look(strconv.Itoa(os.Getpid()), now, 0)
	for tid, d := range now {
		q.sum += max(d-q.of[tid], 0)
	}
	q.of = now
	return q.sum
}

// deepest is how far down processes that were started by others are looked at.
const deepest = 4

func (q *queue) look(pid string, into map[string]time.Duration, depth int) {
	tasks := filepath.Join(q.root, pid, "task")
	threads, err := os.ReadDir(tasks)
	if err != nil || depth > deepest {
		return // it has ended
	}
	for _, t := range threads {
		if b, err := os.ReadFile(filepath.Join(tasks, t.Name(), "schedstat")); err == nil {
			if f := strings.Fields(string(b)); len(f) >= 2 {
				if ns, err := strconv.ParseInt(f[1], 10, 64); err == nil {
					into[t.Name()] = time.Duration(ns)
				}
			}
		}
		if b, err := os.ReadFile(filepath.Join(tasks, t.Name(), "children")); err == nil {
			for _, child := range strings.Fields(string(b)) {
				q.look(child, into, depth+1)
			}
		}
	}
}
