package rig

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

func TestSafeReleasesThenSwitches(t *testing.T) {
	for _, rest := range []string{"", "off", "on"} {
		t.Run(rest, func(t *testing.T) {
			w := newWorkbench()
			w.file.Power.Rest = rest
			b := w.bind(t)
			w.power.state = wire.PowerOn
			require.NoError(t, b.Lines["reset"].Assert(t.Context()))
			require.NoError(t, b.Lines["button"].Assert(t.Context()))
			w.log.list = nil

			ctx, cancel := context.WithCancel(t.Context())
			cancel() // the run has ended, that is when it is wanted
			acts, err := Safe(ctx, b)
			require.NoError(t, err)
			assert.Len(t, acts, 3)
			log := w.log.all()
			require.Len(t, log, 3)
			assert.ElementsMatch(t, []string{"release line.button", "release line.reset"}, log[:2])
			assert.Equal(t, map[string]string{"": "off power", "off": "off power", "on": "on power"}[rest], log[2])
			assert.False(t, w.lines["reset"].asserted)
		})
	}
}

// A wire that was let go falls through its pull, and not at once.
func TestSafeWaitsForTheSwitch(t *testing.T) {
	w := newWorkbench()
	b := w.bind(t)
	w.power.state, w.power.late = wire.PowerOn, 3
	acts, err := Safe(t.Context(), b)
	require.NoError(t, err)
	assert.Zero(t, w.power.late)
	assert.Empty(t, acts[2].Error)
}

func TestSafeTriesEachPart(t *testing.T) {
	w := newWorkbench()
	w.fail["line.button"] = &wire.Fault{Part: "line.button", Op: "open", Err: errors.New("busy")}
	b := w.bind(t)
	w.power.state = wire.PowerOn
	w.lines["reset"].err = errors.New("ioctl: input/output error")
	w.power.err = errors.New("no route to host")
	acts, err := Safe(t.Context(), b)
	require.Error(t, err)
	for _, want := range []string{"line.button: open: busy", "line.reset: release: ioctl: input/output error", "power: off: no route to host"} {
		assert.ErrorContains(t, err, want)
	}
	require.Len(t, acts, 3)
	assert.Equal(t, "power: off: no route to host", acts[2].Error)

	w.power.err, w.power.stuck = nil, true
	_, err = Safe(t.Context(), b)
	assert.ErrorContains(t, err, "power: off: told to be off, the switch says on", "a welded relay is not safe")
	w.power.mute = true
	acts, err = Safe(t.Context(), b)
	assert.NotContains(t, err.Error(), "power", "a switch that cannot tell is believed")
	assert.Empty(t, acts[2].Error)
}

func TestSafeLeavesWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkbench()
		b, err := Bind(t.Context(), w.file, nil, w.drivers(), Env{})
		require.NoError(t, err)
		w.power.state = wire.PowerOn
		w.lines["reset"].hang = make(chan struct{})
		start := time.Now()
		acts, err := Safe(t.Context(), b)
		assert.Equal(t, safeWithin, time.Since(start))
		assert.EqualError(t, err, "line.reset: release: the driver did not come back within 900ms")
		assert.Equal(t, wire.PowerOff, w.power.state, "the power goes off all the same")
		assert.Len(t, acts, 3)
		close(w.lines["reset"].hang)
		require.NoError(t, b.Close())
	})
}

// TestSafeAgain asks those parts once more that are not safe, and no others.
func TestSafeAgain(t *testing.T) {
	w := newWorkbench()
	b := w.bind(t)
	w.power.state = wire.PowerOn
	w.lines["reset"].err = errors.New("input/output error")
	acts, err := Safe(t.Context(), b)
	require.ErrorContains(t, err, "line.reset")
	w.lines["reset"].err, w.lines["button"].err, w.power.err = nil, errors.New("input/output error"), errors.New("input/output error")
	acts, err = SafeAgain(t.Context(), b, acts)
	require.NoError(t, err, "what is safe is left alone")
	var parts []string
	for _, a := range acts {
		parts = append(parts, string(a.Part))
	}
	assert.Equal(t, []string{"line.button", "line.reset", "power"}, parts)
}

func TestSafeWaitsForTheRail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkbench()
		w.file.Power.OffSettle = 2 * time.Second
		b, err := Bind(t.Context(), w.file, nil, w.drivers(), Env{})
		require.NoError(t, err)
		w.power.state = wire.PowerOn
		b.rawPower = slowPower{w.power, 2 * time.Second}
		start := time.Now()
		_, err = Safe(t.Context(), b)
		require.NoError(t, err)
		assert.Equal(t, 2*time.Second, time.Since(start))
		require.NoError(t, b.Close())
	})
}

// slowPower is a relay whose driver waits until the rail has drained.
type slowPower struct {
	wire.Power
	settle time.Duration
}

func (p slowPower) Off(ctx context.Context) error {
	return errors.Join(p.Power.Off(ctx), pause(ctx, p.settle))
}

func TestSafePassesAHungCallOfTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkbench()
		b, err := Bind(t.Context(), w.file, nil, w.drivers(), Env{})
		require.NoError(t, err)
		hang := make(chan struct{})
		b.Power.(*gatedPower).raw = hungPower{w.power, hang}
		go func() { _ = b.Power.On(t.Context()) }()
		synctest.Wait()
		require.Len(t, b.Meter.Inside(), 1)
		_, err = Safe(t.Context(), b)
		require.NoError(t, err)
		assert.Contains(t, w.log.all(), "off power")
		close(hang)
		require.NoError(t, b.Close())
	})
}

type hungPower struct {
	wire.Power
	hang chan struct{}
}

func (p hungPower) On(context.Context) error { <-p.hang; return nil }

func TestCloseLeavesADriverThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkbench()
		b, err := Bind(t.Context(), w.file, nil, w.drivers(), Env{})
		require.NoError(t, err)
		hang := make(chan struct{})
		b.Power.(*gatedPower).raw = hungClose{w.power, hang}
		err = b.Close()
		require.EqualError(t, err, "power: close: the driver did not come back within 2s")
		assert.Contains(t, w.log.all(), "close console.main", "the others are closed")
		require.Len(t, b.Meter.Inside(), 1)
		assert.Equal(t, wire.Part("power"), b.Meter.Inside()[0].Part)
		close(hang)
		require.NoError(t, b.Meter.Idle(t.Context()))
	})
}

type hungClose struct {
	wire.Power
	hang chan struct{}
}

func (p hungClose) Close() error { <-p.hang; return nil }

func TestMakeSafeTriesABusyPinAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkbench()
		d := w.drivers()
		tries := 0
		open := d.Line["fake"]
		d.Line["fake"] = func(ctx context.Context, l *Line, env Env) (wire.Line, error) {
			if env.Name == "reset" {
				if tries++; tries < 5 { // the process that died has not let go yet
					return nil, &wire.Fault{Part: env.Part, Op: "open", Err: errors.New("device or resource busy")}
				}
			}
			return open(ctx, l, env)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		acts, err := MakeSafe(ctx, w.file, d, Env{})
		require.NoError(t, err)
		assert.Equal(t, 100*time.Millisecond, time.Since(start))
		assert.Equal(t, []wire.Part{"line.button", "line.reset", "power"}, []wire.Part{acts[0].Part, acts[1].Part, acts[2].Part})
		assert.NotContains(t, w.log.all(), "open console.main", "consoles are not touched")
	})
}

func TestMakeSafeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkbench()
		w.file.Power.Driver = "gone"
		w.file.Secrets = map[string]string{"unrelated": "env:NOT_THERE"}
		w.fail["line.reset"] = errors.New("no such line")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		acts, err := MakeSafe(ctx, w.file, w.drivers(), Env{Getenv: func(string) (string, bool) { return "", false }})
		assert.LessOrEqual(t, time.Since(start), 2*time.Second+safeWithin)
		assert.ErrorContains(t, err, "line.reset: open: no such line")
		assert.ErrorContains(t, err, `no driver "gone"; there is fake`)
		assert.True(t, slices.Contains(w.log.all(), "release line.button"))
		require.Len(t, acts, 3)
		assert.Empty(t, acts[0].Error)
	})
}
