package adi

import (
	"bytes"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/dap"
	"rigor/harness/debugport"
	"rigor/harness/debugport/debugporttest"
	"rigor/harness/debugport/debugporttest/sigrok"
)

// decode lets sigrok read the waves.
func decode(t *testing.T, w *debugport.Wires, decoder, annotations string) []string {
	t.Helper()
	if _, err := exec.LookPath("sigrok-cli"); err != nil {
		t.Skip("needs sigrok-cli: apt-get install sigrok-cli")
	}
	got, err := sigrok.Decode(t.Context(), w, t.TempDir(), decoder, annotations)
	require.NoError(t, err)
	return got
}

// session does a bit of everything: WAIT, FAULT, access ports, memory.
func session(t *testing.T, r *debugporttest.Registers, tr Transport) {
	t.Helper()
	r.APs[0].Refuse = func(at uint32) bool { return at == 0x208 }
	r.Waits = 1
	s := open(t, tr)
	_, _, a, err := s.Ports(t.Context(), 0, 7)
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
	m, a, err := s.Memory(t.Context(), dap.Port(0))
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
	_, a, err = m.Read(t.Context(), 0x3f0, make([]uint32, 40))
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
	_, a, err = m.Read(t.Context(), 0x200, make([]uint32, 4))
	require.NoError(t, err)
	require.Equal(t, dap.Fault, a)
	_, _, err = m.CPUID(t.Context())
	require.NoError(t, err)
	_, _, a, err = s.Target(t.Context())
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
	a, err = s.PowerDown(t.Context())
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
}

// TestSigrokSWD: sigrok's decoder reads a whole session of serial wire to the transactions
// of our own log, the parity of each included.
func TestSigrokSWD(t *testing.T) {
	r := debugporttest.New()
	p, w := overSWD(t, r)
	require.NoError(t, p.JTAGToSWD(t.Context()))
	session(t, r, p)
	got := decode(t, w, "swd:swclk=SWCLK:swdio=SWDIO", "swd")
	kept, lost := w.Transactions()
	require.Zero(t, lost)
	n, err := sigrok.Compare(sigrok.AsSWD(kept), got)
	require.NoError(t, err)
	assert.Equal(t, len(got), n)
	assert.Greater(t, len(kept), 120)
	var log bytes.Buffer
	require.NoError(t, w.WriteLog(&log))
	again, err := sigrok.Read(log.String())
	require.NoError(t, err)
	assert.Equal(t, sigrok.AsSWD(kept), sigrok.AsSWD(again), "the log says the same")
	t.Logf("%d transactions, %d annotations of sigrok", len(kept), len(got))
}

// TestSigrokJTAG: the same of JTAG: each scan has the bits of our own log, both ways.
func TestSigrokJTAG(t *testing.T) {
	r := debugporttest.New()
	d, w := overJTAG(t, r)
	session(t, r, d)
	got := decode(t, w, "jtag:tck=TCK:tms=TMS:tdi=TDI:tdo=TDO", "jtag=bitstring-tdi:bitstring-tdo")
	kept, lost := w.Transactions()
	require.Zero(t, lost)
	assert.Equal(t, sigrok.AsJTAG(kept), got)
	assert.Greater(t, len(got), 280)
	t.Logf("%d transactions, %d annotations of sigrok", len(kept), len(got))
}
