package dut

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

// counted counts how often the supply is given.
type counted struct {
	wire.Power
	n atomic.Int64
}

func (c *counted) On(ctx context.Context) error {
	c.n.Add(1)
	return c.Power.On(ctx)
}

// Cases share a cold boot, but not one of before the DUT was brought to another
// state: what was set up behind a boot was never shown to outlast one.
func TestColdBootIsOfThisState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{boot: bootText}
		d := b.with(t, true, false)
		p := &counted{Power: d.bench.Power}
		d.bench.Power = p
		boot := func(want int64) {
			t.Helper()
			require.NoError(t, d.ColdBoot(t.Context(), "to see what stays"))
			assert.Equal(t, want, p.n.Load())
		}
		d.In("onboarded")
		boot(1)
		boot(1)
		d.In("onboarded")
		boot(1)
		d.In("factory") // which is found, or is where a way begins
		d.In("onboarded")
		boot(2)
		boot(2)
	})
}

// A console that has shown nothing of two cold boots, and nothing since, does not cost the
// time of a boot with each further case; but within a case nobody gets less patient, and
// one that says anything has the whole time again.
func TestMuteConsoleIsWaitedForLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{boot: bootText, silent: true}
		d := b.with(t, true, false)
		takes := func(want time.Duration) {
			t.Helper()
			began := time.Now()
			require.ErrorIs(t, d.PowerCycle(t.Context()), ErrLost)
			assert.InDelta(t, want.Seconds(), time.Since(began).Seconds(), 0.2)
		}
		d.Heed()
		takes(5 * time.Second)
		d.Heed()
		takes(5 * time.Second)
		takes(5 * time.Second) // the same case: what it does may be why
		d.Heed()
		takes(1250 * time.Millisecond)
		takes(1250 * time.Millisecond)
		b.out <- []byte("\r\nlogin: ") // somebody plugged it in
		synctest.Wait()
		takes(1250 * time.Millisecond)
		b.out <- []byte("x")
		synctest.Wait()
		d.Heed()
		takes(5 * time.Second)
		b.silent, b.slow = false, 4*time.Second
		d.Heed()
		require.NoError(t, d.PowerCycle(t.Context()))
		d.Heed()
		b.silent = true
		takes(5 * time.Second)
	})
}
