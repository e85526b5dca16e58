package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/escape"
	"rigor/harness/rig"
)

// No secret of a run is in what it writes for others to read, in what it
// prints, or in the arguments of a process.
func TestSecretsStayOut(t *testing.T) {
	if testing.Short() {
		t.Skip("whole runs; left out by -short")
	}
	t.Parallel()
	b := newBench(t, "--weakness", "secret-owner-password-log") // so that there is something to keep out
	label, err := os.ReadFile(filepath.Join(b.dir, "device", "label"))
	require.NoError(t, err)
	secrets := map[string]string{"the owner's password": b.owner(t), "the label": strings.TrimSpace(string(label))}
	out := b.folder()
	cases := []string{"cred-change[*", "cred-factory-state[api]"}
	if !testing.Short() {
		cases = append(cases, "cred-forced-set", "cred-policy", "cred-transport[*", "cred-derivable", "log-auth-events[*", "con-secret-leak[main]")
	}
	cmd := b.command(append([]string{"--verbose", "run", "--rig", b.rig, "--out", out, "--junit", filepath.Join(b.dir, "copy.xml")}, cases...)...)
	watch, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var lines []byte
	all.Go(func() { lines = commandLines(watch) })
	r := output(t, cmd)
	stop()
	all.Wait()
	require.Contains(t, []int{0, 1}, r.code, "%v", r) // con-secret-leak sees it too
	assert.Contains(t, string(lines), b.socket, "the command lines of the run's programs were seen")

	// The temporary passwords follow from a key that stays with the rig.
	store, err := rig.OpenStore(filepath.Join(b.dir, "state", "rigor", b.name))
	require.NoError(t, err)
	for _, ch := range []string{"api", "ssh", "web", "telnet", "console"} {
		secret, err := store.DeriveSecret("cred-change["+ch+"]/changed", rig.AlphabetAlnum, 16)
		require.NoError(t, err)
		secrets["the temporary password of "+ch] = secret
	}
	places := map[string][]byte{"standard output": []byte(r.stdout), "standard error": []byte(r.stderr), "command lines": lines}
	require.NoError(t, filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "private" || d.Name() == "device"):
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		data, err := os.ReadFile(path)
		places[path] = data
		return err
	}))
	assert.Greater(t, len(places), 12)
	for name, secret := range secrets {
		require.GreaterOrEqual(t, len(secret), 8, name)
		for _, e := range escape.Encodings(secret) {
			for place, data := range places {
				if i := bytes.Index(data, e.Bytes); i >= 0 {
					t.Errorf("%s is in %s, %s, at %d: %q", name, place, e.Name, i, data[max(0, i-60):min(len(data), i+60)])
				}
			}
		}
	}
	raw, err := os.ReadFile(filepath.Join(out, "private", "console-main.raw"))
	require.NoError(t, err)
	for _, name := range []string{"the owner's password", "the temporary password of ssh"} {
		assert.Contains(t, string(raw), secrets[name], "the device has shown %s", name)
	}
}

// commandLines collects the command lines of every process until ctx ends.
func commandLines(ctx context.Context) []byte {
	var seen [][]byte
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for {
		entries, _ := os.ReadDir("/proc") // without it nothing is seen, which the test notices
		for _, e := range entries {
			if _, err := strconv.Atoi(e.Name()); err != nil {
				continue
			}
			line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
			if err == nil && !slices.ContainsFunc(seen, func(s []byte) bool { return bytes.Equal(s, line) }) {
				seen = append(seen, line)
			}
		}
		select {
		case <-ctx.Done():
			return bytes.Join(seen, []byte("\n"))
		case <-tick.C:
		}
	}
}
