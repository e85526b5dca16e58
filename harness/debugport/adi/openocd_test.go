package adi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/dap"
	"rigor/harness/debugport"
	"rigor/harness/debugport/debugporttest"
	"rigor/harness/debugport/jtag"
	"rigor/harness/driver/openocd"
	"rigor/harness/wire"
)

// realOCD is an OpenOCD that drives a chain through remote-bitbang.
type realOCD struct {
	chain *debugporttest.Chain
	conn  net.Conn // of the chain
	tcl   string
	mu    sync.Mutex // between the test and what serves the chain
}

// steps gives how many half periods went over the chain.
func (r *realOCD) steps() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.chain.Steps
}

// locked lets the chain be changed between two letters of the protocol.
type locked struct {
	net.Conn
	r *realOCD
}

func (l locked) Read(p []byte) (int, error) {
	l.r.mu.Unlock()
	n, err := l.Conn.Read(p)
	l.r.mu.Lock()
	return n, err
}

// freePort gives a port that was free just now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// start starts one on a chain; extra are further commands before init.
func start(t *testing.T, chain *debugporttest.Chain, extra ...string) *realOCD {
	t.Helper()
	if _, err := exec.LookPath("openocd"); err != nil {
		t.Skip("needs openocd: apt-get install openocd")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &realOCD{chain: chain}
	accepted := make(chan net.Conn, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := l.Accept()
		if err != nil {
			close(accepted)
			return
		}
		accepted <- c
		r.mu.Lock()
		_ = chain.Serve(locked{c, r})
		r.mu.Unlock()
	})
	port := freePort(t)
	r.tcl = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	args := []string{}
	for _, c := range append([]string{
		"adapter driver remote_bitbang", "remote_bitbang host 127.0.0.1",
		fmt.Sprintf("remote_bitbang port %d", l.Addr().(*net.TCPAddr).Port), "adapter speed 1000", "transport select jtag",
		"jtag newtap chip cpu -irlen 4 -expected-id 0x4ba00477", "dap create chip.dap -chain-position chip.cpu",
		fmt.Sprintf("tcl_port %d", port), "gdb_port disabled", "telnet_port disabled"}, append(extra, "init")...) {
		args = append(args, "-c", c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "openocd", args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		l.Close()
		if r.conn != nil {
			r.conn.Close()
		}
		wg.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	})
	select {
	case r.conn = <-accepted:
	case <-time.After(10 * time.Second):
		t.Fatal("openocd did not connect")
	}
	return r
}

// dial connects as soon as OpenOCD listens.
func (r *realOCD) dial(t *testing.T) *openocd.DAP {
	t.Helper()
	var d *openocd.DAP
	require.Eventually(t, func() (ok bool) {
		var err error
		d, err = openocd.Dial(t.Context(), "debug.openocd", r.tcl, "")
		return err == nil
	}, 10*time.Second, 20*time.Millisecond)
	t.Cleanup(func() { d.Close() })
	return d
}

func oneTAP(r *debugporttest.Registers) *debugporttest.Chain {
	r.DPIDR = armDP
	return &debugporttest.Chain{TAPs: []*debugporttest.TAP{{IDCode: armDP, IR: 4, Registers: r}}}
}

// TestOpenOCD: a real OpenOCD identifies the TAP and reads through its JTAG-DP, and our
// looks over it give what our own engine gives on the same target.
func TestOpenOCD(t *testing.T) {
	regs := debugporttest.New()
	o := start(t, oneTAP(regs))
	d := o.dial(t)
	assert.Equal(t, "remote_bitbang", d.Adapter())
	assert.Equal(t, "jtag", d.Transport())
	ctx := t.Context()
	s, a, err := Open(ctx, d)
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
	assert.EqualValues(t, armDP, s.ID())
	on, a, err := s.PowerUp(ctx)
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
	assert.True(t, on)
	ports, _, a, err := s.Ports(ctx, 0, 15)
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
	require.Len(t, ports, 2)
	m, a, err := s.Memory(ctx, ports[0].At)
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
	got := make([]uint32, 300)
	n, a, err := m.Read(ctx, 0x3f0, got)
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
	assert.Equal(t, 300, n)
	for i := range got {
		require.Equal(t, ^uint32(0x3f0+4*i), got[i])
	}

	_, a, err = m.Word(ctx, 0x100000)
	require.NoError(t, err)
	assert.Equal(t, dap.Fault, a, "no memory there")
	v, a, err := m.Word(ctx, 0x10)
	require.NoError(t, err)
	assert.Equal(t, dap.OK, a)
	assert.Equal(t, ^uint32(0x10), v)

	o.mu.Lock()
	for _, x := range regs.Accesses {
		assert.False(t, x.Write && x.ToAP && x.AP != 0)
	}
	taps := o.chain.TAPs
	o.chain.TAPs = nil // the DUT is gone
	o.mu.Unlock()
	_, a, err = s.Read(ctx, dap.Port(0), dap.IDR)
	require.NoError(t, err)
	assert.Equal(t, dap.None, a)

	o.mu.Lock()
	o.chain.TAPs = taps
	o.mu.Unlock()
	o.conn.Close() // the adapter is gone
	_, a, err = s.Read(ctx, dap.Port(0), dap.IDR)
	_, fault := wire.AsFault(err)
	assert.True(t, fault, "%v", err)
	assert.Equal(t, dap.NotDone, a)
}

// TestScriptsRefused: an OpenOCD with a target of a core is not used; one with memory
// alone is.
func TestScriptsRefused(t *testing.T) {
	o := start(t, oneTAP(debugporttest.New()), "target create chip.mem mem_ap -dap chip.dap -ap-num 0", "target create chip.core cortex_m -dap chip.dap")
	var err error
	require.Eventually(t, func() bool {
		_, err = openocd.Dial(t.Context(), "debug.openocd", o.tcl, "chip.dap")
		return err != nil && !strings.Contains(err.Error(), "connect")
	}, 10*time.Second, 20*time.Millisecond)
	require.ErrorIs(t, err, openocd.ErrScripts)
}

// TestSideBySide counts the half periods of TCK that OpenOCD and our engine need on the
// same target, for DPIDR, for the IDR of 16 access ports, and for 1 KiB of memory.
func TestSideBySide(t *testing.T) {
	o := start(t, oneTAP(debugporttest.New()), "target create chip.mem mem_ap -dap chip.dap -ap-num 0")
	o.dial(t) // it listens
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", o.tcl)
	require.NoError(t, err)
	defer conn.Close()
	in := bufio.NewReader(conn)
	ask := func(command string) {
		t.Helper()
		_, err := fmt.Fprintf(conn, "catch {%s}\x1a", command)
		require.NoError(t, err)
		reply, err := in.ReadString(0x1a)
		require.NoError(t, err)
		require.Equal(t, "0\x1a", reply, command)
	}
	ask("chip.mem arp_examine") // its own preparations do not count
	theirs := map[string]int{}
	for what, command := range map[string]string{
		"DPIDR":           "chip.dap dpreg 0",
		"16 access ports": "for {set i 0} {$i < 16} {incr i} {chip.dap apreg $i 0xfc}",
		"1 KiB of memory": "chip.mem read_memory 0 32 256",
		"another 1 KiB":   "chip.mem read_memory 0x400 32 256",
	} {
		from := o.steps()
		ask(command)
		theirs[what] = o.steps() - from
	}

	w := debugport.New(oneTAP(debugporttest.New()).Wave(), debugport.Options{})
	e := jtag.New(w, 0, 1, 2, 3)
	ctx := t.Context()
	taps, a, err := e.Identify(ctx)
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
	dp, err := jtag.NewDP(e, taps, 0)
	require.NoError(t, err)
	from := w.Steps()
	spent := func(what string) {
		t.Helper()
		ours := int(w.Steps() - from)
		t.Logf("%-18s OpenOCD %7d half periods, ours %6d", what, theirs[what], ours)
		assert.LessOrEqual(t, ours, theirs[what], what)
		from = w.Steps()
	}
	s, a, err := Open(ctx, dp)
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
	spent("DPIDR")
	_, _, err = s.PowerUp(ctx)
	require.NoError(t, err)
	from = w.Steps()
	_, _, _, err = s.Ports(ctx, 0, 15)
	require.NoError(t, err)
	spent("16 access ports")
	m, _, err := s.Memory(ctx, dap.Port(0))
	require.NoError(t, err)
	from = w.Steps()
	for _, at := range []uint32{0, 0x400} {
		_, a, err = m.Read(ctx, at, make([]uint32, 256))
		require.NoError(t, err)
		require.Equal(t, dap.OK, a)
		spent(map[uint32]string{0: "1 KiB of memory", 0x400: "another 1 KiB"}[at])
	}
}
