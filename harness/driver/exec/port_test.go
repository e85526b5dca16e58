package exec

import (
	"context"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

// heard collects the lines of a program's standard error.
type heard struct {
	mu    sync.Mutex
	lines []string
}

func (h *heard) add(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line)
}

func openPort(t *testing.T, script string, change ...func(*Command)) (*Port, *heard) {
	t.Helper()
	c, h := sh(script), &heard{}
	for _, f := range change {
		f(&c)
	}
	p, err := OpenPort(c, h.add)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p, h
}

// read reads until the text has come.
func read(t *testing.T, p *Port, until string) string {
	t.Helper()
	var got strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(got.String(), until) {
		n, err := p.Read(buf)
		require.NoError(t, err, "came: %q", got.String())
		require.Positive(t, n)
		got.Write(buf[:n])
	}
	return got.String()
}

func TestPortBytes(t *testing.T) {
	t.Parallel()
	p, _ := openPort(t, `printf 'boot\r\n\377\000'; exec cat`)
	assert.Equal(t, "boot\r\n\xff\x00", read(t, p, "\x00"), "raw, and before anything is sent")
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	require.NoError(t, p.Write(t.Context(), all))
	assert.Equal(t, string(all), read(t, p, "\xff"))
	require.ErrorIs(t, p.Break(t.Context(), time.Second), wire.ErrUnsupported)
	require.ErrorIs(t, p.SetRate(t.Context(), 9600), wire.ErrUnsupported)
	_, isFault := wire.AsFault(p.Break(t.Context(), time.Second))
	assert.False(t, isFault)
	_, err := p.Read(nil)
	fault(t, err)

	done := make(chan error, 1)
	go func() { _, err := p.Read(make([]byte, 1)); done <- err }()
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	require.ErrorIs(t, <-done, io.EOF, "a read that stands ends with Close")
	fault(t, p.Write(t.Context(), []byte("x")))
	require.ErrorIs(t, p.Write(t.Context(), []byte("x")), os.ErrClosed)
}

// The program's end is a fault, after the last of its bytes, with its code and
// what it said.
func TestPortEnds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ script, last, want string }{
		"in good order":          {`printf bye`, "bye", "exit status 0"},
		"with a code":            {`printf bye; echo no adapter here >&2; exit 3`, "bye", `exit status 3; it said "no adapter here"`},
		"by a signal":            {`printf bye; kill -9 $$`, "bye", "signal: killed"},
		"and leaves somebody":    {`sleep 60 & printf bye`, "bye", "exit status 0"},
		"somebody left for ever": {`setsid sleep 3 2>/dev/null & printf bye`, "bye", "exit status 0"},
		"its output alone":       {`printf bye; exec >&-; sleep 60`, "bye", "signal: killed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := openPort(t, tc.script)
			assert.Equal(t, tc.last, read(t, p, tc.last))
			start := time.Now()
			_, err := p.Read(make([]byte, 16))
			fault(t, err)
			require.ErrorIs(t, err, ErrEnded)
			assert.ErrorContains(t, err, tc.want)
			assert.Less(t, time.Since(start), 3*time.Second)
			err = p.Write(t.Context(), []byte("x"))
			fault(t, err)
			assert.ErrorIs(t, err, ErrEnded)
		})
	}
	_, err := OpenPort(Command{Part: "power", Argv: []string{"/no/such/program"}}, nil)
	fault(t, err)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = OpenPort(Command{Part: "power"}, nil)
	require.ErrorContains(t, err, "argv is empty")
}

func TestPortLog(t *testing.T) {
	t.Parallel()
	p, h := openPort(t, `echo one s3cret >&2; printf two >&2; yes x | tr -d '\n' | head -c 5000 >&2; printf '\n' >&2; printf three >&2; exit 1`,
		func(c *Command) {
			c.Redact = func(s string) string { return strings.ReplaceAll(s, "s3cret", "[kept out]") }
		})
	_, err := p.Read(make([]byte, 1))
	fault(t, err)
	assert.NotContains(t, err.Error(), "s3cret")
	h.mu.Lock()
	defer h.mu.Unlock()
	assert.Equal(t, "one [kept out]", h.lines[0])
	assert.True(t, strings.HasPrefix(h.lines[1], "twoxxx"))
	assert.Equal(t, "three", h.lines[len(h.lines)-1])
	for _, l := range h.lines {
		assert.LessOrEqual(t, len(l), maxLogLine)
	}
}

// A program that reads nothing is not waited for beyond the caller's time.
func TestPortWriteEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for what does not come, in real time")
	}
	t.Parallel()
	p, _ := openPort(t, `sleep 60`)
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(200*time.Millisecond, cancel)
	defer timer.Stop()
	err := p.Write(ctx, make([]byte, 1<<20))
	require.ErrorIs(t, err, context.Canceled)
	_, isFault := wire.AsFault(err)
	assert.False(t, isFault)
	late, done := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer done()
	fault(t, p.Write(late, make([]byte, 1<<20)))

	deaf, _ := openPort(t, `exec <&-; echo ready; sleep 60`)
	read(t, deaf, "ready")
	fault(t, deaf.Write(t.Context(), []byte("x")))
}

func TestPortCloseKillsTheGroup(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"that goes":            `sleep 60 & echo $! >PID; echo ready; cat >/dev/null`,
		"that does not listen": `trap '' TERM; sh -c 'trap "" TERM; sleep 60' & echo $! >PID; echo ready; while :; do sleep 1; done`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pid")
			p, _ := openPort(t, strings.ReplaceAll(script, "PID", file))
			read(t, p, "ready")
			start := time.Now()
			require.NoError(t, p.Close())
			assert.Less(t, time.Since(start), 5*time.Second)
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
			require.NoError(t, err)
			assert.Eventually(t, func() bool { return !alive(pid) }, 5*time.Second, 10*time.Millisecond, "what it started outlived the port")
		})
	}
}

// A real terminal program: a shell on a pty, behind socat.
func TestPortSocat(t *testing.T) {
	t.Parallel()
	for _, need := range []string{"socat", "busybox"} {
		if _, err := osexec.LookPath(need); err != nil {
			t.Skipf("needs %s: apt-get install %s", need, need)
		}
	}
	c := Command{Part: "power", Argv: []string{"socat", "-", "EXEC:busybox sh -i,pty,setsid,ctty,stderr,rawer"}}
	p, err := OpenPort(c, nil)
	require.NoError(t, err)
	defer func() { assert.NoError(t, p.Close()) }()
	require.NoError(t, p.Write(t.Context(), []byte("echo $((6*7))-$(tty | cut -c1-9)\n")))
	assert.Contains(t, read(t, p, "42-/dev/pts"), "42-/dev/pts")
	require.NoError(t, p.Write(t.Context(), []byte("exit\n")))
	buf := make([]byte, 256)
	for err = nil; err == nil; {
		_, err = p.Read(buf)
	}
	require.ErrorIs(t, err, ErrEnded)
	assert.NotErrorIs(t, err, io.EOF)
}
