package exec

import (
	"bytes"
	"context"
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

// clip is a program that copies a memory to the file of its argument.
func clip(script string) Command {
	return Command{Part: "power", Argv: []string{"/bin/sh", "-c", script, "clip", FileArg}}
}

func TestStorageReads(t *testing.T) {
	t.Parallel()
	chip := filepath.Join(t.TempDir(), "chip")
	want := bytes.Repeat([]byte("\x00flash\xff"), 600)
	require.NoError(t, os.WriteFile(chip, want, 0o600))
	s, err := NewStorage(clip(`echo Reading; cp `+chip+` "$1"`), Command{}, int64(len(want)))
	require.NoError(t, err)
	assert.Equal(t, int64(len(want)), s.Size())
	var got bytes.Buffer
	require.NoError(t, s.Read(t.Context(), &got))
	assert.Equal(t, want, got.Bytes())
	require.ErrorIs(t, s.Write(t.Context(), 0, []byte("x")), wire.ErrUnsupported)
	require.NoError(t, s.Close())
	err = s.Read(t.Context(), &got)
	fault(t, err)
	require.ErrorIs(t, err, os.ErrClosed)
}

func TestStorageWrites(t *testing.T) {
	t.Parallel()
	chip := filepath.Join(t.TempDir(), "chip")
	require.NoError(t, os.WriteFile(chip, []byte("0123456789"), 0o600))
	s, err := NewStorage(clip(`cp `+chip+` "$1"`), clip(`cp "$1" `+chip), 0)
	require.NoError(t, err)
	require.NoError(t, s.Write(t.Context(), 3, []byte("abc")))
	b, err := os.ReadFile(chip)
	require.NoError(t, err)
	assert.Equal(t, "012abc6789", string(b))
	for _, off := range []int64{-1, 8} {
		err := s.Write(t.Context(), off, []byte("abc"))
		fault(t, err)
		assert.ErrorContains(t, err, "lie outside of the 10 bytes")
	}
}

func TestStorageFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		script string
		size   int64
		want   string
	}{
		"a program that fails":  {`echo "No EEPROM/flash device found." ; echo "clip?" >&2; exit 1`, 0, `it said "clip?"; and on its output "No EEPROM/flash device found."`},
		"nothing written":       {`true`, 0, "it ended well and wrote no image"},
		"an empty file":         {`: > "$1"`, 0, "an image of 0 bytes"},
		"another size":          {`echo abc > "$1"`, 5, "an image of 4 bytes, want 5"},
		"what is no file":       {`mkdir "$1"`, 0, "what it wrote is no file"},
		"a link to another one": {`ln -s /dev/zero "$1"`, 0, "what it wrote is no file"},
		"too slow":              {`sleep 30`, 0, "took too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clip(tc.script)
			c.Timeout = 2 * time.Second
			if name == "too slow" {
				c.Timeout = 50 * time.Millisecond
			}
			s, err := NewStorage(c, Command{}, tc.size)
			require.NoError(t, err)
			err = s.Read(t.Context(), &bytes.Buffer{})
			fault(t, err)
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

func TestStorageThatIsGivenUp(t *testing.T) {
	t.Parallel()
	s, err := NewStorage(clip(`sleep 30`), Command{}, 0)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = s.Read(ctx, &bytes.Buffer{})
	require.ErrorIs(t, err, context.Canceled)
	_, isFault := wire.AsFault(err)
	assert.False(t, isFault, "that we gave up is nobody's trouble")
}

func TestStorageNeedsAFile(t *testing.T) {
	t.Parallel()
	_, err := NewStorage(Command{Part: "power", Argv: []string{"flashrom", "-r"}}, Command{}, 0)
	assert.ErrorContains(t, err, "no argument of flashrom has ${file}")
	_, err = NewStorage(clip("true"), Command{Part: "power", Argv: []string{"flashrom", "-w"}}, 0)
	assert.ErrorContains(t, err, "no argument of flashrom has ${file}")
	_, err = NewStorage(clip("true"), Command{}, -1)
	assert.ErrorContains(t, err, "size -1")
	_, err = NewStorage(Command{Part: "power"}, Command{}, 0)
	assert.ErrorContains(t, err, "argv is empty")
}

// flashrom reads and writes an emulated chip of its own.
func TestStorageIsWhatFlashromGives(t *testing.T) {
	t.Parallel()
	path, err := osexec.LookPath("flashrom")
	if err != nil {
		if path = "/usr/sbin/flashrom"; !isThere(path) {
			t.Skip("needs flashrom: apt-get install flashrom")
		}
	}
	chip := filepath.Join(t.TempDir(), "chip")
	want := make([]byte, 128<<10)
	for i := range want {
		want[i] = byte(i * 7 >> 3)
	}
	require.NoError(t, os.WriteFile(chip, want, 0o600))
	on := "dummy:emulate=M25P10.RES,image=" + chip
	read := Command{Part: "power", Argv: []string{path, "-p", on, "-r", FileArg}}
	write := Command{Part: "power", Argv: []string{path, "-p", on, "-w", FileArg}}
	s, err := NewStorage(read, write, int64(len(want)))
	require.NoError(t, err)
	var got bytes.Buffer
	require.NoError(t, s.Read(t.Context(), &got))
	assert.True(t, bytes.Equal(want, got.Bytes()))

	if testing.Short() {
		return // a write erases and verifies
	}
	require.NoError(t, s.Write(t.Context(), 0x1234, []byte("written past the DUT")))
	copy(want[0x1234:], "written past the DUT")
	got.Reset()
	require.NoError(t, s.Read(t.Context(), &got))
	assert.True(t, bytes.Equal(want, got.Bytes()))

	s, err = NewStorage(Command{Part: "power", Argv: []string{path, "-p", "dummy:emulate=no-such-chip", "-r", FileArg}}, Command{}, 0)
	require.NoError(t, err)
	err = s.Read(t.Context(), &got)
	fault(t, err)
	assert.ErrorContains(t, err, "and on its output")
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
