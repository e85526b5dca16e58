package dut

import (
	"bytes"
	"regexp"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/profile"
)

// TestBlinks: a light that blinks as declared is told from one that blinks otherwise.
func TestBlinks(t *testing.T) {
	fast := profile.Sign{Line: "led", On: 25 * time.Millisecond, Off: 25 * time.Millisecond}
	begin := time.Now()
	// edges gives the changes of a line that is asserted first, and changes after each
	// of the times.
	edges := func(ms ...int) (out []Edge) {
		at := begin
		out = append(out, Edge{at, false})
		on := true
		for _, d := range append([]int{5}, ms...) {
			at = at.Add(time.Duration(d) * time.Millisecond)
			out = append(out, Edge{at, on})
			on = !on
		}
		return out
	}
	by := func(d time.Duration) func(_, _ time.Time) time.Duration {
		return func(time.Time, time.Time) time.Duration { return d }
	}
	for name, c := range map[string]struct {
		edges  []Edge
		want   bool
		uneven bool
	}{
		"steady":                 {edges(), false, false},
		"as declared":            {edges(25, 25, 25, 25, 25, 25), true, false},
		"behind others":          {edges(50, 50, 50, 50, 25, 25, 25, 25, 25, 25), true, false},
		"a little uneven":        {edges(35, 15, 30, 20, 25, 37), true, false},
		"of another kind":        {edges(50, 5, 30, 20, 25, 45), false, true},
		"lit, then half as fast": {append([]Edge{{begin, true}, {begin.Add(time.Millisecond), false}}, edges(10, 50, 50, 50, 50, 50)[1:]...), false, false},
		"half as fast":           {edges(50, 50, 50, 50, 50, 50, 50, 50), false, false},
		"twice as fast":          {edges(12, 13, 12, 13, 12, 13, 12, 13), false, false},
		"a flash each time":      {edges(5, 45, 5, 45, 5, 45), false, false},
		"as often, then dark":    {edges(25, 25, 25, 25, 25), true, false},
		"then lit at its start":  {edges(25, 25, 25, 25, 25, 3000), true, false},
		"lit, off as often":      {append([]Edge{{begin, true}}, edges(25, 25, 25, 25, 25, 25)[2:]...), true, false},
		"lit, off less often":    {append([]Edge{{begin, true}}, edges(25, 25, 25, 25)[2:]...), false, false},
		"goes on too soon":       {edges(25, 25, 25, 25, 25, 5), false, true},
		"two, and then it ends":  {edges(25, 25, 25, 25, 500, 25), false, false},
		"two that are late":      {edges(25, 25, 46, 25, 25, 25, 46, 25), false, true},
		"most of it otherwise":   {edges(5, 45, 5, 45, 25, 25), false, false},
	} {
		ok, at, _, uneven := Blinks(c.edges, fast, begin.Add(time.Minute), by(0))
		assert.Equal(t, c.want, ok, name)
		assert.Equal(t, c.uneven, uneven, name)
		assert.Equal(t, c.want, at.After(begin), name)
	}
	ok, _, _, _ := Blinks(edges(50, 5, 30, 20, 25, 45), fast, begin.Add(time.Minute), by(25*time.Millisecond))
	assert.True(t, ok, "a computer that is late sees edges late")
	ok, _, _, _ = Blinks(edges(25, 25, 25, 25, 25, 25), fast, begin.Add(time.Minute), by(65*time.Millisecond))
	assert.False(t, ok, "of what was seen late, nobody knows how fast it was")
	dark := edges(25, 25, 25, 25, 25)
	for since, want := range map[time.Duration]bool{12 * time.Millisecond: false, 13 * time.Millisecond: true} {
		ok, _, _, uneven := Blinks(dark, fast, dark[len(dark)-1].At.Add(since), by(0))
		assert.Equal(t, want, ok, "the last pause counts once it has lasted for half of its time")
		assert.Equal(t, !want, uneven, "whether more comes is not told yet")
	}
	assert.Equal(t, "line led blinks 25ms on, 25ms off, 3 times", SignText(fast))
	assert.Equal(t, `console main shows "complete"`, SignText(profile.Sign{Console: "main", Seen: profile.Pattern{Literal: "complete"}}))
}

// TestLateAbout: a computer that was late for a moment excuses no light that does not change
// at all about it: of blinks that last longer, some change is seen.
func TestLateAbout(t *testing.T) {
	begin := time.Now()
	ms := func(n int) time.Time { return begin.Add(time.Duration(n) * time.Millisecond) }
	p := &pulse{late: []lateness{{ms(1020), 20 * time.Millisecond}, {ms(5040), 40 * time.Millisecond}}}
	const blinks = 125 * time.Millisecond
	for name, c := range map[string]struct {
		edges []Edge
		want  time.Duration
	}{
		"steady":            {[]Edge{{ms(0), true}}, 0},
		"changes elsewhere": {[]Edge{{ms(0), true}, {ms(3000), false}, {ms(3050), true}}, 0},
		"changes before":    {[]Edge{{ms(0), true}, {ms(900), false}}, 20 * time.Millisecond},
		"changes behind":    {[]Edge{{ms(0), true}, {ms(5150), false}}, 40 * time.Millisecond},
	} {
		assert.Equal(t, c.want, p.about(c.edges, blinks), name)
	}
	assert.Equal(t, 40*time.Millisecond, p.about([]Edge{{ms(0), true}}, 50*time.Millisecond), "they may have been over meanwhile")
	assert.Zero(t, p.about(nil, blinks))
}

// TestSignTexts: a text is seen however it comes in pieces, with the time at which it came,
// and what has come before is not looked through again with each byte.
func TestSignTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{silent: true}
		d := b.with(t, true, false)
		text := func(p profile.Pattern) profile.Sign { return profile.Sign{Console: "main", Seen: p} }
		w, err := d.WatchSigns(t.Context(), []profile.Sign{
			text(profile.Pattern{Literal: "reset complete"}),
			text(profile.Pattern{Regexp: regexp.MustCompile(`(?m)^log erased\nall of it$`)}),
			text(profile.Pattern{Literal: "never said"}),
		})
		require.NoError(t, err)
		defer w.Close()
		says := func(s string) []SignSeen {
			b.out <- []byte(s)
			synctest.Wait()
			seen, err := w.Look()
			require.NoError(t, err)
			return seen
		}
		for range 64 {
			says(string(bytes.Repeat([]byte("noise of a boot\r\n"), 200)))
		}
		seen := says("re")
		assert.False(t, seen[0].Seen)
		says("set \x1b[1mcom")
		began := time.Now()
		time.Sleep(time.Second)
		seen = says("plete\r\nlog erased\r\nall of")
		assert.True(t, seen[0].Seen, seen[0].Detail)
		assert.WithinRange(t, seen[0].At, began.Add(-time.Second), began)
		assert.False(t, seen[1].Seen)
		assert.True(t, says(" it\r\n")[1].Seen)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 10 {
			seen = says(".")
		}
		runtime.ReadMemStats(&after)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(500_000), "there are 217 kB by now")
		assert.False(t, seen[2].Seen)
		assert.Regexp(t, `^2176\d\d bytes came on console main, with it: false$`, seen[2].Detail)
	})
}
