package pinsearch

import (
	"context"
	"fmt"
	"math/bits"

	"periph.io/x/conn/v3/gpio"

	"rigor/harness/debugport/jep106"
)

// The serial wire's sequences, least significant bit first: IHI 0031, B5.3.
const (
	lineReset = 51 // clocks with SWDIO high: at least 50
	idle      = 2  // clocks with SWDIO low
	toSWD     = 0xE79E
	toJTAG    = 0xE73C
	wakeup    = 0x1A // after four zeros
	alertLow  = 0x86852D956209F392
	alertHigh = 0x19BC0EA2E3DDAFE9

	readDPIDR = 0xA5
	targetSel = 0x99

	ackOK, ackWait, ackFault = 1, 2, 4
)

// word adds bits on SWDIO, ours.
func (s *searcher) word(clk, io uint32, v uint64, n int) {
	for i := range n {
		level := uint32(0)
		if v>>i&1 != 0 {
			level = io
		}
		s.clock(clk, clk|io, level, false)
	}
}

// ones is a line reset's first part.
func (s *searcher) ones(clk, io uint32, n int) {
	for range n {
		s.clock(clk, clk|io, io, false)
	}
}

// theirs adds n bits of SWDIO that we let go of, read or not.
func (s *searcher) theirs(clk uint32, n int, read bool) {
	for range n {
		s.clock(clk, clk, 0, read)
	}
}

// approach adds what brings a port to its first DPIDR: the switch to the serial wire, or
// the wake-up of a dormant port, the reset of the line, and the choice of a target.
func (s *searcher) approach(clk, io uint32, via string, target uint32) {
	if via == "" {
		s.ones(clk, io, lineReset)
		s.word(clk, io, toSWD, 16)
	} else {
		s.ones(clk, io, 8)
		s.word(clk, io, alertLow, 64)
		s.word(clk, io, alertHigh, 64)
		s.word(clk, io, 0, 4)
		s.word(clk, io, wakeup, 8)
	}
	s.ones(clk, io, lineReset)
	s.word(clk, io, 0, idle)
	if target != 0 {
		// Nobody acknowledges it: turnaround, three clocks and turnaround are let by.
		s.word(clk, io, targetSel, 8)
		s.theirs(clk, 5, false)
		s.word(clk, io, uint64(target)|uint64(bits.OnesCount32(target)&1)<<32, 33)
		s.word(clk, io, 0, idle)
	}
}

// swdPair asks one pair for a DPIDR, up to its acknowledge.
func (s *searcher) swdPair(ctx context.Context, clk, io int, via string, target uint32) error {
	c, d := uint32(1)<<clk, uint32(1)<<io
	from := len(s.steps)
	s.approach(c, d, via, target)
	s.steps[from+1].Read = true // what the other pads do
	s.word(c, d, readDPIDR, 8)
	s.theirs(c, 1, false)
	s.theirs(c, 3, true)
	got, err := s.play(ctx)
	if err != nil {
		return err
	}
	s.watch(got[0], c|d)
	got = got[1:]
	switch ack := acknowledge(got, d); ack {
	case ackOK, ackWait, ackFault:
		// Data and parity are on their way, and SWDIO is the target's until they are over.
		s.theirs(c, 33+1, false)
		return s.swdConfirm(ctx, clk, io, via, target)
	case 7:
		// Nobody there: our pull.
	default:
		s.note("%s as SWCLK, %s as SWDIO: %03b in place of an acknowledge, which no port says", s.names[clk], s.names[io], ack)
	}
	return nil
}

func acknowledge(got []uint32, io uint32) (ack int) {
	for i := range 3 {
		if got[i]&io != 0 {
			ack |= 1 << i
		}
	}
	return ack
}

// dpidr reads it whole.
func (s *searcher) dpidr(ctx context.Context, clk, io int, via string, target uint32) (ack int, id uint32, parity bool, err error) {
	c, d := uint32(1)<<clk, uint32(1)<<io
	s.approach(c, d, via, target)
	s.word(c, d, readDPIDR, 8)
	s.theirs(c, 1, false)
	s.theirs(c, 3+33, true)
	s.theirs(c, 1, false)
	s.word(c, d, 0, 8)
	s.step(0, 0, false)
	got, err := s.play(ctx)
	if err != nil {
		return 0, 0, false, err
	}
	for i := range 32 {
		if got[3+i]&d != 0 {
			id |= 1 << i
		}
	}
	odd := bits.OnesCount32(id)&1 != 0
	return acknowledge(got, d), id, odd == (got[35]&d != 0), nil
}

// swdConfirm reads the DPIDR three times, the last time against the other one of our
// pulls, and looks whether the clock alone, without a request, is silent.
func (s *searcher) swdConfirm(ctx context.Context, clk, io int, via string, target uint32) error {
	h := Hit{Protocol: "swd", Via: via, Roles: []Role{{"swclk", s.names[clk]}, {"swdio", s.names[io]}}}
	var ids [3]uint32
	fine, text := true, ""
	for i := range ids {
		if i == 2 {
			if err := s.setPull(ctx, io, gpio.PullDown); err != nil {
				return err
			}
		}
		ack, id, parity, err := s.dpidr(ctx, clk, io, via, target)
		if err != nil {
			return err
		}
		ids[i] = id
		fine = fine && ack == ackOK && parity
		text += fmt.Sprintf("%03b %#08x parity %v; ", ack, id, parity)
	}
	if err := s.setPull(ctx, io, gpio.PullUp); err != nil {
		return err
	}
	silent, err := s.swdSilent(ctx, clk, io)
	if err != nil {
		return err
	}
	id := ids[0]
	code := jep106.Of(id)
	h.IDs = []ID{{id, code.Maker()}}
	h.Proofs = []Proof{
		proof("acknowledged OK with right parity", fine, "%s", text),
		proof("three readings alike, one against our other pull", ids[0] == ids[1] && ids[1] == ids[2] && id&1 == 1, "%#08x", ids),
		proof("silent without a request", silent, ""),
		proof("maker known (JEP106)", code.Maker() != "", "%s", code),
	}
	s.keep(h)
	if via == "" && !s.o.NoJTAG && !s.found("jtag") {
		return s.jtagBehind(ctx, clk, io)
	}
	return nil
}

// swdSilent clocks through a line reset and zeros in place of a request: nobody may drive
// SWDIO then.
func (s *searcher) swdSilent(ctx context.Context, clk, io int) (bool, error) {
	c, d := uint32(1)<<clk, uint32(1)<<io
	s.ones(c, d, lineReset)
	s.word(c, d, 0, 2+8)
	s.theirs(c, 1, false)
	s.theirs(c, 8, true)
	s.step(0, 0, false)
	got, err := s.play(ctx)
	if err != nil {
		return false, err
	}
	and := ^uint32(0)
	for _, g := range got {
		and &= g
	}
	return s.unread || and&d != 0, nil
}
