package report_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
	"rigor/harness/report"
)

// BenchmarkCases writes the journal of a run of 100,000 cases as a run does,
// reads and folds it, and makes all reports, against a run before:
//
//	go test -run '^$' -bench Cases -benchtime 3x ./harness/report
//
// One case in four has a negative claim, one in fifty fails with an excerpt. All
// of it has to stay well under ten seconds on two cores. What it takes to think
// the events up does not count.
func BenchmarkCases(b *testing.B) {
	const cases = 100_000
	red := escape.NewRedactor()
	for _, secret := range []string{"Owners-Secret-1", "label: 7Hq2-xK9p", "S3cr+t/p\"w<é>&z"} {
		red.Add("operator", secret)
	}
	var wrote, loaded, reported time.Duration
	peak := 0.0
	for b.Loop() {
		dir := b.TempDir()
		file, err := os.Create(filepath.Join(dir, "journal.jsonl"))
		require.NoError(b, err)
		debug.FreeOSMemory()
		freshPeak()
		w := journal.NewWriter(file, red, nil)
		for bu := range made(cases) {
			begin := time.Now()
			for i := range bu.Events {
				if err := w.Append(&bu.Events[i]); err != nil {
					b.Fatal(err)
				}
			}
			wrote += time.Since(begin)
		}
		require.NoError(b, w.Close())
		_, err = file.Seek(0, 0)
		require.NoError(b, err)
		begin := time.Now()
		res, err := journal.Load(file)
		require.NoError(b, err)
		loaded += time.Since(begin)
		require.NoError(b, file.Close())
		require.Len(b, res.Cases, cases)
		begin = time.Now()
		require.ErrorIs(b, report.Write(dir, res, res, report.Options{}), report.ErrEvidence)
		reported += time.Since(begin)
		peak = max(peak, peakMB(b))
		require.NoError(b, os.RemoveAll(dir))
	}
	each := func(d time.Duration) float64 { return d.Seconds() / float64(b.N) }
	b.ReportMetric(each(wrote), "write-s")
	b.ReportMetric(each(loaded), "load-s")
	b.ReportMetric(each(reported), "reports-s")
	b.ReportMetric(each(wrote+loaded+reported), "all-s")
	b.ReportMetric(peak, "peak-MB")
}

// made gives the events of a run piece by piece.
func made(cases int) func(yield func(*journaltest.Builder) bool) {
	return func(yield func(*journaltest.Builder) bool) {
		id := func(i int) (check, channel string) {
			return "check-" + strings.Repeat("x", i%7) + string(rune('a'+i%26)), fmt.Sprintf("ch%d", i/26)
		}
		if !yield(journaltest.New()) {
			return
		}
		for i := range cases {
			check, channel := id(i)
			if !yield((&journaltest.Builder{}).Plan("suite-"+string(rune('a'+i%5)), check, channel)) {
				return
			}
		}
		for i := range cases {
			id, bu := journaltest.ID(id(i)), &journaltest.Builder{}
			switch {
			case i%50 == 0:
				bu.Begin(id).Add(journal.Event{Kind: journal.KindExcerpt, Case: id, Excerpt: &journal.Excerpt{Source: "console.main", Length: 400,
					Text: strings.Repeat("acme login: root\n\\x1b[0m# ", 15)}}).Fails(id, 1).Keep(id).Done(id)
			case i%4 == 0:
				bu.Begin(id).Refute(id, journaltest.Whole(id, 1)).Keep(id).Done(id)
			default:
				bu.Pass(id)
			}
			if !yield(bu) {
				return
			}
		}
		yield((&journaltest.Builder{}).End())
	}
}

// freshPeak has the system measure the peak of our memory anew, where it can.
func freshPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// peakMB gives the most memory that we had, and 0 where the system does not tell.
func peakMB(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	if rest == "" {
		return 0
	}
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	require.NoError(b, err)
	return kb / 1000
}
