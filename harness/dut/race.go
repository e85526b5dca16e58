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

// raceMost is how many deliveries one lane makes at most beside the one that is watched.
// Between two of a lane lies a time that grows: how long an installation takes, and in
// which part of it a second one would be let in, nobody knows.
const (
	raceMost  = 24
	raceFirst = 4 * time.Millisecond
)

// Beside is what goes to the DUT while another image does, again and again, over a channel.
type Beside struct {
	Over  *Update
	Image Image
}

// Raced is one delivery of such.
type Raced struct {
	Over string // the channel
	Delivery
}

// Race delivers an image as its owner does, and at the same time others, each in a lane of
// its own that begins late behind it, again and again until the first is through. It gives
// what became of the first, and of each of the others. The error is the rig's own trouble.
func (u *Update) Race(ctx context.Context, img Image, late time.Duration, beside ...Beside) (d Delivery, others []Raced, err error) {
	lanes, err := u.lanes(beside)
	if err != nil {
		return Delivery{}, nil, err
	}
	for i := range lanes {
		lanes[i].late = late
	}
	return u.race(ctx, img, lanes)
}

func (u *Update) lanes(beside []Beside) (out []lane, err error) {
	if u.decl == nil {
		return nil, fmt.Errorf("update channel %s: %w", u.name, ErrNotDeclared)
	}
	for _, b := range beside {
		if b.Over.decl == nil {
			return nil, fmt.Errorf("update channel %s: %w", b.Over.name, ErrNotDeclared)
		}
		out = append(out, lane{over: b.Over.name, wait: raceFirst, deliver: func(ctx context.Context) (Delivery, error) {
			return b.Over.deliver(ctx, b.Image, b.Over.decl.Steps, b.Over.decl.Refused, guised{})
		}})
	}
	return out, nil
}

// Copies says whether the channel copies the image to a place of the DUT, where something
// else makes it an update.
func (u *Update) Copies() bool { return u.decl != nil && len(copies(u.decl.Steps)) > 0 }

func copies(ss []profile.Step) []profile.Step {
	return slices.DeleteFunc(slices.Clone(ss), func(s profile.Step) bool { return s.Verb != "copy" })
}

// Overwrite delivers an image as its owner does, and once it was copied to its place on
// the DUT has another one copied there in its stead, again and again until the first is
// through: late is how long it lies there at least before. Of the others it gives those
// that lay there meanwhile, and what else went beside.
func (u *Update) Overwrite(ctx context.Context, img, other Image, late time.Duration, beside ...Beside) (d Delivery, others []Raced, err error) {
	lanes, err := u.lanes(beside)
	if err != nil {
		return Delivery{}, nil, err
	}
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
	return u.race(ctx, img, append(lanes, lane{over: u.name, from: there, late: late, wait: late, deliver: func(ctx context.Context) (Delivery, error) {
		d, err := u.deliver(ctx, other, ss, u.decl.Refused, guised{own: own})
		if d.Taken {
			d.Taken, d.Detail = false, "it lay where the other one was copied to"
		}
		return d, err
	}}))
}

// lane is what goes on beside a delivery: late behind its beginning, or behind when from is
// closed, and again behind a time that grows.
type lane struct {
	over    string
	from    <-chan struct{}
	late    time.Duration
	wait    time.Duration
	deliver func(context.Context) (Delivery, error)
}

// race delivers an image, and others beside it.
func (u *Update) race(ctx context.Context, img Image, lanes []lane) (d Delivery, others []Raced, err error) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	under, through := context.WithCancel(ctx) // until the first is through
	defer through()
	run := func(l lane) {
		wait := l.wait
		if l.from != nil {
			select {
			case <-l.from:
			case <-under.Done():
			}
		}
		if l.late > 0 && u.d.Wait(under, l.late) != nil {
			return
		}
		for range raceMost {
			if under.Err() != nil {
				return
			}
			d, err := l.deliver(ctx)
			mu.Lock()
			others = append(others, Raced{l.over, d})
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
	for _, l := range lanes {
		wg.Go(func() { run(l) })
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
