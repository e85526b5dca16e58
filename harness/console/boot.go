package console

import (
	"context"
	"errors"
	"time"

	"rigor/harness/console/expect"
)

// Spray is a sweep of keys over a stretch of a boot.
//
// A prompt that is reached shows itself badly: the next keys are echoed behind
// it, and it is never quiet. So where a forbidden pattern is a prompt, its text
// alone stops the keys for a moment, and Enter decides: a prompt comes again,
// and then it is forbidden; a line of the boot log does not.
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
	Sent        int           // keys
	First, Last time.Time     // when the first and the last key went out
	Held        time.Duration // how long the keys stopped for what looked like a prompt
	From        Cursor
}

const (
	sprayEvery = 20 * time.Millisecond
	// sprayAnswer is how long a prompt may take to come again, besides its quiet.
	sprayAnswer = 250 * time.Millisecond
)

// Run sprays keys from now on until one of the patterns comes from the cursor
// on. What it did is told with an error too. The error is as Expect's and
// Send's. A key may still go out while the bytes that end the spray are on their
// way.
func (s Spray) Run(ctx context.Context, t Talker, from Cursor) (Sprayed, error) {
	done := Sprayed{From: from}
	if len(s.Keys) == 0 || len(s.Until) == 0 {
		return done, errors.New("console spray: no keys, or nothing that ends it")
	}
	patterns, prompts := s.looks()
	for {
		m, err := s.stretch(ctx, t, from, patterns, &done)
		done.Match = m
		if err != nil || m.Index < len(s.Until) {
			return done, err
		}
		// Something looks like a prompt.
		p := prompts[m.Index-len(s.Until)]
		held := time.Now()
		turn, cancel := context.WithTimeout(ctx, p.Quiet()+sprayAnswer)
		again, err := Confirm(turn, t, p)
		cancel()
		done.Held += time.Since(held)
		if err == nil {
			again.Pattern = p.Forbidden()
			done.Match = again
			return done, &ForbiddenError{Part: t.Part(), Match: again}
		}
		if ctx.Err() != nil || !errors.Is(err, ErrTimeout) {
			return done, err
		}
		from = m.To
	}
}

// looks gives the patterns to wait for: those that end the spray, and behind
// them the bare text of each forbidden prompt.
func (s Spray) looks() (patterns, prompts []expect.Pattern) {
	patterns = append(patterns, s.Until...)
	for _, p := range s.Until {
		if p.IsForbidden() && p.Quiet() > 0 {
			patterns = append(patterns, p.Prompt(0).Wanted())
			prompts = append(prompts, p.Wanted())
		}
	}
	return patterns, prompts
}

// stretch sprays until one of the patterns comes.
func (s Spray) stretch(ctx context.Context, t Talker, from Cursor, patterns []expect.Pattern, done *Sprayed) (Match, error) {
	type answer struct {
		m   Match
		err error
	}
	wait, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	came := make(chan answer, 1)
	go func() {
		m, err := t.Expect(wait, from, patterns...)
		came <- answer{m, err}
	}()
	every := s.Every
	if every <= 0 {
		every = sprayEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case a := <-came:
			return a.m, a.err
		default:
		}
		at := time.Now()
		if _, err := t.Send(ctx, s.Keys[done.Sent%len(s.Keys)]); err != nil {
			cancel(err)
			a := <-came
			if errors.As(a.err, new(*ForbiddenError)) || ctx.Err() != nil {
				// A prompt that was reached stays reached, whatever broke then.
				return a.m, a.err
			}
			return a.m, err
		}
		if done.Sent == 0 {
			done.First = at
		}
		done.Last = at
		done.Sent++
		select {
		case a := <-came:
			return a.m, a.err
		case <-tick.C:
		}
	}
}
