package dut

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"rigor/harness/verdict"
)

// raceLanes are how many deliveries go on beside the one that is watched, and raceMost
// how many each of them makes at most. Between two of a lane lies a time that grows: how
// long an installation takes, and in which part of it a second one would be let in, nobody
// knows.
const (
	raceLanes = 3
	raceMost  = 24
	raceFirst = 4 * time.Millisecond
)

// Race delivers an image as its owner does, and at the same time another one over the
// same channel, again and again until the first is through. It gives what became of the
// first, and of each of the others. The error is the rig's own trouble.
func (u *Update) Race(ctx context.Context, img, beside Image) (d Delivery, others []Delivery, err error) {
	if u.decl == nil {
		return Delivery{}, nil, fmt.Errorf("update channel %s: %w", u.name, ErrNotDeclared)
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	under, through := context.WithCancel(ctx) // until the first is through
	defer through()
	lane := func() {
		wait := raceFirst
		for range raceMost {
			if under.Err() != nil {
				return
			}
			d, err := u.deliver(ctx, beside, u.decl.Steps, u.decl.Refused, nil)
			mu.Lock()
			others = append(others, d)
			if err != nil {
				errs = append(errs, err)
			}
			mu.Unlock()
			if err != nil || u.d.Wait(under, wait) != nil {
				return
			}
			wait += wait / 2
		}
	}
	for range raceLanes {
		wg.Go(lane)
	}
	d, err = u.deliver(ctx, img, u.decl.Steps, u.decl.Refused, nil)
	through()
	wg.Wait()
	if !d.Taken {
		errs = append(errs, u.leave(ctx))
	}
	return d, others, errors.Join(append([]error{err}, errs...)...)
}

// Answered says whether the DUT answered a delivery: that it took it, or anything else.
func (d Delivery) Answered() bool {
	return d.Taken || d.Kind != "" && d.Kind != verdict.Unreachable
}
