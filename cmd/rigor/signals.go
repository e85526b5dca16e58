package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// errSignal is the cause of a context that a signal ended.
var errSignal = errors.New("interrupted")

// hurry is called at the second signal: it makes the rig safe at once.
var hurry struct {
	mu sync.Mutex
	f  func()
}

// onHurry says what the second signal does; nil takes it back.
func onHurry(f func()) {
	hurry.mu.Lock()
	defer hurry.mu.Unlock()
	hurry.f = f
}

// signals gives a context that the first SIGINT, SIGTERM, SIGHUP or SIGQUIT ends.
// The second one makes the rig safe and ends the program. SIGQUIT is left to who
// asks for Go's dump of all routines by GOTRACEBACK.
func signals(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if os.Getenv("GOTRACEBACK") == "" {
		signal.Notify(ch, syscall.SIGQUIT)
	}
	done := make(chan struct{})
	go func() {
		n := 0
		for {
			select {
			case <-done:
				return
			case s := <-ch:
				if n++; n == 1 {
					cancel(fmt.Errorf("%w by %s", errSignal, s))
					continue
				}
				hurry.mu.Lock()
				f := hurry.f
				hurry.mu.Unlock()
				if f != nil {
					f()
				}
				os.Exit(130)
			}
		}
	}()
	return ctx, func() {
		signal.Stop(ch)
		close(done)
		cancel(nil)
	}
}
