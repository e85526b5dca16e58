package portscan

import (
	"context"
	"net"
	"os/exec"
	"strconv"
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
// the better of our turns is no longer than the better of its, eight times at most.
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
	var theirs, ours time.Duration
	for turn := 0; turn < 8 && (turn < 2 || ours > theirs); turn++ {
		begun := time.Now()
		out, err := exec.CommandContext(t.Context(), nmap, "-sT", "-T4", "-Pn", "-n", "-p", "1-65535", "-oG", "-", "127.0.0.1").CombinedOutput()
		took := time.Since(begun)
		require.NoError(t, err, "%s", out)
		if theirs == 0 || took < theirs {
			theirs = took
		}
		begun = time.Now()
		res, err := NewTCP(&sockets{}, "127.0.0.1", open[0], Limits{Connections: 256, Rate: 1_000_000}).Scan(t.Context(), upTo(65535))
		took = time.Since(begun)
		require.NoError(t, err)
		if ours == 0 || took < ours {
			ours = took
		}
		assert.Subset(t, res.In(Open), open)
		assert.Empty(t, res.In(Unasked))
		for _, p := range open {
			assert.Contains(t, string(out), strconv.Itoa(p)+"/open")
		}
	}
	t.Logf("65535 ports of 127.0.0.1: nmap -sT -T4 %v, ours %v (%.2f times)", theirs.Round(time.Millisecond), ours.Round(time.Millisecond), float64(ours)/float64(theirs))
	assert.LessOrEqual(t, ours, theirs, "slower than nmap")
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
		if _, err := NewTCP(&sockets{}, "127.0.0.1", canary, Limits{Connections: 256, Rate: 1_000_000}).Scan(b.Context(), ports); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*65535/b.Elapsed().Seconds(), "ports/s")
}
