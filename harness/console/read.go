package console

import (
	"context"
	"fmt"
)

// Read gives what has come from a cursor on, as far as it fits in p, and waits
// where nothing has: how much it is, at least one byte where err is nil. What is
// there is given also where ctx has ended. It is for protocols whose bytes are
// no text; they are in the transcript like all others.
//
// The error is the context's, what ended the console (a *wire.Fault, ErrClosed),
// or ErrForgotten for a cursor that the window has left behind.
func (c *Console) Read(ctx context.Context, from Cursor, p []byte) (int, error) {
	for len(p) > 0 {
		got, err := c.text.next(from, p)
		switch {
		case err != nil:
			return 0, fmt.Errorf("%s: %w", c.opts.Part, err)
		case len(got.data) > 0:
			return len(got.data), nil
		case got.over != nil:
			return 0, fmt.Errorf("waiting for bytes: %w", got.over)
		}
		select {
		case <-got.news:
		case <-ctx.Done():
			return 0, fmt.Errorf("%s: waiting for bytes: %w", c.opts.Part, context.Cause(ctx))
		}
	}
	return 0, nil
}
