package dut

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rigor/harness/late"
	"rigor/harness/profile"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// busy is a computer that keeps its programs waiting for a share of the time.
func busy(ctx context.Context, share float64) *late.Meter {
	began := time.Now()
	return late.With(ctx, func() time.Duration { return time.Duration(share * float64(time.Since(began))) })
}

// TestLateBoot: a device that boots later than it is declared to is lost, but not where
// the rig's computer was busy meanwhile: that is no device's fault.
func TestLateBoot(t *testing.T) {
	for _, c := range []struct {
		name       string
		slow       time.Duration // the declared time is 5 s
		share      float64
		lost, late bool
	}{
		{name: "in time", slow: time.Second},
		{name: "too late", slow: 8 * time.Second, lost: true},
		{name: "late, on a computer that was busy for half of the time", slow: 8 * time.Second, share: 0.5},
		{name: "too late for that, too", slow: 12 * time.Second, share: 0.5, lost: true},
		{name: "never, on a computer that was busy all the time", slow: time.Hour, share: 1, late: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &board{slow: c.slow, boot: bootText}
				d := b.with(t, true, false)
				d.bench.Late = busy(t.Context(), c.share)
				err := d.PowerCycle(t.Context())
				assert.Equal(t, c.lost, errors.Is(err, ErrLost), "%v", err)
				assert.Equal(t, c.late, errors.Is(err, late.ErrLate), "%v", err)
				if !c.lost && !c.late {
					require.NoError(t, err)
				}
			})
		})
	}
}

// TestLateElsewhere: what does not come on a computer that is busy all the time shows
// nothing, wherever it is waited for.
func TestLateElsewhere(t *testing.T) {
	wait := []profile.Step{{Verb: "console", Console: "main", Expect: profile.Expect{Seen: profile.Pattern{Literal: "done"}}}}
	for name, try := range map[string]func(ctx context.Context, d *Device) error{
		"services":     func(ctx context.Context, d *Device) error { return d.Reachable(ctx) },
		"a step":       func(ctx context.Context, d *Device) error { _, err := d.Steps(ctx, wait, nil); return err },
		"the recovery": func(ctx context.Context, d *Device) error { return d.Recover(ctx) },
		"a start": func(ctx context.Context, d *Device) error {
			_, err := d.StartFromOff(ctx, 2)
			return err
		},
		"the sign of life": func(ctx context.Context, d *Device) error {
			d.Profile.Consoles, d.Profile.Logins, d.Profile.Alive = profile.Section[*profile.Console]{}, profile.Section[*profile.Login]{}, *signOfLife
			d.bench.Exec = (&board{}).exec // it never lives
			return d.PowerCycle(ctx)
		},
		"behind a cut": func(ctx context.Context, d *Device) error {
			_, _, err := d.CameUp(ctx, 0, 0)
			return err
		},
		"signs": func(ctx context.Context, d *Device) error {
			w, err := d.WatchSigns(ctx, []profile.Sign{{Console: "main", Seen: profile.Pattern{Literal: "done"}}})
			require.NoError(t, err)
			defer w.Close()
			seen, err := w.Await(ctx, 3*time.Second)
			require.NoError(t, err)
			if seen[0].Late {
				return late.ErrLate
			}
			assert.False(t, seen[0].Seen)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for share, want := range map[float64]bool{0: false, 1: true} {
					b := &board{noNet: true, silent: true}
					d := b.with(t, true, true)
					d.bench.Late = busy(t.Context(), share)
					err := try(t.Context(), d)
					assert.Equal(t, want, errors.Is(err, late.ErrLate), "%v", err)
					assert.False(t, want && errors.Is(err, ErrLost), "%v", err)
				}
			})
		})
	}
}
