package dut

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rigor/harness/console"
	"rigor/harness/console/expect"
	"rigor/harness/journal"
	"rigor/harness/late"
	"rigor/harness/profile"
	"rigor/harness/wire"
)

// Console is a console of the DUT behind the session. The run owns the port
// and its transcript; the session only the right to use it.
type Console struct {
	name string
	decl *profile.Console
	con  *console.Console
	s    *Session
	// waiting notes a wait for the DUT; never nil.
	waiting func(what string) (done func())
	late    *late.Meter // of the rig's computer; may be nil
}

var _ console.Talker = (*Console)(nil)

// PartConsole names a console's port in faults and results.
func PartConsole(name string) wire.Part { return wire.Part("console." + name) }

// Name gives the console's name: "main".
func (c *Console) Name() string { return c.name }

// Decl gives what the profile declares of the console; never nil.
func (c *Console) Decl() *profile.Console {
	if c.decl == nil {
		return &profile.Console{}
	}
	return c.decl
}

// Part names the console.
func (c *Console) Part() wire.Part { return c.con.Part() }

// Mark gives the cursor behind everything that has come.
func (c *Console) Mark() console.Cursor { return c.con.Mark() }

// Excerpt gives the raw bytes in [from, to).
func (c *Console) Excerpt(from, to console.Cursor) ([]byte, error) { return c.con.Excerpt(from, to) }

// Since gives the raw bytes from a cursor on.
func (c *Console) Since(from console.Cursor) ([]byte, error) { return c.con.Since(from) }

// Typed gives the lines that were sent from a cursor on, but for secrets.
func (c *Console) Typed(from console.Cursor) []console.Typed { return c.con.Typed(from) }

// NotBefore gives a time at which the byte at a cursor had not come, the zero time where
// the port knows of none.
func (c *Console) NotBefore(at console.Cursor) time.Time { return c.con.NotBefore(at) }

// When gives the time at which the byte at a cursor came.
func (c *Console) When(at console.Cursor) time.Time { return c.con.When(at) }

// Read gives what has come from a cursor on, and waits where nothing has.
func (c *Console) Read(ctx context.Context, from console.Cursor, p []byte) (n int, err error) {
	err = c.s.Do(ctx, c.Part(), func(ctx context.Context) error {
		n, err = c.con.Read(ctx, from, p)
		return err
	})
	return n, err
}

// Expect waits for the first of the patterns from a cursor on.
func (c *Console) Expect(ctx context.Context, from console.Cursor, ps ...expect.Pattern) (m console.Match, err error) {
	defer c.waiting(c.awaited(ps))()
	err = c.s.Do(ctx, c.Part(), func(ctx context.Context) error {
		m, err = c.con.Expect(ctx, from, ps...)
		return err
	})
	return m, err
}

// awaited says what is waited for: what is wanted, and not what must not come.
func (c *Console) awaited(ps []expect.Pattern) string {
	var names []string
	for _, p := range ps {
		if p.Name() != "" && !p.IsForbidden() {
			names = append(names, p.Name())
		}
	}
	if len(names) == 0 {
		return "console " + c.name
	}
	return strings.Join(names, ", ") + " on console " + c.name
}

// Await is Expect with a time of its own: it gives the TimeoutError within d.
func (c *Console) Await(ctx context.Context, from console.Cursor, d time.Duration, ps ...expect.Pattern) (console.Match, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return c.Expect(ctx, from, ps...)
}

// AwaitBoot is Await for what the DUT has to show of a boot: what the rig's computer is late
// with is given on top. The error says so where that was too much: late.ErrLate.
func (c *Console) AwaitBoot(ctx context.Context, from console.Cursor, d time.Duration, ps ...expect.Pattern) (console.Match, error) {
	ctx, cancel := c.late.Within(ctx, d, nil)
	defer cancel()
	return c.Expect(ctx, from, ps...)
}

// Quiet waits until nothing has come for d.
func (c *Console) Quiet(ctx context.Context, d time.Duration) (at console.Cursor, err error) {
	defer c.waiting("silence on console " + c.name)()
	err = c.s.Do(ctx, c.Part(), func(ctx context.Context) error {
		at, err = c.con.Quiet(ctx, d)
		return err
	})
	return at, err
}

// Send sends p and gives the cursor from before it.
func (c *Console) Send(ctx context.Context, p []byte, how ...console.How) (at console.Cursor, err error) {
	err = c.s.Do(ctx, c.Part(), func(ctx context.Context) error {
		at, err = c.con.Send(ctx, p, how...)
		return err
	})
	return at, err
}

// SendLine sends a line and Enter.
func (c *Console) SendLine(ctx context.Context, line string, how ...console.How) (at console.Cursor, err error) {
	err = c.s.Do(ctx, c.Part(), func(ctx context.Context) error {
		at, err = c.con.SendLine(ctx, line, how...)
		return err
	})
	return at, err
}

// Break holds the line low. It gives ErrNotWired where the port cannot.
func (c *Console) Break(ctx context.Context, d time.Duration) error {
	err := c.s.Do(ctx, c.Part(), func(ctx context.Context) error { return c.con.Break(ctx, d) })
	if errors.Is(err, wire.ErrUnsupported) {
		return fmt.Errorf("%w: %w", ErrNotWired, err)
	}
	return err
}

// SetRate changes the baud rate.
func (c *Console) SetRate(ctx context.Context, baud int) error {
	return c.s.Do(ctx, c.Part(), func(ctx context.Context) error { return c.con.SetRate(ctx, baud) })
}

// SetFrame changes the frame of the characters, such as "8E1". It gives ErrNotWired where
// the port cannot.
func (c *Console) SetFrame(ctx context.Context, frame string) error {
	err := c.s.Do(ctx, c.Part(), func(ctx context.Context) error { return c.con.SetFrame(ctx, frame) })
	if errors.Is(err, wire.ErrUnsupported) {
		return fmt.Errorf("%w: %w", ErrNotWired, err)
	}
	return err
}

// starts has the port follow the rates of a start that is about to begin.
func (c *Console) starts(ctx context.Context) error {
	return c.s.Do(ctx, c.Part(), c.con.Starts)
}

// Excerpted is a piece of the transcript for the journal; visible makes its
// foreign bytes readable.
func (c *Console) Excerpted(from, to console.Cursor, visible func([]byte) string) (journal.Excerpt, error) {
	raw, err := c.con.Excerpt(from, to)
	if err != nil {
		return journal.Excerpt{}, fmt.Errorf("excerpt of %s: %w", c.Part(), err)
	}
	return journal.Excerpt{Source: string(c.Part()), Offset: int64(from), Length: int64(len(raw)), Text: visible(raw)}, nil
}

// Pattern turns a declared pattern into one to wait for. The second result is
// false when nothing is declared.
func Pattern(name string, p profile.Pattern) (expect.Pattern, bool) {
	var (
		out expect.Pattern
		err error
	)
	switch {
	case p.Regexp != nil:
		out, err = expect.Regexp(p.Regexp.String())
	case p.Literal != "":
		out, err = expect.Text(p.Literal)
	default:
		return out, false
	}
	if err != nil { // the profile's decoder has compiled it; it matches the empty text
		return out, false
	}
	out = out.Named(name)
	if p.Quiet > 0 {
		out = out.Prompt(p.Quiet)
	}
	return out, true
}
