package pinsearch

import (
	"context"
	"fmt"
	"math/bits"
	"strings"

	"periph.io/x/conn/v3/gpio"

	"rigor/harness/debugport/jep106"
)

const (
	// resetClocks with TMS high reset a TAP from any state.
	resetClocks = 5
	// liveBits tell a TAP from a line that nobody drives: a maker's code is never all ones
	// in its seven bits behind the one that an IDCODE begins with, and BYPASS begins with
	// a zero.
	liveBits = 8
	// maxTAPs of a chain, as the published tools have it.
	maxTAPs = 32
	maxIR   = 32 // bits of one instruction register
	// patternBits are what TDI is searched with.
	patternBits = 48
)

// lengths are how many bits of a chain are read, until it ends.
var lengths = []int{64, 160, 544, 32 * (maxTAPs + 2)}

// tms adds clocks with TMS as the bits of v say, the first bit first.
func (s *searcher) tms(tck, tms uint32, v uint32, n int) {
	for i := range n {
		level := uint32(0)
		if v>>i&1 != 0 {
			level = tms
		}
		s.clock(tck, tck|tms, level, false)
	}
}

// toShiftDR adds the way from anywhere to Shift-DR through a reset. With two readings
// before it, while no TAP drives TDO.
func (s *searcher) toShiftDR(tck, tms uint32, base bool) {
	s.tms(tck, tms, 1<<resetClocks-1, resetClocks)
	s.clock(tck, tck|tms, 0, base)   // Run-Test/Idle
	s.clock(tck, tck|tms, tms, base) // Select-DR-Scan
	s.clock(tck, tck|tms, 0, false)  // Capture-DR
	s.clock(tck, tck|tms, 0, false)  // Shift-DR
}

// jtagPair asks one pair of TCK and TMS, and reads all other pads as TDO.
func (s *searcher) jtagPair(ctx context.Context, tck, tms int) error {
	c, m := uint32(1)<<tck, uint32(1)<<tms
	s.toShiftDR(c, m, true)
	for range liveBits {
		s.clock(c, c|m, 0, true)
	}
	s.steps = s.steps[:len(s.steps)-1]
	got, err := s.play(ctx)
	if err != nil {
		return err
	}
	unsteady := got[0] ^ got[1]
	s.watch(got[0], c|m)
	live := uint32(0)
	for _, g := range got[2:] {
		live |= g ^ got[1]
	}
	live &= s.all &^ (c | m | s.moves | s.held | unsteady | s.same[tck] | s.same[tms])
	if live == 0 {
		return nil
	}
	return s.jtagConfirm(ctx, tck, tms, live, s.via)
}

// read shifts n bits out of the chain, with what else is driven, after a reset. Silent
// keeps TMS high in place of going to Shift-DR.
func (s *searcher) read(ctx context.Context, tck, tms uint32, n int, silent bool) ([]uint32, error) {
	if silent {
		s.tms(tck, tms, 1<<9-1, 9)
	} else {
		s.toShiftDR(tck, tms, false)
	}
	for range n {
		level := uint32(0)
		if silent {
			level = tms
		}
		s.clock(tck, tck|tms, level, true)
	}
	s.leave(tck, tms)
	return s.play(ctx)
}

// leave brings the TAPs to their reset and lets the pads go.
func (s *searcher) leave(tck, tms uint32) {
	s.tms(tck, tms, 1<<resetClocks-1, resetClocks)
	s.step(0, 0, false)
}

// chain is what came out of TDO after a reset.
type chain struct {
	ids   []ID // that next to TDO first; 0 for a TAP that has none
	bits  int  // of all their registers
	ended bool // what follows is TDI, and not more TAPs
}

// parse reads the registers that a reset leaves: an IDCODE begins with a one, BYPASS is a
// zero; what nobody drives is all ones.
func parse(got []uint32, tdo uint32) chain {
	var c chain
	at := 0
	for len(c.ids) <= maxTAPs && at < len(got) {
		if got[at]&tdo == 0 {
			run := 0
			for at+run < len(got) && got[at+run]&tdo == 0 {
				run++
			}
			if at+run == len(got) { // zeros to the end: TDI is low, or TDO is
				return c
			}
			for range run {
				c.ids = append(c.ids, ID{})
			}
			at, c.bits = at+run, c.bits+run
			continue
		}
		if at+32 > len(got) {
			return c
		}
		v := uint32(0)
		for i := range 32 {
			if got[at+i]&tdo != 0 {
				v |= 1 << i
			}
		}
		if v == 1<<32-1 {
			c.ended = true
			return c
		}
		c.ids = append(c.ids, ID{v, jep106.Of(v).Maker()})
		at, c.bits = at+32, c.bits+32
	}
	return c
}

// jtagConfirm looks closer at the pads that lived as TDO, and files what it finds.
func (s *searcher) jtagConfirm(ctx context.Context, tck, tms int, live uint32, via string) error {
	c, m := uint32(1)<<tck, uint32(1)<<tms
	var first []uint32
	chains := map[int]chain{}
	for _, n := range lengths {
		got, err := s.read(ctx, c, m, n, false)
		if err != nil {
			return err
		}
		first, chains = append(first[:0], got...), map[int]chain{}
		open := false
		for l := live; l != 0; l &= l - 1 {
			tdo := bits.TrailingZeros32(l)
			chains[tdo] = parse(first, 1<<tdo)
			open = open || (!chains[tdo].ended && len(chains[tdo].ids) > 0 && len(chains[tdo].ids) <= maxTAPs)
		}
		if !open {
			break
		}
	}
	done := uint32(0)
	for l := live; l != 0; l &= l - 1 {
		tdo := bits.TrailingZeros32(l)
		ch := chains[tdo]
		if len(ch.ids) == 0 || len(ch.ids) > maxTAPs || done&(1<<tdo) != 0 {
			continue
		}
		// Pads that say the same, bit by bit, are joined: they are one hit.
		twins := uint32(0)
		for o := live &^ (1<<tdo | done); o != 0; o &= o - 1 {
			if b := o & -o; alike(first, 1<<tdo, b) {
				twins |= b
			}
		}
		done |= 1<<tdo | twins
		if err := s.jtagHit(ctx, tck, tms, tdo, twins, ch, first, via); err != nil {
			return err
		}
	}
	return nil
}

// alike says whether two pads read the same all the time.
func alike(got []uint32, a, b uint32) bool {
	for _, g := range got {
		if (g&a != 0) != (g&b != 0) {
			return false
		}
	}
	return true
}

// jtagHit confirms one.
func (s *searcher) jtagHit(ctx context.Context, tck, tms, tdo int, twins uint32, ch chain, first []uint32, via string) error {
	c, m, d := uint32(1)<<tck, uint32(1)<<tms, uint32(1)<<tdo
	h := Hit{Protocol: "jtag", Via: via, IDs: ch.ids, Roles: []Role{{"tck", s.names[tck]}, {"tms", s.names[tms]}, {"tdo", s.names[tdo]}}}
	if twins != 0 {
		s.note("%s reads as %s does, bit by bit: joined", strings.Join(s.list(twins), ", "), s.names[tdo])
	}
	repeats := true
	for _, pull := range []gpio.Pull{gpio.PullUp, gpio.PullDown} {
		if err := s.setPull(ctx, tdo, pull); err != nil {
			return err
		}
		got, err := s.read(ctx, c, m, ch.bits, false)
		if err != nil {
			return err
		}
		for i := range got {
			repeats = repeats && (got[i]^first[i])&d == 0
		}
	}
	// With TMS high there is no Shift-DR, and so no bit of it.
	got, err := s.read(ctx, c, m, ch.bits, true)
	if err != nil {
		return err
	}
	silent := true
	for _, g := range got {
		silent = silent && (g^got[0])&d == 0
	}
	if err := s.setPull(ctx, tdo, gpio.PullUp); err != nil {
		return err
	}
	makers, unknown, ids := true, "", 0
	for _, id := range ch.ids {
		if id.Value != 0 {
			ids++
			if id.Maker == "" {
				makers, unknown = false, id.String()
			}
		}
	}
	h.Proofs = []Proof{
		proof("three readings alike, one against our other pull", repeats, "%d bits", ch.bits),
		proof("silent in Test-Logic-Reset", silent, ""),
	}
	if ids > 0 {
		h.Proofs = append(h.Proofs, proof("makers known (JEP106)", makers, "%s", unknown))
	}
	if repeats && silent {
		if err := s.jtagRest(ctx, &h, tck, tms, tdo, twins, ch); err != nil {
			return err
		}
	}
	s.keep(h)
	return nil
}

// jtagRest finds TDI and nTRST of a hit, and looks at the delay of BYPASS.
func (s *searcher) jtagRest(ctx context.Context, h *Hit, tck, tms, tdo int, twins uint32, ch chain) error {
	c, m, d := uint32(1)<<tck, uint32(1)<<tms, uint32(1)<<tdo
	room := s.all &^ (c | m | d | twins | s.never | s.held | s.same[tck] | s.same[tms] | s.same[tdo])
	tdi, seen := -1, 0
	for r := room; r != 0; r &= r - 1 {
		i := bits.TrailingZeros32(r)
		delay, err := s.delay(ctx, c, m, 1<<i, d, ch.bits)
		if err != nil {
			return err
		}
		if delay == 0 {
			s.note("%s follows %s at once: they are joined, and no TAP is between them", s.names[tdo], s.names[i])
		}
		if delay > 0 {
			tdi, seen = i, delay
			break
		}
	}
	if tdi < 0 {
		h.Proofs = append(h.Proofs, proof("BYPASS delays by one clock for each TAP", false, "no pad is TDI: what is shifted in never comes out"))
		return nil
	}
	h.Roles = append(h.Roles, Role{"tdi", s.names[tdi]})
	want := ch.bits
	if !ch.ended { // a TDI that the board holds low hides how many TAPs without IDCODE there are
		for want = seen; ch.bits < seen; ch.bits++ {
			h.IDs = append(h.IDs, ID{})
		}
	}
	h.Proofs = append(h.Proofs, proof("what goes into TDI comes out behind the IDCODEs", seen == want, "after %d clocks, want %d", seen, want))
	taps := len(h.IDs)
	delay, err := s.bypass(ctx, c, m, 1<<tdi, d, taps)
	if err != nil {
		return err
	}
	h.Proofs = append(h.Proofs, proof("BYPASS delays by one clock for each TAP", delay == taps, "%s", delayText(delay, taps)))
	for r := room &^ (1<<tdi | s.lowHeld); r != 0; r &= r - 1 {
		i := bits.TrailingZeros32(r)
		resets, err := s.resets(ctx, c, m, 1<<i, d, h.IDs[0])
		if err != nil {
			return err
		}
		if resets {
			h.Roles = append(h.Roles, Role{"ntrst", s.names[i]})
		}
	}
	return nil
}

func delayText(delay, taps int) string {
	if delay < 0 {
		return fmt.Sprintf("nothing came out, want a delay of %d", taps)
	}
	return fmt.Sprintf("%d clocks, %d TAPs", delay, taps)
}

// sequence is one of maximal length (x^6+x+1): no six bits of its 63 are there twice.
const sequence uint64 = 0x7d59bb49c5e51841

// patternBit gives the bits that go into TDI.
func patternBit(i int) bool { return sequence>>(i%63)&1 != 0 }

// send adds n clocks in Shift-DR or Shift-IR with the pattern on TDI, all read.
func (s *searcher) send(tck, tms, tdi uint32, n int) {
	for i := range n {
		level := uint32(0)
		if patternBit(i) {
			level = tdi
		}
		s.clock(tck, tck|tms|tdi, level, true)
	}
}

// match gives after how many clocks the pattern comes back, -1 where it does not.
func match(got []uint32, tdo uint32) int {
	for at := 0; at+patternBits <= len(got); at++ {
		hit := true
		for i := 0; i < patternBits && hit; i++ {
			hit = (got[at+i]&tdo != 0) == patternBit(i)
		}
		if hit {
			return at
		}
	}
	return -1
}

// delay shifts a pattern into a pad after a reset, and gives after how many clocks it
// comes out.
func (s *searcher) delay(ctx context.Context, tck, tms, tdi, tdo uint32, length int) (int, error) {
	s.toShiftDR(tck, tms, false)
	s.send(tck, tms, tdi, length+maxTAPs+patternBits)
	s.leave(tck, tms)
	got, err := s.play(ctx)
	if err != nil {
		return 0, err
	}
	return match(got, tdo), nil
}

// bypass loads all ones, which is BYPASS in every TAP, and gives the delay then.
func (s *searcher) bypass(ctx context.Context, tck, tms, tdi, tdo uint32, taps int) (int, error) {
	s.tms(tck, tms, 1<<resetClocks-1, resetClocks)
	s.tms(tck, tms, 0b00110, 5) // Run-Test/Idle, Select-DR, Select-IR, Capture-IR, Shift-IR
	for range taps*maxIR - 1 {
		s.clock(tck, tck|tms|tdi, tdi, false)
	}
	s.clock(tck, tck|tms|tdi, tdi|tms, false) // Exit1-IR, with the last one
	s.tms(tck, tms, 0b0011, 4)                // Update-IR, Select-DR, Capture-DR, Shift-DR
	s.send(tck, tms, tdi, taps+maxTAPs+patternBits)
	s.leave(tck, tms)
	got, err := s.play(ctx)
	if err != nil {
		return 0, err
	}
	return match(got, tdo), nil
}

// resets says whether a pad that is pulled low for one clock in the middle of an IDCODE
// stops it: nTRST, or a reset that reaches the TAP.
func (s *searcher) resets(ctx context.Context, tck, tms, pad, tdo uint32, id ID) (bool, error) {
	if id.Value == 0 {
		return false, nil
	}
	for range 2 {
		s.toShiftDR(tck, tms, false)
		for i := range 32 {
			if i == 8 {
				s.clock(tck, tck|tms|pad, 0, true)
				continue
			}
			s.clock(tck, tck|tms, 0, true)
		}
		s.leave(tck, tms)
		got, err := s.play(ctx)
		if err != nil {
			return false, err
		}
		v := uint32(0)
		for i := range 32 {
			if got[i]&tdo != 0 {
				v |= 1 << i
			}
		}
		if v == id.Value {
			return false, nil
		}
	}
	return true, nil
}

// jtagBehind looks for JTAG on the pads of a serial wire that was found: many chips have
// both, and stay with the one that was chosen last.
func (s *searcher) jtagBehind(ctx context.Context, clk, io int) error {
	c, m := uint32(1)<<clk, uint32(1)<<io
	s.ones(c, m, lineReset)
	s.word(c, m, toJTAG, 16)
	s.toShiftDR(c, m, true)
	for range liveBits {
		s.clock(c, c|m, 0, true)
	}
	s.leave(c, m)
	got, err := s.play(ctx)
	if err != nil {
		return err
	}
	live := uint32(0)
	for _, g := range got[2:] {
		live |= g ^ got[1]
	}
	live &= s.all &^ (c | m | s.moves | s.held | (got[0] ^ got[1]) | s.same[clk] | s.same[io])
	if live == 0 {
		return nil
	}
	return s.jtagConfirm(ctx, clk, io, live, "after 0xe73c")
}
