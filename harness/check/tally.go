package check

import (
	"encoding/json"

	"rigor/harness/journal"
	"rigor/harness/verdict"
)

// tally is what a negative claim has tried, and how it is put down: a line for each try
// in its evidence, one event of the probes, and the claim itself.
type tally struct {
	t    *T
	c    *Claim
	rec  *journal.Claim
	file *journal.File // nil before the first try

	planned          int
	tried, effective int
	kinds            map[verdict.Kind]int
	names            []string
	said             bool // recorded
}

func newTally(t *T, text string, planned int) tally {
	return tally{t: t, c: t.begin(text), planned: planned, kinds: map[verdict.Kind]int{}}
}

// line adds a line to the evidence.
func (y *tally) line(v any) {
	line, err := json.Marshal(v)
	y.t.OK(err)
	_, err = y.file.Write(append(line, '\n'))
	y.t.OK(diskFault(err))
}

// record writes probes and claim, once.
func (y *tally) record() {
	if y.said {
		return
	}
	y.said = true
	p := &journal.Probes{Claim: y.c.n, Planned: y.planned, Tried: y.tried, Effective: y.effective, Kinds: y.kinds, Digest: digest(y.names)}
	if y.file != nil {
		p.Evidence = []journal.Ref{y.file.Ref()}
		y.rec.Evidence = p.Evidence
	}
	y.t.record(&journal.Event{Kind: journal.KindProbes, Probes: p})
	if y.rec.Holds == journal.Unknown && y.rec.Reason == "" {
		y.rec.Reason, y.rec.Got = verdict.ReasonPrecondition, "the claim was not decided"
	}
	y.t.record(&journal.Event{Kind: journal.KindClaim, Claim: y.rec})
}
