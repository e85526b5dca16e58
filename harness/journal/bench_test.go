package journal_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
	"rigor/harness/verdict"
)

// BenchmarkJournal writes, reads and folds a run of 100,000 cases.
func BenchmarkJournal(b *testing.B) {
	const cases = 100_000
	for b.Loop() {
		s := &sink{}
		w := journal.NewWriter(s, nil, nil)
		add := func(bu *journaltest.Builder) {
			for i := range bu.Events {
				require.NoError(b, w.Append(&bu.Events[i]))
			}
		}
		add(journaltest.New())
		for i := range cases {
			add((&journaltest.Builder{}).Plan("credential", fmt.Sprintf("check-%d", i), "ssh"))
		}
		for i := range cases {
			id := fmt.Sprintf("check-%d[ssh]", i)
			add((&journaltest.Builder{}).Begin(id).Refute(id, journaltest.Whole(id, 1)).Keep(id).Done(id))
		}
		add((&journaltest.Builder{}).End())
		require.NoError(b, w.Close())
		log, err := journal.Read(bytes.NewReader(s.data.Bytes()))
		require.NoError(b, err)
		require.Equal(b, cases, journal.Fold(log).Counts[verdict.Pass])
	}
}
