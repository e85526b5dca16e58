package update

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/dut"
	"rigor/harness/verdict"
)

// TestWithout: a stretch is without one unless one lies in it as a whole: where in its time a
// delivery came to the DUT, nobody knows.
func TestWithout(t *testing.T) {
	for name, c := range map[string]struct {
		came []dut.Phase
		from float64
		want float64
	}{
		"none":                         {nil, 0, 1},
		"one in the middle":            {[]dut.Phase{{From: 0.5, To: 0.5}}, 0, 0.5},
		"one at the beginning":         {[]dut.Phase{{From: 0.1, To: 0.2}}, 0.1, 0.9},
		"one that is longer than half": {[]dut.Phase{{From: 0.2, To: 0.8}}, 0, 0.8},
		"one that was answered behind": {[]dut.Phase{{From: 0.1, To: 1.5}}, 0, 1},
		"in no order":                  {[]dut.Phase{{From: 0.7, To: 0.75}, {From: 0.2, To: 0.3}}, 0.2, 0.55},
		"one within another":           {[]dut.Phase{{From: 0.2, To: 0.9}, {From: 0.4, To: 0.5}}, 0.4, 0.6},
		"all along":                    {[]dut.Phase{{From: 0, To: 0.25}, {From: 0.25, To: 0.5}, {From: 0.5, To: 0.75}, {From: 0.75, To: 1}}, 0, 0.5},
	} {
		from, part := without(c.came)
		assert.InDelta(t, c.from, from, 1e-9, name)
		assert.InDelta(t, c.want, part, 1e-9, name)
	}
}

// TestRaceMet: what counts is what the DUT had beside the genuine one. Of a DUT that sends
// others away, what it judged by itself is not; one that keeps others waiting lets none in.
func TestRaceMet(t *testing.T) {
	zero := time.Now()
	const ms = time.Millisecond
	delivery := func(began, done time.Duration, kind verdict.Kind) dut.Delivery {
		return dut.Delivery{Answer: dut.Answer{Kind: kind, Took: done - began}, Began: zero.Add(began)}
	}
	race := func(others ...dut.Delivery) *race {
		r := &race{alone: []lone{{"api", 10 * ms}}, genuine: delivery(0, 100*ms, verdict.Unproven), came: map[string][]dut.Phase{}, held: map[string]int{}}
		for _, o := range others {
			r.others = append(r.others, dut.Raced{Over: "api", Delivery: o})
		}
		r.note()
		return r
	}
	early, middle, late := delivery(1*ms, 5*ms, verdict.Refused), delivery(45*ms, 55*ms, verdict.Garbled), delivery(110*ms, 115*ms, verdict.Garbled)

	r := race(middle)
	assert.Empty(t, r.missed(raceWithout))
	assert.Equal(t, []string{"api"}, r.missed(raceWanted))
	assert.InDelta(t, 14*ms, r.aim(), float64(ms), "into what was before it, or what was behind it")
	assert.Contains(t, r.told(), "over api is 55%")

	assert.Equal(t, []string{"api"}, race(late).missed(raceWithout), "behind it there is no race")
	assert.Len(t, race(early, middle).came["api"], 1, "the first one was judged by itself")
	assert.Len(t, race(early, late).came["api"], 1, "who judges all by themselves had it")

	waits := race(delivery(5*ms, 105*ms, verdict.Refused))
	assert.Equal(t, []string{"api"}, waits.missed(raceWithout), "once may be the rig's slowness")
	for waits.held["api"] < raceHeld {
		waits.note()
	}
	assert.Empty(t, waits.missed(raceWanted))
	assert.Contains(t, waits.told(), "3 times it kept them waiting")

	assert.Equal(t, 1, race(delivery(5*ms, 99*ms, verdict.Refused), delivery(5*ms, 105*ms, verdict.Refused)).held["api"], "whose answer is heard first is chance")
	assert.Zero(t, race(delivery(5*ms, 95*ms, verdict.Refused), delivery(5*ms, 105*ms, verdict.Refused)).held["api"], "one of them was let in")
}

// TestRaceGoesOn: a busy computer, on which the forged ones come first again and again, has as
// many tries left as any once the genuine one was first.
func TestRaceGoesOn(t *testing.T) {
	assert.True(t, (&race{n: raceNone - 1, none: raceNone - 1}).goesOn())
	assert.False(t, (&race{n: raceNone, none: raceNone}).goesOn(), "it is never taken")
	assert.True(t, (&race{n: raceNone + raceTries - 1, none: raceNone, taken: true}).goesOn())
	assert.False(t, (&race{n: raceTries, taken: true}).goesOn())
	assert.GreaterOrEqual(t, raceLater<<raceNone, time.Second, "how late the last of them begins is longer than most deliveries are under way")
}
