package dut

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"rigor/harness/beside"
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

// Phase is when one delivery came within the time that the DUT had another one: from where
// on it may have had it, and by when it had answered it. 0 is when it had got the other one,
// 1 is when it had answered that.
type Phase struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
}

// During gives when it came while the DUT had another one; false where it did not: the DUT
// did not answer, or said only that who delivers may not, or it may have come before, or
// came behind.
func (r Raced) During(d Delivery) (Phase, bool) {
	from, whole := d.Got(), d.Done().Sub(d.Got())
	at := func(t time.Time) float64 { return float64(t.Sub(from)) / float64(whole) }
	if whole <= 0 || !r.Answered() || r.Shut || r.Got().Before(from) || !r.Got().Before(d.Done()) {
		return Phase{}, false
	}
	return Phase{From: at(r.Got()), To: at(r.Done())}, true
}

// HeldBy says whether the DUT seems to have kept it waiting until it had answered another
// one: it was begun in the first half of what the other one took, was answered only behind
// it, and has waited within it for twice as long as it takes alone. Of two answers that the
// DUT gave one behind the other, the rig may hear the second first: one that came heldEnd
// before the other counts as behind it. One that the rig was slow with looks the same: once
// is no proof.
func (r Raced) HeldBy(d Delivery, alone time.Duration) bool {
	from, to := d.Got(), d.Done()
	if !r.Answered() || r.Shut || r.Began.After(from.Add(to.Sub(from)/2)) || r.Done().Before(to.Add(-to.Sub(from)/heldEnd)) {
		return false
	}
	if r.Began.After(from) {
		from = r.Began
	}
	return to.Sub(from) >= 2*alone
}

// heldEnd is the part of the time that a DUT had an image in which another one's answer may
// overtake that image's: one fiftieth.
const heldEnd = 50

// Race delivers an image as its owner does, and at the same time others, each in a lane of
// its own that begins late behind it, again and again until the first is through. It gives
// what became of the first, and of each of the others. The error is the rig's own trouble.
func (u *Update) Race(ctx context.Context, img Image, late time.Duration, beside ...Beside) (d Delivery, others []Raced, err error) {
	lanes, end, err := u.lanes(ctx, beside)
	defer end()
	if err != nil {
		return Delivery{}, nil, err
	}
	own, err := u.enter(ctx, u.decl.Steps)
	defer own.close()
	if err != nil {
		return Delivery{}, nil, err
	}
	for i := range lanes {
		lanes[i].late = late
	}
	return u.race(ctx, img, own, lanes)
}

// lanes gives those of what goes beside, each with sessions of its own, open until end.
func (u *Update) lanes(ctx context.Context, beside []Beside) (out []lane, end func(), err error) {
	var all []sessions
	end = func() {
		for _, s := range all {
			s.close()
		}
	}
	if u.decl == nil {
		return nil, end, fmt.Errorf("update channel %s: %w", u.name, ErrNotDeclared)
	}
	for _, b := range beside {
		if b.Over.decl == nil {
			return nil, end, fmt.Errorf("update channel %s: %w", b.Over.name, ErrNotDeclared)
		}
		own, err := b.Over.enter(ctx, b.Over.decl.Steps)
		all = append(all, own)
		if err != nil {
			return nil, end, err
		}
		out = append(out, lane{over: b.Over.name, wait: raceFirst, deliver: func(ctx context.Context) (Delivery, error) {
			d, err := b.Over.deliver(ctx, b.Image, b.Over.decl.Steps, b.Over.decl.Refused, guised{own: own})
			if d.Shut || !d.Answered() { // as where the DUT has ended the session for another one: the next logs in by itself
				own.close()
			}
			return d, err
		}})
	}
	return out, end, nil
}

// enter opens sessions as the owner for what steps do with one: to log in while another
// image is under way may take longer than its installation does. Where he is not let in,
// the delivery itself tells.
func (u *Update) enter(ctx context.Context, ss []profile.Step) (sessions, error) {
	own := sessions{}
	var enter func(ss []profile.Step) error
	enter = func(ss []profile.Step) error {
		for _, s := range ss {
			owners := s.Verb == "run" || s.Verb == "copy" || s.Verb == "http" && s.As == "owner"
			if owners && s.Login != "" && own[s.Login] == nil && s.Password == "" {
				a, err := (target{Device: u.d}).Access(ctx, s.Login, "")
				var no *NoEntryError
				if err != nil && !errors.As(err, &no) {
					return fmt.Errorf("log in before a race over %s: %w", u.name, err)
				}
				if err == nil {
					own[s.Login] = a
				}
			}
			if err := enter(s.Steps); err != nil {
				return err
			}
		}
		return nil
	}
	return own, enter(ss)
}

// close closes them, and has none any more.
func (s sessions) close() {
	for name, a := range s {
		_ = a.Close() // it is over
		delete(s, name)
	}
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
	lanes, end, err := u.lanes(ctx, beside)
	defer end()
	if err != nil {
		return Delivery{}, nil, err
	}
	if !u.Copies() {
		return Delivery{}, nil, fmt.Errorf("what update channel %s copies: %w", u.name, ErrNotDeclared)
	}
	ss := copies(u.decl.Steps)
	own, err := u.enter(ctx, ss)
	defer own.close()
	if err != nil {
		return Delivery{}, nil, err
	}
	owner, err := u.enter(ctx, u.decl.Steps)
	defer owner.close()
	if err != nil {
		return Delivery{}, nil, err
	}
	there := make(chan struct{})
	img.gone = sync.OnceFunc(func() { close(there) })
	return u.race(ctx, img, owner, append(lanes, lane{over: u.name, from: there, late: late, wait: late, deliver: func(ctx context.Context) (Delivery, error) {
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

// race delivers an image in the owner's sessions, and others beside it.
func (u *Update) race(ctx context.Context, img Image, own sessions, lanes []lane) (d Delivery, others []Raced, err error) {
	var (
		mu    sync.Mutex
		errs  []error
		works []*beside.Work
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
		works = append(works, beside.Begin(func() error { run(l); return nil }))
	}
	d, err = u.deliver(ctx, img, u.decl.Steps, u.decl.Refused, guised{own: own})
	through()
	for _, w := range works {
		<-w.Done()
	}
	for _, w := range works {
		errs = append(errs, w.Wait())
	}
	if !d.Taken {
		errs = append(errs, u.leave(ctx))
	}
	return d, others, errors.Join(append([]error{err}, errs...)...)
}

// Answered says whether the DUT answered a delivery: that it took it, or anything else.
func (d Delivery) Answered() bool {
	return d.Taken || d.Kind != "" && d.Kind != verdict.Unreachable
}
