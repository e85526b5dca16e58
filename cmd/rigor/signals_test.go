package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// signalled runs a command, sends it a signal once the sign is seen, and gives
// how it ended.
func signalled(t *testing.T, cmd *exec.Cmd, s syscall.Signal, sign func() bool) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start())
	timer := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if !assert.Eventually(t, sign, time.Minute, 10*time.Millisecond) {
		_ = cmd.Process.Kill()
	}
	require.NoError(t, cmd.Process.Signal(s))
	_ = cmd.Wait() // the code says it
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// begun says whether a run's journal has a case that began.
func begun(dir string) func() bool {
	return func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "journal.jsonl"))
		return err == nil && bytes.Contains(text, []byte(`"kind":"case"`))
	}
}

// What a signal ends ends with 130, and says nothing of what it did not see to the
// end.
func TestSignalsEndWith130(t *testing.T) {
	t.Parallel()
	t.Run("press", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT} {
			res := signalled(t, b.command("press", "--rig", b.rig, "--hold", "1m", "button"), s, func() bool { return b.asserted(t, "button") })
			assert.Equal(t, 130, res.code, "%v: %v", s, res)
			assert.NotContains(t, res.stderr, "goroutine")
			assert.Empty(t, b.unsafe(t), s)
		}
	})
	t.Run("run", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		cmd := exec.Command("rigor", "run", "--rig", "virtual", "--out", filepath.Join(dir, "run"))
		cmd.Dir, cmd.Env = dir, home(dir)
		res := signalled(t, cmd, syscall.SIGQUIT, begun(filepath.Join(dir, "run")))
		assert.Equal(t, 130, res.code, res)
		assert.NotContains(t, res.stderr, "goroutine")
		assert.FileExists(t, filepath.Join(dir, "run", "junit.xml"))
	})
	t.Run("validate", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		cmd := exec.Command("rigor", "validate", "--only", "hardened", "--runs", filepath.Join(dir, "runs"))
		cmd.Dir, cmd.Env = dir, home(dir)
		res := signalled(t, cmd, syscall.SIGINT, begun(filepath.Join(dir, "runs", "hardened")))
		assert.Equal(t, 130, res.code, res)
		assert.Equal(t, "rigor: interrupted by interrupt\n", res.stderr)
		assert.Empty(t, res.stdout)
	})
	t.Run("golden", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		for _, name := range []string{"virtual.yaml", "profiles/virtual.yaml"} {
			require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(builtin(t, name)+map[string]string{"virtual.yaml": "expect: {cred-blank*: fail}\n"}[name]), 0o600))
		}
		cmd := exec.Command("rigor", "validate", "--rig", "virtual.yaml", "--runs", "run")
		cmd.Dir, cmd.Env = dir, home(dir)
		res := signalled(t, cmd, syscall.SIGINT, begun(filepath.Join(dir, "run")))
		assert.Equal(t, 130, res.code, res)
		assert.Contains(t, res.stderr, "the run was interrupted, so that it is not compared")
		assert.Empty(t, res.stdout)
	})
	t.Run("a request that nobody writes", func(t *testing.T) {
		t.Parallel()
		r, w, err := os.Pipe()
		require.NoError(t, err)
		t.Cleanup(func() { _, _ = r.Close(), w.Close() })
		cmd := exec.Command("rigor", "virtual", "--control", "nobody")
		cmd.Stdin, cmd.Env = r, home(t.TempDir())
		_, err = w.WriteString(" ")
		require.NoError(t, err)
		res := signalled(t, cmd, syscall.SIGINT, func() bool { // it was read
			left, err := unix.IoctlGetInt(int(r.Fd()), unix.TIOCINQ)
			return err == nil && left == 0
		})
		assert.Equal(t, 130, res.code, res)
	})
}

// A console shows what is wrong with its port, whatever becomes of the input; what
// the device answers to the last words of a pipe is shown.
func TestConsoleOfAPipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "acme.yaml"), []byte("profile: acme\nmodel: A1\nconsoles:\n  main: {newline: cr}\n  aux: {newline: lf}\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rig.yaml"), []byte(`rig: console-of-a-pipe
profile: acme.yaml
consoles:
  main: {driver: serial, port: /dev/serial/by-id/nowhere}
  aux: {driver: exec, exec: [sh, -c, "read x; sleep 0.3; echo got $x; read x"]}
`), 0o600))
	for _, tt := range []struct {
		console, stdin string
		code           int
		stdout, stderr string
	}{
		{"main", "", 75, "", "/dev/serial/by-id/nowhere: no such file"},
		{"main", "words\n", 75, "", "/dev/serial/by-id/nowhere: no such file"},
		{"aux", "words\n", 0, "got words\r\n", ""},
		{"axu", "", 2, "", `no console of rig console-of-a-pipe is called "axu"; did you mean "aux"?`},
	} {
		cmd := exec.Command("rigor", "console", "--rig", "rig.yaml", tt.console)
		cmd.Dir, cmd.Env, cmd.Stdin = dir, home(dir), strings.NewReader(tt.stdin)
		res := output(t, cmd)
		assert.Equal(t, tt.code, res.code, res)
		assert.Equal(t, tt.stdout, res.stdout)
		assert.Contains(t, res.stderr, tt.stderr)
	}
}
