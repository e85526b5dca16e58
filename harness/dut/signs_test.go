package dut

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

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
