package reset

import (
	"context"
	"fmt"
	"slices"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/suites/credential"
)

// signTries is how often a reset is made once more for a light that this computer was too
// late to see, or that blinked unevenly.
const signTries = 3

// seeAgain makes the reset of a tour once more, where a light among its signs blinks too
// quickly for a computer that was late, as it was, or blinked unevenly. What is told of that
// reset in the place of the first one's is its signs alone. It is set up behind it with what
// its owner had.
func (tr *tour) seeAgain(ctx context.Context, t *check.T) {
	for try := 1; try <= signTries && tr.over == "" && slices.ContainsFunc(slices.Concat(tr.signs, tr.confirm), missed); try++ {
		if !tr.resetAgain(ctx, t) {
			return
		}
	}
}

// missed says of a sign that whether it came could not be told.
func missed(s dut.SignSeen) bool { return s.Late && !s.Seen }

// resetAgain makes it once more; false where it did not work.
func (tr *tour) resetAgain(ctx context.Context, t *check.T) bool {
	g := &guide{T: t}
	door := g.ownDoor()
	if door == nil {
		return false
	}
	own, err := door.Owner()
	t.OK(err)
	done := t.Intent(credential.IntentSetup, fmt.Sprintf("the device is reset by way %s in %s", tr.way.ID, t.ID()), map[string]string{"way": ""})
	re := &tour{way: tr.way, n: tr.n, doors: map[string]*doorFacts{}, lively: map[string]bool{}}
	tr.say("whether a light showed what it has to is not told: the reset is made once more, for its signs")
	ok := g.reset(ctx, re)
	tr.log.WriteString(re.log.String())
	if !ok || !g.comeBack(ctx, re, own.Password) {
		return false // the device is brought to its state before the next case
	}
	done()
	tr.signs, tr.confirm = clearer(tr.signs, re.signs), clearer(tr.confirm, re.confirm)
	for name := range re.lively {
		tr.lively[name] = true
	}
	return true
}

// clearer gives the signs of a reset, with those of another one in the place of what was
// missed.
func clearer(signs, again []dut.SignSeen) []dut.SignSeen {
	out := slices.Clone(signs)
	for i := range out {
		if i < len(again) && missed(out[i]) {
			out[i] = again[i]
		}
	}
	return out
}
