package main

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// room says when a further run may begin beside those that are under way. A run waits
// more than it works, but what it waits for are fractions of a second: where the
// processors are all busy, the device of a run that is late answers late.
type room struct {
	least, most int // runs at the same time: without asking, and however idle the computer is
	// times gives how long the processors have worked and been idle, all of them together,
	// in whatever unit; not ok where the computer does not tell.
	times func() (busy, idle uint64, ok bool)

	mu      sync.Mutex
	running int
	ended   chan struct{} // a run has ended since somebody looked
}

const (
	// roomIdle is the share of the processors' time that has to be idle for a further run
	// to begin, of 1.
	roomIdle = 0.3
	// roomLook is over how long that is looked at, and how long apart runs begin then:
	// what one more of them takes shows only when it has begun.
	roomLook = 500 * time.Millisecond
)

// fixedRoom has so many runs at the same time.
func fixedRoom(n int) *room { return &room{least: n, most: n, ended: make(chan struct{}, 1)} }

// idleRoom has three for each processor, up to eighteen as long as those have nothing else
// to do, or six where the computer does not tell.
func idleRoom() *room {
	n := runtime.NumCPU()
	if _, _, ok := processorTimes(); !ok {
		return fixedRoom(6 * n)
	}
	r := fixedRoom(3 * n)
	r.most, r.times = 18*n, processorTimes
	return r
}

// enter waits until there is room for a run, which leave gives back. The error is the
// context's.
func (r *room) enter(ctx context.Context) error {
	var busy, idle uint64
	var since time.Time // the times were read
	for {
		r.mu.Lock()
		free, asked := r.running < r.least, r.running < r.most && r.times != nil
		if !free && asked && !since.IsZero() && time.Since(since) >= roomLook {
			b, i, told := r.times()
			share, ok := idleShare(busy, idle, b, i)
			free = told && ok && share >= roomIdle
			since = time.Time{}
		}
		if free && ctx.Err() == nil {
			r.running++
			r.mu.Unlock()
			return nil
		}
		r.mu.Unlock()
		if asked && since.IsZero() {
			var told bool
			if busy, idle, told = r.times(); told {
				since = time.Now()
			}
		}
		timer := time.NewTimer(roomLook)
		select {
		case <-ctx.Done():
		case <-r.ended:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// leave says that a run has ended.
func (r *room) leave() {
	r.mu.Lock()
	r.running--
	r.mu.Unlock()
	select {
	case r.ended <- struct{}{}:
	default: // it is said already
	}
}

// Of one run: how much of a processor a device of this process takes that shares its
// cases with others, and over how long it is looked at how much is there.
const (
	roomPerUnit = 0.2
	roomBefore  = 200 * time.Millisecond
)

// spareUnits gives how many devices of this process have room beside the first, of so many:
// none on a computer that is busy, on which they would all be late. Where the computer does
// not tell, it is idle.
func spareUnits(ctx context.Context, most int, times func() (busy, idle uint64, ok bool)) int {
	busy, idle, ok := times()
	timer := time.NewTimer(roomBefore)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	b, i, still := times()
	share, counted := idleShare(busy, idle, b, i)
	if !ok || !still || !counted {
		return most
	}
	return min(most, int(share*float64(runtime.NumCPU())/roomPerUnit))
}

// idleShare gives the share of the processors' time that was idle between two looks, of 1;
// not ok where the counts do not say.
func idleShare(busy, idle, busyNow, idleNow uint64) (share float64, ok bool) {
	idleNow = max(idle, idleNow) // what waited for a disk may be counted less later on (proc(5))
	if busyNow < busy || busyNow == busy && idleNow == idle {
		return 0, false
	}
	return float64(idleNow-idle) / (float64(busyNow-busy) + float64(idleNow-idle)), true
}

// processorTimes reads what Linux counts of all processors together since it started, in
// its ticks: proc(5), the first line of /proc/stat. Waiting for a disk is idle.
func processorTimes() (busy, idle uint64, ok bool) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, false
	}
	return parseTimes(text)
}

func parseTimes(text []byte) (busy, idle uint64, ok bool) {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	f := bytes.Fields(line)
	const most = 9 // cpu user nice system idle iowait irq softirq steal; what follows is part of those
	if len(f) < 6 || string(f[0]) != "cpu" {
		return 0, 0, false
	}
	for i, word := range f[1:min(len(f), most)] {
		n, err := strconv.ParseUint(string(word), 10, 64)
		if err != nil {
			return 0, 0, false
		}
		if i == 3 || i == 4 {
			idle += n
		} else {
			busy += n
		}
	}
	return busy, idle, true
}
