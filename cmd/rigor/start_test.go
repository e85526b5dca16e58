package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/runner"
)

// BenchmarkStartToFirstCheck is how long a person waits for the first check, on
// the built-in device, from the start of the process to the moment at which the
// first case begins:
//
//	go test -run '^$' -bench StartToFirstCheck -benchtime 10x ./cmd/rigor
//
// ns/op is all of it, the device's boot included; before-boot-ns is the
// harness's own part: the process, the plan, the rig's instruments, its doctor.
func BenchmarkStartToFirstCheck(b *testing.B) {
	dir := b.TempDir()
	var ready, first time.Duration
	for b.Loop() {
		out := filepath.Join(dir, runner.RunID("virtual"))
		cmd := exec.CommandContext(b.Context(), "rigor", "run", "--rig", "virtual", "--seed", "5", "--out", out, "idn-model-fw")
		cmd.Env = home(dir)
		begin := time.Now()
		require.NoError(b, cmd.Run())
		r, f := startedAt(b, filepath.Join(out, runner.JournalName))
		ready += r.Sub(begin)
		first += f.Sub(begin)
	}
	b.ReportMetric(float64(first.Nanoseconds())/float64(b.N), "ns/op")
	b.ReportMetric(float64(ready.Nanoseconds())/float64(b.N), "before-boot-ns")
}

// startedAt gives when a run was ready to switch the device on, and when its first
// case began. A journal's clock is right to the millisecond.
func startedAt(b *testing.B, path string) (ready, first time.Time) {
	b.Helper()
	f, err := os.Open(path)
	require.NoError(b, err)
	defer f.Close()
	log, err := journal.Read(f)
	require.NoError(b, err)
	for _, e := range log.Events {
		at := log.Events[0].At.Add(time.Duration(e.Off-log.Events[0].Off) * time.Microsecond)
		if e.Doctor != nil {
			ready = at
		}
		if e.Begin != nil {
			return ready, at
		}
	}
	b.Fatal("no case began")
	return ready, first
}
