package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/fixtures/virtual"
)

// The links to the consoles go when the device ends, and a port that another
// device has is named.
func TestVirtualTidiesUpAndNamesATakenPort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command("rigor", "virtual", "--dir", filepath.Join(dir, "d"), "--ports", "0,0,0,0")
	cmd.Env = home(dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var d virtual.Description
	require.NoError(t, json.NewDecoder(out).Decode(&d))
	for name := range d.Consoles {
		assert.FileExists(t, filepath.Join(dir, "d", name))
	}
	other := exec.Command("rigor", "virtual", "--dir", filepath.Join(dir, "e"), "--ports", fmt.Sprintf("0,%d,0,0", d.Ports.Telnet))
	other.Env = home(dir)
	res := output(t, other)
	assert.Equal(t, 75, res.code, res)
	assert.Contains(t, res.stderr, fmt.Sprintf("port %d on 127.0.0.1 is in use by another process", d.Ports.Telnet))
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait())
	for name := range d.Consoles {
		assert.NoFileExists(t, filepath.Join(dir, "d", name))
	}
}
