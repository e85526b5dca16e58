package qemu

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

// A disk reads as the machine has it: what was written over the image, and the image
// where nothing was.
func TestStorageHasTheDiskWithWhatWasWrittenOverIt(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"qemu-img", "qemu-io"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs qemu-img and qemu-io: apt-get install qemu-utils")
		}
	}
	dir, scratch := t.TempDir(), t.TempDir()
	image := bytes.Repeat([]byte("as the factory has it "), 6000)[:128<<10]
	require.NoError(t, os.WriteFile(filepath.Join(dir, "flash.img"), image, 0o600))
	spec := Spec{Disks: []Disk{{File: "flash.img", Format: "raw", Role: "system"}, {File: "flash.img", Format: "raw", Role: "ram", Snapshot: true}}}
	m := &Machine{conf: Config{Name: "dut", Spec: spec, Dir: dir, Scratch: scratch}, doing: make(chan struct{}, 1), made: map[string]bool{}}
	given := 0
	s, err := NewStorage("storage.main", m, "system", func() error { given++; return nil })
	require.NoError(t, err)
	read := func() []byte {
		var got bytes.Buffer
		require.NoError(t, s.Read(t.Context(), &got))
		return got.Bytes()
	}
	assert.True(t, bytes.Equal(image, read()), "before the first boot")

	require.NoError(t, s.Write(t.Context(), 0x8000, []byte("first")))
	want := bytes.Clone(image)
	copy(want[0x8000:], "first")
	assert.True(t, bytes.Equal(want, read()), "before the first boot it can be written, too")

	require.NoError(t, m.makeOverlays(t.Context()))
	out, err := exec.CommandContext(t.Context(), "qemu-io", "-f", "qcow2", "-c", "write -P 0x41 0x1000 0x200", m.overlay(spec.Disks[0])).CombinedOutput()
	require.NoError(t, err, "%s", out)
	copy(want[0x1000:], bytes.Repeat([]byte{0x41}, 0x200))
	assert.True(t, bytes.Equal(want, read()))

	forgets, err := NewStorage("storage.ram", m, "ram", func() error { return nil })
	require.NoError(t, err)
	var got bytes.Buffer
	require.NoError(t, forgets.Read(t.Context(), &got))
	assert.True(t, bytes.Equal(image, got.Bytes()), "a disk in memory has forgotten")

	patch := bytes.Repeat([]byte("written past it"), 1000)
	require.NoError(t, s.Write(t.Context(), 0x333, patch))
	copy(want[0x333:], patch)
	assert.True(t, bytes.Equal(want, read()), "what was written is there, and all else as it was")
	require.NoError(t, s.Write(t.Context(), 0, nil))
	is, err := os.ReadFile(filepath.Join(dir, "flash.img"))
	require.NoError(t, err)
	assert.True(t, bytes.Equal(image, is), "the image itself is nobody's to write")
	err = s.Write(t.Context(), int64(len(image))-1, []byte("ab"))
	_, isFault := wire.AsFault(err)
	assert.True(t, isFault, "behind the end: %v", err)
	assert.ErrorContains(t, err, "write 2 bytes at 131071 of disk system")
	require.ErrorIs(t, forgets.Write(t.Context(), 0, patch), wire.ErrUnsupported)
	for _, pattern := range []string{"*.raw", "*.write"} {
		left, err := filepath.Glob(filepath.Join(scratch, pattern))
		require.NoError(t, err)
		assert.Empty(t, left, "no copy stays")
	}

	m.run = &run{}
	require.ErrorIs(t, s.Write(t.Context(), 0, patch), wire.ErrRuns)
	err = s.Read(t.Context(), &got)
	require.ErrorIs(t, err, wire.ErrRuns)
	_, isFault = wire.AsFault(err)
	assert.False(t, isFault)
	m.run = nil

	require.NoError(t, os.WriteFile(m.overlay(spec.Disks[0]), []byte("spoilt"), 0o600))
	_, isFault = wire.AsFault(s.Read(t.Context(), &got))
	assert.True(t, isFault)
	_, err = NewStorage("storage.main", m, "flash", nil)
	require.ErrorContains(t, err, `machine dut has no disk "flash"; it has ["system" "ram"]`)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	assert.Equal(t, 1, given)
}
