package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/verdict"
)

// TestKilledInTheMiddleOfGuessing: a run that is killed while it makes wrong tries
// leaves a device that may be locked, and a ledger that ends before the case. The next
// run says what is so of the logins all the same, and passes nothing that it did not see.
func TestKilledInTheMiddleOfGuessing(t *testing.T) {
	if testing.Short() {
		t.Skip("runs are killed, and made anew")
	}
	t.Parallel()
	b := newBench(t)
	b.lean(t)
	warm(t, b)
	for i := range 3 {
		dir := b.folder()
		cmd := b.command("run", "--rig", b.rig, "--out", dir, "cred-bruteforce[api]", "cred-bruteforce[ssh]")
		require.NoError(t, cmd.Start())
		begun := func() bool {
			data, err := os.ReadFile(filepath.Join(dir, "journal.jsonl"))
			return err == nil && strings.Contains(string(data), "the wrong tries took")
		}
		assert.Eventually(t, begun, 20*time.Second, 5*time.Millisecond, "the case does not begin")
		<-time.After(time.Duration(i) * 40 * time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed

		files, err := filepath.Glob(filepath.Join(b.dir, "state", "*", "*", "tries.json"))
		require.NoError(t, err)
		require.Len(t, files, 1)
		data, err := os.ReadFile(files[0])
		require.NoError(t, err)
		assert.Contains(t, string(data), `"any"`, "that a case was at work is there for the next run")

		res := output(t, b.command("run", "--rig", b.rig, "--out", b.folder(), "cred-blank[api]", "cred-lock-recover[api]", "cred-bruteforce[api]"))
		assert.Equal(t, verdict.ExitPass, res.code, res)
		data, err = os.ReadFile(files[0])
		require.NoError(t, err)
		assert.NotContains(t, string(data), `"any"`, "it is over")
	}
}
