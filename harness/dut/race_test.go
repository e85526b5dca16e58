package dut

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rigor/harness/profile"
	"rigor/harness/steps"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRace: the others come while the first is under way, and no more behind it.
func TestRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		busy, late, sentAway := false, 0, 0
		b := &Bench{Exec: func(ctx context.Context, _ []string, values map[string]string) (string, map[string]string, error) {
			mu.Lock()
			switch {
			case values["image-size"] == "5" && busy:
				sentAway++
				mu.Unlock()
				return "", nil, fmt.Errorf("%w: busy", steps.ErrNotDone)
			case values["image-size"] == "5":
				late++
				mu.Unlock()
				return "", nil, fmt.Errorf("%w: refused", steps.ErrNotDone)
			}
			busy = true
			mu.Unlock()
			<-time.After(time.Second)
			mu.Lock()
			defer mu.Unlock()
			busy = false
			return "installed", nil, nil
		}}
		p := &profile.Profile{}
		p.Updates.Items = map[string]*profile.Update{"api": {Steps: []profile.Step{{Verb: "exec", Exec: []string{"deliver"}}}}}
		d := New(p, Unit{}, b).With(NewSession(t.Context(), nil))
		p.Updates.Items["web"] = p.Updates.Items["api"]
		const lanes = 3
		forged := Beside{d.Update("api"), Image{Name: "forged", Bytes: []byte("forge")}}
		first, others, err := d.Update("api").Race(t.Context(), Image{Name: "genuine", Bytes: []byte("genuine")}, 0, forged, forged, Beside{d.Update("web"), forged.Image})
		require.NoError(t, err)
		assert.True(t, first.Taken, first.Detail)
		assert.Greater(t, sentAway, 2*lanes)
		assert.LessOrEqual(t, late, 2*lanes, "one of each lane at most on either side of it")
		assert.Len(t, others, sentAway+late)
		over := map[string]int{}
		for _, o := range others {
			assert.False(t, o.Taken)
			assert.True(t, o.Answered())
			over[o.Over]++
		}
		assert.Greater(t, over["api"], over["web"])
		assert.Greater(t, over["web"], 2)
		_, _, err = d.Update("none").Race(t.Context(), Image{}, 0, forged)
		require.ErrorIs(t, err, ErrNotDeclared)
		_, _, err = d.Update("api").Race(t.Context(), Image{}, 0, Beside{d.Update("none"), Image{}})
		require.ErrorIs(t, err, ErrNotDeclared)
		_, _, err = d.Update("api").Overwrite(t.Context(), Image{}, Image{}, 0)
		require.ErrorIs(t, err, ErrNotDeclared)
	})
}
