//go:build linux

package serial

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"rigor/harness/wire"
)

// adapter is a pty behind a stable name, which can be pulled and plugged in.
type adapter struct {
	t      *testing.T
	path   string
	master *os.File
}

func newAdapter(t *testing.T) *adapter {
	a := &adapter{t: t, path: filepath.Join(t.TempDir(), "usb-adapter")}
	a.plug()
	t.Cleanup(func() { _ = a.master.Close() })
	return a
}

func (a *adapter) plug() {
	a.t.Helper()
	m, s, err := pty.Open()
	require.NoError(a.t, err)
	name := s.Name()
	require.NoError(a.t, s.Close())
	a.master = m
	require.NoError(a.t, os.Symlink(name, a.path))
}

func (a *adapter) unplug() {
	a.t.Helper()
	require.NoError(a.t, os.Remove(a.path))
	require.NoError(a.t, a.master.Close())
}

func (a *adapter) config() Config {
	return Config{Part: "console.main", Path: a.path, Baud: 115200}
}

func open(t *testing.T, conf Config) *Port {
	t.Helper()
	p, err := Open(conf)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

func fault(t *testing.T, err error) {
	t.Helper()
	f, ok := wire.AsFault(err)
	require.True(t, ok, "no fault: %v", err)
	assert.Equal(t, wire.Part("console.main"), f.Part)
}

func TestBytesBothWays(t *testing.T) {
	a := newAdapter(t)
	p := open(t, a.config())
	all := make([]byte, 256) // every byte passes as it is: no CR, XOFF, or Ctrl-C is special
	for i := range all {
		all[i] = byte(i)
	}
	require.NoError(t, p.Write(t.Context(), all))
	got := make([]byte, len(all))
	_, err := io.ReadFull(a.master, got)
	require.NoError(t, err)
	assert.Equal(t, all, got)

	_, err = a.master.Write(all)
	require.NoError(t, err)
	clear(got)
	_, err = io.ReadFull(p, got)
	require.NoError(t, err)
	assert.Equal(t, all, got)
}

func TestFrameAndRate(t *testing.T) {
	a := newAdapter(t)
	for _, tc := range []struct {
		frame   string
		baud    int
		want    uint32
		refused bool // Linux ptys know neither parity nor other lengths than 8
	}{
		{"8N1", 115200, unix.CS8, false},
		{"8N1", 1500000, unix.CS8, false},
		{"8N2", 74880, unix.CS8 | unix.CSTOPB, false}, // the rate of an ESP8266's ROM
		{"8N1", 50, unix.CS8, false},
		{"7E1", 9600, 0, true},
		{"8E1", 57600, 0, true},
		{"8O1", 57600, 0, true},
		{"5N1", 9600, 0, true},
	} {
		t.Run(tc.frame+"@"+strconv.Itoa(tc.baud), func(t *testing.T) {
			conf := a.config()
			var err error
			conf.Frame, err = ParseFrame(tc.frame)
			require.NoError(t, err)
			conf.Baud = tc.baud
			p, err := Open(conf)
			if tc.refused {
				require.ErrorIs(t, err, ErrRefused)
				assert.ErrorContains(t, err, "asked for "+tc.frame+", got 8")
				fault(t, err)
				return
			}
			require.NoError(t, err)
			defer func() { assert.NoError(t, p.Close()) }()
			term, err := unix.IoctlGetTermios(int(a.master.Fd()), unix.TCGETS2)
			require.NoError(t, err)
			mask := uint32(unix.CSIZE | unix.PARENB | unix.PARODD | unix.CSTOPB)
			assert.Equal(t, tc.want, term.Cflag&mask)
			assert.EqualValues(t, tc.baud, term.Ospeed)

			require.NoError(t, p.SetRate(t.Context(), 230400))
			term, err = unix.IoctlGetTermios(int(a.master.Fd()), unix.TCGETS2)
			require.NoError(t, err)
			assert.EqualValues(t, 230400, term.Ospeed)
			require.Error(t, p.SetRate(t.Context(), 0))

			require.NoError(t, p.SetFrame(t.Context(), "8N2"))
			term, err = unix.IoctlGetTermios(int(a.master.Fd()), unix.TCGETS2)
			require.NoError(t, err)
			assert.EqualValues(t, unix.CS8|unix.CSTOPB, term.Cflag&mask)
			assert.EqualValues(t, 230400, term.Ospeed, "the rate stays")
			err = p.SetFrame(t.Context(), "8E1") // which a pty has not
			require.ErrorIs(t, err, ErrRefused)
			fault(t, err)
			term, err = unix.IoctlGetTermios(int(a.master.Fd()), unix.TCGETS2)
			require.NoError(t, err)
			assert.EqualValues(t, unix.CS8|unix.CSTOPB, term.Cflag&mask, "what it had is set again")
			require.Error(t, p.SetFrame(t.Context(), "8X1"))
		})
	}
}

func TestCloseEndsEverything(t *testing.T) {
	a := newAdapter(t)
	p := open(t, a.config())
	reads, writes, breaks := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := p.Read(make([]byte, 10))
		reads <- err
	}()
	go func() {
		writes <- p.Write(context.Background(), bytes.Repeat([]byte("x"), 1<<20)) // nobody reads the master
	}()
	pause(t, 100*time.Millisecond)
	go func() { breaks <- p.Break(context.Background(), 5*time.Second) }()
	pause(t, 50*time.Millisecond)
	start := time.Now()
	require.NoError(t, p.Close())
	require.ErrorIs(t, <-reads, io.EOF)
	fault(t, <-writes)
	fault(t, <-breaks)
	assert.Less(t, time.Since(start), 2*time.Second)
	require.NoError(t, p.Close(), "closing twice")
	_, err := p.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.ErrorIs(t, p.Write(t.Context(), []byte("x")), os.ErrClosed)
	require.ErrorIs(t, p.Check(), os.ErrClosed)
	open(t, a.config()) // the device is free again
}

func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func TestWriteDeadline(t *testing.T) {
	a := newAdapter(t)
	p := open(t, a.config())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	big := bytes.Repeat([]byte("x"), 1<<20)
	err := p.Write(ctx, big)
	fault(t, err)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "of 1048576 bytes and ")

	ctx2, cancel2 := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel2)
	err = p.Write(ctx2, big)
	require.ErrorIs(t, err, context.Canceled)
	_, isFault := wire.AsFault(err)
	assert.False(t, isFault, "a cancelled write is nobody's fault")

	go func() { _, _ = io.Copy(io.Discard, a.master) }()
	require.NoError(t, p.Write(t.Context(), []byte("after")), "the port still works")
}

// TestUntilDone: a signal in the middle of a call is no fault of the port.
func TestUntilDone(t *testing.T) {
	answers := []error{syscall.EINTR, fmt.Errorf("drain: %w", syscall.EINTR), nil}
	require.NoError(t, untilDone(func() (err error) { err, answers = answers[0], answers[1:]; return err }))
	assert.Empty(t, answers)
	require.ErrorIs(t, untilDone(func() error { return syscall.EIO }), syscall.EIO)
}

func TestBreak(t *testing.T) {
	p := open(t, newAdapter(t).config())
	start := time.Now()
	require.NoError(t, p.Break(t.Context(), 30*time.Millisecond))
	assert.GreaterOrEqual(t, time.Since(start), 30*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.Break(ctx, 5*time.Second), context.DeadlineExceeded)
	require.Error(t, p.Break(t.Context(), 0))
	require.Error(t, p.Break(t.Context(), time.Minute))
}

// A UART that sends no break and does not say so is declared, so that none is taken
// for sent.
func TestNoBreak(t *testing.T) {
	conf := newAdapter(t).config()
	conf.NoBreak = true
	require.ErrorIs(t, open(t, conf).Break(t.Context(), 30*time.Millisecond), wire.ErrUnsupported)
}

func TestUnplugAndBack(t *testing.T) {
	a := newAdapter(t)
	conf := a.config()
	events := make(chan Event, 4)
	conf.Event = func(e Event) { events <- e }
	p := open(t, conf)
	require.NoError(t, p.SetRate(t.Context(), 9600))

	got := make(chan byte)
	ended := make(chan error, 1)
	go func() {
		b := make([]byte, 1)
		for {
			if _, err := p.Read(b); err != nil {
				ended <- err
				return
			}
			got <- b[0]
		}
	}()
	for i := range 3 {
		_, err := a.master.Write([]byte("a"))
		require.NoError(t, err)
		assert.Equal(t, byte('a'), <-got)
		a.unplug()
		e := <-events
		assert.False(t, e.Attached)
		require.Error(t, e.Err)
		err = p.Write(t.Context(), []byte("lost"))
		fault(t, err)
		assert.ErrorContains(t, err, "away since")
		fault(t, p.Check())
		fault(t, p.Break(t.Context(), time.Millisecond))
		fault(t, p.SetRate(t.Context(), 1200))
		if i == 1 {
			pause(t, 2*retry)
		}
		a.plug()
		assert.True(t, (<-events).Attached)
		require.NoError(t, p.Check())
		n, why := p.Gaps()
		assert.Equal(t, i+1, n)
		fault(t, why)
	}
	require.NoError(t, p.Write(t.Context(), []byte("hi")))
	b := make([]byte, 2)
	_, err := io.ReadFull(a.master, b)
	require.NoError(t, err)
	assert.Equal(t, "hi", string(b))
	term, err := unix.IoctlGetTermios(int(a.master.Fd()), unix.TCGETS2)
	require.NoError(t, err)
	assert.EqualValues(t, 9600, term.Ospeed, "the rate that was set last holds")

	a.unplug()
	<-events
	require.NoError(t, p.Close(), "closing ends the search")
	require.ErrorIs(t, <-ended, io.EOF)
	a.plug() // for the clean-up
}

func TestAwayForTooLong(t *testing.T) {
	for _, away := range []time.Duration{-1, 250 * time.Millisecond} {
		a := newAdapter(t)
		conf := a.config()
		conf.Away = away
		p := open(t, conf)
		a.unplug()
		_, err := p.Read(make([]byte, 1))
		fault(t, err)
		assert.ErrorContains(t, err, a.path)
	}
}

func TestOpenFaults(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	require.NoError(t, os.WriteFile(plain, nil, 0o600))
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file",
		plain:                      "is no serial device",
		"/dev/null":                "set 115200 8N1",
	} {
		_, err := Open(Config{Part: "console.main", Path: path, Baud: 115200})
		fault(t, err)
		assert.ErrorContains(t, err, want)
	}
}

func TestBusy(t *testing.T) {
	a := newAdapter(t)
	p := open(t, a.config())
	_, err := Open(a.config())
	fault(t, err)
	require.ErrorIs(t, err, ErrBusy)
	require.NoError(t, p.Close())

	real, err := filepath.EvalSymlinks(a.path)
	require.NoError(t, err)
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("needs sleep: apt-get install coreutils")
	}
	tty, err := os.OpenFile(real, os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Flock(int(tty.Fd()), unix.LOCK_EX))
	cmd := exec.CommandContext(t.Context(), sleep, "60")
	cmd.Stdin = tty // the child shares the lock
	require.NoError(t, cmd.Start())
	require.NoError(t, tty.Close())
	defer func() {
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // says that it was killed
		open(t, a.config())
	}()
	_, err = Open(a.config())
	require.ErrorIs(t, err, ErrBusy)
	assert.ErrorContains(t, err, "held by sleep (pid "+strconv.Itoa(cmd.Process.Pid)+")")
	assert.Len(t, Holders(a.path), 1)
	assert.Nil(t, Holders("/no/such/device"))
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		conf Config
		want string
	}{
		{Config{}, "no part name"},
		{Config{Part: "console.x", Path: "ttyUSB0", Baud: 9600}, "absolute path"},
		{Config{Part: "console.x", Path: "/dev/ttyUSB0"}, "baud 0: want 50 to 20000000"},
		{Config{Part: "console.x", Path: "/dev/ttyUSB0", Baud: -1}, "baud -1"},
		{Config{Part: "console.x", Path: "/dev/ttyUSB0", Baud: 9600, Frame: Frame{DataBits: 9}}, "frame"},
	} {
		_, err := Open(tc.conf)
		require.ErrorContains(t, err, tc.want)
		_, isFault := wire.AsFault(err)
		assert.False(t, isFault, "a bad file is no broken part")
	}
}

func TestParseFrame(t *testing.T) {
	for _, s := range strings.Fields("8N1 7E1 8E1 8N2 7O2 5M1 6S2") {
		f, err := ParseFrame(s)
		require.NoError(t, err)
		assert.Equal(t, s, f.String())
		f, err = ParseFrame(strings.ToLower(s))
		require.NoError(t, err)
		assert.Equal(t, s, f.String())
	}
	for _, s := range strings.Fields("- 8 8N 9N1 4N1 8X1 8N3 8N0 8N15 N81 8é1") {
		_, err := ParseFrame(s)
		require.ErrorContains(t, err, "as in 8N1", s)
	}
}
