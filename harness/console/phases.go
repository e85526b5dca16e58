package console

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"rigor/harness/console/expect"
)

// Phase is a stretch of a DUT's start in which its UART has a rate of its own: a
// boot ROM that derives it from its crystal, a loader that was built for another.
type Phase struct {
	Baud  int             // bit/s, 50 to 20,000,000
	Until *expect.Pattern // what ends it; nil: For does
	For   time.Duration   // how long it lasts, from its beginning
}

// phases follows a DUT through the rates of its start.
type phases struct {
	mu   sync.Mutex
	stop context.CancelFunc // ends the following of an earlier start
}

// Starts says that the DUT is about to start, with its supply for one: the port is
// set to the rate of the first phase and follows the others from here on, whatever
// is read or sent meanwhile. Without phases it does nothing. An error is SetRate's:
// wire.ErrUnsupported where the port cannot change its rate.
func (c *Console) Starts(ctx context.Context) error {
	if len(c.opts.Phases) == 0 {
		return nil
	}
	c.phases.mu.Lock()
	defer c.phases.mu.Unlock()
	if c.phases.stop != nil {
		c.phases.stop()
	}
	from := c.Mark()
	if err := c.SetRate(ctx, c.opts.Phases[0].Baud); err != nil {
		return fmt.Errorf("the rate at the start: %w", err)
	}
	// The start outlives the call that began it: until its last phase, the next
	// start or the end of the console.
	follow, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.phases.stop = stop
	go func() {
		defer stop()
		c.follow(follow, from)
	}()
	return nil
}

// follow changes the rate at the end of each phase. Where a pattern does not come,
// the rate stays: another one would not be better. What goes wrong stands in the
// cast; that the port is gone shows itself to all that use it.
func (c *Console) follow(ctx context.Context, from Cursor) {
	for i, p := range c.opts.Phases {
		next := c.opts.Rate
		if i+1 < len(c.opts.Phases) {
			next = c.opts.Phases[i+1].Baud
		}
		at, err := c.phaseEnds(ctx, p, from)
		if err == nil {
			from = at
			err = c.SetRate(ctx, next)
		}
		if err != nil {
			if !errors.Is(err, context.Canceled) && !errors.Is(err, ErrClosed) {
				c.Marker(fmt.Sprintf("the rate stays at %d: %v", p.Baud, err))
			}
			return
		}
	}
}

func (c *Console) phaseEnds(ctx context.Context, p Phase, from Cursor) (Cursor, error) {
	if p.Until != nil {
		m, err := c.Expect(ctx, from, *p.Until)
		return m.To, err
	}
	select {
	case <-c.done:
		return from, c.Err()
	default:
	}
	err := pause(ctx, p.For)
	return c.Mark(), err
}
