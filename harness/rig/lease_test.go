package rig

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func res(keys ...string) []Resource {
	var rs []Resource
	for _, k := range keys {
		rs = append(rs, Resource{Part: "console.main", Key: k})
	}
	return rs
}

func acquire(t *testing.T, dir, rig string, keys ...string) *Lease {
	t.Helper()
	l, err := Acquire(rig, res(keys...), LeaseConfig{Dir: dir, Poll: 5 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Release()) })
	return l
}

func TestLeaseKeepsOthersOut(t *testing.T) {
	dir := t.TempDir()
	l := acquire(t, dir, "bench-a", "port /dev/ttyUSB0", "gpio gpiochip0 4")
	_, err := Acquire("bench-b", res("port /dev/ttyUSB1", "port /dev/ttyUSB0"), LeaseConfig{Dir: dir})
	require.ErrorIs(t, err, ErrLeased)
	var held *LeasedError
	require.ErrorAs(t, err, &held)
	assert.Equal(t, "port /dev/ttyUSB0", held.Key)
	assert.Equal(t, os.Getpid(), held.Holder.PID)
	assert.Equal(t, "bench-a", held.Holder.Rig)
	host, _ := os.Hostname()
	assert.Equal(t, host, held.Holder.Host)
	assert.WithinDuration(t, time.Now(), held.Holder.Since, time.Minute)
	assert.ErrorContains(t, err, `console.main (port /dev/ttyUSB0) is in use by the run of rig "bench-a", process `)

	acquire(t, dir, "bench-c", "port /dev/ttyUSB1") // all or nothing: bench-b has not kept it
	require.NoError(t, l.Release())
	require.NoError(t, l.Release(), "releasing again does nothing")
	acquire(t, dir, "bench-b", "port /dev/ttyUSB0", "gpio gpiochip0 4")
}

func TestLeaseOfUnknownHolder(t *testing.T) {
	for _, content := range []string{"", "garbage\x1b[2J", `{"pid":"x"}`} {
		dir := t.TempDir()
		l := acquire(t, dir, "bench-a", "k")
		require.NoError(t, os.WriteFile(l.locks[0].path, []byte(content), 0o600))
		_, err := Acquire("bench-b", res("k"), LeaseConfig{Dir: dir})
		require.EqualError(t, err, "console.main (k) is in use by another process, which holds "+l.locks[0].path)
	}
}

func TestLeaseLost(t *testing.T) {
	tests := []struct {
		name string
		do   func(*testing.T, string)
	}{
		{"removed", func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }},
		{"replaced", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path+".new", nil, 0o600))
			require.NoError(t, os.Rename(path+".new", path))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := acquire(t, t.TempDir(), "bench-a", "a", "b")
			require.NoError(t, l.Err())
			select {
			case <-l.Lost():
				t.Fatal("lost for no reason")
			case <-time.After(30 * time.Millisecond):
			}
			tt.do(t, l.locks[1].path)
			select {
			case <-l.Lost():
			case <-time.After(5 * time.Second):
				t.Fatal("not noticed")
			}
			require.ErrorContains(t, l.Err(), "was removed or replaced")
		})
	}
}

func TestLeaseGoesWithItsProcess(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"=lease", "RIG_TEST_DIR="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	ready, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "held\n", ready)
	_, err = Acquire("bench-b", res("k"), LeaseConfig{Dir: dir})
	var held *LeasedError
	require.ErrorAs(t, err, &held)
	assert.Equal(t, cmd.Process.Pid, held.Holder.PID)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	acquire(t, dir, "bench-b", "k")
}

func TestLeaseRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	require.NoError(t, os.WriteFile(target, []byte("precious"), 0o600))
	require.NoError(t, os.Symlink(target, filepath.Join(dir, lockName("k"))))
	_, err := Acquire("bench-a", res("k"), LeaseConfig{Dir: dir})
	require.Error(t, err)
	b, err := os.ReadFile(target)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(b), "a planted link is not followed")
}

func TestMakeShared(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rigor")
	require.NoError(t, makeShared(dir))
	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.ModeDir|os.ModeSticky|0o777, info.Mode())
	require.NoError(t, makeShared(dir))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.Error(t, makeShared(file))
}

func TestResources(t *testing.T) {
	dir := t.TempDir()
	dev, link := filepath.Join(dir, "ttyUSB0"), filepath.Join(dir, "by-id")
	require.NoError(t, os.WriteFile(dev, nil, 0o600))
	require.NoError(t, os.Symlink(dev, link))
	keys := func(f *File) []string {
		var ks []string
		for _, r := range Resources(f) {
			ks = append(ks, string(r.Part)+": "+r.Key)
		}
		return ks
	}
	assert.Empty(t, keys(&File{Name: "virtual", Power: &Power{Driver: "virtual"}, Lines: map[string]*Line{"reset": {Driver: "virtual"}},
		Consoles: map[string]*Port{"main": {Driver: "virtual"}}, Network: &Network{Driver: "virtual"}}), "what is in this process needs no lease")
	assert.Equal(t, []string{
		"link: device 192.0.2.9",
		"line.reset: gpio GPIO4",
		"line.led: gpio gpiochip1 3",
		"console.main: port " + dev,
		"rig: rig bench-a",
		"power: switch plug.lab/relay/0",
	}, keys(&File{Name: "bench-a",
		Power:    &Power{Driver: "http", URL: "http://user:pw@plug.lab/relay/0?x=1"},
		Lines:    map[string]*Line{"reset": {Driver: "gpio", Line: "GPIO4"}, "led": {Driver: "gpio", Chip: "/dev/gpiochip1", Line: "3"}},
		Consoles: map[string]*Port{"main": {Driver: "serial", Port: link}},
		Network:  &Network{Address: "192.0.2.9"},
	}))
	assert.Equal(t, gpioKey("gpiochip0", "4"), gpioKey("0", "4"))
	assert.NotEqual(t, lockName("a b"), lockName("a_b"), "keys that look alike as file names stay apart")
}

func FuzzHolder(f *testing.F) {
	h, err := json.Marshal(Holder{PID: 1, Rig: "x"})
	require.NoError(f, err)
	f.Add(h)
	f.Add([]byte("{"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "lock")
		require.NoError(t, os.WriteFile(path, b, 0o600))
		file, err := os.Open(path)
		require.NoError(t, err)
		defer file.Close()
		text := (&LeasedError{Resource: res("k")[0], Holder: readHolder(file), Path: "p"}).Error()
		for _, r := range text {
			if r < ' ' || r == 0x7f || r == 0x9b {
				t.Fatalf("control character in %q", text)
			}
		}
	})
}
