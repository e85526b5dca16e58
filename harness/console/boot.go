package console

import (
	"context"
	"errors"
	"time"

	"rigor/harness/console/expect"
)

// Spray is a sweep of keys over a stretch of a boot.
type Spray struct {
	Keys  [][]byte      // sent one after the other, again and again
	Every time.Duration // from one to the next; 20 ms where it is not positive
	// Until ends the spray. Forbidden patterns are the prompts that no key may
	// reach; wanted ones the end of the stretch, which has to come before a
	// login prompt, where the keys would be tries.
	Until []expect.Pattern
}

// Sprayed is what a spray did.
type Sprayed struct {
	Match       Match
	Sent        int       // keys
	First, Last time.Time // when the first and the last key went out
	From        Cursor
}

// Run sprays keys from now on until one of the patterns comes from the cursor
// on. What it did is told with an error too. The error is as Expect's and
// Send's. A key may still go out while the bytes that end the spray are on their
// way.
func (s Spray) Run(ctx context.Context, t Talker, from Cursor) (Sprayed, error) {
	done := Sprayed{From: from}
	if len(s.Keys) == 0 || len(s.Until) == 0 {
		return done, errors.New("console spray: no keys, or nothing that ends it")
	}
	type answer struct {
		m   Match
		err error
	}
	wait, cancel := context.WithCancelCause(ctx)
	came := make(chan answer, 1)
	go func() {
		m, err := t.Expect(wait, from, s.Until...)
		came <- answer{m, err}
	}()
	every := s.Every
	if every <= 0 {
		every = 20 * time.Millisecond
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case a := <-came:
			cancel(nil)
			done.Match = a.m
			return done, a.err
		default:
		}
		at := time.Now()
		if _, err := t.Send(ctx, s.Keys[done.Sent%len(s.Keys)]); err != nil {
			cancel(err)
			a := <-came
			done.Match = a.m
			if errors.As(a.err, new(*ForbiddenError)) || ctx.Err() != nil {
				// A prompt that was reached stays reached, whatever broke then.
				return done, a.err
			}
			return done, err
		}
		if done.Sent == 0 {
			done.First = at
		}
		done.Last = at
		done.Sent++
		select {
		case a := <-came:
			cancel(nil)
			done.Match = a.m
			return done, a.err
		case <-tick.C:
		}
	}
}
