package rig

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMeterCountsOverlapOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(nil)
		first := m.Enter("line.a", "assert")
		elapse(2 * time.Second)
		second := m.Enter("power", "on")
		wait := m.Waiting("the boot")
		elapse(time.Second)
		first(nil)
		elapse(time.Second)
		assert.Equal(t, 4*time.Second, m.Total(), "what is under way counts up to now")
		second(nil)
		wait()
		wait()
		elapse(10 * time.Second)
		assert.Equal(t, 4*time.Second, m.Total())
		done := m.Waiting("the boot")
		elapse(time.Second)
		done()
		assert.Equal(t, 5*time.Second, m.Total())
	})
}

func TestMeterKnowsWhoIsInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(nil)
		require.NoError(t, m.Idle(t.Context()))
		defer m.Waiting("the boot")() // a wait is not inside a driver
		require.NoError(t, m.Idle(t.Context()))
		power := m.Enter("power", "off")
		elapse(time.Second)
		line := m.Enter("line.reset", "assert")

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		err := m.Idle(ctx)
		require.EqualError(t, err, "calls that do not come back from their driver: power: off for 4s; line.reset: assert for 3s")
		var stuck *Stuck
		require.ErrorAs(t, err, &stuck)
		assert.Len(t, stuck.Calls, 2)

		go func() {
			elapse(time.Second)
			power(nil)
			elapse(time.Second)
			line(nil)
		}()
		start := time.Now()
		require.NoError(t, m.Idle(t.Context()))
		assert.Equal(t, 2*time.Second, time.Since(start))
		assert.Empty(t, m.Inside())
	})
}

func TestConnCountsTheAnswersOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkbench()
		ours, theirs := net.Pipe()
		w.link.conn = ours
		b, err := Bind(t.Context(), w.file, nil, w.drivers(), Env{})
		require.NoError(t, err)
		c, err := b.Link.DialContext(t.Context(), "tcp", "192.0.2.1:80")
		require.NoError(t, err)
		got := make(chan string)
		go func() { // the standing Read that clients keep
			buf := make([]byte, 16)
			for {
				n, err := c.Read(buf)
				if err != nil {
					close(got)
					return
				}
				got <- string(buf[:n])
			}
		}()
		go func() {
			buf := make([]byte, 16)
			_, _ = theirs.Read(buf)
			elapse(3 * time.Second)
			_, _ = theirs.Write([]byte("answer"))
		}()
		elapse(time.Minute)
		assert.Zero(t, b.Meter.Total())
		_, err = c.Write([]byte("request"))
		require.NoError(t, err)
		assert.Equal(t, "answer", <-got)
		assert.Equal(t, 3*time.Second, b.Meter.Total())

		go func() { _, _ = theirs.Read(make([]byte, 16)) }()
		_, err = c.Write([]byte("never answered"))
		require.NoError(t, err)
		elapse(time.Second)
		require.NoError(t, c.Close())
		elapse(time.Hour)
		assert.Equal(t, 4*time.Second, b.Meter.Total())
		<-got
		require.NoError(t, theirs.Close())
		require.NoError(t, b.Close())
	})
}

func TestMeterSaysWhatIsWaitedForLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(nil)
		assert.Empty(t, m.Doing().What)
		leave := m.Enter("power", "on")
		assert.Equal(t, "power: on", m.Doing().What)
		began := time.Now()
		boot := m.Waiting("the boot")
		time.Sleep(time.Second)
		answer := m.Waiting("an answer")
		assert.Equal(t, Wait{What: "the boot", Since: began}, m.Doing(), "a wait says more than a call")
		boot()
		boot()
		assert.Equal(t, "an answer", m.Doing().What)
		answer()
		leave(nil)
		assert.Empty(t, m.Doing().What)
	})
}
