package dut

import (
	"context"
	"errors"
	"fmt"

	"rigor/harness/beside"
)

// While does a piece of work, and looks again and again until it is done: the look is made
// on the caller's own routine, at least once. The error is the work's, and then the look's,
// which ends the looking and not the work.
func While(ctx context.Context, work, look func(ctx context.Context) error) error {
	w := beside.Begin(func() error { return work(ctx) })
	for {
		lookErr := look(ctx)
		select {
		case <-w.Done():
			return errors.Join(w.Wait(), lookErr)
		default:
		}
		if lookErr != nil {
			return errors.Join(w.Wait(), fmt.Errorf("look while it is done: %w", lookErr))
		}
	}
}
