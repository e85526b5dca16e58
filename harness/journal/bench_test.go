package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
	"rigor/harness/verdict"
)

// BenchmarkJournal writes, reads and folds a run of 100,000 cases, one in four
// with a negative claim.
func BenchmarkJournal(b *testing.B) {
	const cases = 100_000
	for b.Loop() {
		path := filepath.Join(b.TempDir(), "journal.jsonl")
		begin := time.Now()
		file, err := os.Create(path)
		require.NoError(b, err)
		w := journal.NewWriter(file, nil, nil)
		add := func(bu *journaltest.Builder) {
			for i := range bu.Events {
				if err := w.Append(&bu.Events[i]); err != nil {
					b.Fatal(err)
				}
			}
		}
		add(journaltest.New())
		for i := range cases {
			add((&journaltest.Builder{}).Plan("credential", fmt.Sprintf("check-%d", i), "ssh"))
		}
		for i := range cases {
			id := fmt.Sprintf("check-%d[ssh]", i)
			if i%4 == 0 {
				add((&journaltest.Builder{}).Begin(id).Refute(id, journaltest.Whole(id, 1)).Keep(id).Done(id))
			} else {
				add((&journaltest.Builder{}).Pass(id))
			}
		}
		add((&journaltest.Builder{}).End())
		require.NoError(b, w.Close())
		written := time.Now()
		_, err = file.Seek(0, 0)
		require.NoError(b, err)
		res, err := journal.Load(file)
		require.NoError(b, err)
		require.Equal(b, cases, res.Counts[verdict.Pass])
		require.NoError(b, file.Close())
		b.ReportMetric(written.Sub(begin).Seconds(), "write-s")
		b.ReportMetric(time.Since(written).Seconds(), "load-s")
	}
}
