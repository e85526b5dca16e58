package dut

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/console"
	"rigor/harness/powercut"
	"rigor/harness/profile"
	"rigor/harness/wire"
)

func phase(id, seen string) profile.CutPhase {
	return profile.CutPhase{ID: id, Console: "main", Seen: profile.Pattern{Literal: seen}}
}

// A supply that did not go, came back by itself or cannot be seen to have gone is not
// shown to have been off, whatever the banner says later.
func TestBlackoutIsProven(t *testing.T) {
	for _, c := range []struct {
		name  string
		after func(b *board) // what happens from when the switch was told on
		dead  bool           // the supply does not come back
		own   bool           // a boot may be the work's own
		is    error
		says  string
	}{
		{name: "a cold boot"},
		{name: "what was on its way", after: func(b *board) { time.Sleep(2 * time.Millisecond); b.out <- []byte("wri") }},
		{name: "bytes without a supply", is: powercut.ErrNotOff, says: "shows something",
			after: func(b *board) { time.Sleep(200 * time.Millisecond); b.out <- []byte("hum") }},
		{name: "a supply that bounces", is: powercut.ErrNotOff, says: "a boot began",
			after: func(b *board) { time.Sleep(20 * time.Millisecond); b.out <- []byte("ROM 1.2\r\n") }},
		{name: "a boot of the work's own", own: true, after: func(b *board) { b.out <- []byte("ROM 1.2\r\n") }},
		{name: "no supply any more", dead: true, is: ErrLost},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &board{boot: bootText}
				d := b.with(t, true, false)
				d.bench.OffSettle = 300 * time.Millisecond
				require.NoError(t, d.PowerCycle(t.Context()))
				if c.after != nil {
					go c.after(b)
				}
				off, err := d.Blackout(t.Context())
				require.NoError(t, err)
				b.deadOn = c.dead
				_, err = off.End(t.Context(), []profile.CutPhase{phase("write", "writing")}, func(time.Time) bool { return c.own })
				if c.is == nil {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, c.is)
				assert.ErrorContains(t, err, c.says)
			})
		})
	}
}

// A device whose supply never went ends its work and boots by itself: that banner is
// no proof.
func TestBlackoutOfWorkThatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{boot: bootText}
		d := b.with(t, true, false)
		require.NoError(t, d.PowerCycle(t.Context()))
		b.mu.Lock()
		b.deadOff, b.deadOn = true, true
		b.mu.Unlock()
		off, err := d.Blackout(t.Context())
		require.NoError(t, err)
		go func() {
			time.Sleep(100 * time.Millisecond)
			b.out <- []byte("reset complete\r\nROM 1.2\r\n")
		}()
		_, err = off.End(t.Context(), []profile.CutPhase{phase("over", "reset complete")}, nil)
		require.ErrorIs(t, err, powercut.ErrNotOff)
		assert.ErrorContains(t, err, "over")
	})
}

func TestBlackoutWithoutAConsole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{}
		d := b.with(t, false, true)
		require.NoError(t, d.PowerOn(t.Context()))
		off, err := d.Blackout(t.Context())
		require.NoError(t, err)
		_, err = off.End(t.Context(), nil, nil)
		require.NoError(t, err, "what no longer answered is the proof")
	})
}

// spent is a switch of which the rig file allows no more.
type spent struct{ wire.Power }

func (spent) Off(context.Context) error { return wire.ErrLimit }

func TestBlackoutKeepsTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := (&board{boot: bootText}).with(t, true, false)
		d.bench.Power = spent{d.bench.Power}
		_, err := d.Blackout(t.Context())
		require.ErrorIs(t, err, powercut.ErrSpent)
	})
}

// led is a line whose level the test sets.
type led struct{ level chan bool }

func (*led) Assert(context.Context) error           { return nil }
func (*led) Release(context.Context) error          { return nil }
func (*led) Close() error                           { return nil }
func (*led) Asserted(context.Context) (bool, error) { return false, nil }
func (l *led) Wait(ctx context.Context, want bool) (time.Time, error) {
	for {
		select {
		case is := <-l.level:
			if is == want {
				return time.Now(), nil
			}
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

func TestPhasesAreWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{boot: bootText}
		d := b.with(t, true, false)
		require.NoError(t, d.PowerCycle(t.Context()))
		l := &led{level: make(chan bool, 8)}
		d.bench.Lines = map[string]wire.Line{"led": l}
		b.out <- []byte("erasing of before\r\n")
		time.Sleep(time.Millisecond)
		w, err := d.Phases([]profile.CutPhase{phase("erase", "erasing"), phase("write", "writing"), {ID: "blink", Line: "led"}, {ID: "dark", Line: "led", Edge: "released"}, {ID: "late", After: time.Second}})
		require.NoError(t, err)
		b.out <- []byte("erasing\r\nwri")
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		done := make(chan error, 1)
		began := time.Now()
		go func() {
			done <- w.Watch(ctx, func(m powercut.Mark) {
				got = append(got, m.Phase)
				assert.WithinDuration(t, began, m.At, time.Second)
			})
		}()
		time.Sleep(10 * time.Millisecond)
		b.out <- []byte("ting\r\n")
		time.Sleep(10 * time.Millisecond)
		l.level <- true
		time.Sleep(10 * time.Millisecond)
		l.level <- false
		time.Sleep(10 * time.Millisecond)
		cancel()
		require.NoError(t, <-done)
		assert.Equal(t, []string{"erase", "write", "blink", "dark"}, got)
	})
}

// What came before the watch was over is told, though nobody had looked at it yet.
func TestPhasesThatCameLastAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{boot: bootText}
		d := b.with(t, true, false)
		w, err := d.Phases([]profile.CutPhase{phase("erase", "erasing"), phase("write", "writing")})
		require.NoError(t, err)
		b.out <- []byte("erasing\r\nwriting\r\nerasing")
		time.Sleep(time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var got []string
		require.NoError(t, w.Watch(ctx, func(m powercut.Mark) { got = append(got, m.Phase) }))
		assert.Equal(t, []string{"erase", "write", "erase"}, got)
	})
}

// away is a board whose adapter was pulled out and put back.
type away struct {
	*board
	n int
}

func (a *away) Gaps() (int, error) { return a.n, errors.New("unplugged") }

func TestPhasesOfAConsoleThatWasAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &away{board: &board{boot: bootText}}
		d := a.board.with(t, true, false)
		d.bench.Consoles["main"] = openOn(t, a)
		w, err := d.Phases([]profile.CutPhase{phase("erase", "erasing")})
		require.NoError(t, err)
		a.n++
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err = w.Watch(ctx, func(powercut.Mark) {})
		require.Error(t, err)
		assert.True(t, IsFault(err), "it is the rig's trouble: %v", err)
	})
}

func openOn(t *testing.T, p wire.Port) *console.Console {
	t.Helper()
	con := console.Open(t.Context(), p, console.Options{Part: "console.main"})
	t.Cleanup(func() { _ = con.Close() })
	return con
}
