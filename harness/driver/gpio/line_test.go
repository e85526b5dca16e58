package gpio

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	periph "periph.io/x/conn/v3/gpio"

	"rigor/harness/wire"
)

const low, high = periph.Low, periph.High

func newLine(t *testing.T, pin *cdevPin, conf Config) *Line {
	t.Helper()
	conf.Part = "line.reset"
	l, err := NewLine(pin, conf)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, l.Close())
		assert.False(t, pin.isOutput(), "a closed line is still driven")
		assert.Empty(t, pin.misuse)
	})
	return l
}

// TestWire holds what the wire sees of assert, release, assert, release, close.
func TestWire(t *testing.T) {
	for _, tc := range []struct {
		name string
		conf Config
		idle periph.Level
		want []periph.Level
	}{
		{"active low, open drain", Config{Active: ActiveLow, Drive: OpenDrain}, high, []periph.Level{high, low, high, low, high}},
		{"active low, push-pull", Config{Active: ActiveLow}, high, []periph.Level{high, low, high, low, high}},
		{"active high, open source", Config{Active: ActiveHigh, Drive: OpenSource}, low, []periph.Level{low, high, low, high, low}},
		{"active high, push-pull", Config{Active: ActiveHigh}, low, []periph.Level{low, high, low, high, low}},
		{"active low, idle held: no glitch at all", Config{Active: ActiveLow, HoldIdle: true}, high, []periph.Level{high, low, high, low, high}},
		{"active high, idle held", Config{Active: ActiveHigh, HoldIdle: true}, low, []periph.Level{low, high, low, high, low}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx := t.Context()
			pin := newCdevPin(tc.idle)
			l := newLine(t, pin, tc.conf)
			require.NoError(t, l.Release(ctx), "a release before any assert")
			assert.False(t, pin.isOutput())
			for range 2 {
				require.NoError(t, l.Assert(ctx))
				got, err := l.Asserted(ctx)
				require.NoError(t, err)
				assert.True(t, got)
				assert.True(t, pin.isOutput(), "reading must not let go")
				require.NoError(t, l.Release(ctx))
				got, err = l.Asserted(ctx)
				require.NoError(t, err)
				assert.False(t, got)
				assert.Equal(t, tc.conf.HoldIdle, pin.isOutput())
			}
			require.NoError(t, l.Close())
			assert.Equal(t, tc.want, pin.levels())
		})
	}
}

// TestFirstHighGlitches shows that the fake has the hazard that TestWire's
// order of calls avoids.
func TestFirstHighGlitches(t *testing.T) {
	pin := newCdevPin(high)
	require.NoError(t, pin.Out(high))
	assert.Equal(t, []periph.Level{high, low, high}, pin.levels())
}

func TestReleasedReadsTheWire(t *testing.T) {
	pin := newCdevPin(high)
	l := newLine(t, pin, Config{Active: ActiveLow, Drive: OpenDrain, Pull: periph.PullUp})
	assert.Equal(t, periph.PullUp, pin.pull)
	pin.put(low) // somebody else on the open drain
	got, err := l.Asserted(t.Context())
	require.NoError(t, err)
	assert.True(t, got)
}

func TestFaults(t *testing.T) {
	gone := errors.New("no such device")
	isFault := func(t *testing.T, err error) {
		t.Helper()
		f, ok := wire.AsFault(err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, wire.Part("line.reset"), f.Part)
		assert.ErrorIs(t, err, gone)
		assert.ErrorContains(t, err, "GPIO4")
	}
	t.Run("open", func(t *testing.T) {
		pin := newCdevPin(high)
		pin.inErr = gone
		_, err := NewLine(pin, Config{Part: "line.reset", Active: ActiveLow})
		isFault(t, err)
	})
	t.Run("assert", func(t *testing.T) {
		pin := newCdevPin(high)
		l := newLine(t, pin, Config{Active: ActiveLow})
		pin.fail(nil, gone)
		isFault(t, l.Assert(t.Context()))
		got, err := l.Asserted(t.Context())
		require.NoError(t, err)
		assert.False(t, got, "a refused assert is not remembered as driven")
	})
	t.Run("read and wait and release", func(t *testing.T) {
		pin := newCdevPin(high)
		l := newLine(t, pin, Config{Active: ActiveLow})
		pin.fail(gone, nil)
		pin.brokenRead = true // would look like an asserted line
		_, err := l.Asserted(t.Context())
		isFault(t, err)
		_, err = l.Wait(t.Context(), true)
		isFault(t, err)
		isFault(t, l.Release(t.Context()))
		pin.fail(nil, nil)
	})
	t.Run("a pin that goes while waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			pin := newCdevPin(high)
			l := newLine(t, pin, Config{Active: ActiveLow})
			go func() {
				time.Sleep(300 * time.Millisecond)
				pin.fail(gone, nil)
			}()
			start := time.Now()
			_, err := l.Wait(t.Context(), true)
			isFault(t, err)
			assert.Less(t, time.Since(start), 2*recheck)
			pin.fail(nil, nil)
		})
	})
}

func TestEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	pin := newCdevPin(high)
	l := newLine(t, pin, Config{Active: ActiveLow})
	require.ErrorIs(t, l.Assert(ctx), context.Canceled)
	assert.False(t, pin.isOutput())
	_, err := l.Asserted(ctx)
	require.ErrorIs(t, err, context.Canceled)
	_, err = l.Pulse(ctx, time.Second)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, l.Assert(t.Context()))
	require.NoError(t, l.Release(ctx), "letting go is always allowed")
	assert.False(t, pin.isOutput())
}

func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pin := newCdevPin(high)
		l := newLine(t, pin, Config{Active: ActiveLow, Drive: OpenDrain})
		p, err := l.Pulse(t.Context(), 3*time.Second)
		require.NoError(t, err)
		assert.Equal(t, 3*time.Second, p.Held())
		assert.Equal(t, []periph.Level{high, low, high}, pin.levels())

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p, err = l.Pulse(ctx, 3*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, fault := wire.AsFault(err)
		assert.False(t, fault)
		assert.Equal(t, time.Second, p.Held())
		assert.False(t, pin.isOutput(), "a pulse cut short is still released")

		_, err = l.Pulse(t.Context(), 0)
		require.Error(t, err)
	})
}

func TestWait(t *testing.T) {
	for name, setup := range map[string]func(*cdevPin){
		"edges":       func(*cdevPin) {},
		"no edges":    func(p *cdevPin) { p.noEdges = true },
		"dead edges":  func(p *cdevPin) { p.deadEdges = true },
		"stale edges": func(p *cdevPin) { p.edges <- struct{}{}; p.edges <- struct{}{} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pin := newCdevPin(high)
				setup(pin)
				l := newLine(t, pin, Config{Active: ActiveLow})
				at, err := l.Wait(t.Context(), false)
				require.NoError(t, err)
				assert.Zero(t, time.Since(at), "what holds already returns at once")

				start := time.Now()
				go func() {
					time.Sleep(5 * time.Second)
					pin.put(low)
				}()
				at, err = l.Wait(t.Context(), true)
				require.NoError(t, err)
				assert.InDelta(t, 5*time.Second, at.Sub(start), float64(slice))
				assert.Equal(t, periph.NoEdge, pin.edge, "edges are disarmed afterwards")

				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				start, waits := time.Now(), pin.waits
				_, err = l.Wait(ctx, false)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.ErrorContains(t, err, "still asserted after 2s")
				_, fault := wire.AsFault(err)
				assert.False(t, fault, "a DUT that does not move a line is no fault")
				assert.LessOrEqual(t, time.Since(start), 2*time.Second+slice)
				assert.LessOrEqual(t, pin.waits-waits, 2100, "the wait spins")
			})
		})
	}
}

func TestWaitOnOwnLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pin := newCdevPin(high)
		l := newLine(t, pin, Config{Active: ActiveLow})
		require.NoError(t, l.Assert(t.Context()))
		start := time.Now()
		go func() {
			time.Sleep(time.Second)
			assert.NoError(t, l.Release(t.Context()))
		}()
		at, err := l.Wait(t.Context(), false)
		require.NoError(t, err)
		assert.Equal(t, time.Second, at.Sub(start))

		go func() {
			time.Sleep(time.Second)
			assert.NoError(t, l.Assert(t.Context()))
		}()
		_, err = l.Wait(t.Context(), true)
		require.NoError(t, err)
	})
}

func TestReadBesideWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pin := newCdevPin(high)
		l := newLine(t, pin, Config{Active: ActiveLow})
		done := make(chan error, 1)
		go func() {
			_, err := l.Wait(t.Context(), true)
			done <- err
		}()
		for range 20 {
			time.Sleep(7 * time.Millisecond)
			_, err := l.Asserted(t.Context())
			require.NoError(t, err)
		}
		pin.put(low)
		require.NoError(t, <-done)
	})
}

func TestCloseEndsWait(t *testing.T) {
	for _, driven := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := newLine(t, newCdevPin(high), Config{Active: ActiveLow})
			if driven {
				require.NoError(t, l.Assert(t.Context()))
			}
			done := make(chan error, 1)
			go func() {
				_, err := l.Wait(t.Context(), !driven)
				done <- err
			}()
			time.Sleep(time.Second)
			require.NoError(t, l.Close())
			err := <-done
			if !driven || err != nil { // the close also releases a driven line: both answers are true
				require.ErrorIs(t, err, os.ErrClosed)
			}
			require.ErrorIs(t, l.Assert(t.Context()), os.ErrClosed)
			_, err = l.Asserted(t.Context())
			require.ErrorIs(t, err, os.ErrClosed)
			require.NoError(t, l.Release(t.Context()))
		})
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pin := newCdevPin(low)
		l := newLine(t, pin, Config{Active: ActiveHigh})
		start := time.Now()
		go func() { // a LED that blinks at 1 Hz
			for i := range 6 {
				time.Sleep(500 * time.Millisecond)
				pin.put(periph.Level(i%2 == 0))
			}
		}()
		var edges []Edge
		err := l.Watch(t.Context(), func(e Edge) bool {
			edges = append(edges, e)
			return len(edges) < 7
		})
		require.NoError(t, err)
		for i, e := range edges {
			assert.Equal(t, i%2 == 1, e.Asserted)
			assert.Equal(t, time.Duration(i)*500*time.Millisecond, e.At.Sub(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = l.Watch(ctx, func(Edge) bool { return true })
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// TestBusy runs all calls side by side for the race detector.
func TestBusy(t *testing.T) {
	pin := newCdevPin(high)
	l := newLine(t, pin, Config{Active: ActiveLow, Drive: OpenDrain})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	done := make(chan struct{})
	for _, f := range []func(){
		func() { _, _ = l.Wait(ctx, true) },
		func() { _, _ = l.Pulse(ctx, time.Millisecond) },
		func() { _, _ = l.Asserted(ctx) },
		func() { pin.put(low); pin.put(high) },
	} {
		go func() {
			defer func() { done <- struct{}{} }()
			for ctx.Err() == nil {
				f()
			}
		}()
	}
	for range 4 {
		<-done
	}
}
