package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/fixtures/gateway"
	"rigor/harness/verdict"
)

// TestGatewayList: each weakness with what it does; one that there is not is a
// mistake of the caller, before anything is built.
func TestGatewayList(t *testing.T) {
	var out, errs bytes.Buffer
	assert.Equal(t, 0, run([]string{"gateway", "list"}, &out, &errs), errs.String())
	assert.Contains(t, out.String(), "ssh-unthrottled")
	assert.Contains(t, out.String(), "nothing counts wrong passwords on ssh")
	dir := t.TempDir()
	assert.Equal(t, verdict.ExitUsage, run([]string{"gateway", "build", "--out", dir, "--weakness", "no-such"}, &out, &errs))
	assert.Contains(t, errs.String(), `no weakness is called "no-such"`)
}

// TestGatewayMissing: what is not installed is named, with the packages.
func TestGatewayMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var out, errs bytes.Buffer
	for _, args := range [][]string{{"gateway", "build", "--out", t.TempDir()}, {"validate", "--rig", "gateway", "--only", "telnet"}} {
		errs.Reset()
		code := run(args, &out, &errs)
		assert.Equal(t, verdict.ExitRig, code, "%v", args)
		assert.Contains(t, errs.String(), "rigor: the gateway needs ")
		assert.Contains(t, errs.String(), "apt-get install ")
	}
}

// TestGatewayUnit: the first unit's label is the same in each build, and no other
// unit has it, nor that of another.
func TestGatewayUnit(t *testing.T) {
	first, err := (&gatewayBuildCmd{}).unit()
	require.NoError(t, err)
	assert.Equal(t, gateway.FirstUnit, first)
	seen := map[string]bool{first.Label: true}
	for range 3 {
		u, err := (&gatewayBuildCmd{Serial: "GW-000418", MAC: "52:54:00:47:57:02"}).unit()
		require.NoError(t, err)
		assert.Equal(t, "GW-000418", u.Serial)
		assert.Equal(t, "52:54:00:47:57:02", u.MAC)
		assert.Regexp(t, `^[A-Z2-9]{4}(-[A-Z2-9]{4}){2}$`, u.Label)
		assert.False(t, seen[u.Label], "%s is another unit's", u.Label)
		seen[u.Label] = true
	}
}
