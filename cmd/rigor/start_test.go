package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
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

// TestGrammar: each command is read by itself when it is named first, with the flags that
// all have; else all of them are.
func TestGrammar(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.Vars{"version": "", "families": "", "locks": "", "gateway_serial": "", "gateway_mac": ""})
	require.NoError(t, err)
	require.Greater(t, len(parser.Model.Children), 15)
	for _, n := range parser.Model.Children {
		one, verbose := grammar([]string{n.Name, "--nonsense"})
		alone, err := kong.New(one, kong.Vars{"version": "", "families": "", "locks": "", "gateway_serial": "", "gateway_mac": ""})
		require.NoError(t, err, n.Name)
		require.Len(t, alone.Model.Children, 1, n.Name)
		assert.Equal(t, n.Name, alone.Model.Children[0].Name)
		assert.Equal(t, n.Help, alone.Model.Children[0].Help)
		assert.Len(t, alone.Model.Flags, len(parser.Model.Flags), n.Name)
		assert.False(t, verbose())
	}
	for _, args := range [][]string{nil, {"--help"}, {"-v", "version"}, {"Run"}, {"nonsense"}} {
		whole, _ := grammar(args)
		assert.IsType(t, &cli{}, whole, "%v", args)
	}
	one, verbose := grammar([]string{"version", "-v"})
	alone, err := kong.New(one, kong.Vars{"version": ""})
	require.NoError(t, err)
	_, err = alone.Parse([]string{"version", "-v"})
	require.NoError(t, err)
	assert.True(t, verbose())
}
