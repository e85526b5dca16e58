package late

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// busy tells of a computer that keeps its programs waiting, for a share of the time, until
// some time.
func busy(share float64, until time.Duration) func() time.Duration {
	began := time.Now()
	return func() time.Duration {
		return time.Duration(share * float64(min(time.Since(began), until)))
	}
}

// TestWithin: what the computer was late in is given on top of a time, and where that does
// not end, it is said.
func TestWithin(t *testing.T) {
	const long = time.Hour
	own := errors.New("it took too long")
	for _, c := range []struct {
		name  string
		share float64
		until time.Duration
		d     time.Duration
		cause error
		ends  time.Duration
		late  bool
	}{
		{name: "a computer that is not busy", d: 5 * time.Second, ends: 5 * time.Second},
		{name: "with a cause of its own", d: 5 * time.Second, cause: own, ends: 5 * time.Second},
		{name: "half of the time is lost", share: 0.5, until: long, d: 5 * time.Second, ends: 10 * time.Second},
		{name: "busy for three seconds", share: 1, until: 3 * time.Second, d: 5 * time.Second, ends: 8 * time.Second},
		{name: "busy all the time", share: 1, until: long, d: 5 * time.Second, ends: 25 * time.Second, late: true},
		{name: "busy all the time, and a time of its own", share: 0.9, until: long, d: 5 * time.Second, cause: own, ends: 25 * time.Second, late: true},
		{name: "a long time", share: 1, until: long, d: 5 * time.Minute, ends: 7 * time.Minute, late: true},
		{name: "more than all of it is no more than that", share: 4, until: 3 * time.Second, d: 5 * time.Second, ends: 8 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				ctx, cancel := With(t.Context(), busy(c.share, c.until)).Within(t.Context(), c.d, c.cause)
				defer cancel()
				child, drop := context.WithTimeout(ctx, time.Hour)
				defer drop()
				require.NoError(t, ctx.Err())
				<-child.Done()
				assert.InDelta(t, c.ends, time.Since(began), float64(2*beat))
				for _, err := range []error{ctx.Err(), context.Cause(ctx), context.Cause(child)} {
					require.ErrorIs(t, err, context.DeadlineExceeded)
					assert.Equal(t, c.late, errors.Is(err, ErrLate), "%v", err)
					assert.Equal(t, c.late, errors.Is(Because(ctx, errors.New("nothing came")), ErrLate))
					if c.cause != nil && !c.late {
						require.ErrorIs(t, err, c.cause)
					}
				}
			})
		})
	}
}

// TestWithinEnds: a context ends with the one that it was made of, and when it is told to,
// and is then not the computer's fault.
func TestWithinEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := With(t.Context(), busy(1, time.Hour))
		parent, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		ctx, cancel := m.Within(parent, 5*time.Second, nil)
		defer cancel()
		<-ctx.Done()
		require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
		require.NotErrorIs(t, ctx.Err(), ErrLate)

		ctx, cancel = m.Within(t.Context(), 5*time.Second, nil)
		cancel()
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		assert.NoError(t, Because(ctx, nil))

		ctx, cancel = (*Meter)(nil).Within(t.Context(), time.Second, nil)
		defer cancel()
		<-ctx.Done()
		assert.Equal(t, context.DeadlineExceeded, ctx.Err())
	})
}

// TestTotal: a beat that comes late is time lost, whether or not anything tells that
// programs waited: a computer that stood still did not count.
func TestTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := With(t.Context(), nil)
		time.Sleep(time.Second)
		assert.Zero(t, m.Total())
		m.mu.Lock()
		m.last = m.last.Add(-3 * time.Second)
		m.mu.Unlock()
		assert.InDelta(t, 3*time.Second, m.Total(), float64(2*beat))
	})
	ctx, stop := context.WithCancel(t.Context())
	synctest.Test(t, func(t *testing.T) {
		m := With(t.Context(), nil)
		m.stop()
		time.Sleep(time.Minute)
		assert.Zero(t, m.Total(), "who does not measure any more does not know")
	})
	stop()
	assert.GreaterOrEqual(t, Start(ctx).Total(), time.Duration(0))
}
