package login

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"rigor/harness/beside"
)

// Result is one try of a sweep.
type Result struct {
	Index      int // place in the list that was given
	Credential Credential
	Outcome    Outcome
}

// Sweep tries creds in their order, parallel at a time (at least one), and
// calls each for every try that came to an outcome: one call at a time, in the
// order in which tries end. When each returns false no further try starts;
// those under way end and are reported still. The first error of a try ends
// the sweep the same way and is returned, with the number of the credential.
// Sweep returns when no try is left running. A Batcher is used as a batch.
//
// Parallel tries make sense only where the DUT's lock-out allows them: pacing
// is the caller's.
func Sweep(ctx context.Context, p Prober, creds []Credential, parallel int, each func(Result) bool) error {
	if b, ok := p.(Batcher); ok {
		batch, end := b.Batch()
		defer end()
		p = batch
	}
	var (
		mu    sync.Mutex
		next  int
		ended bool
		first error
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if ended || next >= len(creds) {
			return 0, false
		}
		if err := ctx.Err(); err != nil {
			ended = true
			if first == nil {
				first = context.Cause(ctx)
			}
			return 0, false
		}
		next++
		return next - 1, true
	}
	report := func(i int, o Outcome, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			ended = true
			if first == nil {
				first = fmt.Errorf("try %d of %d (%s): %w", i+1, len(creds), creds[i], err)
			}
			return
		}
		if !each(Result{Index: i, Credential: creds[i], Outcome: o}) {
			ended = true
		}
	}
	lanes := beside.All(min(max(parallel, 1), max(len(creds), 1)), func(int) error {
		whole := false
		defer func() {
			if !whole { // a panic: the others end, too
				mu.Lock()
				defer mu.Unlock()
				ended = true
			}
		}()
		for {
			i, ok := take()
			if !ok {
				whole = true
				return nil
			}
			o, err := p.Try(ctx, creds[i])
			report(i, o, err)
		}
	})
	return errors.Join(append([]error{first}, lanes...)...)
}
