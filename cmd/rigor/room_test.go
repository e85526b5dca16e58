package main

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseTimes(t *testing.T) {
	busy, idle, ok := parseTimes([]byte("cpu  100 1 30 500 40 2 3 4 7 7\ncpu0 1 2 3 4\n"))
	assert.True(t, ok)
	assert.Equal(t, []uint64{140, 540}, []uint64{busy, idle})
	for _, text := range []string{"", "intr 1 2 3 4 5", "cpu 1 2 3", "cpu 1 2 x 4 5 6"} {
		_, _, ok := parseTimes([]byte(text))
		assert.False(t, ok, text)
	}
}

// TestRoom: as many as may begin in any case do at once, further ones as long as the
// processors are idle, one after the other; on a busy computer a run waits for the end of
// another.
func TestRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun, share := time.Now(), 0.0 // of the time that the processors are idle
		var counted time.Duration
		var b, i float64
		r := fixedRoom(2)
		r.most = 4
		r.times = func() (busy, idle uint64, ok bool) {
			now := time.Since(begun)
			i += share * float64(now-counted)
			b += (1 - share) * float64(now-counted)
			counted = now
			return uint64(b), uint64(i), true
		}
		enter := func(within time.Duration) (time.Duration, error) {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			at := time.Now()
			err := r.enter(ctx)
			return time.Since(at), err
		}
		for range 2 {
			took, err := enter(time.Second)
			require.NoError(t, err)
			assert.Zero(t, took)
		}
		share = 0.2
		_, err := enter(10 * time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded, "the computer is busy")

		share = 0.6
		took, err := enter(10 * time.Second)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, took, roomLook, "what the runs before take shows first")
		_, err = enter(10 * time.Second)
		require.NoError(t, err)
		_, err = enter(10 * time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded, "there are as many as there may be")

		share = 0
		for range 2 { // down to those that may run in any case
			r.leave()
			_, err = enter(10 * time.Second)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		go func() {
			time.Sleep(time.Second)
			r.leave()
		}()
		took, err = enter(10 * time.Second)
		require.NoError(t, err)
		assert.Equal(t, time.Second, took, "the end of a run makes room at once")
		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(enough)
		require.ErrorIs(t, r.enter(ctx), enough)
	})
}

// What waited for a disk may be counted less later on: that shows no room.
func TestRoomOfTimesThatGoBack(t *testing.T) {
	for _, tt := range []struct {
		name       string
		busy, idle uint64 // of a hundred, each time
		want       error
	}{
		{"idle", 0, 100, nil},
		{"busy", 100, 0, context.DeadlineExceeded},
		{"idle time goes backwards", 100, ^uint64(4), context.DeadlineExceeded},
		{"busy time goes backwards", ^uint64(4), 100, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := uint64(0)
				r := fixedRoom(0)
				r.most, r.times = 1, func() (uint64, uint64, bool) {
					n++
					return 1000 + n*tt.busy, 2000 + n*tt.idle, true
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				require.ErrorIs(t, r.enter(ctx), tt.want)
			})
		})
	}
}

// Devices of this process share a run as far as the computer has room for them.
func TestSpareUnits(t *testing.T) {
	for _, tt := range []struct {
		name       string
		busy, idle uint64 // of a hundred
		ok         bool
		want       int
	}{
		{"idle", 0, 100, true, 4},
		{"busy", 100, 0, true, 0},
		{"with a little room", 95, 5, true, min(4, runtime.NumCPU()/4)},
		{"that does not tell", 0, 0, false, 4},
		{"whose idle time goes backwards", 100, ^uint64(4), true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := uint64(0)
				got := spareUnits(t.Context(), 4, func() (uint64, uint64, bool) {
					n++
					return 1000 + n*tt.busy, 2000 + n*tt.idle, tt.ok
				})
				assert.Equal(t, tt.want, got)
			})
		})
	}
}

// A run among many collects its heap seldom, and has all processors.
func TestOneOfMany(t *testing.T) {
	cpus, percent := runtime.GOMAXPROCS(0), debug.SetGCPercent(100)
	defer debug.SetGCPercent(percent)
	oneOfMany()
	assert.Equal(t, cpus, runtime.GOMAXPROCS(0))
	assert.Equal(t, 400, debug.SetGCPercent(100))
}
