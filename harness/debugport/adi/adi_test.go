package adi

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/dap"
	"rigor/harness/debugport"
	"rigor/harness/debugport/debugporttest"
	"rigor/harness/debugport/jtag"
	"rigor/harness/debugport/swd"
	"rigor/harness/wire"
)

const armDP = 0x4ba00477

// overSWD gives a transport that was brought to where DPIDR is read.
func overSWD(t testing.TB, r *debugporttest.Registers) (*swd.Port, *debugport.Wires) {
	t.Helper()
	w := debugport.New((&debugporttest.SWD{Registers: r}).Wave(), debugport.Options{})
	p := swd.New(w, 0, 1)
	require.NoError(t, p.LineReset(t.Context()))
	return p, w
}

// overJTAG gives one over a chain of one TAP.
func overJTAG(t testing.TB, r *debugporttest.Registers) (*jtag.DP, *debugport.Wires) {
	t.Helper()
	w := debugport.New((&debugporttest.Chain{TAPs: []*debugporttest.TAP{{IDCode: armDP, IR: 4, Registers: r}}}).Wave(), debugport.Options{})
	e := jtag.New(w, 0, 1, 2, 3)
	taps, a, err := e.Identify(t.Context())
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
	d, err := jtag.NewDP(e, taps, 0)
	require.NoError(t, err)
	return d, w
}

// over runs a test on both.
func over(t *testing.T, f func(t *testing.T, r *debugporttest.Registers, tr Transport, w *debugport.Wires)) {
	t.Helper()
	t.Run("swd", func(t *testing.T) {
		r := debugporttest.New()
		p, w := overSWD(t, r)
		f(t, r, p, w)
	})
	t.Run("jtag", func(t *testing.T) {
		r := debugporttest.New()
		d, w := overJTAG(t, r)
		f(t, r, d, w)
	})
}

// open opens a session with the power up.
func open(t *testing.T, tr Transport) *Session {
	t.Helper()
	s, a, err := Open(t.Context(), tr)
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
	on, a, err := s.PowerUp(t.Context())
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
	require.True(t, on)
	return s
}

func TestLook(t *testing.T) {
	over(t, func(t *testing.T, r *debugporttest.Registers, tr Transport, _ *debugport.Wires) {
		s := open(t, tr)
		assert.True(t, s.ID().Plausible())
		assert.Equal(t, 1, s.ID().Version())
		ports, read, a, err := s.Ports(t.Context(), 0, 255)
		require.NoError(t, err)
		assert.Equal(t, dap.OK, a)
		assert.Equal(t, 256, read)
		require.Len(t, ports, 2)
		assert.True(t, ports[0].Memory())
		assert.False(t, ports[1].Memory())
		v, a, err := s.Read(t.Context(), dap.Port(1), 0x0c)
		require.NoError(t, err)
		assert.Equal(t, dap.OK, a)
		assert.EqualValues(t, 1, v, "APPROTECTSTATUS")

		m, a, err := s.Memory(t.Context(), dap.Port(0))
		require.NoError(t, err)
		require.Equal(t, dap.OK, a)
		assert.True(t, m.Enabled())
		id, a, err := m.CPUID(t.Context())
		require.NoError(t, err)
		assert.Equal(t, dap.OK, a)
		assert.True(t, id.Cortex())

		for _, at := range []uint32{0, 0x3f8, 0x404} { // TAR wraps at 1 KiB
			got := make([]uint32, 300)
			n, a, err := m.Read(t.Context(), at, got)
			require.NoError(t, err)
			assert.Equal(t, dap.OK, a)
			assert.Equal(t, 300, n)
			for i := range got {
				require.Equal(t, ^(at + uint32(4*i)), got[i], "at %#x", at+uint32(4*i))
			}
		}
		_, a, err = s.Memory(t.Context(), dap.Port(1))
		require.NoError(t, err)
		assert.Equal(t, dap.Protocol, a, "no memory port")
		_, a, err = s.Memory(t.Context(), dap.Port(7))
		require.NoError(t, err)
		assert.Equal(t, dap.Protocol, a, "nothing there")
		for _, x := range r.Accesses {
			assert.False(t, x.Write && x.ToAP && x.AP != 0, "written to AP %d", x.AP)
		}
		a, err = s.PowerDown(t.Context())
		require.NoError(t, err)
		assert.Equal(t, dap.OK, a)
	})
}

// TestRefusedMemory: what is refused is a Fault, what was read before it is right, and the
// port goes on afterwards.
func TestRefusedMemory(t *testing.T) {
	over(t, func(t *testing.T, r *debugporttest.Registers, tr Transport, _ *debugport.Wires) {
		r.APs[0].Refuse = func(at uint32) bool { return at >= 0x80 && at < 0x200 }
		s := open(t, tr)
		m, a, err := s.Memory(t.Context(), dap.Port(0))
		require.NoError(t, err)
		require.Equal(t, dap.OK, a)
		got := make([]uint32, 64)
		n, a, err := m.Read(t.Context(), 0x40, got)
		require.NoError(t, err)
		assert.Equal(t, dap.Fault, a)
		assert.LessOrEqual(t, n, 16)
		for i := range n {
			assert.Equal(t, ^uint32(0x40+4*i), got[i])
		}
		v, a, err := m.Word(t.Context(), 0x200)
		require.NoError(t, err)
		assert.Equal(t, dap.OK, a)
		assert.Equal(t, ^uint32(0x200), v)

		r.APs[0].CSW &^= 0x40 // DeviceEn
		_, a, err = m.Word(t.Context(), 0x200)
		require.NoError(t, err)
		assert.Equal(t, dap.Fault, a)
	})
}

// TestHostile: a port that says one thing for ever, at each moment of a session, ends in
// bounded steps.
func TestHostile(t *testing.T) {
	over(t, func(t *testing.T, r *debugporttest.Registers, tr Transport, w *debugport.Wires) {
		s := open(t, tr)
		for name, c := range map[string]struct {
			set  func()
			want Answer
		}{
			"WAIT":  {func() { r.AllWait, r.AllFault = true, false }, dap.Wait},
			"FAULT": {func() { r.AllWait, r.AllFault = false, true }, dap.Fault},
		} {
			r.AllWait, r.AllFault = false, false
			_, err := s.Recover(t.Context())
			require.NoError(t, err)
			c.set()
			before := w.Steps()
			ports, _, a, err := s.Ports(t.Context(), 0, 255)
			require.NoError(t, err)
			for _, p := range ports {
				assert.NotEqual(t, dap.OK, p.Answer, name)
				assert.False(t, p.Memory())
			}
			assert.NotEqual(t, dap.None, a)
			_, a, err = s.Memory(t.Context(), dap.Port(0))
			require.NoError(t, err)
			assert.Equal(t, c.want, a, name)
			assert.Less(t, w.Steps()-before, uint64(400000), name)
		}
	})
}

func TestNoPower(t *testing.T) {
	over(t, func(t *testing.T, r *debugporttest.Registers, tr Transport, _ *debugport.Wires) {
		r.Unpower = true
		s, a, err := Open(t.Context(), tr)
		require.NoError(t, err)
		require.Equal(t, dap.OK, a)
		on, a, err := s.PowerUp(t.Context())
		require.NoError(t, err)
		assert.Equal(t, dap.OK, a)
		assert.False(t, on)
	})
}

// TestHalt: only with leave, only a core, and nothing but the listed values is written.
func TestHalt(t *testing.T) {
	over(t, func(t *testing.T, r *debugporttest.Registers, tr Transport, _ *debugport.Wires) {
		for _, at := range []uint32{0xe000edf0, 0xe000edf4, 0xe000edf8, 0xe000edfc} {
			r.APs[0].Memory[at] = 0x00010000
		}
		s := open(t, tr)
		m, a, err := s.Memory(t.Context(), dap.Port(0))
		require.NoError(t, err)
		require.Equal(t, dap.OK, a)
		_, _, err = m.Core(t.Context(), dap.Consent{})
		require.ErrorIs(t, err, dap.ErrForbidden)
		c, a, err := m.Core(t.Context(), dap.HaltAllowed())
		require.NoError(t, err)
		require.Equal(t, dap.OK, a)
		halted, a, err := c.Halt(t.Context())
		require.NoError(t, err)
		assert.Equal(t, dap.OK, a)
		assert.True(t, halted)
		pc, a, err := c.Register(t.Context(), dap.CorePC)
		require.NoError(t, err)
		assert.Equal(t, dap.OK, a)
		assert.EqualValues(t, 0x100f, pc)
		_, a, err = c.Step(t.Context())
		require.NoError(t, err)
		assert.Equal(t, dap.OK, a)
		a, err = c.Detach(t.Context())
		require.NoError(t, err)
		assert.Equal(t, dap.OK, a)
		var written []uint32
		for _, x := range r.Accesses {
			if x.Write && x.ToAP && x.Reg >= 0x0c {
				written = append(written, x.Value)
			}
		}
		assert.Equal(t, []uint32{0xa05f0003, 15, 0xa05f0005, 0xa05f0001, 0xa05f0000}, written)
	})
}

// TestNobody: where nobody answers there is no session, and the bench's trouble is an error.
func TestNobody(t *testing.T) {
	silent := &debugporttest.Wave{Names: []string{"c", "d"}, Step: func(drive, level uint32) uint32 { return level | 2&^drive }}
	p := swd.New(debugport.New(silent, debugport.Options{}), 0, 1)
	s, a, err := Open(t.Context(), p)
	require.NoError(t, err)
	assert.Nil(t, s)
	assert.Equal(t, dap.None, a)
	silent.Err = errors.New("gone")
	_, a, err = Open(t.Context(), p)
	_, fault := wire.AsFault(err)
	assert.True(t, fault)
	assert.Equal(t, dap.NotDone, a)
}

// Clocks of serial wire: a transaction that is answered with OK is eight bits of request, a
// turnaround, three of acknowledgement, 33 of data and another turnaround.
const swdOK = 8 + 1 + 3 + 33 + 1

// TestSWDMinimum counts against the minimum of ADIv5: a line reset and DPIDR; for each
// access port SELECT, IDR, RDBUFF; for 1 KiB of memory SELECT, CSW (read and written),
// TAR, 256 DRW and RDBUFF, with nothing idle between. What is declared above it: DPIDR's
// line reset has 52 high bits in place of 50; sticky errors are cleared once before the
// power is asked for; CSW is written once a session.
func TestSWDMinimum(t *testing.T) {
	r := debugporttest.New()
	w := debugport.New((&debugporttest.SWD{Registers: r}).Wave(), debugport.Options{})
	p := swd.New(w, 0, 1)
	ctx := t.Context()
	from := w.Steps()
	spent := func(what string, clocks int) {
		t.Helper()
		assert.EqualValues(t, 2*clocks, w.Steps()-from, what)
		t.Logf("%-28s %6d clocks", what, (w.Steps()-from)/2)
		from = w.Steps()
	}
	require.NoError(t, p.LineReset(ctx))
	s, _, err := Open(ctx, p)
	require.NoError(t, err)
	spent("DPIDR", swd.ResetHigh+swd.ResetLow+swdOK)
	_, _, err = s.PowerUp(ctx)
	require.NoError(t, err)
	spent("power up", 4*swdOK) // ABORT, SELECT, CTRL/STAT written, CTRL/STAT read
	_, _, _, err = s.Ports(ctx, 0, 255)
	require.NoError(t, err)
	spent("256 access ports", 256*3*swdOK)
	m, _, err := s.Memory(ctx, dap.Port(0))
	require.NoError(t, err)
	spent("a memory port", 3*swdOK) // SELECT, CSW, RDBUFF; its IDR is known
	_, _, err = m.Read(ctx, 0, make([]uint32, 256))
	require.NoError(t, err)
	spent("1 KiB", (1+1+256+1)*swdOK) // CSW, TAR, DRW, RDBUFF
	_, _, err = m.Read(ctx, 0x400, make([]uint32, 256))
	require.NoError(t, err)
	spent("another KiB", (1+256+1)*swdOK)
}

// TestJTAGCount counts the clocks of a JTAG-DP alone on its chain.
func TestJTAGCount(t *testing.T) {
	r := debugporttest.New()
	d, w := overJTAG(t, r)
	ctx := t.Context()
	const (
		dr = 3 + 35 + 1 // from Update on through Select-DR, and to Update-DR
		ir = 4 + 4 + 1
	)
	from := w.Steps()
	spent := func(what string, clocks int) {
		t.Helper()
		assert.EqualValues(t, 2*clocks, w.Steps()-from, what)
		t.Logf("%-28s %6d clocks", what, (w.Steps()-from)/2)
		from = w.Steps()
	}
	s, _, err := Open(ctx, d)
	require.NoError(t, err)
	spent("DPIDR", ir+2*dr)
	_, _, err = s.PowerUp(ctx)
	require.NoError(t, err)
	spent("power up", 5*dr)
	_, _, _, err = s.Ports(ctx, 0, 255)
	require.NoError(t, err)
	spent("256 access ports", 256*(4*dr+2*ir))
	m, _, err := s.Memory(ctx, dap.Port(0))
	require.NoError(t, err)
	spent("a memory port", 5*dr+2*ir+4*dr+2*ir)
	_, _, err = m.Read(ctx, 0, make([]uint32, 256))
	require.NoError(t, err)
	spent("1 KiB", ir+2*dr+256*dr+ir+2*dr)
}

// TestV6: access ports of ADIv6 are found by the ROM table, and read by their address.
func TestV6(t *testing.T) {
	for _, way := range []string{"swd", "jtag"} {
		r := debugporttest.NewV6()
		var tr Transport
		if way == "swd" {
			tr, _ = overSWD(t, r)
		} else {
			tr, _ = overJTAG(t, r)
		}
		s := open(t, tr)
		assert.Equal(t, 3, s.ID().Version())
		ports, a, err := s.PortsV6(t.Context())
		require.NoError(t, err)
		require.Equal(t, dap.OK, a)
		require.Len(t, ports, 3, way)
		assert.Equal(t, []bool{true, false, true}, []bool{ports[0].Memory(), ports[1].Memory(), ports[2].Memory()})
		v, a, err := s.Read(t.Context(), ports[1].At, 0x0c)
		require.NoError(t, err)
		assert.Equal(t, dap.OK, a)
		assert.EqualValues(t, 1, v)
		m, a, err := s.Memory(t.Context(), ports[2].At)
		require.NoError(t, err)
		require.Equal(t, dap.OK, a)
		got := make([]uint32, 16)
		_, a, err = m.Read(t.Context(), 0x1000, got)
		require.NoError(t, err)
		assert.Equal(t, dap.OK, a)
		assert.Equal(t, ^uint32(0x1008), got[2])
		for _, x := range r.Accesses {
			assert.False(t, x.Write && x.ToAP && x.AP == 3, "the vendor's port was written")
		}
	}
}
