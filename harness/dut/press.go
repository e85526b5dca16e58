package dut

import (
	"context"
	"fmt"
	"time"

	"rigor/harness/profile"
	"rigor/harness/wire"
)

// Held is for how long a button was held: certainly longer than Least, and not longer than
// Most.
type Held struct{ Least, Most time.Duration }

// Press holds a line for a time and lets it go: while the DUT runs, or from before its
// supply comes on. It is let go whatever ends it. The DUT may be on its way through a
// boot when it returns.
func (d *Device) Press(ctx context.Context, p profile.Press, hold time.Duration) (h Held, err error) {
	l, err := d.Line(p.Line)
	if err != nil {
		return h, err
	}
	defer func() {
		if h.Most == 0 {
			_ = letGo(ctx, l) // the error that ended it is told
		}
	}()
	if p.PowerOn() {
		if err := d.PowerOff(ctx); err != nil {
			return h, err
		}
	}
	before := time.Now()
	if err := l.Assert(ctx); err != nil {
		return h, fmt.Errorf("press %s: %w", p.ID, err)
	}
	if p.PowerOn() {
		before = time.Now()
		if err := d.PowerOn(ctx); err != nil {
			return h, err
		}
	}
	down := time.Now()
	if err := d.Wait(ctx, hold); err != nil {
		return h, err
	}
	h.Least = time.Since(down)
	if err := l.Release(ctx); err != nil {
		return h, fmt.Errorf("press %s: let it go: %w", p.ID, err)
	}
	h.Most = time.Since(before)
	return h, nil
}

// letGoWithin is how long a line may take to be let go where the caller has no time left.
const letGoWithin = 10 * time.Second

// letGo releases a line, whatever has ended its caller.
func letGo(ctx context.Context, l wire.Line) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), letGoWithin)
	defer cancel()
	return l.Release(ctx)
}
