package reset_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/verdict"
	"rigor/harness/wire"
	"rigor/rigs/rigtest"
	"rigor/suites/reset"
)

// stuckFinger lets a button go too late, once: a press that was to be pairing resets the
// device.
type stuckFinger struct {
	wire.Line
	mu    sync.Mutex
	since time.Time
	late  int
}

func (s *stuckFinger) Assert(ctx context.Context) error {
	s.mu.Lock()
	s.since = time.Now()
	s.mu.Unlock()
	return s.Line.Assert(ctx)
}

func (s *stuckFinger) Release(ctx context.Context) error {
	s.mu.Lock()
	held := time.Since(s.since)
	tooLong := s.late == 0 && held > 260*time.Millisecond && held < 400*time.Millisecond
	if tooLong {
		s.late++
	}
	s.mu.Unlock()
	if tooLong {
		timer := time.NewTimer(700*time.Millisecond - held)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return s.Line.Release(ctx)
}

// TestHeldTooLong: what comes of a press that the rig held for longer than it was to be held
// says nothing of the press that it was to be.
func TestHeldTooLong(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("resets a device")
	}
	finger := &stuckFinger{}
	soon := func(p *profile.Profile) {
		for i := range p.Presses.Items {
			p.Presses.Items[i].Within = 2 * time.Second // what is not to come is waited for
		}
	}
	res := rigtest.Run(t, reset.Suite, rigtest.Planted{Profile: soon, Drivers: func(d rig.Drivers) {
		open := d.Line["virtual"]
		d.Line["virtual"] = func(ctx context.Context, l *rig.Line, e rig.Env) (wire.Line, error) {
			line, err := open(ctx, l, e)
			if err != nil || l.Line != "button" {
				return line, err
			}
			finger.Line = line
			return finger, nil
		}
	}}, "rst-press")
	assert.Equal(t, 1, finger.late)
	for i := range res.Cases {
		if c := &res.Cases[i]; c.ID == "rst-press" {
			assert.Equal(t, verdict.Inconclusive, c.Judgement.Verdict, "%s", c.Judgement)
		}
	}
}
