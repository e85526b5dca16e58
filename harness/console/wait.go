package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"rigor/harness/console/expect"
)

// Expect waits for the first of the patterns from a cursor on; package expect
// says which that is. It is a function of the bytes from the cursor on and of
// the silences between them: it does not matter when the wait began, nor how
// reads cut the bytes.
//
// The error is a *ForbiddenError for a forbidden pattern (with the Match), a
// *TimeoutError at the context's deadline, and what ended the console where
// nothing more can come: a *wire.Fault, or ErrClosed.
func (c *Console) Expect(ctx context.Context, from Cursor, patterns ...expect.Pattern) (Match, error) {
	w := waiter{c: c, set: expect.NewSet(int64(from), c.opts.Settle, patterns...), patterns: patterns, from: from, at: from, began: time.Now()}
	return w.wait(ctx)
}

// waiter is one call of Expect.
type waiter struct {
	c        *Console
	set      *expect.Set
	patterns []expect.Pattern
	from, at Cursor
	began    time.Time
	hushed   time.Duration // the silence behind at that the set has been told of
}

func (w *waiter) wait(ctx context.Context) (Match, error) { //nolint:gocognit // one loop over all that can end a wait
	t := w.c.text
	buf := make([]byte, 4<<10)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		p, err := t.next(w.at, buf)
		if err != nil {
			return Match{}, fmt.Errorf("%s: %w", w.c.opts.Part, err)
		}
		if len(p.data) > 0 {
			if w.at > w.from && p.gap > w.hushed {
				if hit, ok := w.set.Quiet(p.gap); ok {
					return w.found(hit)
				}
			}
			w.at += Cursor(len(p.data))
			w.hushed = 0
			if hit, ok := w.set.Feed(p.data); ok {
				return w.found(hit)
			}
			if p.more && ctx.Err() != nil {
				return Match{}, w.gaveUp(ctx) // a flood must not outrun the deadline
			}
			if p.more && len(buf) < blockSize {
				buf = make([]byte, blockSize)
			}
			continue
		}
		var due <-chan time.Time
		if next := w.set.NextQuiet(w.hushed); next > 0 && w.at > w.from {
			if p.quiet >= next {
				w.hushed = next
				if hit, ok := w.set.Quiet(next); ok {
					return w.found(hit)
				}
				continue
			}
			timer.Reset(next - p.quiet)
			due = timer.C
		}
		if p.over != nil {
			if hit, ok := w.set.End(); ok {
				return w.found(hit)
			}
			return Match{}, fmt.Errorf("waiting for %s: %w", names(w.patterns), p.over)
		}
		select {
		case <-p.news:
		case <-due:
		case <-ctx.Done():
			return Match{}, w.gaveUp(ctx)
		}
	}
}

// found makes a Match of a hit.
func (w *waiter) found(hit expect.Hit) (Match, error) {
	raw, err := w.c.Excerpt(Cursor(hit.From), Cursor(hit.Upto))
	if err != nil {
		return Match{}, fmt.Errorf("a match of %s: %w", w.patterns[hit.Index], err)
	}
	found := w.set.Resolve(hit, raw)
	m := Match{
		Pattern: w.patterns[hit.Index], Index: hit.Index, From: Cursor(found.From), To: Cursor(found.To),
		Text: found.Text, Groups: found.Groups, match: found,
	}
	m.At = w.c.When(m.To - 1)
	if m.Pattern.IsForbidden() {
		return m, &ForbiddenError{Part: w.c.opts.Part, Match: m}
	}
	return m, nil
}

// gaveUp says what was waited for when the context ended.
func (w *waiter) gaveUp(ctx context.Context) error {
	cause := context.Cause(ctx)
	if !errors.Is(cause, context.DeadlineExceeded) && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%s: waiting for %s: %w", w.c.opts.Part, names(w.patterns), cause)
	}
	e := &TimeoutError{Part: w.c.opts.Part, After: time.Since(w.began), Cause: cause, Seen: int64(w.at - w.from)}
	for _, p := range w.patterns {
		if !p.IsForbidden() {
			e.Waited = append(e.Waited, p.String())
		}
	}
	// The error stands without the last bytes where they are kept no more.
	e.Last = w.c.last(w.from, w.at)
	return e
}

// last gives the last bytes in [from, to) for an error, without secrets: what is cut out
// in the midst of one would not be known by its value any more. It gives nothing of
// what is kept no more.
func (c *Console) last(from, to Cursor) []byte {
	p, err := c.Excerpt(max(from, to-tail), to)
	if err != nil || c.opts.Redact == nil {
		return p
	}
	wide, err := c.Excerpt(max(0, to-tail-maxSecret), to)
	if err != nil {
		return p
	}
	clean := c.opts.Redact.Bytes(wide)
	if len(clean) == len(wide) && bytes.Equal(clean, wide) {
		return p
	}
	return clean[max(0, len(clean)-len(p)):]
}

func names(patterns []expect.Pattern) string {
	s := "nothing"
	for i, p := range patterns {
		switch {
		case i == 0:
			s = p.String()
		case i == len(patterns)-1:
			s += " or " + p.String()
		default:
			s += ", " + p.String()
		}
	}
	return s
}

// Quiet waits until nothing has come for d, counted from the last byte or from
// the call, whichever is later. It gives the cursor behind the last byte.
func (c *Console) Quiet(ctx context.Context, d time.Duration) (Cursor, error) {
	began := time.Now()
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		at, quiet, news, over := c.text.silence(began)
		if quiet >= d {
			return at, nil
		}
		if over != nil {
			return at, fmt.Errorf("waiting for %s of silence: %w", d, over)
		}
		timer.Reset(d - quiet)
		select {
		case <-news:
		case <-timer.C:
		case <-ctx.Done():
			return at, fmt.Errorf("%s: waiting for %s of silence: %w", c.opts.Part, d, context.Cause(ctx))
		}
	}
}
