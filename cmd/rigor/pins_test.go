package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wiresOf serves remote bitbang to whoever comes, with nobody on the wires, and keeps the
// letters of the last client.
type wiresOf struct {
	mu      sync.Mutex
	letters []byte
}

func (w *wiresOf) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		w.mu.Lock()
		w.letters = nil
		w.mu.Unlock()
		r := bufio.NewReader(c)
		for {
			b, err := r.ReadByte()
			if err != nil {
				break
			}
			w.mu.Lock()
			w.letters = append(w.letters, b)
			w.mu.Unlock()
			if b == 'c' || b == 'R' {
				_, _ = c.Write([]byte{'1'})
			}
		}
		_ = c.Close()
	}
}

func (w *wiresOf) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.letters)
}

// TestPinsInterrupted: whoever interrupts a search, the pads are let go of, and the
// program ends as all of it does.
func TestPinsInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sock := filepath.Join(dir, "bb")
	l, err := net.Listen("unix", sock)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	w := &wiresOf{}
	go w.serve(l)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "acme.yaml"), []byte("profile: acme\nmodel: A1\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rig.yaml"), []byte("rig: wires\nprofile: acme.yaml\nunit: {serial: A1}\nallow: [debug-attach]\npads: {driver: remote-bitbang, address: "+sock+", at: {J1: swclk, J2: swdio}}\n"), 0o600))

	cmd := exec.Command("rigor", "pins", "--rig", "rig.yaml", "--listen", "5ms")
	cmd.Dir, cmd.Env = dir, home(dir)
	res := output(t, cmd)
	assert.Zero(t, res.code, res)
	assert.Contains(t, res.stdout, "nothing found")
	assert.Contains(t, res.stdout, "our pins have no pulls to switch")
	assert.Contains(t, res.stderr, "switch the device off and on now")
	// What it wrote last may still be on its way to the other end when it has ended.
	saysLast := func(form string) {
		t.Helper()
		re := regexp.MustCompile(form)
		assert.Eventually(t, func() bool { return re.MatchString(w.said()) }, 10*time.Second, time.Millisecond, "SWDIO is let go of: %q", w.said())
	}
	saysLast(`o[^O]*Q$`)

	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		w.mu.Lock()
		w.letters = nil
		w.mu.Unlock()
		cmd := exec.Command("rigor", "pins", "--rig", "rig.yaml", "--listen", "1m")
		cmd.Dir, cmd.Env = dir, home(dir)
		res := signalled(t, cmd, s, func() bool { return len(w.said()) > 100 })
		assert.Equal(t, 130, res.code, res)
		assert.NotContains(t, res.stderr, "goroutine")
		saysLast(`^[^O]*Q?$|o[^O]*Q$`)
	}
}
