package jtag_test

import (
	"net"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/dap"
	"rigor/harness/debugport"
	"rigor/harness/debugport/jtag"
	"rigor/harness/driver/bitbang"
)

// simulate builds the Verilog chain and serves it by remote-bitbang. It gives the address.
func simulate(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"iverilog", "vvp"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs iverilog: apt-get install iverilog")
		}
	}
	chain := filepath.Join(t.TempDir(), "chain.vvp")
	out, err := exec.CommandContext(t.Context(), "iverilog", "-Wall", "-o", chain, filepath.Join("testdata", "chain.v")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		cmd := exec.CommandContext(t.Context(), "vvp", "-n", chain)
		cmd.Stdin, cmd.Stdout = conn, conn
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		_ = cmd.Run()
	})
	return l.Addr().String()
}

// TestVerilog: our engine identifies the TAPs of a simulation that is none of ours but in
// its source: two of them, one without IDCODE, through the remote-bitbang driver.
func TestVerilog(t *testing.T) {
	pads, err := bitbang.Open(t.Context(), bitbang.Config{Part: "pads.verilog", Address: simulate(t), Pads: []bitbang.Pad{
		{Name: "J1.1", Role: bitbang.TCK}, {Name: "J1.2", Role: bitbang.TMS}, {Name: "J1.3", Role: bitbang.TDI}, {Name: "J1.4", Role: bitbang.TDO}}})
	require.NoError(t, err)
	defer pads.Close()
	w := debugport.New(pads, debugport.Options{Part: "pads.verilog"})
	e := jtag.New(w, 0, 1, 2, 3)
	taps, a, err := e.Identify(t.Context())
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
	assert.Equal(t, []jtag.TAP{{IDCode: 0x149511c3, IR: 4}, {IR: 5}}, taps)
	d, a, err := e.BypassDelay(t.Context())
	require.NoError(t, err)
	assert.Equal(t, dap.OK, a)
	assert.Equal(t, 2, d)
	levels, n, a, err := e.Sample(t.Context(), taps, 0)
	require.NoError(t, err)
	assert.Equal(t, dap.OK, a)
	assert.Equal(t, 12, n)
	assert.Equal(t, []byte{0x52, 0x0b}, levels)
	_, _, _, err = e.Sample(t.Context(), taps, 1)
	require.ErrorIs(t, err, jtag.ErrNoSample)
	again, a, err := e.IDCodes(t.Context())
	require.NoError(t, err)
	assert.Equal(t, dap.OK, a)
	assert.EqualValues(t, 0x149511c3, again[0].IDCode)
	t.Logf("%d steps in %d calls", w.Steps(), w.Plays())
}
