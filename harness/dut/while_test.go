package dut

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWhile: it is looked as long as the work goes on, and at least once; a look that fails
// ends no work.
func TestWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks, worked := 0, false
		work := func(context.Context) error { time.Sleep(10 * time.Millisecond); worked = true; return nil }
		require.NoError(t, While(t.Context(), work, func(context.Context) error { looks++; time.Sleep(time.Millisecond); return nil }))
		assert.InDelta(t, 10, looks, 1)

		once := 0
		failed := errors.New("refused")
		require.ErrorIs(t, While(t.Context(), func(context.Context) error { return failed }, func(context.Context) error { once++; time.Sleep(time.Millisecond); return nil }), failed)
		assert.Equal(t, 1, once)

		worked = false
		blind := errors.New("the pads are gone")
		require.ErrorIs(t, While(t.Context(), work, func(context.Context) error { return blind }), blind)
		assert.True(t, worked)
	})
}
