package steps

import (
	"context"
	"slices"
	"time"
)

// letGoWithin bounds the letting go of one line.
const letGoWithin = 2 * time.Second

// holds notes that a line is asserted by these steps, or no longer.
func (r *runner) holds(name string, is bool) {
	r.held = slices.DeleteFunc(r.held, func(n string) bool { return n == name })
	if is {
		r.held = append(r.held, name)
	}
}

// letGo releases what steps that failed have asserted, the last first. What fails
// thereby is told by who uses the line next; the error of the step is told now.
func (r *runner) letGo(ctx context.Context) {
	for _, name := range slices.Backward(r.held) {
		l, err := r.t.Line(name)
		if err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), letGoWithin)
		_ = l.Release(ctx)
		cancel()
	}
}
