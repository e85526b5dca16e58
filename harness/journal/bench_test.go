package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
	"rigor/harness/verdict"
)

// BenchmarkJournal writes, reads and folds a run of 100,000 cases, one in four
// with a negative claim, through a redactor as in a run. What it takes to think
// the events up does not count.
func BenchmarkJournal(b *testing.B) {
	const cases = 100_000
	red := escape.NewRedactor()
	for _, secret := range []string{"Owners-Secret-1", "label: 7Hq2-xK9p", "S3cr+t/p\"w<é>&z"} {
		red.Add("operator", secret)
	}
	for b.Loop() {
		path := filepath.Join(b.TempDir(), "journal.jsonl")
		file, err := os.Create(path)
		require.NoError(b, err)
		w := journal.NewWriter(file, red, nil)
		var wrote time.Duration
		add := func(bu *journaltest.Builder) {
			begin := time.Now()
			for i := range bu.Events {
				if err := w.Append(&bu.Events[i]); err != nil {
					b.Fatal(err)
				}
			}
			wrote += time.Since(begin)
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
		size, err := file.Seek(0, 1)
		require.NoError(b, err)
		_, err = file.Seek(0, 0)
		require.NoError(b, err)
		begin := time.Now()
		res, err := journal.Load(file)
		require.NoError(b, err)
		loaded := time.Since(begin)
		require.Equal(b, cases, res.Counts[verdict.Pass])
		require.NoError(b, file.Close())
		b.ReportMetric(wrote.Seconds(), "write-s")
		b.ReportMetric(loaded.Seconds(), "load-s")
		b.ReportMetric(float64(size)/1e6, "MB")
	}
}
