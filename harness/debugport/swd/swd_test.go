package swd

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/dap"
	"rigor/harness/debugport"
	"rigor/harness/debugport/debugporttest"
	"rigor/harness/wire"
)

// port makes an engine on a target.
func port(t *testing.T, s *debugporttest.SWD) *Port {
	t.Helper()
	if s.Registers == nil {
		s.Registers = debugporttest.New()
	}
	return New(debugport.New(s.Wave(), debugport.Options{}), 0, 1)
}

func TestRequest(t *testing.T) {
	assert.EqualValues(t, 0xa5, request(false, true, 0))
	assert.EqualValues(t, 0x99, request(false, false, 0xc))
	assert.EqualValues(t, 0x81, request(false, false, 0), "ABORT")
	assert.EqualValues(t, 0xb1, request(false, false, 8), "SELECT")
	assert.EqualValues(t, 0x9f, request(true, true, 0xc), "DRW")
}

// TestAttach: each way to a port works where it is the one that is needed, and nobody
// answers where another one is.
func TestAttach(t *testing.T) {
	ways := map[string]func(*Port, context.Context) error{
		"reset":     (*Port).LineReset,
		"switch":    (*Port).JTAGToSWD,
		"plain":     func(p *Port, ctx context.Context) error { return p.DormantWake(ctx, WakePlain) },
		"reset1st":  func(p *Port, ctx context.Context) error { return p.DormantWake(ctx, WakeAfterReset) },
		"from-swd":  func(p *Port, ctx context.Context) error { return p.DormantWake(ctx, WakeFromSWD) },
		"from-jtag": func(p *Port, ctx context.Context) error { return p.DormantWake(ctx, WakeFromJTAG) },
		"target":    func(p *Port, ctx context.Context) error { return p.TargetSel(ctx, dap.RP2040Core1) },
		"other":     func(p *Port, ctx context.Context) error { return p.TargetSel(ctx, dap.RP2040Core0) },
	}
	opens := map[string][]string{
		"":       {"reset", "switch", "plain", "reset1st", "from-swd", "from-jtag", "target", "other"},
		"switch": {"switch"},
		"wake":   {"plain", "reset1st", "from-swd", "from-jtag"},
		"target": {"target"},
	}
	for needs, by := range opens {
		for name, attach := range ways {
			s := &debugporttest.SWD{Needs: needs, Registers: debugporttest.New()}
			s.TargetID, s.DLPIDR = uint32(dap.RP2040Core0), 0x10000001
			p := port(t, s)
			require.NoError(t, attach(p, t.Context()))
			v, a, err := p.ReadDP(t.Context(), dap.DPIDR)
			require.NoError(t, err)
			want := dap.None
			if slices.Contains(by, name) {
				want = dap.OK
				assert.EqualValues(t, 0x2ba01477, v)
			}
			assert.Equal(t, want, a, "%s on a port that needs %q", name, needs)
		}
	}
}

// TestDormantAndBack: a port that was sent to sleep is silent until it is woken.
func TestDormantAndBack(t *testing.T) {
	p := port(t, &debugporttest.SWD{Needs: "wake"})
	for _, step := range []struct {
		do   func(context.Context) error
		want Answer
	}{
		{func(ctx context.Context) error { return p.DormantWake(ctx, WakePlain) }, dap.OK},
		{p.LineReset, dap.OK},
		{p.Dormant, dap.None},
		{p.LineReset, dap.None},
		{func(ctx context.Context) error { return p.DormantWake(ctx, WakeAfterReset) }, dap.OK},
	} {
		require.NoError(t, step.do(t.Context()))
		_, a, err := p.ReadDP(t.Context(), dap.DPIDR)
		require.NoError(t, err)
		assert.Equal(t, step.want, a)
	}
}

// TestAnswers: each kind of answer is told, and none is an error.
func TestAnswers(t *testing.T) {
	var v [1]uint32
	ap0 := dap.Port(0)
	for name, c := range map[string]struct {
		set  func(*debugporttest.SWD)
		want Answer
	}{
		"ok":            {func(*debugporttest.SWD) {}, dap.OK},
		"a few WAIT":    {func(s *debugporttest.SWD) { s.Waits = 3 }, dap.OK},
		"WAIT for ever": {func(s *debugporttest.SWD) { s.AllWait = true }, dap.Wait},
		"FAULT":         {func(s *debugporttest.SWD) { s.AllFault = true }, dap.Fault},
		"parity":        {func(s *debugporttest.SWD) { s.BadParity = true }, dap.Parity},
		"contention":    {func(s *debugporttest.SWD) { s.BadAck = func(uint8) uint8 { return 0 } }, dap.Low},
		"nobody":        {func(s *debugporttest.SWD) { s.BadAck = func(uint8) uint8 { return 7 } }, dap.None},
		"two at once":   {func(s *debugporttest.SWD) { s.BadAck = func(uint8) uint8 { return 3 } }, dap.Protocol},
	} {
		s := &debugporttest.SWD{}
		p := port(t, s)
		require.NoError(t, p.LineReset(t.Context()))
		c.set(s)
		_, a, err := p.ReadAP(t.Context(), ap0, dap.IDR, v[:])
		require.NoError(t, err, name)
		assert.Equal(t, c.want, a, name)
		before := p.w.Steps()
		_, _, err = p.ReadAP(t.Context(), ap0, dap.IDR, v[:])
		require.NoError(t, err)
		assert.Less(t, p.w.Steps()-before, uint64(5000), "%s is bounded", name)
	}
}

// TestStickyError: what is refused stays so until the sticky error is cleared, and a parity
// error of our data is one.
func TestStickyError(t *testing.T) {
	s := &debugporttest.SWD{}
	p := port(t, s)
	require.NoError(t, p.LineReset(t.Context()))
	s.Spoil()
	var v [1]uint32
	_, a, err := p.ReadAP(t.Context(), dap.Port(0), dap.IDR, v[:])
	require.NoError(t, err)
	assert.Equal(t, dap.Fault, a)
	st, a, err := p.ReadDP(t.Context(), dap.CTRLSTAT)
	require.NoError(t, err)
	assert.Equal(t, dap.OK, a)
	assert.NotZero(t, st&dap.WriteDataError)
	a, err = p.Write(t.Context(), dap.ClearSticky())
	require.NoError(t, err)
	assert.Equal(t, dap.OK, a)
	_, a, err = p.ReadAP(t.Context(), dap.Port(0), dap.IDR, v[:])
	require.NoError(t, err)
	assert.Equal(t, dap.OK, a)
	assert.EqualValues(t, 0x24770011, v[0])
}

// TestPins: pin by pin it is the same waveform; an error of a pin is a fault of the bench
// and no answer.
func TestPins(t *testing.T) {
	s := &debugporttest.SWD{Registers: debugporttest.New()}
	wave := s.Wave()
	p := New(debugport.New(wave.ByPin(), debugport.Options{Part: "pads.swd", Half: time.Microsecond}), 0, 1)
	require.NoError(t, p.LineReset(t.Context()))
	v, a, err := p.ReadDP(t.Context(), dap.DPIDR)
	require.NoError(t, err)
	assert.Equal(t, dap.OK, a)
	assert.EqualValues(t, 0x2ba01477, v)

	wave.Err = errors.New("the pin is gone")
	_, a, err = p.ReadDP(t.Context(), dap.CTRLSTAT)
	f, ok := wire.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.EqualValues(t, "pads.swd", f.Part)
	assert.Equal(t, dap.NotDone, a)
}

// TestPlayerBreaks: an error at each of the readings is a fault, never an answer.
func TestPlayerBreaks(t *testing.T) {
	for after := range 36 {
		s := &debugporttest.SWD{Registers: debugporttest.New()}
		wave := s.Wave()
		p := New(debugport.New(wave, debugport.Options{}), 0, 1)
		require.NoError(t, p.LineReset(t.Context()))
		wave.Err, wave.After = errors.New("the adapter is gone"), after
		v, a, err := p.ReadDP(t.Context(), dap.DPIDR)
		_, ok := wire.AsFault(err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, dap.NotDone, a)
		assert.Zero(t, v)
	}
}

// TestContextEnds: what is given up is no fault and no answer.
func TestContextEnds(t *testing.T) {
	p := port(t, &debugporttest.SWD{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, a, err := p.ReadDP(ctx, dap.DPIDR)
	require.ErrorIs(t, err, context.Canceled)
	_, fault := wire.AsFault(err)
	assert.False(t, fault)
	assert.Equal(t, dap.NotDone, a)
}

// TestRescue: the rescue port of an RP2040 is never powered up, and what it is can be
// told by TARGETSEL or by what it says of itself.
func TestRescue(t *testing.T) {
	for _, how := range []string{"asked", "told"} {
		s := &debugporttest.SWD{Needs: "target", Registers: debugporttest.New()}
		s.TargetID, s.DLPIDR = uint32(dap.RP2040Core0), 0xf0000001
		if how == "told" {
			s.Needs = ""
		}
		p := port(t, s)
		if how == "asked" {
			require.NoError(t, p.TargetSel(t.Context(), dap.RP2040Rescue))
		} else {
			require.NoError(t, p.LineReset(t.Context()))
		}
		_, a, err := p.ReadDP(t.Context(), dap.DPIDR)
		require.NoError(t, err)
		require.Equal(t, dap.OK, a)
		if how == "told" {
			for _, r := range []dap.DPReg{dap.TARGETID, dap.DLPIDR} {
				_, a, err = p.ReadDP(t.Context(), r)
				require.NoError(t, err)
				require.Equal(t, dap.OK, a)
			}
		}
		require.NoError(t, p.LineReset(t.Context()))
		for _, w := range []dap.Write{dap.PowerUp(), dap.PowerDown()} {
			_, err = p.Write(t.Context(), w)
			require.ErrorIs(t, err, dap.ErrForbidden)
		}
		for _, x := range s.Accesses {
			assert.False(t, x.Write && !x.ToAP && x.Reg == 4, "CTRL/STAT was written: %+v", x)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	s := &debugporttest.SWD{Registers: debugporttest.New()}
	wave := s.Wave()
	p := New(debugport.New(wave, debugport.Options{}), 0, 1)
	require.NoError(t, p.LineReset(t.Context()))
	got := make([]uint32, 64)
	ctx := t.Context()
	var a Answer
	n := testing.AllocsPerRun(20, func() {
		s.Accesses = s.Accesses[:0]
		_, a, _ = p.ReadAP(ctx, dap.Port(0), dap.BASE, got)
	})
	assert.Equal(t, dap.OK, a)
	assert.Zero(t, n, "65 transactions of 46 bits")
}

func BenchmarkRead(b *testing.B) {
	s := &debugporttest.SWD{Registers: debugporttest.New()}
	p := New(debugport.New(s.Wave(), debugport.Options{}), 0, 1)
	require.NoError(b, p.LineReset(b.Context()))
	got := make([]uint32, 256)
	b.ReportAllocs()
	for b.Loop() {
		s.Accesses = s.Accesses[:0]
		if _, a, err := p.ReadAP(b.Context(), dap.Port(0), dap.BASE, got); a != dap.OK || err != nil {
			b.Fatal(a, err)
		}
	}
	b.ReportMetric(float64(p.w.Steps())/float64(b.N), "steps/op")
}

// FuzzHostile: whatever the data line says, all ends in bounded steps, without a panic, and
// OK needs a right acknowledgement and parity.
func FuzzHostile(f *testing.F) {
	for _, b := range [][]byte{{0}, {0xff}, {0x55}, {1, 0, 2, 3}, {0xfe, 0xff, 0x7f, 3, 9}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if len(line) == 0 {
			return
		}
		at := 0
		wave := &debugporttest.Wave{Names: []string{"c", "d"}, Step: func(drive, level uint32) uint32 {
			at++
			now := level & 1
			if drive&2 != 0 {
				return now | level&2
			}
			if line[at/8%len(line)]>>(at%8)&1 != 0 {
				now |= 2
			}
			return now
		}}
		p := New(debugport.New(wave, debugport.Options{Keep: 16, Transactions: 4}), 0, 1)
		ctx := t.Context()
		require.NoError(t, p.JTAGToSWD(ctx))
		_, _, err := p.ReadDP(ctx, dap.DPIDR)
		require.NoError(t, err)
		var got [8]uint32
		for _, w := range []dap.Write{dap.ClearSticky(), dap.PowerUp(), dap.AbortTransaction()} {
			_, err = p.Write(ctx, w)
			require.NoError(t, err)
		}
		_, _, err = p.ReadAP(ctx, dap.Port(3), dap.IDR, got[:])
		require.NoError(t, err)
		assert.Less(t, p.w.Steps(), uint64(60000))
	})
}
