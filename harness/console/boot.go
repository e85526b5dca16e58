package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	// Looks are what only looks like a prompt, and is declared nowhere. They stop
	// the keys as the text of a forbidden prompt does, and are one where ComesAgain
	// says so.
	Looks []expect.Pattern
	// For ends the spray with a TimeoutError; where it is not positive, the context
	// does. A key that is on its way then still goes out whole: a port whose write
	// is broken off is a broken port.
	For time.Duration
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
	wait := ctx
	if s.For > 0 {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, s.For)
		defer cancel()
	}
	patterns, looks := s.looks()
	asked := from // what looked like a prompt before it, and was none, is not asked about again
	for {
		m, err := s.stretch(ctx, wait, t, from, patterns, &done)
		done.Match = m
		if err != nil && ctx.Err() == nil && wait.Err() != nil && errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrTimeout) {
			// The time was over before the wait began, and whoever stands in front of
			// the console let it not begin.
			err = &TimeoutError{Part: t.Part(), After: s.For, Cause: err}
		}
		if err != nil || m.Index < len(s.Until) {
			return done, err
		}
		// Something looks like a prompt.
		l := looks[m.Index-len(s.Until)]
		from = m.To
		if l.guess && m.To <= asked {
			continue
		}
		held := time.Now()
		again, at, err := l.ask(ctx, t, m)
		asked = max(asked, at)
		done.Held += time.Since(held)
		if err == nil {
			again.Pattern = l.prompt.Forbidden()
			done.Match = again
			return done, &ForbiddenError{Part: t.Part(), Match: again}
		}
		if ctx.Err() != nil || !errors.Is(err, ErrTimeout) {
			return done, err
		}
	}
}

// look is a prompt whose bare text stops the keys.
type look struct {
	prompt expect.Pattern
	guess  bool // it is declared nowhere
}

// looks gives the patterns to wait for: those that end the spray, and behind
// them the bare text of each forbidden prompt and of what looks like one.
func (s Spray) looks() (patterns []expect.Pattern, looks []look) {
	patterns = append(patterns, s.Until...)
	for _, p := range s.Until {
		if p.IsForbidden() && p.Quiet() > 0 {
			looks = append(looks, look{p.Wanted(), false})
		}
	}
	for _, p := range s.Looks {
		looks = append(looks, look{prompt(p.Wanted(), p.Name()), true})
	}
	for _, l := range looks {
		patterns = append(patterns, l.prompt.Prompt(0))
	}
	return patterns, looks
}

// ask says whether what stopped the keys is a prompt; the cursor is the one up
// to which a guess is settled.
func (l look) ask(ctx context.Context, t Talker, m Match) (Match, Cursor, error) {
	if l.guess {
		return ComesAgain(ctx, t, l.prompt, m.Text)
	}
	turn, cancel := context.WithTimeout(ctx, l.prompt.Quiet()+sprayAnswer)
	defer cancel()
	again, err := Confirm(turn, t, l.prompt)
	return again, 0, err
}

// guessTurns is how often what looks like a prompt is asked. It takes two where a
// key left a quote open, and a shell asks for more in other words than before.
const guessTurns = 3

// ComesAgain shows that what only looks like a prompt is one: at Enter it comes again,
// on a new line and in the same words as the last time, of which text are the
// first, nil where they are not known. A progress display that goes on does not:
// its words change, and no new line begins. The cursor is that of the last Enter.
// The error is as Expect's, with ErrTimeout where it is no prompt.
func ComesAgain(ctx context.Context, t Talker, p expect.Pattern, text []byte) (m Match, at Cursor, err error) {
	for range guessTurns {
		if at, err = t.SendLine(ctx, ""); err != nil {
			return m, at, err
		}
		turn, cancel := context.WithTimeout(ctx, p.Quiet()+sprayAnswer)
		m, err = t.Expect(turn, at, p)
		cancel()
		if err != nil {
			return m, at, err
		}
		between, err := t.Excerpt(at, m.From)
		if err != nil {
			return m, at, err
		}
		if !bytes.ContainsRune(between, '\n') {
			break
		}
		if bytes.Equal(m.Text, text) {
			return m, at, nil
		}
		text = m.Text
	}
	return m, at, fmt.Errorf("what looked like a prompt goes on as %q: %w", cut(m.Text), ErrTimeout)
}

// stretch sprays until one of the patterns comes, or the wait ends.
func (s Spray) stretch(ctx, waiting context.Context, t Talker, from Cursor, patterns []expect.Pattern, done *Sprayed) (Match, error) {
	type answer struct {
		m   Match
		err error
	}
	wait, cancel := context.WithCancelCause(waiting)
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
		if _, err := t.Send(ctx, s.Keys[done.Sent%len(s.Keys)], Blind()); err != nil {
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
