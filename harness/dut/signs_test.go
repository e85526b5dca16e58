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
	for name, c := range map[string]struct {
		edges []Edge
		want  int
	}{
		"steady":             {edges(), 0},
		"as declared":        {edges(25, 25, 25, 25, 25, 25), 3},
		"late now and then":  {edges(40, 12, 30, 20, 25, 25), 3},
		"half as fast":       {edges(50, 50, 50, 50, 50, 50), 0},
		"twice as slow once": {edges(25, 25, 100, 25, 25, 25, 25, 25), 2},
		"the last is cut":    {edges(25, 25, 25), 1},
	} {
		n, at := Blinks(c.edges, fast)
		assert.Equal(t, c.want, n, name)
		assert.Equal(t, c.want > 0, at.After(begin), name)
	}
	assert.Equal(t, "line led blinks 25ms on, 25ms off, 3 times", SignText(fast))
	assert.Equal(t, `console main shows "complete"`, SignText(profile.Sign{Console: "main", Seen: profile.Pattern{Literal: "complete"}}))
}
