package portscan

import (
	"context"
	"net"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inProcess refuses everything, at once.
type inProcess struct{}

var refusal = refused("tcp")

// DialContext refuses.
func (inProcess) DialContext(context.Context, string, string) (net.Conn, error) { return nil, refusal }

// sockets dials by the computer's own.
type sockets struct{ net.Dialer }

// Side by side with nmap over the same ports of the same host: what it finds we
// find, in no more time. They take turns, since others use the computer too, until
// the better of our turns is no longer than the better of its, five times at most.
// On a computer that is busy throughout, what counts is the time of processors that
// each takes, on as many as it can use: nmap uses one.
func TestAsQuickAsNmap(t *testing.T) {
	if testing.Short() {
		t.Skip("all of TCP, several times")
	}
	nmap, err := exec.LookPath("nmap")
	if err != nil {
		t.Skip("needs nmap: apt-get install nmap")
	}
	var open []int
	for range 3 {
		var lc net.ListenConfig
		l, err := lc.Listen(t.Context(), "tcp4", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, l.Close()) })
		open = append(open, l.Addr().(*net.TCPAddr).Port)
	}
	var theirs, ours cost
	for turn := 0; turn < 5 && (turn < 2 || ours.wall > theirs.wall); turn++ {
		cmd := exec.CommandContext(t.Context(), nmap, "-sT", "-T4", "-Pn", "-n", "-p", "1-65535", "-oG", "-", "127.0.0.1")
		begun := time.Now()
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		theirs.least(cost{time.Since(begun), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()})

		before := spent(t)
		begun = time.Now()
		res, err := NewTCP(&sockets{}, "127.0.0.1", open[0], Limits{Connections: 64, Rate: 1_000_000}).Scan(t.Context(), upTo(65535))
		require.NoError(t, err)
		ours.least(cost{time.Since(begun), spent(t) - before})
		assert.Subset(t, res.In(Open), open)
		assert.Empty(t, res.In(Unasked))
		for _, p := range open {
			assert.Contains(t, string(out), strconv.Itoa(p)+"/open")
		}
	}
	t.Logf("65535 ports of 127.0.0.1: nmap -sT -T4 took %v (%v of processors), ours %v (%v)", theirs.wall.Round(time.Millisecond), theirs.cpu.Round(time.Millisecond),
		ours.wall.Round(time.Millisecond), ours.cpu.Round(time.Millisecond))
	if ours.wall > theirs.wall {
		assert.LessOrEqual(t, ours.cpu/time.Duration(runtime.GOMAXPROCS(0)), theirs.cpu, "slower than nmap")
	}
}

// cost is what a scan takes: on the wall, and of processors.
type cost struct{ wall, cpu time.Duration }

// least keeps the lesser of each.
func (c *cost) least(o cost) {
	if c.wall == 0 {
		*c = o
	}
	c.wall, c.cpu = min(c.wall, o.wall), min(c.cpu, o.cpu)
}

// spent is the time of processors that this process has taken.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkLoopback(b *testing.B) {
	var lc net.ListenConfig
	l, err := lc.Listen(b.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	canary := l.Addr().(*net.TCPAddr).Port
	ports := upTo(65535)
	for b.Loop() {
		if _, err := NewTCP(&sockets{}, "127.0.0.1", canary, Limits{Connections: 64, Rate: 1_000_000}).Scan(b.Context(), ports); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*65535/b.Elapsed().Seconds(), "ports/s")
}
