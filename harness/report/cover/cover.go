// Package cover gives the matrix of clauses of a run, in the words that the
// baseline allows.
package cover

import (
	"rigor/harness/baseline"
	"rigor/harness/journal"
)

// Rows gives a row for each clause that a planned case names. Cases that the
// selectors left out count as undecided, so that a run of a part does not look
// like one of the whole.
func Rows(res *journal.Result) []baseline.Row {
	tested := make([]baseline.Tested, 0, len(res.Cases)+len(res.Left))
	for _, list := range [][]journal.Case{res.Cases, res.Left} {
		for i := range list {
			c := &list[i]
			tested = append(tested, baseline.Tested{Case: c.ID, Clauses: c.Clauses, Verdict: c.Judgement.Verdict, Reason: c.Judgement.Reason})
		}
	}
	return baseline.Cover(tested)
}
