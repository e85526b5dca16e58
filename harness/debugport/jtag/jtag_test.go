package jtag

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/dap"
	"rigor/harness/debugport"
	"rigor/harness/debugport/debugporttest"
	"rigor/harness/wire"
)

const armDP, stBoundary = 0x4ba00477, 0x06438041

func engine(t testing.TB, wave *debugporttest.Wave) *Engine {
	t.Helper()
	e := New(debugport.New(wave, debugport.Options{}), 0, 1, 2, 3)
	require.NoError(t, e.Reset(t.Context()))
	return e
}

func TestWays(t *testing.T) {
	for from := range State(16) {
		for to := range State(16) {
			s, w := from, ways[from][to]
			for i := range w.n {
				s = next[s][w.tms>>i&1]
			}
			assert.Equal(t, to, s)
			assert.LessOrEqual(t, w.n, uint8(8))
		}
	}
	assert.EqualValues(t, 3, ways[UpdateDR][ShiftDR].n, "no Run-Test/Idle between")
	assert.EqualValues(t, 4, ways[UpdateDR][ShiftIR].n)
	assert.Equal(t, "Run-Test/Idle", RunTestIdle.String())
}

// TestIdentify: chains of several TAPs, with and without IDCODE, and instruction registers
// that can and cannot be told apart.
func TestIdentify(t *testing.T) {
	for name, c := range map[string]struct {
		taps []*debugporttest.TAP
		want []TAP
	}{
		"one":     {[]*debugporttest.TAP{{IDCode: armDP, IR: 4}}, []TAP{{armDP, 4}}},
		"stm32":   {[]*debugporttest.TAP{{IDCode: armDP, IR: 4}, {IDCode: stBoundary, IR: 5}}, []TAP{{armDP, 4}, {stBoundary, 5}}},
		"no id":   {[]*debugporttest.TAP{{IR: 6}, {IDCode: armDP, IR: 4}}, []TAP{{0, 6}, {armDP, 4}}},
		"last":    {[]*debugporttest.TAP{{IDCode: armDP, IR: 4}, {IR: 2}}, []TAP{{armDP, 4}, {0, 2}}},
		"ones":    {[]*debugporttest.TAP{{IDCode: armDP, IR: 4, High: 3}, {IR: 12, High: 0xfff}}, []TAP{{armDP, 4}, {0, 12}}},
		"alike":   {[]*debugporttest.TAP{{IDCode: armDP, IR: 8, High: 4}, {IR: 4}}, []TAP{{armDP, 0}, {0, 0}}},
		"one odd": {[]*debugporttest.TAP{{IDCode: armDP, IR: 8, High: 0x15}}, []TAP{{armDP, 8}}},
	} {
		chain := &debugporttest.Chain{TAPs: c.taps}
		e := engine(t, chain.Wave())
		taps, a, err := e.Identify(t.Context())
		require.NoError(t, err, name)
		assert.Equal(t, dap.OK, a, name)
		assert.Equal(t, c.want, taps, name)
		for _, ir := range chain.Updates {
			assert.EqualValues(t, 1<<c.taps[0].IR-1, ir, "%s: nothing but BYPASS", name)
		}
		d, a, err := e.BypassDelay(t.Context())
		require.NoError(t, err)
		assert.Equal(t, dap.OK, a)
		assert.Equal(t, len(c.taps), d)
	}
}

// TestNoChain: what is no chain is told apart, and no TAP is made up.
func TestNoChain(t *testing.T) {
	level := func(f func(n int, drive, level uint32) bool) *debugporttest.Wave {
		n := 0
		return &debugporttest.Wave{Names: []string{"TCK", "TMS", "TDI", "TDO"}, Step: func(drive, level uint32) uint32 {
			n++
			if f(n, drive, level) {
				return level | 8
			}
			return level
		}}
	}
	for name, c := range map[string]struct {
		tdo  func(n int, drive, level uint32) bool
		want [3]Answer // IDCodes, IRLengths, BypassDelay
	}{
		"high":  {func(int, uint32, uint32) bool { return true }, [3]Answer{dap.None, dap.None, dap.None}},
		"low":   {func(int, uint32, uint32) bool { return false }, [3]Answer{dap.Low, dap.Low, dap.Low}},
		"short": {func(_ int, _, level uint32) bool { return level&4 != 0 }, [3]Answer{dap.None, dap.None, dap.None}},
	} {
		e := engine(t, level(c.tdo))
		taps, a, err := e.IDCodes(t.Context())
		require.NoError(t, err)
		assert.Equal(t, c.want[0], a, name)
		assert.Empty(t, taps, name)
		_, _, a, err = e.IRLengths(t.Context(), 1)
		require.NoError(t, err)
		assert.Equal(t, c.want[1], a, name)
		d, a, err := e.BypassDelay(t.Context())
		require.NoError(t, err)
		assert.Equal(t, c.want[2], a, name)
		assert.Zero(t, d)
	}
}

// TestCutTDI: TAPs that answer but hear nothing of TDI are no chain that can be passed.
func TestCutTDI(t *testing.T) {
	chain := &debugporttest.Chain{TAPs: []*debugporttest.TAP{{IDCode: armDP, IR: 4}}}
	wave := chain.Wave()
	step := wave.Step
	wave.Step = func(drive, level uint32) uint32 { return step(drive&^4, level&^4) } // pulled up
	e := engine(t, wave)
	taps, a, err := e.IDCodes(t.Context())
	require.NoError(t, err)
	assert.Equal(t, dap.OK, a)
	assert.Equal(t, []TAP{{IDCode: armDP}}, taps)
	_, a, err = e.Identify(t.Context())
	require.NoError(t, err)
	assert.Equal(t, dap.Protocol, a)
}

// debugPort finds the debug port of a chain.
func debugPort(t testing.TB, chain *debugporttest.Chain, at int) (*Engine, *DP) {
	t.Helper()
	e := engine(t, chain.Wave())
	taps, a, err := e.Identify(t.Context())
	require.NoError(t, err)
	require.Equal(t, dap.OK, a)
	d, err := NewDP(e, taps, at)
	require.NoError(t, err)
	return e, d
}

// TestDP: the debug port behind one TAP, in each place of a chain.
func TestDP(t *testing.T) {
	for at := range 3 {
		for _, waits := range []int{0, 2} {
			r := debugporttest.New()
			r.DPIDR, r.Waits = armDP, waits
			chain := &debugporttest.Chain{}
			for i := range 3 {
				if i == at {
					chain.TAPs = append(chain.TAPs, &debugporttest.TAP{IDCode: armDP, IR: 4, Registers: r})
				} else {
					chain.TAPs = append(chain.TAPs, &debugporttest.TAP{IDCode: stBoundary, IR: 5})
				}
			}
			_, d := debugPort(t, chain, at)
			a, err := d.Write(t.Context(), dap.PowerUp())
			require.NoError(t, err)
			require.Equal(t, dap.OK, a)
			v, a, err := d.ReadDP(t.Context(), dap.CTRLSTAT)
			require.NoError(t, err)
			require.Equal(t, dap.OK, a)
			assert.Equal(t, uint32(0xf0000000), v)
			var got [2]uint32
			n, a, err := d.ReadAP(t.Context(), dap.Port(0), dap.IDR, got[:])
			require.NoError(t, err)
			assert.Equal(t, dap.OK, a)
			assert.Equal(t, 2, n)
			assert.Equal(t, [2]uint32{0x24770011, 0x24770011}, got)
			_, _, err = d.ReadAP(t.Context(), dap.Port(0), dap.CSW, got[:1])
			require.NoError(t, err)
			for _, w := range []dap.Write{dap.Words(dap.Port(0), dap.Next), dap.Address(dap.Port(0), 0x100)} {
				a, err = d.Write(t.Context(), w)
				require.NoError(t, err)
				require.Equal(t, dap.OK, a)
			}
			words := make([]uint32, 16)
			_, a, err = d.ReadAP(t.Context(), dap.Port(0), dap.DRW, words)
			require.NoError(t, err)
			require.Equal(t, dap.OK, a)
			for i, w := range words {
				assert.Equal(t, ^uint32(0x100+4*i), w)
			}
		}
	}
}

// TestDPRefuses: a refused reading is a Fault and no value, until it is cleared.
func TestDPRefuses(t *testing.T) {
	r := debugporttest.New()
	r.AllFault = true
	_, d := debugPort(t, &debugporttest.Chain{TAPs: []*debugporttest.TAP{{IDCode: armDP, IR: 4, Registers: r}}}, 0)
	var got [1]uint32
	n, a, err := d.ReadAP(t.Context(), dap.Port(0), dap.IDR, got[:])
	require.NoError(t, err)
	assert.Equal(t, dap.Fault, a)
	assert.Zero(t, n)
	r.AllFault = false
	_, a, err = d.ReadAP(t.Context(), dap.Port(0), dap.IDR, got[:])
	require.NoError(t, err)
	assert.Equal(t, dap.Fault, a, "sticky")
	a, err = d.Write(t.Context(), dap.ClearSticky())
	require.NoError(t, err)
	assert.Equal(t, dap.OK, a)
	_, a, err = d.ReadAP(t.Context(), dap.Port(0), dap.IDR, got[:])
	require.NoError(t, err)
	assert.Equal(t, dap.OK, a)

	r.AllWait = true
	_, a, err = d.ReadDP(t.Context(), dap.DPIDR)
	require.NoError(t, err)
	assert.Equal(t, dap.Wait, a)
}

// TestNoDP: instructions of a debug port are sent to nobody else.
func TestNoDP(t *testing.T) {
	e := New(debugport.New((&debugporttest.Chain{}).Wave(), debugport.Options{}), 0, 1, 2, 3)
	for _, taps := range [][]TAP{nil, {{stBoundary, 5}}, {{armDP, 0}}, {{0, 4}}, {{armDP, 4}, {stBoundary, 0}}} {
		_, err := NewDP(e, taps, 0)
		require.ErrorIs(t, err, ErrNoDP)
	}
}

// TestBenchBreaks: an error of the pads is a fault and no answer.
func TestBenchBreaks(t *testing.T) {
	for after := range 200 {
		r := debugporttest.New()
		chain := &debugporttest.Chain{TAPs: []*debugporttest.TAP{{IDCode: armDP, IR: 4, Registers: r}}}
		wave := chain.Wave()
		e := engine(t, wave)
		wave.Err, wave.After = errors.New("the adapter is gone"), after
		_, a, err := e.Identify(t.Context())
		_, ok := wire.AsFault(err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, dap.NotDone, a)
	}
	e := engine(t, (&debugporttest.Chain{}).Wave())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, a, err := e.IDCodes(ctx)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, dap.NotDone, a)
}

func TestNoAllocations(t *testing.T) {
	r := debugporttest.New()
	_, d := debugPort(t, &debugporttest.Chain{TAPs: []*debugporttest.TAP{{IDCode: armDP, IR: 4, Registers: r}}}, 0)
	got := make([]uint32, 64)
	ctx := t.Context()
	var a Answer
	n := testing.AllocsPerRun(20, func() {
		r.Accesses = r.Accesses[:0]
		_, a, _ = d.ReadAP(ctx, dap.Port(0), dap.BASE, got)
	})
	assert.Equal(t, dap.OK, a)
	assert.Zero(t, n, "68 scans, some 2700 clocks")
}

func BenchmarkRead(b *testing.B) {
	r := debugporttest.New()
	e, d := debugPort(b, &debugporttest.Chain{TAPs: []*debugporttest.TAP{{IDCode: armDP, IR: 4, Registers: r}}}, 0)
	got := make([]uint32, 256)
	b.ReportAllocs()
	from := e.w.Steps()
	for b.Loop() {
		r.Accesses = r.Accesses[:0]
		if _, a, err := d.ReadAP(b.Context(), dap.Port(0), dap.BASE, got); a != dap.OK || err != nil {
			b.Fatal(a, err)
		}
	}
	b.ReportMetric(float64(e.w.Steps()-from)/float64(b.N), "steps/op")
}

// FuzzHostile: whatever TDO says, all ends in bounded steps and without a panic.
func FuzzHostile(f *testing.F) {
	for _, b := range [][]byte{{0}, {0xff}, {0x55}, {1, 0, 2, 3}, {0x77, 4, 0xa0, 0x4b, 0xff, 0xff, 0xff, 0xff}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if len(line) == 0 {
			return
		}
		at := 0
		wave := &debugporttest.Wave{Names: []string{"a", "b", "c", "d"}, Step: func(_, level uint32) uint32 {
			at++
			if line[at/16%len(line)]>>(at/2%8)&1 != 0 {
				level |= 8
			}
			return level
		}}
		e := New(debugport.New(wave, debugport.Options{Keep: 16, Transactions: 4}), 0, 1, 2, 3)
		ctx := t.Context()
		taps, _, err := e.Identify(ctx)
		require.NoError(t, err)
		assert.LessOrEqual(t, len(taps), MaxTAPs)
		_, _, err = e.BypassDelay(ctx)
		require.NoError(t, err)
		_, _, _, err = e.Sample(ctx, []TAP{{stBoundary, 5}}, 0)
		require.NoError(t, err)
		d, err := NewDP(e, []TAP{{armDP, 4}}, 0)
		require.NoError(t, err)
		var got [4]uint32
		_, _, err = d.ReadAP(ctx, dap.Port(0), dap.IDR, got[:])
		require.NoError(t, err)
		_, err = d.Write(ctx, dap.PowerUp())
		require.NoError(t, err)
		assert.Less(t, e.w.Steps(), uint64(60000))
	})
}
