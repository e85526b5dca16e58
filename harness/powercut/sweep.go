package powercut

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// sweep is one under way.
type sweep struct {
	plan Plan
	dut  DUT
	res  *Result
	aims *aims
	took time.Duration // of the first run, which was not cut
}

func (s *sweep) last() *Run {
	if len(s.res.Runs) == 0 {
		return &Run{}
	}
	return &s.res.Runs[len(s.res.Runs)-1]
}

// cuts cuts until each phase has its hits or nothing more is to be had.
func (s *sweep) cuts(ctx context.Context) error { //nolint:gocognit // one loop over all that can end the cuts
	unproven := 0
	for tries := 0; ; tries++ {
		a, left := s.aims.next(s.res.Phases)
		switch {
		case !left:
			if len(s.res.Gaps()) > 0 {
				s.res.Stop = "what is missing was aimed at often enough, or is never seen"
			}
			return nil
		case tries == s.plan.Cuts:
			s.res.Stop = fmt.Sprintf("the work was begun to be cut %d times, as often as planned", tries)
			return nil
		case !s.plan.Until.IsZero() && !time.Now().Before(s.plan.Until):
			s.res.Stop = "its time is over"
			return nil
		}
		run, err := s.run(ctx, &a)
		if errors.Is(err, ErrSpent) {
			s.res.Stop = err.Error()
			return nil
		}
		if err != nil {
			return err
		}
		if run.workErr != nil && !run.Cut {
			if err := s.stuck(ctx, run.workErr); err != nil || s.res.Stuck != nil || s.res.Bad != nil {
				return err
			}
		}
		if s.res.Bad != nil {
			return nil
		}
		if run.Cut && !run.Proven {
			unproven++
		} else if run.Cut {
			unproven = 0
		}
		if unproven == mostUnproven {
			s.res.Stop = fmt.Sprintf("in %d cuts one after the other nothing proved that the supply was off: %s", unproven, run.Missed)
			return nil
		}
	}
}

// mostUnproven is after how many cuts of which none is proven no more are made: the
// supply is not what it should be.
const mostUnproven = 5

// uncut makes a run that is let come to its end.
func (s *sweep) uncut(ctx context.Context) error {
	run, err := s.run(ctx, nil)
	if err == nil {
		err = run.workErr
	}
	if err == nil && s.took == 0 {
		s.took = run.Took
	}
	return err
}

// stuck makes the work a second time, without a cut, after it did not go by itself:
// once may be a connection that was lost.
func (s *sweep) stuck(ctx context.Context, first error) error {
	switch err := s.uncut(ctx); {
	case err == nil, errors.Is(err, ErrSpent):
		return nil
	case s.last().workErr != nil && errors.Is(err, s.last().workErr):
		s.res.Stuck = err
		return nil
	default:
		return fmt.Errorf("the work once more, after it did not go (%w): %w", first, err)
	}
}

// run makes one run, cut where it is aimed, and keeps it.
func (s *sweep) run(ctx context.Context, a *aim) (*Run, error) {
	if err := s.dut.Ready(ctx); err != nil {
		return &Run{}, fmt.Errorf("before run %d: %w", len(s.res.Runs)+1, err)
	}
	run := Run{N: len(s.res.Runs) + 1, Uncut: a == nil}
	if a != nil {
		run.Aim, run.Anchor, run.Offset, run.meant, run.shift = a.phase, a.anchor, a.offset, a.into, a.shift
	}
	err := s.work(ctx, a, &run)
	if err == nil && run.Cut {
		err = s.back(ctx, &run)
	}
	if err == nil {
		if run.End, err = s.dut.End(ctx); err != nil {
			err = fmt.Errorf("what has become of the DUT after run %d: %w", run.N, err)
		}
	}
	s.keep(&run, err)
	return s.last(), err
}

// back gives the supply back.
func (s *sweep) back(ctx context.Context, run *Run) error {
	err := s.dut.On(ctx)
	switch {
	case errors.Is(err, ErrNotOff):
		run.Missed = err.Error()
		return nil
	case err != nil:
		return fmt.Errorf("the supply back after run %d: %w", run.N, err)
	}
	run.Proven = true
	return nil
}

// keep judges a run and adds it to the result.
func (s *sweep) keep(run *Run, err error) {
	if run.Cut {
		run.Phase, run.Into = s.landed(run)
		switch {
		case run.Missed != "":
		case run.Phase == "" && run.Ended:
			run.Missed = "the work had ended when the DUT fell silent"
		case run.Phase == "":
			run.Missed = "no marker had been seen when the DUT fell silent"
		case run.Phase != run.Aim:
			run.Missed = "it landed elsewhere than it was aimed at"
		}
	} else if run.Aim != "" && run.Missed == "" {
		run.Missed = "the work was over before the cut"
	}
	s.aims.learn(run, s.begins(run))
	for i := range s.res.Phases {
		ph := &s.res.Phases[i]
		if run.N == 1 {
			_, ph.Seen = s.begins(run)[ph.ID]
		}
		if run.Aim == ph.ID {
			ph.Tries++
		}
		if err == nil && run.hit() && run.Phase == ph.ID {
			ph.Hits++
		}
		ph.Lasted = s.aims.of(ph.ID).lasts
	}
	s.res.Runs = append(s.res.Runs, *run)
	if err == nil && !run.End.OK {
		s.res.Bad = s.last()
	}
	if s.plan.Tell != nil {
		s.plan.Tell(*run)
	}
}

// work does the work of a run, and cuts it where it is aimed.
func (s *sweep) work(ctx context.Context, a *aim, run *Run) error {
	seen := &marks{news: make(chan struct{})}
	watching, unwatch := context.WithCancel(ctx)
	defer unwatch()
	acting, leave := context.WithCancel(ctx)
	defer leave()
	watched := begin(func() error { return s.dut.Watch(watching, seen.add) })
	run.Began = time.Now()
	acted := begin(func() error { return s.dut.Act(acting) })

	over, err := s.until(ctx, a, run.Began, seen, acted, watched)
	if err == nil && a != nil && !over.is {
		run.Cut, run.off = true, time.Now()
		run.Took = run.off.Sub(run.Began)
		if err = s.dut.Off(ctx); errors.Is(err, ErrSpent) {
			run.Cut, run.Missed = false, err.Error()
		}
	}
	leave()
	if !over.is {
		over = ended{true, <-acted, time.Now()}
	}
	unwatch()
	if werr := <-watched; werr != nil && (err == nil || errors.Is(err, errBlind)) {
		err = werr
	}
	run.Marks = seen.all()
	if run.over = over.at; !run.Cut {
		run.Took = over.at.Sub(run.Began)
	}
	run.Ended = over.err == nil
	if over.err != nil {
		run.Work, run.workErr = over.err.Error(), over.err
	}
	if err != nil {
		return fmt.Errorf("run %d: %w", run.N, err)
	}
	return nil
}

// errBlind says that the markers are not watched any more.
var errBlind = errors.New("the markers are watched no more")

// ended says whether, when and how the work has ended.
type ended struct {
	is  bool
	err error
	at  time.Time
}

// until waits until the moment that is aimed at, or the end of the work.
func (s *sweep) until(ctx context.Context, a *aim, began time.Time, seen *marks, acted <-chan error, watched chan error) (ended, error) {
	patience := time.NewTimer(time.Hour)
	patience.Stop()
	if a != nil {
		if p := s.plan.Patience; p > 0 {
			patience.Reset(p)
		} else if s.took > 0 {
			patience.Reset(4 * s.took)
		}
	}
	defer patience.Stop()
	due := time.NewTimer(time.Hour)
	due.Stop()
	defer due.Stop()
	for set := false; ; {
		news := seen.wait()
		if a != nil && !set {
			if at, ok := s.aimed(a, began, seen); ok {
				set = true
				due.Reset(max(time.Until(at), 0))
			}
		}
		select { // what has ended is not cut any more, whatever else is due
		case err := <-acted:
			return ended{true, err, time.Now()}, overtime(ctx)
		default:
		}
		select {
		case err := <-acted:
			return ended{true, err, time.Now()}, overtime(ctx)
		case err := <-watched:
			watched <- err // for whoever asks how it ended
			if ctx.Err() != nil {
				return ended{}, overtime(ctx)
			}
			return ended{}, errBlind
		case <-due.C:
			return ended{}, nil
		case <-patience.C: // the anchor never came: the cut goes where it goes
			return ended{}, nil
		case <-news:
		case <-ctx.Done():
			return ended{}, overtime(ctx)
		}
	}
}

// overtime says that the time of all of it is over, where it is.
func overtime(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("while the work went on: %w", context.Cause(ctx))
}

// aimed gives the moment of a cut, once its anchor was seen.
func (s *sweep) aimed(a *aim, began time.Time, seen *marks) (time.Time, bool) {
	if a.anchor == "" {
		return began.Add(a.offset), true
	}
	for _, m := range seen.all() {
		if m.Phase == a.anchor {
			return m.At.Add(a.offset), true
		}
	}
	return time.Time{}, false
}

// landed gives the phase that a cut counts for, and how far behind its beginning
// the supply was told to go.
func (s *sweep) landed(run *Run) (string, time.Duration) {
	if run.Ended { // it came to its end in spite of the cut
		return "", 0
	}
	phase, at, i := "", run.Began, -1
	if n := len(run.Marks); n > 0 {
		phase, at = run.Marks[n-1].Phase, run.Marks[n-1].At
		i = s.aims.index(phase)
	}
	// What nothing shows begins so long after the one before it.
	for i+1 < len(s.plan.Phases) {
		next := s.plan.Phases[i+1]
		if next.After == 0 || run.off.Sub(at) < next.After {
			break
		}
		i, phase, at = i+1, next.ID, at.Add(next.After)
	}
	return phase, max(run.off.Sub(at), 0)
}

// begins gives when each phase of a run began: at its first marker, and where
// nothing shows it, so long after the one before it.
func (s *sweep) begins(run *Run) map[string]time.Time {
	out := map[string]time.Time{}
	for _, m := range run.Marks {
		if _, ok := out[m.Phase]; !ok {
			out[m.Phase] = m.At
		}
	}
	until := run.over
	if run.Cut {
		until = run.off
	}
	before, ok := run.Began, true
	for _, ph := range s.plan.Phases {
		if ph.After > 0 && ok {
			if at := before.Add(ph.After); !at.After(until) {
				out[ph.ID] = at
			}
		}
		before, ok = out[ph.ID]
	}
	return out
}

// marks are the markers of a run as they come.
type marks struct {
	mu   sync.Mutex
	seen []Mark
	news chan struct{}
}

func (m *marks) add(mark Mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = append(m.seen, mark)
	close(m.news)
	m.news = make(chan struct{})
}

func (m *marks) all() []Mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Mark(nil), m.seen...)
}

// wait gives what is closed at the next marker.
func (m *marks) wait() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.news
}

// begin runs f beside the caller. One that panics, or ends its goroutine, has ended
// with an error.
func begin(f func() error) chan error {
	out := make(chan error, 1)
	go func() {
		err := errors.New("it did not return")
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
			out <- err
		}()
		err = f()
	}()
	return out
}
