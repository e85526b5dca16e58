package dut

import (
	"testing"

	"rigor/harness/profile"
	"rigor/harness/wire"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDeliveriesAreCounted: each image that is delivered is a write of the flash, and what
// brings the DUT back may use up what is kept for that.
func TestDeliveriesAreCounted(t *testing.T) {
	left, kept := 4, []int(nil)
	b := &Bench{SpendFlash: func(keep int) error {
		kept = append(kept, keep)
		if left <= keep {
			return wire.ErrLimit
		}
		left--
		return nil
	}, FlashLeft: func(n int) error {
		if n > left {
			return wire.ErrLimit
		}
		return nil
	}}
	p := &profile.Profile{}
	p.Updates.Items = map[string]*profile.Update{"api": {Steps: []profile.Step{{Verb: "exec", Exec: []string{"deliver"}}}}}
	d := New(p, Unit{}, b).With(NewSession(t.Context(), nil))
	require.NoError(t, d.FlashLeft(1))
	require.ErrorIs(t, d.FlashLeft(2), wire.ErrLimit)
	_, err := d.Update("api").Deliver(t.Context(), Image{Name: "a"})
	assert.NotErrorIs(t, err, wire.ErrLimit)
	_, err = d.Update("api").Deliver(t.Context(), Image{Name: "b"})
	require.ErrorIs(t, err, wire.ErrLimit)
	_, err = d.Update("api").Deliver(t.Context(), Image{Name: "genuine", Back: true})
	assert.NotErrorIs(t, err, wire.ErrLimit)
	assert.Equal(t, []int{flashKept, flashKept, 0}, kept)
	assert.Equal(t, 2, left)
}
