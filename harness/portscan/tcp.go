package portscan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"rigor/harness/wire"
)

// TCP scans ports of TCP by connecting to them. It keeps what it has learned of
// the device's pace from one scan to the next. Scans do not overlap.
type TCP struct {
	dialer wire.Dialer
	host   string
	canary int
	limits Limits
	pace   *pacer
}

// NewTCP makes a scanner of a host. Canary is a port that is known to be open; 0
// where there is none: then a silent port ends the scan with ErrPath.
func NewTCP(d wire.Dialer, host string, canary int, l Limits) *TCP {
	l = l.Normal()
	return &TCP{dialer: d, host: host, canary: canary, limits: l, pace: newPacer(l)}
}

// Scan gives every port its final state. The error is the rig's own trouble (a
// *wire.Fault), the end of ctx, or ErrPath; the result has what was found until
// then.
func (s *TCP) Scan(ctx context.Context, ports []int) (*Result, error) {
	r := &round{TCP: s, res: newResult(ports)}
	begun := time.Now()
	defer func() { r.res.Took = time.Since(begun) }()
	left := make([]silent, len(ports))
	for i, p := range ports {
		left[i].port = p
	}
	voids := 0
	for len(left) > 0 {
		r.moved = false
		var err error
		if left, err = r.run(ctx, left); err != nil {
			return r.finish(), err
		}
		if voids++; r.moved {
			voids = 0
		} else if voids == deadAfter { // not one try has counted: the path comes and goes
			return r.finish(), fmt.Errorf("%s: %w, whenever others are asked", join(s.host, s.canary), ErrPath)
		}
	}
	return r.finish(), nil
}

// manySilent is from how many silent ports on the device is one that filters.
const manySilent = 500

// silent is a port that has not answered yet.
type silent struct {
	port, tries int
	took        time.Duration
	why         string
}

// round is one walk over the ports that have not answered yet.
type round struct {
	*TCP
	res *Result

	mu     sync.Mutex
	todo   []silent
	at     int
	counts []silent // silent since the canary answered last: not to be believed yet
	again  []silent // believed
	err    error
	asking bool // somebody is asking the canary
	moved  bool // a port answered, or a try counted
	late   int  // ports that were silent before and answered now
}

// run walks over the ports once and gives those that have to be asked again.
func (r *round) run(ctx context.Context, todo []silent) ([]silent, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, r.pace.wake)()
	r.todo, r.at, r.counts, r.again, r.err, r.late = todo, 0, nil, nil, nil, 0
	var wg sync.WaitGroup
	for range min(r.limits.Connections, len(todo)) {
		wg.Go(func() {
			var p patience
			defer p.end()
			for r.step(ctx, &p) {
			}
			if r.failed() != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	if r.err == nil && len(r.counts) > 0 {
		r.believe(ctx, false)
	}
	if r.err != nil {
		return nil, r.err
	}
	if r.late > 0 {
		// They were too many at once. That others were silent among them says nothing.
		r.pace.lossy()
		r.res.Backoffs++
		for i := range r.again {
			r.again[i].tries = min(r.again[i].tries, 1)
		}
	}
	enough := r.limits.Tries
	if len(r.again) > manySilent && r.res.Backoffs == 0 {
		enough = min(enough, 2) // a device that filters; nothing was ever lost
	}
	return slices.DeleteFunc(r.again, func(s silent) bool {
		if s.tries < enough {
			return false
		}
		r.res.States[s.port] = Filtered
		r.res.Found = append(r.res.Found, Found{Port: s.port, State: Filtered, Tries: s.tries, Took: s.took, Why: s.why})
		return true
	}), nil
}

func (r *round) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// step asks one port; false when there is none left.
func (r *round) step(ctx context.Context, p *patience) bool {
	if err := r.pace.enter(ctx); err != nil {
		r.fail(err)
		return false
	}
	r.mu.Lock()
	if r.err != nil || r.at == len(r.todo) {
		r.mu.Unlock()
		r.pace.leave()
		return false
	}
	s := r.todo[r.at]
	r.at++
	r.mu.Unlock()
	if s.tries > 0 && len(r.todo) <= manySilent {
		return r.beside(ctx, s, p)
	}
	a := dialled(ctx, r.dialer, join(r.host, s.port), r.patience(s.tries), p)
	r.pace.leave()
	return r.take(ctx, s, a)
}

// beside asks a port that was silent before, and the canary at the same time: where
// that is silent too, the port was not asked.
func (r *round) beside(ctx context.Context, s silent, p *patience) bool {
	wait := r.patience(s.tries)
	canary := make(chan answer, 1)
	go func() {
		var p patience
		defer p.end()
		canary <- dialled(ctx, r.dialer, join(r.host, r.canary), wait, &p)
	}()
	a := dialled(ctx, r.dialer, join(r.host, s.port), wait, p)
	c := <-canary
	r.pace.leave()
	switch {
	case a.err != nil || a.state != Unasked:
		return r.take(ctx, s, a)
	case c.err != nil:
		r.fail(c.err)
		return false
	}
	s.took, s.why = a.took, a.why
	r.mu.Lock()
	if c.state == Open {
		s.tries, r.moved = s.tries+1, true
		r.again = append(r.again, s)
		r.res.Canaries++
		r.mu.Unlock()
		return true
	}
	if r.asking {
		r.again = append(r.again, s)
		r.mu.Unlock()
		return true
	}
	r.asking = true
	r.counts = append(r.counts, s)
	r.mu.Unlock()
	r.believe(ctx, true)
	r.mu.Lock()
	r.asking = false
	r.mu.Unlock()
	return r.failed() == nil
}

// patience is longer for each further try.
func (r *round) patience(tries int) time.Duration {
	return min(r.pace.wait()*time.Duration(2+tries)/2, r.limits.Most)
}

// take takes an answer in.
func (r *round) take(ctx context.Context, s silent, a answer) bool {
	switch {
	case a.err != nil:
		r.fail(a.err)
		return false
	case a.state != Unasked:
		r.pace.answered(a.took)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.res.States[s.port], r.moved = a.state, true
		if s.tries > 0 {
			r.late++
		}
		if a.state == Open {
			r.res.Found = append(r.res.Found, Found{Port: s.port, State: Open, Tries: s.tries + 1, Took: a.took})
		}
		return true
	}
	s.took, s.why = a.took, a.why
	r.mu.Lock()
	r.counts = append(r.counts, s)
	due := !r.asking && len(r.counts) >= max(8, r.limits.Connections/2)
	r.asking = r.asking || due
	r.mu.Unlock()
	if due {
		r.believe(ctx, false)
		r.mu.Lock()
		r.asking = false
		r.mu.Unlock()
	}
	return r.failed() == nil
}

// believe asks the canary: while it answers at this pace, those that were silent
// are so by themselves; else they were not asked, and all goes slower. Lost says that
// it has not answered just now.
func (r *round) believe(ctx context.Context, lost bool) {
	r.mu.Lock()
	batch := r.counts
	r.counts = nil
	r.mu.Unlock()
	defer r.pace.goOn()
	for n := 0; ; n++ {
		var ok bool
		var err error
		if n > 0 || !lost {
			ok, err = r.ask(ctx, n)
		}
		switch {
		case err != nil:
			r.fail(err)
			return
		case ok:
			r.believed(batch, n == 0)
			return
		case n == deadAfter:
			r.fail(fmt.Errorf("%s: %w, after %d tries, each slower than the one before", join(r.host, r.canary), ErrPath, n))
			return
		}
		r.pace.backOff(n == 0)
		r.mu.Lock()
		r.res.Backoffs++
		r.mu.Unlock()
	}
}

// believed puts those that were silent back, to be asked again. Counted says that
// their tries count: the canary answered at once.
func (r *round) believed(batch []silent, counted bool) {
	r.mu.Lock()
	for _, s := range batch {
		if counted {
			s.tries, r.moved = s.tries+1, true
		}
		r.again = append(r.again, s)
	}
	r.res.Canaries++
	r.mu.Unlock()
	if counted {
		r.pace.calm()
	}
}

// ask asks the canary for the nth time in a row: amid the others first, then
// after a rest.
func (r *round) ask(ctx context.Context, n int) (bool, error) {
	if r.canary == 0 {
		return false, fmt.Errorf("%d ports are silent, and no port is known to be open: %w", len(r.todo), ErrPath)
	}
	if n > 0 {
		t := time.NewTimer(time.Duration(n) * r.limits.Most / 5)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
	var p patience
	defer p.end()
	a := dialled(ctx, r.dialer, join(r.host, r.canary), min(r.patience(0)*time.Duration(n+1), 2*r.limits.Most), &p)
	if a.err != nil {
		return false, a.err
	}
	if a.state == Open {
		r.pace.answered(a.took)
	}
	return a.state == Open, nil
}

func (r *round) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// What the others meet when the scan is given up is no cause.
	if r.err == nil || errors.Is(r.err, context.Canceled) && !errors.Is(err, context.Canceled) {
		r.err = err
	}
}

// finish gives the result in order. What was not found out stays Unasked.
func (r *round) finish() *Result {
	slices.SortFunc(r.res.Found, func(a, b Found) int { return a.Port - b.Port })
	return r.res
}
