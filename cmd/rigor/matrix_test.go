package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/matrix"
)

// The catalogue names every weakness and every fault of the built-in device,
// only cases that there are, and for each check a weakness that it is the first
// to see.
func TestMatrixCatalogue(t *testing.T) {
	for _, of := range []func() (*bed, error){virtualBed, gatewayBed} {
		b, err := of()
		require.NoError(t, err)
		assert.NotEmpty(t, b.planned)
	}
}

// TestMatrix runs a part of the detection matrix as its command does: a weakness of
// each kind of scope, and faults. All of it is for rigor validate, which is run behind the
// tests where CI is set.
func TestMatrix(t *testing.T) {
	only := []string{"net-down", "wrong-unit"} // over at once
	if !testing.Short() && os.Getenv("CI") == "" {
		t.Parallel()
		heavy(t)
		only = append(only, "power-dead", "default-telnet", "fw-hash-only", "reset-keeps-log", "dbg-open")
	}
	dir := t.TempDir()
	table := filepath.Join(dir, "table.json")
	args := []string{"validate", "--seed", "5", "--out", table}
	for _, name := range only {
		args = append(args, "--only", name)
	}
	cmd := exec.CommandContext(t.Context(), "rigor", args...)
	cmd.Env = home(dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	data, err := os.ReadFile(table)
	require.NoError(t, err)
	var res matrix.Result
	require.NoError(t, json.Unmarshal(data, &res))
	assert.True(t, res.OK)
	assert.Len(t, res.Rows, len(only))
}

// A validation that is killed takes its runs with it.
func TestKilledValidationLeavesNoRun(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("whole runs; left out by -short")
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "rigor", "validate", "--only", "hardened,net-drops", "--runs", filepath.Join(dir, "runs"))
	cmd.Env = home(dir)
	require.NoError(t, cmd.Start())
	runs := func() (n int) {
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, l := range lines {
			if b, err := os.ReadFile(l); err == nil && bytes.Contains(b, []byte("matrix-run")) && bytes.Contains(b, []byte(dir)) {
				n++
			}
		}
		return n
	}
	require.Eventually(t, func() bool { return runs() == 2 }, 20*time.Second, 5*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	assert.Eventually(t, func() bool { return runs() == 0 }, 20*time.Second, 10*time.Millisecond, "a run outlives its validation")
}

func TestMatrixRefusesUnknownNames(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "rigor", "validate", "--only", "no-such-thing")
	cmd.Env = home(t.TempDir())
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 2, exit.ExitCode())
	assert.Contains(t, string(out), `no weakness and no bench fault is called "no-such-thing"`)
}

// declareNone gives a profile's text with whole sections declared to be none: a
// device that is over sooner.
func declareNone(t *testing.T, text string, sections ...string) string {
	t.Helper()
	for _, s := range sections {
		block := regexp.MustCompile(`(?m)^` + s + `:.*\n(?:(?:[ #].*)?\n)*`)
		require.Regexp(t, block, text)
		text = block.ReplaceAllLiteralString(text, s+": {none: 'left out of this test'}\n")
	}
	return text
}

// A golden unit whose rig file says nothing of what to expect cannot be held
// against it.
func TestMatrixGoldenUnit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "profiles"), 0o755))
	declared := declareNone(t, builtin(t, "profiles/virtual.yaml"), "presses", "reset", "stores", "images", "updates", "debug", "consoles")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "profiles", "virtual.yaml"), []byte(declared), 0o600))
	// Units beside it do not take part: it is one unit that is held against what is expected.
	planted := strings.Replace(builtin(t, "virtual.yaml"), "\nvirtual:\n", "\nvirtual:\n  weaknesses: [label-shared]\n", 1)
	for _, c := range []struct {
		name, expect string
		exit         int
		says         string
	}{
		{"nothing to expect", "", 2, "does not say what its golden unit must show"},
		{"as expected", "expect: {cred-derivable: pass, cred-unique: fail.expectation}\n", 0, "VALID"},
		{"otherwise", "expect: {cred-derivable: pass, cred-unique: pass}\n", 1, "cred-unique: want pass, got fail.expectation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.expect != "" && testing.Short() {
				t.Skip("a whole run; left out by -short")
			}
			t.Parallel()
			rig := filepath.Join(dir, strings.ReplaceAll(c.name, " ", "-")+".yaml")
			require.NoError(t, os.WriteFile(rig, []byte(planted+c.expect), 0o600))
			cmd := exec.CommandContext(t.Context(), "rigor", "validate", "--rig", rig, "--runs", filepath.Join(dir, c.name))
			cmd.Env = home(t.TempDir())
			out, _ := cmd.CombinedOutput()
			assert.Equal(t, c.exit, cmd.ProcessState.ExitCode(), "%s", out)
			assert.Contains(t, string(out), c.says)
		})
	}
}
