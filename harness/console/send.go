package console

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rigor/harness/console/expect"
	"rigor/harness/wire"
)

// Newline is what Enter sends.
type Newline string

// The newlines that DUTs take for Enter.
const (
	CR   Newline = "\r"
	LF   Newline = "\n"
	CRLF Newline = "\r\n"
)

// ParseNewline reads "cr", "lf" or "crlf"; an empty text is CR.
func ParseNewline(s string) (Newline, error) {
	switch s {
	case "", "cr":
		return CR, nil
	case "lf":
		return LF, nil
	case "crlf":
		return CRLF, nil
	}
	return "", fmt.Errorf("newline %q: want cr, lf or crlf", s)
}

// how is how bytes are sent.
type how struct {
	secret  bool
	pace    time.Duration
	newline Newline
	echo    time.Duration
	strict  bool // an echo that does not come is an error
}

// How changes how bytes are sent.
type How func(*how)

// Secret keeps the bytes out of the cast. They are in the private recording.
func Secret() How { return func(h *how) { h.secret = true } }

// Pace waits for d between bytes, for a DUT whose receiver has no buffer.
func Pace(d time.Duration) How { return func(h *how) { h.pace = d } }

// Enter sends another newline than the console's with a line.
func Enter(n Newline) How { return func(h *how) { h.newline = n } }

// Echo waits after each byte until the DUT has sent it back, at most d each:
// the only flow control that some boot loaders have. A line's Enter is not
// waited for. An echo that does not come is a *TimeoutError.
func Echo(d time.Duration) How { return func(h *how) { h.echo, h.strict = d, true } }

// Blind waits for no echo, also where the console's options say so: a DUT that
// boots has none, and what is to come often must not wait for it.
func Blind() How { return func(h *how) { h.echo = 0 } }

// hiddenInput stands in a cast for a secret.
const hiddenInput = "[secret]"

// Send sends p and gives the cursor from before it, so that a wait from there
// misses nothing. It waits for its turn if somebody else sends. Trouble of the
// port is a *wire.Fault.
func (c *Console) Send(ctx context.Context, p []byte, opts ...How) (Cursor, error) {
	return c.send(ctx, p, nil, c.how(opts))
}

// SendLine sends a line and Enter, as Send does.
func (c *Console) SendLine(ctx context.Context, line string, opts ...How) (Cursor, error) {
	h := c.how(opts)
	return c.send(ctx, []byte(line), []byte(h.newline), h)
}

func (c *Console) how(opts []How) how {
	h := how{pace: c.opts.Pace, echo: c.opts.Echo, newline: c.opts.Newline}
	if h.newline == "" {
		h.newline = CR
	}
	for _, o := range opts {
		o(&h)
	}
	return h
}

// send sends p, which is echoed if h says so, and then enter, which is not.
func (c *Console) send(ctx context.Context, p, enter []byte, h how) (Cursor, error) {
	var at Cursor
	err := c.alone(ctx, "send to the console", func() error {
		at = c.Mark()
		c.typed.add(at, p, enter != nil && !h.secret)
		all := append(append([]byte(nil), p...), enter...)
		c.sent(all, h)
		if h.pace <= 0 && h.echo <= 0 {
			return c.port.Write(ctx, all)
		}
		echoed := at
		for i, b := range all {
			if i > 0 && h.pace > 0 {
				if err := pause(ctx, h.pace); err != nil {
					return fmt.Errorf("sent %d of %d bytes: %w", i, len(all), err)
				}
			}
			if err := c.port.Write(ctx, []byte{b}); err != nil {
				return fmt.Errorf("sent %d of %d bytes: %w", i, len(all), err)
			}
			if h.echo > 0 && i < len(p) {
				var err error
				echoed, err = c.echo(ctx, echoed, b, h.echo)
				if !h.strict && errors.Is(err, ErrTimeout) && ctx.Err() == nil {
					// A password has none. What comes late is not the next byte's.
					echoed, err = c.Mark(), nil
				}
				if err != nil {
					return fmt.Errorf("sent %d of %d bytes: %w", i+1, len(all), err)
				}
			}
		}
		return nil
	})
	return at, err
}

// echo waits until b has come back and gives the cursor behind it.
func (c *Console) echo(ctx context.Context, from Cursor, b byte, within time.Duration) (Cursor, error) {
	if b < ' ' || b > '~' {
		return from, nil // control characters come back as something else, or not at all
	}
	p, err := expect.Text(string(rune(b)))
	if err != nil {
		return from, err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	m, err := c.Expect(ctx, from, p.Named("the echo"))
	return m.To, err
}

// sent records what is about to go out, before it does: what is on the wire is
// always on record, too.
func (c *Console) sent(p []byte, h how) {
	c.recMu.Lock()
	defer c.recMu.Unlock()
	c.keep(c.opts.Sent, p, "record what was sent")
	if c.cast == nil {
		return
	}
	if h.secret {
		p = []byte(hiddenInput)
	}
	c.cast.mark("i", p, time.Now())
}

// Break holds the line low for d. It gives wire.ErrUnsupported where the port
// cannot.
func (c *Console) Break(ctx context.Context, d time.Duration) error {
	return c.alone(ctx, "send a break", func() error {
		c.Marker("break " + d.String())
		return c.port.Break(ctx, d)
	})
}

// SetRate changes the baud rate. What the DUT sends meanwhile is garbled.
func (c *Console) SetRate(ctx context.Context, baud int) error {
	return c.alone(ctx, "set the baud rate", func() error {
		c.Marker(fmt.Sprintf("%d baud", baud))
		return c.port.SetRate(ctx, baud)
	})
}

// SetFrame changes the frame of the characters, such as "8E1". It gives
// wire.ErrUnsupported where the port cannot.
func (c *Console) SetFrame(ctx context.Context, frame string) error {
	f, ok := c.port.(wire.Framer)
	if !ok {
		return fmt.Errorf("%s: set frame %s: %w", c.opts.Part, frame, wire.ErrUnsupported)
	}
	return c.alone(ctx, "set the frame", func() error {
		c.Marker(frame)
		return f.SetFrame(ctx, frame)
	})
}

// alone runs act while nobody else writes to the port.
func (c *Console) alone(ctx context.Context, what string, act func() error) error {
	select {
	case <-c.tx:
	case <-ctx.Done():
		return fmt.Errorf("%s: %s: %w", c.opts.Part, what, context.Cause(ctx))
	case <-c.done:
		return fmt.Errorf("%s: %w", what, c.Err())
	}
	defer func() { c.tx <- struct{}{} }()
	select {
	case <-c.done:
		return fmt.Errorf("%s: %w", what, c.Err())
	default:
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %s: %w", c.opts.Part, what, context.Cause(ctx))
	}
	if err := act(); err != nil {
		if _, ok := wire.AsFault(err); ok {
			return err
		}
		return fmt.Errorf("%s: %s: %w", c.opts.Part, what, err)
	}
	return nil
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
