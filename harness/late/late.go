// Package late measures how long this computer kept its own programs waiting, so that a
// device is not blamed for what the rig was late with.
package late

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrLate is in the chain of every *Error.
var ErrLate = errors.New("the rig's computer was too busy")

// Error says that a time was over in which something was to come, and that the computer
// was late for so much of it that nothing is shown by that. It is a
// context.DeadlineExceeded, too.
type Error struct {
	Within time.Duration // that it was to take
	Took   time.Duration // that was waited
	Lost   time.Duration // of that, in which programs of ours waited for the computer
}

// Error says how late the computer was.
func (e *Error) Error() string {
	return fmt.Sprintf("%v: of %v that were waited, in place of %v, its programs waited for %v for a processor",
		ErrLate, e.Took.Round(time.Millisecond), e.Within, e.Lost.Round(time.Millisecond))
}

// Is makes it what the end of a time is.
func (e *Error) Is(target error) bool {
	return target == ErrLate || target == context.DeadlineExceeded //nolint:errorlint // this is what errors.Is asks
}

// Timeout makes it one of the errors that net calls a timeout.
func (e *Error) Timeout() bool { return true }

// Because gives err with why ctx ended, where that is an *Error: what did not work in its
// time was not given it.
func Because(ctx context.Context, err error) error {
	if over := ctx.Err(); err != nil && errors.Is(over, ErrLate) && !errors.Is(err, ErrLate) {
		return fmt.Errorf("%w: %w", over, err)
	}
	return err
}

// beat is how often it is looked whether the computer is in time.
const beat = 50 * time.Millisecond

// askEvery is how often it is asked how long programs have waited, where nobody wants to
// know it this moment.
const askEvery = 250 * time.Millisecond

// Meter counts the time for which the computer was late. The nil Meter says that it
// never was.
type Meter struct {
	waits func() time.Duration // how long programs of ours have waited so far; nil: not known

	mu     sync.Mutex
	last   time.Time     // the last beat
	late   time.Duration // that beats came too late, since the programs were asked
	asked  time.Time     // when it was last asked how long programs have waited
	waited time.Duration // up to there
	total  time.Duration // up to there
	over   bool
}

// Start begins to measure, and ends with ctx.
func Start(ctx context.Context) *Meter { return With(ctx, waiting()) }

// With is Start where something else tells for how long programs have waited; nil: nothing
// does.
func With(ctx context.Context, waits func() time.Duration) *Meter {
	now := time.Now()
	m := &Meter{waits: waits, last: now, asked: now}
	if m.waits != nil {
		m.waited = m.waits()
	}
	go m.run(ctx)
	return m
}

func (m *Meter) run(ctx context.Context) {
	t := time.NewTicker(beat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			m.stop()
			return
		case <-t.C:
			m.lost(false)
		}
	}
}

// Total gives for how long the computer was late since the measuring began: the time that
// a beat came too late, or that programs of ours and those that they started waited for a
// processor, whichever is more. It is never more than the time that went by.
func (m *Meter) Total() time.Duration { return m.lost(true) }

// lost is Total. Where it need not be exact, the programs are asked now and then alone: to
// ask looks at some dozen files of the kernel, and costs a child that ends more.
func (m *Meter) lost(exact bool) time.Duration {
	if m == nil {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return m.total + m.late
	}
	now := time.Now()
	m.late += max(now.Sub(m.last)-2*beat, 0)
	m.last = now
	if m.waits != nil && (exact || now.Sub(m.asked) >= askEvery) {
		waited := m.waits()
		m.total += min(max(m.late, waited-m.waited), now.Sub(m.asked))
		m.waited, m.asked, m.late = waited, now, 0
	}
	return m.total + m.late
}

func (m *Meter) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over = true
}

// Most of the time that is given on top of a time that the computer was late in: three
// times as much, but so long at least and at most.
const (
	extraLeast = 20 * time.Second
	extraMost  = 2 * time.Minute
)

// Within gives a context that ends when d has gone by without the time for which the
// computer was late. Where that does not come to an end, it ends with an *Error; else with
// cause, or where that is nil, with context.DeadlineExceeded. Its deadline is the latest
// moment at which it ends.
func (m *Meter) Within(ctx context.Context, d time.Duration, cause error) (context.Context, context.CancelFunc) {
	if m == nil {
		if cause != nil {
			return context.WithTimeoutCause(ctx, d, cause)
		}
		return context.WithTimeout(ctx, d)
	}
	most := d + min(max(3*d, extraLeast), extraMost)
	s := &span{meter: m, began: time.Now(), lost: m.lost(false), d: d, most: most}
	return s.start(ctx, cause)
}

// span is a time without what the computer was late in.
type span struct {
	meter   *Meter
	began   time.Time
	lost    time.Duration // when it began
	d, most time.Duration
}

// left gives how much of the time is left; late is set where none is, and the computer was
// late for too much of it.
func (s *span) left() (left time.Duration, late *Error) {
	took, lost := time.Since(s.began), s.meter.Total()-s.lost
	left = s.d - (took - lost)
	if left > 0 && took >= s.most {
		return 0, &Error{Within: s.d, Took: took, Lost: lost}
	}
	return min(left, s.most-took), nil
}

// ending is a context that ends by an error of its own.
type ending struct {
	context.Context //nolint:containedctx // it is one itself; the caller's knows nothing of this end
	deadline        time.Time
	done            chan struct{}

	mu  sync.Mutex
	err error
}

func (e *ending) Deadline() (time.Time, bool) { return e.deadline, true }

func (e *ending) Done() <-chan struct{} { return e.done }

func (e *ending) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

func (e *ending) end(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		e.err = err
		close(e.done)
	}
}

// timeout is a cause of one's own that is a context.DeadlineExceeded.
type timeout struct{ error }

func (t timeout) Unwrap() error        { return t.error }
func (t timeout) Is(target error) bool { return target == context.DeadlineExceeded } //nolint:errorlint // this is what errors.Is asks
func (t timeout) Timeout() bool        { return true }

func (s *span) start(caller context.Context, cause error) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeoutCause(caller, s.most, ErrLate)
	e := &ending{Context: caller, done: make(chan struct{})}
	e.deadline, _ = ctx.Deadline()
	over := error(context.DeadlineExceeded)
	if cause != nil {
		over = timeout{cause}
	}
	go func() {
		defer cancel()
		timer := time.NewTimer(s.d)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				err := ctx.Err() // the caller's, or the latest moment
				if errors.Is(context.Cause(ctx), ErrLate) {
					if _, late := s.left(); late != nil {
						err = late
					}
				}
				e.end(err)
				return
			case <-e.done:
				return
			case <-timer.C:
			}
			left, late := s.left()
			switch {
			case late != nil:
				e.end(late)
				return
			case left < time.Millisecond:
				e.end(over)
				return
			}
			timer.Reset(left)
		}
	}()
	return e, func() {
		e.end(context.Canceled)
		cancel()
	}
}
