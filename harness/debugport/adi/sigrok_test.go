package adi

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/dap"
	"rigor/harness/debugport"
	"rigor/harness/debugport/debugporttest"
)

// decode lets sigrok read the waves, and gives the texts of its annotations.
func decode(t *testing.T, w *debugport.Wires, decoder, annotations string) []string {
	t.Helper()
	if _, err := exec.LookPath("sigrok-cli"); err != nil {
		t.Skip("needs sigrok-cli: apt-get install sigrok-cli")
	}
	file := filepath.Join(t.TempDir(), "waves.vcd")
	f, err := os.Create(file)
	require.NoError(t, err)
	require.NoError(t, w.WriteVCD(f))
	require.NoError(t, f.Close())
	out, err := exec.CommandContext(t.Context(), "sigrok-cli", "-l", "1", "-i", file, "-I", "vcd", "-P", decoder, "-A", annotations).Output()
	require.NoError(t, err)
	var texts []string
	for line := range strings.Lines(string(out)) {
		_, text, ok := strings.Cut(strings.TrimSpace(line), ": ")
		require.True(t, ok, line)
		texts = append(texts, strings.Trim(text, `"`))
	}
	return texts
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
	var want []string
	bank := uint32(0)
	for i := range kept {
		k := &kept[i]
		switch {
		case k.Name == "line reset":
			want = append(want, "LINERESET")
			continue
		case k.Name == "JTAG to SWD":
			want = append(want, "LINERESET", "JTAG->SWD", "LINERESET")
			continue
		}
		want = append(want, sigrokName(k, bank))
		switch k.Answer {
		case dap.OK:
			want = append(want, "OK", fmt.Sprintf("0x%08x", k.Data))
		case dap.Wait:
			want = append(want, "WAIT")
		case dap.Fault:
			want = append(want, "FAULT")
		}
		if k.Op == debugport.OpDPWrite && k.Addr == 8 && k.Answer == dap.OK {
			bank = k.Data & 1
		}
	}
	assert.Equal(t, want, got)
	assert.Greater(t, len(kept), 120)
	t.Logf("%d transactions, %d annotations of sigrok", len(kept), len(got))
}

// sigrokName gives what sigrok calls a request.
func sigrokName(k *debugport.Transaction, bank uint32) string {
	at4 := [...]string{"CTRL/STAT", "DLCR"}[bank]
	switch k.Op {
	case debugport.OpDPRead:
		return map[uint8]string{0: "IDCODE", 4: "R " + at4, 8: "RESEND", 12: "RDBUFF"}[k.Addr]
	case debugport.OpDPWrite:
		return map[uint8]string{0: "W ABORT", 4: "W " + at4, 8: "W SELECT", 12: "W RESERVED"}[k.Addr]
	case debugport.OpAPRead:
		return fmt.Sprintf("R AP%x", k.Addr)
	default:
		return fmt.Sprintf("W AP%x", k.Addr)
	}
}

// TestSigrokJTAG: the same of JTAG: each scan has the bits of our own log, both ways.
func TestSigrokJTAG(t *testing.T) {
	r := debugporttest.New()
	d, w := overJTAG(t, r)
	session(t, r, d)
	got := decode(t, w, "jtag:tck=TCK:tms=TMS:tdi=TDI:tdo=TDO", "jtag=bitstring-tdi:bitstring-tdo")

	kept, lost := w.Transactions()
	require.Zero(t, lost)
	var want []string
	scans := 0
	for i := range kept {
		k := &kept[i]
		if k.Op != debugport.OpIR && k.Op != debugport.OpDR {
			continue
		}
		scans++
		for _, way := range []struct {
			name string
			bits []byte
		}{{"TDI", k.Out}, {"TDO", k.In}} {
			want = append(want, fmt.Sprintf("%v %s: %s, %d bits", k.Op, way.name, binary(way.bits, k.Bits), k.Bits))
		}
	}
	hexadecimal := regexp.MustCompile(` \(0x[0-9a-f]+\)`)
	for i := range got {
		got[i] = hexadecimal.ReplaceAllString(got[i], "")
	}
	assert.Equal(t, want, got)
	assert.Greater(t, scans, 140)
	t.Logf("%d scans, %d annotations of sigrok", scans, len(got))
}

// binary gives bits with the least significant one last.
func binary(b []byte, n int) string {
	s := make([]byte, n)
	for i := range n {
		s[n-1-i] = '0' + b[i/8]>>(i%8)&1
	}
	return string(s)
}
