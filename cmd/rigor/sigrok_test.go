package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/debugport/debugporttest/sigrok"
)

// TestSigrokOnRun: what sigrok decodes of the waves that a run keeps as evidence is what the
// log beside them says, for each port and for the whole run.
func TestSigrokOnRun(t *testing.T) {
	if testing.Short() {
		t.Skip("a survey of a debug port")
	}
	if _, err := exec.LookPath("sigrok-cli"); err != nil {
		t.Skip("needs sigrok-cli: apt-get install sigrok-cli")
	}
	t.Parallel()
	for _, weakness := range []string{"", "dbg-dormant-open"} {
		dir := t.TempDir()
		line := []string{"run", "--rig", "virtual", "--out", "run"}
		if weakness != "" {
			line = append(line, "--weakness", weakness)
		}
		cmd := exec.Command("rigor", append(line, "dbg-swd-present")...)
		cmd.Dir, cmd.Env = dir, home(t.TempDir())
		res := output(t, cmd)
		require.Contains(t, []int{0, 1, 3}, res.code, res) // 3: one that is silent may have a name that nobody called
		logs, err := filepath.Glob(filepath.Join(dir, "run", "evidence", "*", "port-swd.log"))
		require.NoError(t, err)
		require.NotEmpty(t, logs)
		for _, log := range logs {
			base := strings.TrimSuffix(log, ".log")
			text, err := os.ReadFile(log)
			require.NoError(t, err)
			kept, err := sigrok.Read(string(text))
			require.NoError(t, err)
			var port struct{ Pads map[string]string }
			seen, err := os.ReadFile(base + ".json")
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(seen, &port))
			got, err := sigrok.DecodeFile(t.Context(), base+".vcd", "swd:swclk="+port.Pads["clk"]+":swdio="+port.Pads["io"], "swd")
			require.NoError(t, err)
			n, err := sigrok.Compare(sigrok.AsSWD(kept), got)
			require.NoError(t, err, "%s %s", weakness, filepath.Base(base))
			assert.Greater(t, n, 500)
			t.Logf("%q, %s: %d transactions, %d annotations alike", weakness, filepath.Base(base), len(kept), n)
		}
	}
}
