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

func TestBindOpensConsolesBeforePower(t *testing.T) {
	w := newWorkbench()
	b := w.bind(t)
	assert.Equal(t, []string{"open console.aux", "open console.main", "open line.button", "open line.reset", "open link", "open power"}, w.log.all())
	assert.Equal(t, []wire.Part{"console.aux", "console.main", "line.button", "line.reset", "link", "power"}, b.Parts())
	assert.Empty(t, b.Missing)

	w.log.list = nil
	require.NoError(t, b.Close())
	require.NoError(t, b.Close(), "closing again does nothing")
	assert.Equal(t, []string{"close power", "close line.button", "close line.reset", "close link", "close console.aux", "close console.main"}, w.log.all())

	err := b.Lines["reset"].Assert(t.Context())
	assert.ErrorIs(t, err, ErrClosed)
	f, ok := wire.AsFault(err)
	require.True(t, ok)
	assert.Equal(t, wire.Part("line.reset"), f.Part)
	_, err = b.Link.DialContext(t.Context(), "tcp", "127.0.0.1:1")
	assert.ErrorIs(t, err, ErrClosed)
	assert.NotContains(t, w.log.all(), "assert line.reset", "a closed bench uses no instrument")
}

func TestBindKeepsInstrumentInTrouble(t *testing.T) {
	for _, part := range newWorkbench().bind(t).Parts() {
		t.Run(string(part), func(t *testing.T) {
			w := newWorkbench()
			fault := &wire.Fault{Part: part, Op: "open", Err: errors.New("busy")}
			w.fail[part] = fault
			b := w.bind(t)
			assert.Equal(t, map[wire.Part]error{part: fault}, b.Missing)
			assert.Len(t, b.Parts(), 6, "what is declared is there")
			ctx := t.Context()
			_, lineErr := b.Lines["reset"].Asserted(ctx)
			errs := map[wire.Part]error{
				"power": b.Power.On(ctx), "line.reset": lineErr, "line.button": b.Lines["button"].Assert(ctx),
				"console.main": b.Consoles["main"].Write(ctx, []byte("x")), "console.aux": b.Consoles["aux"].SetRate(ctx, 9600), "link": b.Link.Check(ctx),
			}
			for p, err := range errs {
				if p == part {
					assert.Equal(t, error(fault), err)
				} else {
					assert.NoError(t, err, p)
				}
			}
		})
	}
}

func TestBrokenInstrumentsAnswerWithTheirFault(t *testing.T) {
	w := newWorkbench()
	fault := &wire.Fault{Op: "open", Err: errors.New("busy")}
	for _, part := range w.bind(t).Parts() {
		w.fail[part] = fault
	}
	b, ctx := w.bind(t), t.Context()
	power, line, port := b.Power, b.Lines["reset"], b.Consoles["main"]
	_, stateErr := power.State(ctx)
	_, readErr := line.Asserted(ctx)
	_, waitErr := line.Wait(ctx, true)
	_, portErr := port.Read(make([]byte, 1))
	_, dialErr := b.Link.DialContext(ctx, "tcp", "127.0.0.1:1")
	for i, err := range []error{
		power.On(ctx), power.Off(ctx), stateErr, line.Assert(ctx), line.Release(ctx), readErr, waitErr,
		port.Write(ctx, nil), port.Break(ctx, time.Second), port.SetRate(ctx, 9600), portErr, b.Link.Check(ctx), dialErr,
	} {
		assert.Equal(t, error(fault), err, "operation %d", i)
	}
	_, err := Safe(ctx, b)
	assert.ErrorContains(t, err, "busy", "what cannot be made safe is not safe")
	require.NoError(t, b.Close())
}

func TestBindIsAllOrNothing(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*workbench, *Env)
		want  string
	}{
		{"driver refuses", func(w *workbench, _ *Env) { w.fail["power"] = errors.New("active: want high or low") },
			`rig bench-a: power: active: want high or low`},
		{"unknown driver", func(w *workbench, _ *Env) { w.file.Power.Driver = "magic" },
			`rig bench-a: power: no driver "magic"; there is fake`},
		{"nothing described", func(w *workbench, _ *Env) { w.file.Lines["reset"] = nil }, `rig bench-a: lines.reset: nothing stands there`},
		{"secret", func(w *workbench, e *Env) {
			w.file.Secrets = map[string]string{"operator": "env:NOT_THERE"}
			e.Getenv = func(string) (string, bool) { return "", false }
		}, `:1:1: secrets.operator: the environment variable NOT_THERE is not set; set the variable where rigor is started`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, env := newWorkbench(), Env{}
			tt.spoil(w, &env)
			_, err := Bind(t.Context(), w.file, nil, w.drivers(), env)
			require.EqualError(t, err, tt.want)
			opened, closed := 0, 0
			for _, e := range w.log.all() {
				switch {
				case e == "open power": // the one that failed
				case e[:4] == "open":
					opened++
				case e[:5] == "close":
					closed++
				}
			}
			assert.Equal(t, opened, closed, "what was opened is closed again: %v", w.log.all())
		})
	}
}

func TestBindOpeningThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkbench()
		d := w.drivers()
		release := make(chan struct{})
		d.Line["fake"] = func(_ context.Context, _ *Line, env Env) (wire.Line, error) {
			if env.Name == "reset" {
				<-release // deaf to its context
			}
			return w.lines[env.Name], nil
		}
		start := time.Now()
		b, err := Bind(t.Context(), w.file, nil, d, Env{OpenWithin: time.Second})
		require.NoError(t, err)
		assert.Equal(t, time.Second+openGrace, time.Since(start))
		_, ok := wire.AsFault(b.Missing["line.reset"])
		require.True(t, ok)
		assert.ErrorContains(t, b.Missing["line.reset"], "did not come back within 1s")
		close(release)
		synctest.Wait()
		assert.Contains(t, w.log.all(), "close line.reset", "what opens too late is closed")
		require.NoError(t, b.Close())
	})
}

func TestBindDeadlineIsTheInstrumentsTheCancelOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkbench()
		d := w.drivers()
		d.Port["fake"] = func(ctx context.Context, _ *Port, _ Env) (wire.Port, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		b, err := Bind(t.Context(), w.file, nil, d, Env{OpenWithin: time.Second})
		require.NoError(t, err)
		assert.Len(t, b.Missing, 2, "an adapter that does not open in time is a fault")
		require.NoError(t, b.Close())

		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err = Bind(ctx, w.file, nil, d, Env{OpenWithin: time.Second})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, fault := wire.AsFault(err)
		assert.False(t, fault, "the caller's own deadline is no fault")
	})
}

func TestGateMakesFaults(t *testing.T) {
	w := newWorkbench()
	b := w.bind(t)
	w.lines["reset"].err = errors.New("ioctl: no such device")
	err := b.Lines["reset"].Assert(t.Context())
	assert.EqualError(t, err, "line.reset: assert: ioctl: no such device")
	_, ok := wire.AsFault(err)
	assert.True(t, ok)

	_, ok = wire.AsFault(b.Consoles["main"].Break(t.Context(), time.Second))
	assert.False(t, ok, "what an instrument cannot do is no fault")

	_, err = b.Link.DialContext(t.Context(), "tcp", "127.0.0.1:1")
	_, ok = wire.AsFault(err)
	assert.False(t, ok, "what the DUT did on the network is no fault")

	w.lines["reset"].err = context.DeadlineExceeded
	_, ok = wire.AsFault(b.Lines["reset"].Release(t.Context()))
	assert.True(t, ok, "a driver that gave up by itself is a fault")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	<-ctx.Done()
	_, ok = wire.AsFault(b.Lines["reset"].Release(ctx))
	assert.False(t, ok, "a caller whose time is over is none")
	_, err = b.Lines["button"].Wait(ctx, true)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	_, ok = wire.AsFault(err)
	assert.False(t, ok, "an edge that does not come is no fault of the line")
}

func TestPowerCyclesAreLimited(t *testing.T) {
	w := newWorkbench()
	w.file.Limits = Limits{PowerCycles: 2, FlashWrites: 1}
	b := w.bind(t)
	ctx := t.Context()
	require.NoError(t, b.Power.On(ctx))
	require.NoError(t, b.Power.On(ctx), "on when on is no cycle")
	require.NoError(t, b.Power.Off(ctx))
	require.NoError(t, b.Power.On(ctx))
	err := b.Power.Off(ctx)
	var limit *LimitError
	require.ErrorAs(t, err, &limit)
	assert.EqualError(t, err, "limits.power-cycles: all 2 that the rig file allows in a run are used")
	_, fault := wire.AsFault(err)
	assert.False(t, fault)
	require.ErrorIs(t, err, wire.ErrLimit)
	assert.Equal(t, wire.PowerOn, w.power.state, "what could not be switched on again is not switched off")
	require.NoError(t, b.Power.On(ctx), "it is on")
	assert.Equal(t, 2, b.Spent(LimitPowerCycles))

	require.NoError(t, b.SpendFlashWrite())
	assert.ErrorAs(t, b.SpendFlashWrite(), &limit)

	_, err = Safe(ctx, b)
	require.NoError(t, err, "the safe state is past all limits")
	assert.Equal(t, wire.PowerOff, w.power.state)
}

func TestObserveSeesEachOperation(t *testing.T) {
	w := newWorkbench()
	var seen []string
	b, err := Bind(t.Context(), w.file, nil, w.drivers(), Env{Observe: func(op Op) { seen = append(seen, string(op.Part)+" "+op.Name) }})
	require.NoError(t, err)
	seen = nil
	require.NoError(t, b.Lines["reset"].Assert(t.Context()))
	require.NoError(t, b.Consoles["main"].Write(t.Context(), []byte("x")))
	_, _ = b.Consoles["main"].Read(nil)
	require.NoError(t, b.Power.On(t.Context()))
	assert.Equal(t, []string{"line.reset assert", "console.main write", "power on"}, seen)
	require.NoError(t, b.Close())
	assert.True(t, slices.Contains(seen, "power close"))
}

func BenchmarkGate(b *testing.B) {
	raw := &fakeLine{log: &events{}, name: "x"}
	line := &gatedLine{gate: gate{part: "line.x", meter: newMeter(nil)}, raw: raw}
	ctx := b.Context()
	for b.Loop() {
		if _, err := line.Asserted(ctx); err != nil {
			b.Fatal(err)
		}
	}
}

// What is delivered leaves enough to bring the DUT back.
func TestFlashWritesAreKept(t *testing.T) {
	w := newWorkbench()
	w.file.Limits = Limits{FlashWrites: 4}
	b := w.bind(t)
	require.NoError(t, b.FlashWritesLeft(4))
	require.Error(t, b.FlashWritesLeft(5))
	require.NoError(t, b.SpendFlashWriteKeeping(3))
	err := b.SpendFlashWriteKeeping(3)
	require.ErrorIs(t, err, wire.ErrLimit)
	assert.EqualError(t, err, "limits.flash-writes: of the 4 that the rig file allows in a run too few are left to have 3 more behind this one")
	for range 3 {
		require.NoError(t, b.SpendFlashWriteKeeping(0))
	}
	assert.EqualError(t, b.SpendFlashWriteKeeping(0), "limits.flash-writes: all 4 that the rig file allows in a run are used")
	assert.Equal(t, 4, b.Spent(LimitFlashWrites))
}
