package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/verdict"
)

// TestTriesOutliveARun: what a run tried at the logins is there for the next one,
// which passes nothing where it cannot be read.
func TestTriesOutliveARun(t *testing.T) {
	if testing.Short() {
		t.Skip("whole runs; left out by -short")
	}
	t.Parallel()
	b := newBench(t)
	res := output(t, b.command("run", "--rig", b.rig, "--out", b.folder(), "cred-known-list[api]"))
	require.Equal(t, verdict.ExitPass, res.code, res)
	files, err := filepath.Glob(filepath.Join(b.dir, "state", "*", "*", "tries.json"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	data, err := os.ReadFile(files[0])
	require.NoError(t, err)
	assert.Contains(t, string(data), `"until"`)
	assert.NotContains(t, string(data), "admin", "names stay out of it")

	require.NoError(t, os.WriteFile(files[0], []byte("{"), 0o600))
	res = output(t, b.command("run", "--rig", b.rig, "--out", b.folder(), "cred-known-list[api]"))
	assert.Equal(t, verdict.ExitRig, res.code, res)
	assert.Contains(t, res.stdout, "remove tries.json")
	assert.NotContains(t, res.stdout, "pass     cred")
}
