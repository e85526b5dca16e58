package xmodem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"rigor/harness/console"
	"rigor/harness/driver/serial"
	"rigor/harness/update/stream"
)

// fault is what happens to one byte, counted from 0 in its direction.
type fault struct {
	at int
	do func(b byte) []byte
}

func lost(byte) []byte      { return nil }
func doubled(b byte) []byte { return []byte{b, b} }
func flipped(b byte) []byte { return []byte{b ^ 0x20} }
func late(d time.Duration) func(byte) []byte {
	return func(b byte) []byte { time.Sleep(d); return []byte{b} }
}

// carry takes bytes from one end to the other, with faults.
func carry(to io.Writer, from io.Reader, faults []fault) {
	buf := make([]byte, 4096)
	for n := 0; ; {
		k, err := from.Read(buf)
		if err != nil {
			return
		}
		var out []byte
		for _, b := range buf[:k] {
			now := []byte{b}
			for _, f := range faults {
				if f.at == n {
					if _, err := to.Write(out); err != nil {
						return
					}
					out, now = nil, f.do(b)
				}
			}
			out = append(out, now...)
			n++
		}
		if _, err := to.Write(out); err != nil {
			return
		}
	}
}

// openPTY gives a pty in raw mode, whose master's Read ends with its Close.
func openPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	blocking, slave, err := pty.Open()
	require.NoError(t, err)
	_, err = term.MakeRaw(int(slave.Fd()))
	require.NoError(t, err)
	fd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, blocking.Close())
	require.NoError(t, unix.SetNonblock(fd, true))
	master = os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { master.Close(); slave.Close() })
	return master, slave
}

// peer is a program of lrzsz on a serial line of its own.
type peer struct {
	dir     string
	con     *console.Console
	raw     bytes.Buffer // what it said, as the transcript has it
	sent    bytes.Buffer
	done    chan error
	said    bytes.Buffer // on stderr
	session *stream.Console
}

// lrzsz starts a program of lrzsz in a folder of its own. We are on a pty, as on
// an adapter, and between them is a line with faults. The program is on pipes:
// on a pty it throws away what it was sent while it answered, and at its end its
// own last answer, which a line of copper would have carried long since.
func lrzsz(t *testing.T, outbound, inbound []fault, name string, args ...string) *peer {
	t.Helper()
	if testing.Short() {
		t.Skip("lrzsz waits for seconds until it asks")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s: apt-get install lrzsz", name)
	}
	ours, ourSlave := openPTY(t)
	p := &peer{dir: t.TempDir(), done: make(chan error, 1)}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Stderr = p.dir, &p.said
	toThem, err := cmd.StdinPipe()
	require.NoError(t, err)
	fromThem, hisOut, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout = hisOut
	port, err := serial.Open(serial.Config{Part: "console.main", Path: ourSlave.Name(), Baud: 115200})
	require.NoError(t, err)
	p.con = console.Open(t.Context(), port, console.Options{Part: "console.main", Raw: &p.raw, Sent: &p.sent})
	p.session = stream.Over(p.con, p.con.Mark())
	require.NoError(t, cmd.Start())
	require.NoError(t, hisOut.Close())
	go carry(toThem, ours, outbound)
	go carry(ours, fromThem, inbound)
	ended := make(chan struct{})
	go func() { p.done <- cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		assert.NoError(t, p.con.Close())
		fromThem.Close()
	})
	return p
}

// wait waits for the program's end.
func (p *peer) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.done:
		return err
	case <-time.After(time.Minute):
		require.Fail(t, "it does not end", "%s", &p.said)
		return nil
	}
}

func (p *peer) file(t *testing.T, name string) string {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(p.dir, name))
	require.NoError(t, err)
	return string(got)
}

// TestLrzsz: what lrzsz receives is what was sent, byte for byte, and each byte
// of it is in the transcript.
func TestLrzsz(t *testing.T) {
	for _, c := range []struct {
		args string
		o    Options
		size int
		crc  bool
	}{
		{"rx -b f", Options{}, 1000, false},
		{"rx -b -c f", Options{}, 40000, true},
		{"rx -b -c f", Options{Long: true}, 100_001, true},
	} {
		t.Run(fmt.Sprintf("%s long %v", c.args, c.o.Long), func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(c.args)
			p := lrzsz(t, nil, nil, args[0], args[1:]...)
			data := some(c.size)
			r, err := Send(t.Context(), p.session, data, c.o)
			require.NoError(t, err)
			require.NoError(t, p.wait(t), "%s", &p.said)
			got := p.file(t, "f")
			assert.Equal(t, string(data)+strings.Repeat("\x1a", r.Padding), got)
			assert.Equal(t, Report{Asked: true, CRC: c.crc, Files: 1, Acked: c.size, Padding: r.Padding}, r)
			assert.Greater(t, p.sent.Len(), c.size, "each byte that went out is on record")
			assert.Contains(t, p.sent.String(), string(data[:128]))
			raw, err := p.con.Since(0)
			require.NoError(t, err)
			assert.Contains(t, string(raw), "\x06\x06\x06", "the answers too")
		})
	}
}

// TestLrzszBatch: the same by YMODEM, with the true lengths.
func TestLrzszBatch(t *testing.T) {
	t.Parallel()
	p := lrzsz(t, nil, nil, "rb", "-b")
	files := []File{{"one.bin", some(70_001)}, {"two.bin", []byte{0x1a, 0, 0xff}}, {"none.bin", nil}}
	r, err := SendBatch(t.Context(), p.session, files, Options{Long: true})
	require.NoError(t, err)
	require.NoError(t, p.wait(t), "%s", &p.said)
	for _, f := range files {
		assert.Equal(t, string(f.Data), p.file(t, f.Name))
	}
	assert.Equal(t, 3, r.Files)
	assert.Equal(t, 70_004, r.Acked)
	assert.True(t, r.Clean(), "%+v", r)
}

// TestLrzszRefuses: what lrzsz does not take is a refusal.
func TestLrzszRefuses(t *testing.T) {
	t.Parallel()
	p := lrzsz(t, nil, nil, "rb", "-b")
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "mine"), []byte("mine"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(p.dir, "taken"), 0o700))
	_, err := SendBatch(t.Context(), p.session, []File{{"taken", some(10)}}, Options{})
	wantError(t, err, stream.ErrRefused, Header, 0)
	assert.Error(t, p.wait(t))
}

// TestLrzszFaults: faults of the line are made good; where they are not, it is
// never a refusal.
func TestLrzszFaults(t *testing.T) {
	block := func(n int) int { return (n - 1) * 133 } // where a short block with a CRC begins
	for name, c := range map[string]struct {
		out, in []fault
		broken  bool
	}{
		"a byte of a block is lost":         {out: []fault{{block(3) + 50, lost}}},
		"a byte of a block is flipped":      {out: []fault{{block(3) + 50, flipped}}},
		"a byte of a block is doubled":      {out: []fault{{block(3) + 50, doubled}}},
		"the head of a block is lost":       {out: []fault{{block(2), lost}}},
		"the head of a block is flipped":    {out: []fault{{block(2), flipped}}},
		"the number of a block is flipped":  {out: []fault{{block(2) + 1, flipped}}},
		"three blocks in a row":             {out: []fault{{block(2) + 9, flipped}, {block(3) + 9, lost}, {block(4) + 9, doubled}}},
		"the last block is flipped":         {out: []fault{{block(8) + 9, flipped}}},
		"the end is lost":                   {out: []fault{{block(9), lost}}},
		"the end is flipped":                {out: []fault{{block(9), flipped}}},
		"the end is doubled":                {out: []fault{{block(9), doubled}}},
		"a block comes late":                {out: []fault{{block(4) + 10, late(1500 * time.Millisecond)}}},
		"an answer is lost":                 {in: []fault{{answer(3), lost}}},
		"an answer is flipped":              {in: []fault{{answer(3), flipped}}},
		"an answer is doubled":              {in: []fault{{answer(3), doubled}}},
		"the last answer to a block, twice": {in: []fault{{answer(8), doubled}}},
		"an answer comes late":              {in: []fault{{answer(3), late(3 * time.Second)}}},
		"nothing comes whole":               {out: always(flipped), broken: true},
		"an answer twice, and a bad end":    {in: []fault{{answer(7), doubled}}, out: []fault{{block(8) + 9, flipped}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := lrzsz(t, c.out, c.in, "rx", "-b", "-c", "-t", "10", "f")
			data := some(1024)
			r, err := Send(t.Context(), p.session, data, Options{Answer: 20 * time.Second})
			t.Logf("%+v %v", r, err)
			if c.broken {
				assert.NotErrorIs(t, err, stream.ErrRefused)
				assert.ErrorIs(t, err, stream.ErrBroken)
				assert.Error(t, p.wait(t))
				return
			}
			require.NoError(t, err)
			require.NoError(t, p.wait(t), "%s", &p.said)
			assert.Equal(t, string(data), p.file(t, "f"), "done is said of what arrived")
		})
	}
}

// always is a fault in each block.
func always(do func(byte) []byte) []fault {
	var all []fault
	for n := range 100 {
		all = append(all, fault{n*133 + 9, do})
	}
	return all
}

// answer is where lrzsz's answer to a block is in what it says: behind its wish.
func answer(n int) int { return n }
