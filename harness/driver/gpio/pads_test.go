package gpio

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	periph "periph.io/x/conn/v3/gpio"

	"rigor/harness/wire"
)

func padsConf(n int) PadsConfig {
	conf := PadsConfig{Part: "pads"}
	for i := range n {
		conf.Pads = append(conf.Pads, PadConfig{Name: fmt.Sprintf("J3.%d", i+1)})
	}
	return conf
}

func newTestPads(t *testing.T, conf PadsConfig, pins ...*cdevPin) *Pads {
	t.Helper()
	var all []periph.PinIO
	for _, p := range pins {
		all = append(all, p)
	}
	p, err := NewPads(all, conf)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, p.Close())
		assert.NoError(t, p.Close(), "again")
		for _, pin := range pins {
			assert.False(t, pin.isOutput(), "a closed pad is still driven")
			assert.Empty(t, pin.misuse)
		}
	})
	return p
}

func TestPadsPlay(t *testing.T) {
	clk, io, other := newCdevPin(low), newCdevPin(high), newCdevPin(high)
	p := newTestPads(t, padsConf(3), clk, io, other)
	got := make([]uint32, 4)
	n, err := p.Play(t.Context(), []wire.PadStep{
		{Drive: 3, Level: 0, Read: true}, // ours from memory, the third from the wire
		{Drive: 3, Level: 1},
		{Drive: 3, Level: 3, Read: true},
		{Drive: 1, Level: 0, Read: true}, // io let go: its own level
		{Read: true},
	}, got)
	require.NoError(t, err)
	assert.Equal(t, 4, n)
	assert.Equal(t, []uint32{4, 7, 6, 6}, got)
	assert.Equal(t, []periph.Level{low, high, low}, clk.levels(), "each level once")
	assert.Equal(t, []periph.Level{high, low, high}, io.levels())
	assert.Equal(t, []periph.Level{high}, other.levels(), "what no step drives is never ours")
	assert.False(t, io.isOutput())
}

func TestPadsPins(t *testing.T) {
	a, b := newCdevPin(low), newCdevPin(high)
	p := newTestPads(t, padsConf(2), a, b)
	pins := p.Pins()
	assert.Equal(t, "J3.2", pins[1].Name())
	require.NoError(t, pins[0].In(periph.PullUp, periph.NoEdge))
	assert.Equal(t, periph.PullUp, a.pull)
	require.NoError(t, pins[0].Out(high))
	assert.Equal(t, high, pins[0].Read(), "from memory")
	assert.True(t, a.isOutput())
	_, err := p.Play(t.Context(), []wire.PadStep{{}}, nil)
	require.NoError(t, err)
	assert.False(t, a.isOutput(), "let go by a step")
	assert.Equal(t, periph.PullUp, a.pull, "with the resistor that it was given")
	assert.ErrorIs(t, pins[1].In(periph.Float, periph.BothEdges), wire.ErrUnsupported)
}

func TestPadsNotDone(t *testing.T) {
	gone := errors.New("no such device")
	steps := []wire.PadStep{{Drive: 3, Level: 1}, {Drive: 3, Level: 2, Read: true}, {Drive: 1, Read: true}}
	for name, tc := range map[string]struct {
		fail func(a, b *cdevPin)
		in   bool // the pin cannot even be let go
	}{
		"drive":      {fail: func(_, b *cdevPin) { b.fail(nil, gone) }},
		"let go":     {fail: func(_, b *cdevPin) { b.fail(gone, nil) }, in: true},
		"read alone": {fail: func(_, b *cdevPin) { b.fail(gone, nil); b.brokenRead = true }, in: true},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newCdevPin(low), newCdevPin(high)
			p := newTestPads(t, padsConf(2), a, b)
			tc.fail(a, b)
			play := steps
			if name == "read alone" {
				play = []wire.PadStep{{Drive: 1, Read: true}}
			}
			n, err := p.Play(t.Context(), play, make([]uint32, 2))
			f, ok := wire.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, wire.Part("pads"), f.Part)
			assert.ErrorIs(t, err, gone)
			assert.ErrorContains(t, err, "not done")
			assert.ErrorContains(t, err, "J3.2")
			assert.LessOrEqual(t, n, 1)
			assert.False(t, a.isOutput(), "the others are let go of")
			b.fail(nil, nil)
			b.brokenRead = false
			_, err = p.Play(t.Context(), steps, make([]uint32, 2))
			assert.NoError(t, err, "a pin that is back can be used")
		})
	}
}

func TestPadsClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conf := padsConf(1)
		conf.HalfPeriod = 20 * time.Millisecond
		pin := newCdevPin(low)
		p, err := NewPads([]periph.PinIO{pin}, conf)
		require.NoError(t, err)
		start := time.Now()
		_, err = p.Play(t.Context(), make([]wire.PadStep, 50), nil)
		require.NoError(t, err)
		assert.Equal(t, time.Second, time.Since(start))
		ctx, cancel := context.WithTimeout(t.Context(), 110*time.Millisecond)
		defer cancel()
		n, err := p.Play(ctx, []wire.PadStep{{Read: true}, {Read: true}, {Drive: 1}, {}, {}, {}, {}}, make([]uint32, 2))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 2, n)
		_, fault := wire.AsFault(err)
		assert.False(t, fault)
		require.NoError(t, p.Close())
		assert.False(t, pin.isOutput())
	})
}

// fakeSet is a LineSet of fakes: while it is open the single lines are not ours.
type fakeSet struct {
	pins   []*padPin
	reads  int
	closed bool
	err    error
}

func (s *fakeSet) Read(periph.GPIOValue) (periph.GPIOValue, error) {
	s.reads++
	var v periph.GPIOValue
	for k, p := range s.pins {
		if p.pin.(*cdevPin).now() {
			v |= 1 << k
		}
	}
	return v, s.err
}

func (s *fakeSet) Close() error { s.closed = true; return nil }

func TestPadsGroup(t *testing.T) {
	var sets []*fakeSet
	src := &source{dear: true, open: func(pins []*padPin) (inputs, error) {
		sets = append(sets, &fakeSet{pins: pins})
		return sets[len(sets)-1], nil
	}}
	wires := []*cdevPin{newCdevPin(low), newCdevPin(low), newCdevPin(high), newCdevPin(low), newCdevPin(high)}
	p := newTestPads(t, padsConf(5), wires...)
	released := 0
	for _, pin := range p.pins {
		pin.source, pin.release = src, func() { released++ }
	}
	steps := make([]wire.PadStep, 20)
	for i := range steps {
		steps[i] = wire.PadStep{Drive: 3, Level: uint32(i) & 3, Read: true}
	}
	got := make([]uint32, 20)
	_, err := p.Play(t.Context(), steps, got)
	require.NoError(t, err)
	for i := range got {
		require.Equal(t, uint32(i)&3|4|16, got[i])
	}
	require.Len(t, sets, 1)
	assert.Equal(t, 20, sets[0].reads)
	assert.Equal(t, 3, released, "the inputs alone")
	// The same inputs again: the set stays. One of them driven: it goes.
	_, err = p.Play(t.Context(), steps, got)
	require.NoError(t, err)
	assert.Len(t, sets, 1)
	_, err = p.Play(t.Context(), []wire.PadStep{{Drive: 4}, {Read: true}}, got)
	require.NoError(t, err)
	assert.True(t, sets[0].closed)
	assert.Equal(t, uint32(4|16), got[0])
	assert.Len(t, sets, 1, "one reading is not worth a set")
	// A set that breaks is a fault, and everything is let go of.
	_, err = p.Play(t.Context(), steps[:10], got)
	require.NoError(t, err)
	require.Len(t, sets, 2)
	sets[1].err = errors.New("gone")
	_, err = p.Play(t.Context(), steps, got)
	_, ok := wire.AsFault(err)
	assert.True(t, ok, "%v", err)
	assert.False(t, wires[0].isOutput())
	assert.True(t, sets[1].closed)
}

func TestPadsConfig(t *testing.T) {
	for want, conf := range map[string]PadsConfig{
		"no part name":          {Pads: []PadConfig{{Name: "a"}}},
		"0 pads: want 1 to 32":  {Part: "pads"},
		"33 pads: want 1 to 32": padsConf(33),
		"has no name":           {Part: "pads", Pads: []PadConfig{{Line: "GPIO4"}}},
		`two pads are called`:   {Part: "pads", Pads: []PadConfig{{Name: "a"}, {Name: "a"}}},
		`two pads are on line`:  {Part: "pads", Pads: []PadConfig{{Name: "a", Line: "GPIO4"}, {Name: "b", Line: "GPIO4"}}},
		"half period 2s":        {Part: "pads", Pads: []PadConfig{{Name: "a"}}, HalfPeriod: 2 * time.Second},
	} {
		_, err := OpenPads(conf)
		assert.ErrorContains(t, err, want)
	}
	_, err := NewPads(nil, padsConf(1))
	assert.ErrorContains(t, err, "1 names for 0 pins")
}

// chipMemory is the register block of a chip with its pins' wires.
type chipMemory struct {
	reg      [regBytes / 4]uint32
	external uint64
	stores   []int
}

func (c *chipMemory) load(i int) uint32 {
	if i != regLevel && i != regLevel+1 {
		return c.reg[i]
	}
	levels := c.external
	for n := range 54 {
		if c.reg[regSelect+n/10]>>(n%10*3)&7 == 1 {
			levels = levels&^(1<<n) | uint64(c.reg[0x80/4+n/32]>>(n%32)&1)<<n
		}
	}
	return uint32(levels >> (32 * (i - regLevel)))
}

func (c *chipMemory) store(i int, v uint32) {
	c.stores = append(c.stores, i)
	switch i {
	case regSet, regSet + 1: // 0x80 is free: what the outputs are told
		c.reg[0x80/4+i-regSet] |= v
	case regClear, regClear + 1:
		c.reg[0x80/4+i-regClear] &^= v
	default:
		c.reg[i] = v
	}
}

func TestRegisters(t *testing.T) {
	for _, is2711 := range []bool{false, true} {
		chip := &chipMemory{external: 1<<17 | 1<<33}
		chip.reg[regSelect+1] = 4 << 24 // the neighbour GPIO18 has another function
		regs := newRegisters(chip, is2711, nil)
		var pins []*padPin
		for _, n := range []int{17, 27, 33} {
			pin, err := regs.take(chipLine{offset: n, label: "pinctrl-bcm2835", pin: newCdevPin(low)})
			require.NoError(t, err)
			pins = append(pins, &padPin{pin: pin, source: regs.source})
		}
		p, err := newPads(pins, padsConf(3))
		require.NoError(t, err)
		got := make([]uint32, 3)
		_, err = p.Play(t.Context(), []wire.PadStep{{Read: true}, {Drive: 3, Level: 2, Read: true}, {Drive: 2, Level: 2, Read: true}}, got)
		require.NoError(t, err)
		assert.Equal(t, []uint32{5, 6, 7}, got)
		assert.Equal(t, uint32(4), chip.reg[regSelect+1]>>24&7, "the neighbour")
		assert.Equal(t, uint32(1), chip.reg[regSelect+2]>>21&7, "GPIO27 is an output")
		chip.stores = nil
		require.NoError(t, p.Pins()[0].Out(high))
		assert.Equal(t, []int{regSet, regSelect + 1}, chip.stores, "the level first: no glitch")
		require.NoError(t, p.Pins()[2].In(periph.PullUp, periph.NoEdge))
		if is2711 {
			assert.Equal(t, uint32(1), chip.reg[regPull2711+2]>>2&3)
		} else {
			assert.Equal(t, []int{regPull, regPullClock + 1, regPull, regPullClock + 1}, chip.stores[len(chip.stores)-4:])
		}
		require.NoError(t, p.Close())
		assert.Equal(t, uint32(4<<24), chip.reg[regSelect+1])
		assert.Zero(t, chip.reg[regSelect+2])
	}
}

func TestRegistersElsewhere(t *testing.T) {
	for compatible, want := range map[string]string{
		"raspberrypi,5-model-b\x00brcm,bcm2712\x00": "another chip",
		"linux,dummy-virt\x00":                      `this is "linux,dummy-virt"`,
		"":                                          "want a Raspberry Pi 0 to 4",
	} {
		_, err := registersOf(compatible)
		assert.ErrorIs(t, err, ErrNoRegisters)
		assert.ErrorContains(t, err, want)
	}
	is2711, err := registersOf("raspberrypi,4-model-b\x00brcm,bcm2711\x00")
	assert.True(t, err == nil && is2711)
	is2711, err = registersOf("raspberrypi,3-model-b\x00brcm,bcm2837\x00")
	assert.True(t, err == nil && !is2711)
	regs := newRegisters(&chipMemory{}, false, nil)
	_, err = regs.take(chipLine{offset: 48, label: "pinctrl-bcm2835"})
	assert.ErrorContains(t, err, "belongs to the board itself")
	_, err = regs.take(chipLine{offset: 4, label: "pl061"})
	assert.ErrorContains(t, err, "on chip pl061")
}

// TestPadsPinsWait: wires that need a slow clock need time behind a single pin's change
// too, before it is read: once, however often it is read then.
func TestPadsPinsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conf := padsConf(2)
		conf.HalfPeriod = 10 * time.Millisecond
		p := newTestPads(t, conf, newCdevPin(low), newCdevPin(high))
		pins := p.Pins()
		begun := time.Now()
		pins[1].Read()
		assert.Zero(t, time.Since(begun), "nothing was changed")
		require.NoError(t, pins[0].In(periph.PullUp, periph.NoEdge))
		pins[0].Read()
		pins[1].Read()
		assert.Equal(t, 10*time.Millisecond, time.Since(begun))
		require.NoError(t, pins[1].Out(high))
		pins[0].Read()
		pins[0].Read()
		assert.Equal(t, 20*time.Millisecond, time.Since(begun))
	})
}
