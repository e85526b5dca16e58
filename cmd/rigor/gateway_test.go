package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"

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
	code := run([]string{"gateway", "build", "--out", t.TempDir()}, &out, &errs)
	assert.Equal(t, verdict.ExitRig, code)
	assert.Contains(t, errs.String(), "rigor: the gateway needs ")
	assert.Contains(t, errs.String(), "apt-get install ")
}
