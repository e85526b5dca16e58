package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// interactive gives a command an input that ends a moment after its last
// word.
func interactive(cmd *exec.Cmd, words string) *exec.Cmd {
	cmd.Stdin = io.MultiReader(strings.NewReader(words), &late{after: 500 * time.Millisecond})
	return cmd
}

// late is an input that has nothing, and ends after a time.
type late struct{ after time.Duration }

func (l *late) Read([]byte) (int, error) {
	timer := time.NewTimer(l.after)
	defer timer.Stop()
	<-timer.C
	return 0, io.EOF
}

// nobody gives the end of a pipe that is written to, with no reader at the other
// end: as after head -1, sooner.
func nobody(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// Every command ends with the same code whether its output is read or not, and
// says nothing about that.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	// One of each kind is enough for -short: help, text, JSON, a rig's line, reports, errors.
	few := []string{"run --help", "list", "plan --rig virtual --format json", "press --rig virtual --hold 300ms button", "report run", "no-such-command"}
	for _, line := range []string{
		"--help", "run --help", "version", "list", "list --format json", "list --rig virtual", "list --rig virtual --format json",
		"plan --rig virtual", "plan --rig virtual --format json", "lint virtual", "lint virtual virtual-open", "doctor --rig virtual", "safe virtual",
		"press --rig virtual --hold 300ms button", "console --rig virtual main", "validate --only nosuch",
		"report run", "list --no-such-flag", "plan --rig nosuch.yaml", "no-such-command", "",
	} {
		if testing.Short() && !slices.Contains(few, line) {
			continue
		}
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			command := func(args ...string) *exec.Cmd {
				cmd := exec.Command("rigor", args...)
				cmd.Dir, cmd.Env, cmd.Stdin = dir, home(dir), strings.NewReader("")
				return cmd
			}
			if line == "report run" {
				require.NoError(t, command("run", "--rig", "virtual", "--out", "run", "cred-derivable").Run())
			}
			args := strings.Fields(line)
			read := output(t, command(args...))
			for _, closed := range []string{"stdout", "both"} {
				var stderr strings.Builder
				cmd := command(args...)
				cmd.Stdout, cmd.Stderr = nobody(t), &stderr
				if closed == "both" {
					cmd.Stderr = nobody(t)
				}
				_ = cmd.Run() // the code says it
				require.Equal(t, read.code, cmd.ProcessState.ExitCode(), "%s closed: %s; read: %v", closed, stderr.String(), read)
				assert.NotContains(t, stderr.String(), "pipe")
				if closed == "stdout" {
					assert.Equal(t, read.stderr, stderr.String())
				}
			}
		})
	}
}

// A full disk is not a reader who went.
func TestFullOutputIsAnError(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("needs /dev/full: " + err.Error())
	}
	t.Cleanup(func() { _ = full.Close() })
	cmd := exec.Command("rigor", "list")
	cmd.Env, cmd.Stdout = home(t.TempDir()), full
	var stderr strings.Builder
	cmd.Stderr = &stderr
	require.Error(t, cmd.Run())
	assert.Equal(t, 75, cmd.ProcessState.ExitCode())
	assert.Contains(t, stderr.String(), "no space left on device")
}

// A reader that goes away ends nothing: the run is whole, and its code is that
// of its verdicts.
func TestClosedOutputEndsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command("rigor", "run", "--rig", "virtual", "--out", "run", "cred-derivable", "net-info[web]")
	cmd.Dir, cmd.Env = dir, home(dir)
	cmd.Stdout, cmd.Stderr = nobody(t), nobody(t)
	err := cmd.Run()
	require.NoError(t, err, "the exit code")
	for _, name := range []string{"journal.jsonl", "junit.xml", "report.html", "summary.md", "run.json"} {
		assert.FileExists(t, filepath.Join(dir, "run", name))
	}
	for _, c := range readJUnit(t, filepath.Join(dir, "run")) {
		assert.True(t, c.passes(), c.Name)
	}
}

// Colours are for terminals, and not for those that want none.
func TestColours(t *testing.T) {
	t.Parallel()
	colour := regexp.MustCompile(`\x1b\[[0-9;]*m`)
	for name, want := range map[string]bool{"NO_COLOR=": true, "NO_COLOR=1": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := exec.Command("rigor", "run", "--rig", "virtual", "--out", "run", "cred-derivable")
			cmd.Dir, cmd.Env = dir, append(home(dir), name, "TERM=xterm")
			tty, err := pty.Start(cmd)
			require.NoError(t, err)
			text, _ := io.ReadAll(tty) // ends with EIO where the last holder of the other end went
			require.NoError(t, cmd.Wait())
			require.NoError(t, tty.Close())
			assert.Contains(t, string(text), "PASSED")
			assert.Equal(t, want, colour.Match(text), "%q", text)
		})
	}
}
