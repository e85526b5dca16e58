package survey

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"rigor/harness/wire"
)

// Listening bounds how a console is listened to. Zero values are those of
// Listening{}.Defaults.
type Listening struct {
	Rates []int         // in bit/s, in the order in which they are tried
	Quiet time.Duration // nothing for so long ends a boot
	Boot  time.Duration // the longest that one boot is listened to
	Await time.Duration // how long the first byte after a power cycle may take
	Tries int           // power cycles at most
}

// Defaults fills in what is not said.
func (l Listening) Defaults() Listening {
	if len(l.Rates) == 0 {
		l.Rates = Rates()
	}
	def := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	def(&l.Quiet, 4*time.Second)
	def(&l.Boot, 3*time.Minute)
	def(&l.Await, 15*time.Second)
	if l.Tries == 0 {
		l.Tries = 16 // a boot of a few lines is judged at one rate
	}
	return l
}

// How long a rate is given while it is looked for.
const (
	sampleFull = 96                     // bytes that are enough to judge a rate by
	sampleFor  = 700 * time.Millisecond // from the first of them, where fewer come
	stale      = 30 * time.Millisecond  // behind a change of rate: bytes of the rate before
)

// Heard is what a console sent.
type Heard struct {
	Baud   int           `json:"baud"`   // bit/s at which it is text; 0 where it is at none that was tried
	Boot   []byte        `json:"-"`      // one boot at that rate, from the power cycle on
	Took   time.Duration `json:"took"`   // from the first byte of that boot to the last
	Answer []byte        `json:"-"`      // what came after a newline of ours
	Cycles int           `json:"cycles"` // power cycles that it took
	// Tried are the rates that were listened at, with what came there at most.
	Tried []Sample `json:"-"`
	// Refused are rates that the port does not do.
	Refused []int `json:"refused,omitempty"`
}

// Ear listens on a port.
type Ear struct {
	port  wire.Port
	bytes chan []byte
	ended chan error
	stop  chan struct{}
}

// Listen takes a port over; Close closes it.
func Listen(port wire.Port) *Ear {
	e := &Ear{port: port, bytes: make(chan []byte, 64), ended: make(chan error, 1), stop: make(chan struct{})}
	go e.read()
	return e
}

func (e *Ear) read() {
	defer close(e.bytes)
	for {
		b := make([]byte, 1024)
		n, err := e.port.Read(b)
		if n > 0 {
			select {
			case e.bytes <- b[:n]:
			case <-e.stop:
				return
			}
		}
		if err != nil {
			e.ended <- err
			return
		}
	}
}

// Close closes the port and waits for what listens on it.
func (e *Ear) Close() error {
	close(e.stop)
	err := e.port.Close()
	for range e.bytes { //nolint:revive // until its reader is gone
	}
	return err
}

// next gives the next bytes, none where nothing comes for so long.
func (e *Ear) next(ctx context.Context, d time.Duration) ([]byte, error) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case b, ok := <-e.bytes:
		if !ok {
			err := <-e.ended
			e.ended <- err // for who asks again
			if errors.Is(err, io.EOF) {
				err = errors.New("the port is closed")
			}
			return nil, fmt.Errorf("listen on the console: %w", err)
		}
		return b, nil
	case <-t.C:
		return nil, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// drop forgets what came until now.
func (e *Ear) drop(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); ; {
		left := time.Until(end)
		if left <= 0 {
			return ctx.Err()
		}
		if _, err := e.next(ctx, left); err != nil {
			return err
		}
	}
}

// Find looks for the rate at which a boot is text, from one rate to the next within
// one boot, and then takes down a whole boot at it. Cycle takes the device's supply
// away and gives it back, and returns when that is done or under way; it is called
// Tries times at most. Nothing is sent.
func (e *Ear) Find(ctx context.Context, l Listening, cycle func(ctx context.Context) error) (Heard, error) {
	l = l.Defaults()
	h := Heard{}
	rate := 0
	for h.Cycles < l.Tries && len(l.Rates) > 0 {
		var err error
		if rate, err = e.set(ctx, &l, rate, &h); err != nil {
			return h, err
		}
		if rate == 0 {
			break
		}
		if err := e.drop(ctx, stale); err != nil {
			return h, err
		}
		h.Cycles++
		if err := cycle(ctx); err != nil {
			return h, fmt.Errorf("power cycle the device: %w", err)
		}
		whole, err := e.boot(ctx, &l, &rate, &h)
		if err != nil || whole || rate == 0 || h.Baud == 0 && len(h.Tried) >= len(l.Rates) {
			return h, err
		}
	}
	return h, nil
}

// set sets the first rate from this one on that the port does; 0 where it does
// none.
func (e *Ear) set(ctx context.Context, l *Listening, rate int, h *Heard) (int, error) {
	if rate == 0 {
		rate = l.Rates[0]
	}
	for {
		err := e.port.SetRate(ctx, rate)
		if err == nil {
			return rate, nil
		}
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if errors.Is(err, wire.ErrUnsupported) { // whoever stands before the wire has set it
			return rate, nil
		}
		h.Refused = append(h.Refused, rate)
		i := slices.Index(l.Rates, rate)
		l.Rates = slices.Delete(slices.Clone(l.Rates), i, i+1)
		if len(l.Rates) == 0 {
			return 0, fmt.Errorf("the port does none of the rates: %w", err)
		}
		rate = l.Rates[i%len(l.Rates)]
	}
}

// hearing is one boot as it is listened to.
type hearing struct {
	raw         []byte // at the rate of now
	first, last time.Time
	changed     bool // bytes went by at another rate
	heard       bool // anything came at all
}

// take takes bytes down, and says whether there are enough to judge the rate by.
func (h *hearing) take(b []byte) (judged bool) {
	now := time.Now()
	if len(b) > 0 {
		if len(h.raw) == 0 {
			h.first = now
		}
		h.heard, h.last = true, now
		if len(h.raw) < most {
			h.raw = append(h.raw, b...)
		}
	}
	return len(h.raw) >= sampleFull || len(h.raw) > 0 && now.Sub(h.first) >= sampleFor
}

// wait is how long the next bytes may take.
func (h *hearing) wait(l *Listening, begun time.Time, found bool) time.Duration {
	switch {
	case !h.heard:
		return max(l.Await-time.Since(begun), 0)
	case len(h.raw) > 0 && !found:
		return min(l.Quiet, max(sampleFor-time.Since(h.first), time.Millisecond))
	}
	return l.Quiet
}

// boot listens to one boot. It says whether a whole boot was taken down at the rate
// that is the device's; rate is where to go on, 0 where nothing came at all.
func (e *Ear) boot(ctx context.Context, l *Listening, rate *int, h *Heard) (whole bool, err error) {
	begun := time.Now()
	var a hearing
	for time.Since(begun) < l.Boot {
		b, err := e.next(ctx, a.wait(l, begun, h.Baud != 0))
		if err != nil {
			return false, err
		}
		judged := a.take(b)
		switch {
		case h.Baud == 0 && judged && IsText(a.raw):
			h.Baud = *rate
		case h.Baud == 0 && judged:
			if err := e.turn(ctx, l, rate, h, a.raw); err != nil {
				return false, err
			}
			a.raw, a.changed = nil, true
			continue
		}
		if len(b) == 0 && (h.Baud != 0 || !judged && time.Since(a.last) >= l.Quiet || !a.heard) {
			break
		}
	}
	switch {
	case h.Baud != 0:
	case !a.heard:
		*rate = 0
		return false, nil
	case IsText(a.raw):
		h.Baud = *rate
	case len(a.raw) > 0:
		return false, e.turn(ctx, l, rate, h, a.raw)
	default:
		return false, nil
	}
	h.Boot, h.Took = a.raw, a.last.Sub(a.first)
	h.Tried = tried(h.Tried, Sample{*rate, a.raw})
	return !a.changed, nil
}

// turn notes what was heard at a rate, and goes on to the next.
func (e *Ear) turn(ctx context.Context, l *Listening, rate *int, h *Heard, raw []byte) (err error) {
	h.Tried = tried(h.Tried, Sample{*rate, raw})
	if *rate, err = e.set(ctx, l, nextRate(l.Rates, *rate), h); err != nil {
		return err
	}
	return e.drop(ctx, stale)
}

// tried keeps of each rate the longest sample.
func tried(all []Sample, s Sample) []Sample {
	s.Bytes = s.Bytes[:min(len(s.Bytes), 512)]
	if i := slices.IndexFunc(all, func(o Sample) bool { return o.Baud == s.Baud }); i >= 0 {
		if len(s.Bytes) > len(all[i].Bytes) {
			all[i] = s
		}
		return all
	}
	return append(all, s)
}

// Enter sends one newline and gives what comes within a time.
func (e *Ear) Enter(ctx context.Context, newline string, d time.Duration) ([]byte, error) {
	if err := e.port.Write(ctx, []byte(newline)); err != nil {
		return nil, fmt.Errorf("send a newline: %w", err)
	}
	var raw []byte
	for end := time.Now().Add(d); time.Now().Before(end) && len(raw) < most; {
		b, err := e.next(ctx, time.Until(end))
		if err != nil {
			return raw, err
		}
		raw = append(raw, b...)
	}
	return raw, nil
}
