package runner

import (
	"context"
	"time"
)

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
