package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/verdict"
)

// TestWorse: the exit code of several runs is that of the worst by law 2.
func TestWorse(t *testing.T) {
	pass, fail, unclear, rig, cut := verdict.ExitPass, verdict.ExitFail, verdict.ExitInconclusive, verdict.ExitRig, verdict.ExitInterrupted
	tests := []struct{ codes, want []int }{
		{[]int{pass, pass}, []int{pass}},
		{[]int{unclear, rig}, []int{rig}},
		{[]int{rig, unclear}, []int{rig}},
		{[]int{fail, cut}, []int{fail}},
		{[]int{pass, cut}, []int{cut}},
		{[]int{unclear, pass, fail, rig}, []int{fail}},
	}
	for _, tt := range tests {
		worst := verdict.ExitPass
		for _, code := range tt.codes {
			worst = worse(worst, code)
		}
		assert.Equal(t, tt.want[0], worst, "%v", tt.codes)
	}
}

// TestReportOfLatest: the link to the latest run is that run: its evidence is
// there, and it is not compared with itself. A run of few cases is not what the
// next whole one is compared with.
func TestReportOfLatest(t *testing.T) {
	if testing.Short() {
		t.Skip("whole runs; left out by -short")
	}
	dir := t.TempDir()
	run := func(args ...string) result {
		cmd := exec.Command("rigor", args...)
		cmd.Dir, cmd.Env = dir, home(dir)
		return output(t, cmd)
	}
	require.Equal(t, 0, run("run", "--rig", "virtual", "idn-model-fw", "net-info").code)
	first := run("report", filepath.Join("runs", "latest"))
	require.Equal(t, 0, first.code, "%s", first)
	assert.NotContains(t, first.stdout, "before", "there is none")
	assert.NotContains(t, first.stdout+first.stderr, "missing")

	few := run("run", "--rig", "virtual", "idn-model-fw")
	require.Equal(t, 0, few.code, "%s", few)
	both := run("run", "--rig", "virtual", "idn-model-fw", "net-info")
	require.Equal(t, 0, both.code, "%s", both)
	assert.Contains(t, both.stdout, "no change, against")
	assert.NotContains(t, both.stdout, " new", "the run of one case is not what it is compared with")
}
