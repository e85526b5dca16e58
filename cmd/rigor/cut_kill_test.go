package main

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// cutMoments are in the middle of an update, of a reset, and of their power cuts: the
// intent is written before the first act.
var cutMoments = []moment{
	{name: "update", selectors: []string{"upd-genuine[api]"}, sign: intentOf("update"), upTo: 500 * time.Millisecond},
	{name: "update-cut", selectors: []string{"upd-power-cut[api]"}, sign: intentOf("power"), upTo: 4 * time.Second},
	{name: "slots", selectors: []string{"upd-boot-verify"}, sign: intentOf("slots"), upTo: 3 * time.Second},
	{name: "reset-cut", selectors: []string{"rst-power-cut"}, sign: intentOf("power"), upTo: 6 * time.Second},
}

// A run that is killed in the middle of an update, a reset or of cutting their power
// leaves a rig that is safe, a report in which nothing unfinished passes, and a device
// that the next run puts right.
func TestKilledInAnUpdateOrAReset(t *testing.T) {
	if testing.Short() {
		t.Skip("several runs of many boots")
	}
	t.Parallel()
	heavy(t)
	for _, m := range cutMoments {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.lean(t)
			warm(t, b)
			for i := range 2 {
				t.Run(fmt.Sprint(i), func(t *testing.T) {
					killOnce(t, b, m, rand.New(rand.NewPCG(uint64(i), 11)))
				})
			}
		})
	}
}
