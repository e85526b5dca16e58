package runner

import (
	"context"
	"errors"
	"time"
)

// errNoTime ends the last look at the rig of a run that was told to end.
var errNoTime = errors.New("the run was told to end")

// A grace is for what runs here to come to its end. On a busy computer neither that nor
// who waits for it may run for seconds: a grace is counted in pauses, each as long as it
// was to be, however long it took.
const gracePause = 100 * time.Millisecond

// pause waits for d; false where ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// outlast looks for what has to end until there is nothing left, the grace is over, or
// ctx ends, and gives what is left then.
func outlast(ctx context.Context, grace time.Duration, pause func(context.Context, time.Duration) bool, look func() []string) []string {
	for wait := 100 * time.Microsecond; ; wait = min(2*wait, gracePause) {
		left := look()
		if len(left) == 0 || grace <= 0 {
			return left
		}
		if !pause(ctx, wait) {
			return look()
		}
		grace -= wait
	}
}

// hadTime gives a context that ends with a grace.
func hadTime(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		for ; grace > 0; grace -= gracePause {
			if !pause(ctx, min(gracePause, grace)) {
				return
			}
		}
	}()
	return ctx, cancel
}

// signal is when a run was told to end.
type signal struct{ at chan time.Time }

// signalOf notes when ctx ends.
func signalOf(ctx context.Context) signal {
	s := signal{make(chan time.Time, 1)}
	context.AfterFunc(ctx, func() { s.at <- time.Now() })
	return s
}

// left gives what a run has left for the look at the rig behind its cases: all the time
// that it takes, but of one that was told to end a little of what is left of the time to
// unwind: who waits for the rig to be safe waits for the look as well. It is called once.
func (s signal) left(ctx context.Context) (context.Context, context.CancelFunc) {
	free := context.WithoutCancel(ctx)
	if ctx.Err() == nil {
		return context.WithCancel(free)
	}
	end := (<-s.at).Add(graceSignal)
	if soon := time.Now().Add(graceLook); soon.Before(end) {
		end = soon
	}
	return context.WithDeadlineCause(free, end, errNoTime)
}
