package dut

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

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
