package dut

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"rigor/harness/profile"
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
// channel beside (the same one, as a rule), again and again until the first is through. It
// gives what became of the first, and of each of the others. The error is the rig's own
// trouble.
func (u *Update) Race(ctx context.Context, img Image, beside *Update, other Image) (d Delivery, others []Delivery, err error) {
	if u.decl == nil || beside.decl == nil {
		return Delivery{}, nil, fmt.Errorf("update channels %s and %s: %w", u.name, beside.name, ErrNotDeclared)
	}
	return u.race(ctx, img, nil, func(ctx context.Context) (Delivery, error) {
		return beside.deliver(ctx, other, beside.decl.Steps, beside.decl.Refused, guised{})
	}, raceFirst)
}

// Copies says whether the channel copies the image to a place of the DUT, where something
// else makes it an update.
func (u *Update) Copies() bool { return u.decl != nil && len(copies(u.decl.Steps)) > 0 }

func copies(ss []profile.Step) []profile.Step {
	return slices.DeleteFunc(slices.Clone(ss), func(s profile.Step) bool { return s.Verb != "copy" })
}

// Overwrite delivers an image as its owner does, and once it was copied to its place on
// the DUT has another one copied there in its stead, again and again until the first is
// through: late is how long it lies there at least before. Of the others it gives which of
// them lay there meanwhile.
func (u *Update) Overwrite(ctx context.Context, img, other Image, late time.Duration) (d Delivery, others []Delivery, err error) {
	if !u.Copies() {
		return Delivery{}, nil, fmt.Errorf("what update channel %s copies: %w", u.name, ErrNotDeclared)
	}
	ss := copies(u.decl.Steps)
	own := sessions{} // open before: to log in takes longer than an installation may
	defer func() {
		for _, s := range own {
			_ = s.Close() // it is over
		}
	}()
	for _, s := range ss {
		if own[s.Login] != nil || s.Password != "" {
			continue
		}
		a, err := (target{Device: u.d}).Access(ctx, s.Login, "")
		if err != nil {
			return Delivery{}, nil, fmt.Errorf("overwrite what is copied over %s: %w", u.name, err)
		}
		own[s.Login] = a
	}
	there := make(chan struct{})
	img.gone = sync.OnceFunc(func() { close(there) })
	return u.race(ctx, img, there, func(ctx context.Context) (Delivery, error) {
		d, err := u.deliver(ctx, other, ss, u.decl.Refused, guised{own: own})
		if d.Taken {
			d.Taken, d.Detail = false, "it lay where the other one was copied to"
		}
		return d, err
	}, late)
}

// race delivers an image, and from when on it says so others beside it: each lane the
// first of them behind some time.
func (u *Update) race(ctx context.Context, img Image, from <-chan struct{}, deliver func(context.Context) (Delivery, error), wait time.Duration) (d Delivery, others []Delivery, err error) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	under, through := context.WithCancel(ctx) // until the first is through
	defer through()
	lane := func(wait time.Duration) {
		if from != nil {
			select {
			case <-from:
			case <-under.Done():
			}
			if u.d.Wait(under, wait) != nil {
				return
			}
		}
		for range raceMost {
			if under.Err() != nil {
				return
			}
			d, err := deliver(ctx)
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
	lanes := raceLanes
	if from != nil {
		lanes = 1 // one place, and one session
	}
	for range lanes {
		wg.Go(func() { lane(wait) })
	}
	d, err = u.deliver(ctx, img, u.decl.Steps, u.decl.Refused, guised{})
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
