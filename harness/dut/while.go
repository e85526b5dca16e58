package dut

import (
	"context"
	"errors"
	"fmt"
)

// While does a piece of work, and looks again and again until it is done: the look is made
// on the caller's own routine, at least once. The error is the work's, and then the look's,
// which ends the looking and not the work.
func While(ctx context.Context, work, look func(ctx context.Context) error) error {
	done := make(chan error, 1)
	go func() {
		err := errors.New("the work that was looked at did not return")
		defer func() { done <- err }()
		err = work(ctx)
	}()
	for {
		lookErr := look(ctx)
		select {
		case err := <-done:
			return errors.Join(err, lookErr)
		default:
		}
		if lookErr != nil {
			return errors.Join(<-done, fmt.Errorf("look while it is done: %w", lookErr))
		}
	}
}
