package main

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rigor/harness/runner"
	"rigor/harness/verdict"
)

// BenchmarkRun is a whole run against the built-in device in a process of its
// own, over a serial port, programs and the network. It tells what of its wall
// time is the harness's (neither a declared wait nor a call inside a driver), and
// the most memory that its process had.
//
//	go test -run '^$' -bench 'Run$' -benchtime 1x ./cmd/rigor
func BenchmarkRun(b *testing.B) {
	bench := newBench(b)
	for b.Loop() {
		dir := bench.folder()
		cmd := bench.command("run", "--rig", bench.rig, "--out", dir)
		got := output(b, cmd)
		require.Equal(b, 0, got.code, "%s", got)
		res, err := runner.Load(dir)
		require.NoError(b, err)
		require.Equal(b, verdict.Pass, res.Worst)
		driver := time.Duration(res.End.DriverUS) * time.Microsecond
		b.ReportMetric(res.Took.Seconds(), "wall-s")
		b.ReportMetric(100*(res.Took-driver).Seconds()/res.Took.Seconds(), "%harness")
		if use, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			b.ReportMetric(float64(use.Maxrss)/1024, "peak-MiB")
		}
	}
}
