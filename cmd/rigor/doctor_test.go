package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/fixtures/virtual"
	"rigor/harness/journal"
	"rigor/harness/rig"
	"rigor/harness/verdict"
)

// TestDoctor: the command shows by itself what a run's doctor does: that the power
// can be cut, and which unit is on the bench. It leaves the rig safe.
func TestDoctor(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	find := func(found []journal.Doctor, item string) journal.Doctor {
		for _, d := range found {
			if d.Item == item {
				return d
			}
		}
		require.Failf(t, "not looked at", "%s in %v", item, found)
		return journal.Doctor{}
	}
	examine := func(code int) (found []journal.Doctor) {
		t.Helper()
		res := output(t, b.command("doctor", "--rig", b.rig, "--format", "json"))
		require.Equal(t, code, res.code, res)
		require.NoError(t, json.Unmarshal([]byte(res.stdout), &found), res)
		return found
	}
	found := examine(verdict.ExitPass)
	assert.Equal(t, rig.StatusOK, find(found, "power-off").Status)
	assert.Contains(t, find(found, "power-off").Detail, "cold boot seen")
	assert.Contains(t, find(found, "identity").Detail, "VG1-000123")
	assert.Empty(t, b.unsafe(t))
	res, err := b.ask(t.Context(), virtual.Request{Op: "power", Value: "state"})
	require.NoError(t, err)
	assert.Equal(t, "off", res.State)

	// Another unit than the one that the rig file names.
	text, err := os.ReadFile(b.rig)
	require.NoError(t, err)
	other := strings.NewReplacer("serial: VG1-000123", "serial: VG1-000999", "02:56:47:00:01:23", "02:56:47:00:09:99").Replace(string(text))
	require.NoError(t, os.WriteFile(b.rig, []byte(other), 0o600))
	found = examine(verdict.ExitRig)
	assert.Equal(t, rig.StatusBroken, find(found, "identity").Status)
}
