package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// A reader that goes away ends nothing: the run is whole, and its code is that
// of its verdicts.
func TestClosedOutputEndsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command("rigor", "run", "--rig", "virtual", "--out", "run", "cred-derivable", "net-info[web]")
	cmd.Dir, cmd.Env = dir, home(dir)
	for _, stream := range []*io.Writer{&cmd.Stdout, &cmd.Stderr} {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		require.NoError(t, r.Close()) // as head -1 does, sooner
		defer func() { _ = w.Close() }()
		*stream = w
	}
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
