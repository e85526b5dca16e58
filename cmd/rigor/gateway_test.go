package main

import (
	"bytes"
	"os"
	"path/filepath"
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

// An image that a run has open is not built anew in its place, as one without packages was
// for the next row that needed them: its device changed in the midst of the run.
func TestImageThatIsOpenStaysAsItIs(t *testing.T) {
	img := &images{dir: t.TempDir(), by: "this program", given: map[string]bool{}}
	build := func(dir string, files ...string) {
		require.NoError(t, os.MkdirAll(dir, 0o700))
		for _, name := range files {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(img.by), 0o600))
		}
	}
	place := func(updates bool) (string, bool) {
		dir, there := img.place("hardened", updates)
		rel, err := filepath.Rel(img.dir, dir)
		require.NoError(t, err)
		return rel, there
	}
	is := func(dir string, there, updates bool) {
		t.Helper()
		got, ready := place(updates)
		assert.Equal(t, dir, got)
		assert.Equal(t, there, ready)
	}
	is("hardened", false, false)
	build(filepath.Join(img.dir, "hardened"), builtBy)
	is("hardened", true, false)
	is("hardened", false, true) // nobody has it: it is built anew
	img.given[filepath.Join(img.dir, "hardened")] = true
	is("hardened", true, false)
	is("hardened-updates", false, true)
	build(filepath.Join(img.dir, "hardened-updates"), builtBy, gateway.UpdateCert)
	is("hardened-updates", true, true)
	is("hardened", true, false)
	img.by = "another one"
	is("hardened", false, false)
}
