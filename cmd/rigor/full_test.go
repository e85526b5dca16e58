package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A disk that is full, from the beginning or soon, is said once, with what to do.
func TestFullDiskIsSaidOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, size string
		fill       bool
		line       []string
	}{
		{"no room", "size=4k", true, []string{"run", "--rig", "virtual", "--out", "run", "cred-blank"}},
		{"room for the plan", "size=28k", false, []string{"run", "--rig", "virtual", "--out", "run", "cred-blank"}},
		{"room for some cases", "size=120k", false, []string{"run", "--rig", "virtual", "--out", "run", "cred-blank"}},
		{"no room for the device", "size=28k", false, []string{"virtual", "--dir", "device", "--ports", "0,0,0,0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			home, disk := home(t.TempDir()), t.TempDir()
			if err := unix.Mount("tmpfs", disk, "tmpfs", 0, tt.size); err != nil {
				t.Skip("needs leave to mount a tmpfs: " + err.Error())
			}
			t.Cleanup(func() { assert.NoError(t, unix.Unmount(disk, unix.MNT_DETACH)) })
			if tt.fill {
				require.NoError(t, os.WriteFile(filepath.Join(disk, "fill"), make([]byte, 4096), 0o600))
			}
			cmd := exec.Command("rigor", tt.line...)
			cmd.Dir, cmd.Env = disk, home
			res := output(t, cmd)
			assert.Equal(t, 75, res.code, res)
			assert.Regexp(t, `(?m)^rigor: the disk is full: write \S+: no space left on device; remove old runs, or work where there is room$`, res.stderr)
			// A case that met it says so, too; no line comes twice.
			assert.Equal(t, 1, strings.Count(res.stderr, "rigor: the disk is full"), res)
			seen := map[string]bool{}
			for line := range strings.Lines(res.stderr) {
				assert.False(t, seen[line], "said twice: %s", line)
				seen[line] = true
			}
		})
	}
}
