package pinsearch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"periph.io/x/conn/v3/gpio"

	"rigor/harness/wire"
)

const (
	armDP    = 0x4BA00477
	stm32TAP = 0x06413041
	swDPIDR  = 0x2BA01477
)

func search(t *testing.T, b *board, o Options) *Result {
	t.Helper()
	before := b.steps
	r, err := Search(t.Context(), b, o)
	require.NoError(t, err)
	assert.Equal(t, b.steps-before, r.Steps)
	assert.Zero(t, b.drive, "everything is let go of")
	return r
}

// jtagOn puts a chain on pads of a board as its pads are in life: TMS, TDI and nTRST
// pulled up and TCK down by the chip, TDO open.
func jtagOn(b *board, x *tap) *tap {
	b.parts = append(b.parts, x)
	b.strong[x.tck], b.strong[x.tms], b.strong[x.tdi] = gpio.PullDown, gpio.PullUp, gpio.PullUp
	if x.ntrst >= 0 && b.strong[x.ntrst] == 0 {
		b.strong[x.ntrst] = gpio.PullUp
	}
	return x
}

func swdOn(b *board, p *swdp) {
	p.count = -1
	b.parts = append(b.parts, p)
	b.strong[p.clk], b.strong[p.io] = gpio.PullDown, gpio.PullUp
}

func roles(h Hit) map[string]string {
	m := map[string]string{}
	for _, r := range h.Roles {
		m[r.Role] = r.Pad
	}
	return m
}

func TestJTAG(t *testing.T) {
	for name, tc := range map[string]struct {
		n   int
		tap tap
		ids []uint32
	}{
		"one TAP among 5 pads":           {5, tap{tck: 2, tms: 4, tdi: 0, tdo: 1, ntrst: 3, ids: []uint32{armDP}, irLen: 4}, []uint32{armDP}},
		"a chain of three among 12":      {12, tap{tck: 11, tms: 0, tdi: 7, tdo: 3, ntrst: -1, ids: []uint32{stm32TAP, 0, armDP}, irLen: 5}, []uint32{stm32TAP, 0, armDP}},
		"no TAP has an IDCODE":           {8, tap{tck: 1, tms: 2, tdi: 3, tdo: 4, ntrst: -1, ids: []uint32{0, 0}, irLen: 5}, []uint32{0, 0}},
		"all others are TDO: 32 of them": {32, tap{tck: 31, tms: 30, tdi: 29, tdo: 0, ntrst: 17, ids: []uint32{armDP}, irLen: 4}, []uint32{armDP}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoard(tc.n)
			x := jtagOn(b, &tc.tap)
			r := search(t, b, Options{NoSWD: true})
			require.Len(t, r.Hits, 1, "%s", r)
			want := map[string]string{"tck": b.names[x.tck], "tms": b.names[x.tms], "tdi": b.names[x.tdi], "tdo": b.names[x.tdo]}
			if x.ntrst >= 0 {
				want["ntrst"] = b.names[x.ntrst]
			}
			assert.Equal(t, want, roles(r.Hits[0]), "%s", r)
			var ids []uint32
			for _, id := range r.Hits[0].IDs {
				ids = append(ids, id.Value)
			}
			assert.Equal(t, tc.ids, ids)
			assert.Empty(t, r.Doubtful)
		})
	}
}

func TestSWD(t *testing.T) {
	b := newBoard(6)
	swdOn(b, &swdp{clk: 4, io: 1, id: swDPIDR})
	r := search(t, b, Options{})
	require.Len(t, r.Hits, 1, "%s", r)
	assert.Equal(t, map[string]string{"swclk": "P5", "swdio": "P2"}, roles(r.Hits[0]))
	assert.Equal(t, uint32(swDPIDR), r.Hits[0].IDs[0].Value)
	assert.Contains(t, r.String(), "found swd: swclk P5, swdio P2; 0x2ba01477 (ARM Ltd.)")
	swd := r.Passes[1]
	assert.LessOrEqual(t, swd.Pairs, 6*5, "at most one pass over the pairs")
	assert.LessOrEqual(t, swd.Steps, Pairs(6)+5*pairSteps, "confirmation included")
}

func TestSWDBehindOtherWays(t *testing.T) {
	b := newBoard(4)
	swdOn(b, &swdp{clk: 0, io: 3, id: 0x6BA02477, dormant: true})
	assert.Empty(t, search(t, b, Options{NoJTAG: true}).Hits)
	r := search(t, b, Options{NoJTAG: true, Dormant: true})
	require.Len(t, r.Hits, 1, "%s", r)
	assert.Equal(t, "dormant", r.Hits[0].Via)

	b = newBoard(4)
	swdOn(b, &swdp{clk: 0, io: 3, id: 0x0BC12477, dormant: true, target: 0x01002927})
	assert.Empty(t, search(t, b, Options{NoJTAG: true, Dormant: true}).Hits)
	r = search(t, b, Options{NoJTAG: true, Targets: Known()})
	require.Len(t, r.Hits, 1, "%s", r)
	assert.Equal(t, "target 0x01002927", r.Hits[0].Via)
}

// TestTraps: what looks like a port and is none, and what must not be driven.
func TestTraps(t *testing.T) {
	t.Run("nothing but floating pads", func(t *testing.T) {
		b := newBoard(10)
		r := search(t, b, Options{Dormant: true, Targets: Known(), TRST: true})
		assert.Empty(t, r.Hits)
		assert.Empty(t, r.Doubtful, "%s", r)
		assert.Contains(t, r.String(), "nothing found")
	})
	t.Run("floating pads and no pulls: they read at random", func(t *testing.T) {
		b := newBoard(6)
		b.noPulls = true
		r := search(t, b, Options{})
		assert.Empty(t, r.Hits, "%s", r)
		assert.Equal(t, Unread, r.Pads[0].State)
	})
	t.Run("TDI and TDO joined, no TAP", func(t *testing.T) {
		b := newBoard(6)
		b.joined = map[int]int{2: 5, 5: 2}
		r := search(t, b, Options{})
		assert.Empty(t, r.Hits)
		assert.Empty(t, r.Doubtful)
		assert.Equal(t, "P3", r.Pads[5].Same)
	})
	t.Run("TDO joined to another pad", func(t *testing.T) {
		b := newBoard(6)
		jtagOn(b, &tap{tck: 0, tms: 1, tdi: 2, tdo: 3, ntrst: -1, ids: []uint32{armDP}, irLen: 4})
		b.joined = map[int]int{3: 5, 5: 3}
		r := search(t, b, Options{NoSWD: true})
		require.Len(t, r.Hits, 1, "%s", r)
		assert.Equal(t, "P3", r.Hits[0].Pad("tdi"))
	})
	t.Run("nTRST held low", func(t *testing.T) {
		b := newBoard(7)
		b.strong[4] = gpio.PullDown
		jtagOn(b, &tap{tck: 0, tms: 1, tdi: 2, tdo: 3, ntrst: 4, ids: []uint32{armDP}, irLen: 4})
		assert.Empty(t, search(t, b, Options{NoSWD: true}).Hits)
		r := search(t, b, Options{NoSWD: true, TRST: true})
		require.Len(t, r.Hits, 1, "%s", r)
		assert.Equal(t, "with P5 high", r.Hits[0].Via)
		assert.Equal(t, "P5", r.Hits[0].Pad("ntrst"))
	})
	t.Run("nTRST weakly low: our pull is enough", func(t *testing.T) {
		b := newBoard(7)
		jtagOn(b, &tap{tck: 0, tms: 1, tdi: 2, tdo: 3, ntrst: 4, ids: []uint32{armDP}, irLen: 4})
		b.strong[4], b.weak[4] = 0, gpio.PullDown
		r := search(t, b, Options{NoSWD: true})
		require.Len(t, r.Hits, 1, "%s", r)
		assert.Equal(t, "P5", r.Hits[0].Pad("ntrst"))
	})
	t.Run("a UART that talks is never driven", func(t *testing.T) {
		b := newBoard(8)
		jtagOn(b, &tap{tck: 0, tms: 1, tdi: 2, tdo: 3, ntrst: -1, ids: []uint32{armDP}, irLen: 4})
		b.parts = append(b.parts, &driver{pad: 6, level: true, period: 7}, &driver{pad: 7, level: true, period: 11})
		r := search(t, b, Options{})
		require.Len(t, r.Hits, 1, "%s", r)
		assert.Equal(t, Moves, r.Pads[6].State)
		assert.NotEmpty(t, r.Pads[7].Spared)
		assert.Zero(t, b.drove&(1<<6|1<<7))
		assert.Zero(t, b.clash)
	})
	t.Run("a UART that begins to talk when the DUT is stirred", func(t *testing.T) {
		b := newBoard(5)
		uart := &driver{pad: 2, level: true}
		b.parts = append(b.parts, uart)
		r := search(t, b, Options{Stir: func(context.Context) error { uart.period = 9; return nil }})
		assert.Zero(t, b.drove&(1<<2), "%s", r)
		assert.Zero(t, b.clash)
	})
	t.Run("a UART that begins to talk in the midst of it", func(t *testing.T) {
		b := newBoard(8)
		jtagOn(b, &tap{tck: 0, tms: 1, tdi: 2, tdo: 3, ntrst: -1, ids: []uint32{armDP}, irLen: 4})
		b.parts = append(b.parts, &driver{pad: 7, level: true, after: 400, period: 5})
		r := search(t, b, Options{})
		require.Len(t, r.Hits, 1, "%s", r)
		assert.Equal(t, Moves, r.Pads[7].State)
		before := b.clash
		assert.Less(t, before, 1000, "it is spared soon")
	})
	t.Run("what is excepted is not driven, and what floats only where that is asked", func(t *testing.T) {
		b := newBoard(5)
		b.parts = append(b.parts, &driver{pad: 2, level: true}, &driver{pad: 3})
		search(t, b, Options{Never: []string{"P3", "P4"}})
		assert.Zero(t, b.drove&(1<<2|1<<3))
		b.drove = 0
		r := search(t, b, Options{Floating: true})
		assert.Zero(t, b.drove&(1<<2|1<<3))
		assert.Equal(t, HeldHigh, r.Pads[2].State)
		assert.Equal(t, "something holds it", r.Pads[3].Spared)
	})
	t.Run("DPIDR with wrong parity", func(t *testing.T) {
		b := newBoard(4)
		swdOn(b, &swdp{clk: 0, io: 1, id: swDPIDR, badPar: true})
		r := search(t, b, Options{})
		assert.Empty(t, r.Hits)
		require.Len(t, r.Doubtful, 1)
		assert.Contains(t, r.String(), "doubtful, not confirmed: swd: swclk P1, swdio P2; 0x2ba01477 (ARM Ltd.); not so: acknowledged OK with right parity")
	})
	t.Run("a maker whom nobody knows", func(t *testing.T) {
		b := newBoard(5)
		jtagOn(b, &tap{tck: 0, tms: 1, tdi: 2, tdo: 3, ntrst: -1, ids: []uint32{0x10000F7D}, irLen: 4})
		r := search(t, b, Options{NoSWD: true})
		assert.Empty(t, r.Hits)
		require.Len(t, r.Doubtful, 1)
	})
	t.Run("TDI is not among the pads", func(t *testing.T) {
		b := newBoard(5)
		jtagOn(b, &tap{tck: 0, tms: 1, tdi: 20, tdo: 3, ntrst: -1, ids: []uint32{armDP}, irLen: 4})
		r := search(t, b, Options{NoSWD: true})
		require.Len(t, r.Doubtful, 1, "%s", r)
		assert.Contains(t, r.String(), "no pad is TDI")
	})
	t.Run("TDI held low by the board", func(t *testing.T) {
		b := newBoard(5)
		jtagOn(b, &tap{tck: 0, tms: 1, tdi: 2, tdo: 3, ntrst: -1, ids: []uint32{armDP, 0}, irLen: 4})
		b.strong[2] = gpio.PullDown
		r := search(t, b, Options{NoSWD: true})
		require.Len(t, r.Hits, 1, "%s", r)
		assert.Len(t, r.Hits[0].IDs, 2)
	})
}

// TestOnlyTheHypothesis: never more pads are ours than the hypothesis needs.
func TestOnlyTheHypothesis(t *testing.T) {
	b := newBoard(12)
	jtagOn(b, &tap{tck: 0, tms: 1, tdi: 2, tdo: 3, ntrst: 4, ids: []uint32{armDP}, irLen: 4})
	swdOn(b, &swdp{clk: 7, io: 8, id: swDPIDR})
	most := 0
	w := watched{b, func(s wire.PadStep) {
		n := 0
		for d := s.Drive; d != 0; d &= d - 1 {
			n++
		}
		most = max(most, n)
	}}
	r, err := Search(t.Context(), w, Options{Dormant: true})
	require.NoError(t, err)
	assert.Len(t, r.Hits, 2, "%s", r)
	assert.Equal(t, 3, most, "TCK, TMS and the candidate for TDI or nTRST")
	assert.Zero(t, b.clash, "TDO is never driven against")
}

type watched struct {
	*board
	see func(wire.PadStep)
}

func (w watched) Play(ctx context.Context, steps []wire.PadStep, got []uint32) (int, error) {
	for _, s := range steps {
		w.see(s)
	}
	return w.board.Play(ctx, steps, got)
}

func TestErrors(t *testing.T) {
	b := newBoard(6)
	b.failAt = 500
	r, err := Search(t.Context(), b, Options{})
	_, fault := wire.AsFault(err)
	assert.True(t, fault, "%v", err)
	assert.Empty(t, r.Hits)
	assert.Len(t, r.Pads, 6, "what was seen up to there")
	assert.Contains(t, r.String(), "did not come to its end")
	assert.NotContains(t, r.String(), "nothing found")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b = newBoard(6)
	_, err = Search(ctx, b, Options{})
	assert.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, b.drive)

	gone := errors.New("reset is gone")
	_, err = Search(t.Context(), newBoard(3), Options{Stir: func(context.Context) error { return gone }})
	assert.ErrorIs(t, err, gone)
	for _, o := range []Options{{Never: []string{"X"}}, {Hold: map[string]gpio.Level{"X": true}}, {Listen: -1}, {Never: []string{"P1"}, Hold: map[string]gpio.Level{"P1": true}}} {
		_, err := Search(t.Context(), newBoard(3), o)
		assert.Error(t, err)
	}
	_, err = Search(t.Context(), newBoard(1), Options{})
	assert.ErrorContains(t, err, "want 2 to 32")
}

// costs searches n pads, with a port on them and without.
func costs(t testing.TB, n int, with bool) (c Cost) {
	c.Pads = n
	for _, swd := range []bool{false, true} {
		b := newBoard(n)
		if with {
			jtagOn(b, &tap{tck: n - 1, tms: n - 2, tdi: 1, tdo: 0, ntrst: -1, ids: []uint32{armDP}, irLen: 4})
		}
		r, err := Search(t.Context(), b, Options{NoJTAG: swd, NoSWD: !swd})
		require.NoError(t, err)
		require.Equal(t, with && !swd, len(r.Hits) == 1)
		if swd {
			c.SWD = r.Steps + r.Pulls
		} else {
			c.JTAG = r.Steps + r.Pulls
		}
	}
	return c
}

// TestCosts holds the search against the published ones: at 16 pads a tenth of the
// triple scan's operations at most, idle levels, pulls and confirmation included.
func TestCosts(t *testing.T) {
	for _, with := range []bool{true, false} {
		c := costs(t, 16, with)
		assert.LessOrEqual(t, 10*c.JTAG, Triples(16), "JTAG, port there: %v", with)
		assert.LessOrEqual(t, c.SWD, Pairs(16), "SWD, port there: %v", with)
	}
	assert.Equal(t, uint64(336*82), Triples(8))
	assert.Equal(t, 2*time.Second, Rates()[0].Time(100_000))
}

// BenchmarkTable prints the table: a port is there, at the last pads of all.
func BenchmarkTable(b *testing.B) {
	var all []Cost
	for b.Loop() {
		all = all[:0]
		for n := 4; n <= 24; n += 2 {
			all = append(all, costs(b, n, true))
		}
	}
	var text bytes.Buffer
	require.NoError(b, Table(&text, all))
	fmt.Printf("half periods and switched pulls, and the time that they take\n%s", text.String())
}

func FuzzSearch(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint8(5))
	f.Fuzz(func(t *testing.T, noise []byte, n uint8) {
		if len(noise) == 0 {
			return
		}
		b := newBoard(3 + int(n)%4)
		b.parts = append(b.parts, &hostile{noise: noise, pads: uint32(noise[0])})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		r, err := Search(ctx, b, Options{Dormant: true, Targets: Known(), TRST: true})
		require.NoError(t, err)
		assert.Less(t, r.Steps, uint64(2_000_000))
	})
}

// hostile drives pads as its bytes say.
type hostile struct {
	noise []byte
	pads  uint32
	n     int
}

func (h *hostile) step(uint32) (uint32, uint32) {
	h.n++
	return h.pads & uint32(h.noise[(h.n/8)%len(h.noise)]), uint32(h.noise[h.n%len(h.noise)])
}
