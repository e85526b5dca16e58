package debugporttest

import (
	"context"
	"math/bits"

	"periph.io/x/conn/v3/gpio"

	"rigor/harness/wire"
)

// Wave are pads that a target hears step by step: pins of ours, and a function that says
// what the target makes of them.
type Wave struct {
	Names []string
	// Step is told which pins we drive and at what level, and gives the levels of all.
	Step func(drive, level uint32) uint32
	// Err is what Play gives behind After readings, where it is not nil.
	Err   error
	After int

	drive, level, now uint32
}

// Play is wire.Player's.
func (w *Wave) Play(ctx context.Context, steps []wire.PadStep, got []uint32) (int, error) {
	n := 0
	for _, s := range steps {
		w.now = w.Step(s.Drive, s.Level&s.Drive)
		if !s.Read {
			continue
		}
		if w.Err != nil {
			if w.After <= 0 {
				return n, w.Err
			}
			w.After--
		}
		got[n] = w.now
		n++
	}
	return n, ctx.Err()
}

// Close is wire.Pads'.
func (w *Wave) Close() error { return nil }

// Pins gives pins that drive the same target one by one.
func (w *Wave) Pins() []gpio.PinIO {
	var ps []gpio.PinIO
	for i, n := range w.Names {
		ps = append(ps, &pin{w: w, name: n, bit: 1 << i})
	}
	return ps
}

// ByPin gives the same pads without Play.
func (w *Wave) ByPin() wire.Pads { return struct{ wire.Pads }{w} }

// SWD is a target of serial wire. Bit 0 of its pins is SWCLK, bit 1 SWDIO, which is
// pulled up.
type SWD struct {
	*Registers
	// Needs says what it waits for before it hears anything: "" nothing, "switch" the
	// sequence from JTAG, "wake" the alert, "target" TARGETSEL behind a line reset.
	Needs string
	// BadParity spoils the parity of what is read; BadAck replaces acknowledgements.
	BadParity bool
	BadAck    func(ack uint8) uint8

	clk                bool
	drive, out         bool
	ones               int
	last               [3]uint64 // the last bits, newest in the lowest place of the first
	awake, reset, dumb bool
	selected           bool
	phase              int
	req, ack           uint8
	data               uint64
	n                  int
	writing, selecting bool
}

// Wave gives its pads.
func (s *SWD) Wave() *Wave { return &Wave{Names: []string{"SWCLK", "SWDIO"}, Step: s.step} }

func (s *SWD) step(drive, level uint32) uint32 {
	io := true
	switch {
	case drive&2 != 0:
		io = level&2 != 0
	case s.drive:
		io = s.out
	}
	clk := level&1 != 0
	if clk && !s.clk {
		s.rise(io)
	}
	s.clk = clk
	now := level & 1
	switch {
	case drive&2 != 0:
		now |= level & 2
	case !s.drive || s.out:
		now |= 2
	}
	return now
}

// The phases of serial wire.
const (
	idle = iota
	requesting
	turning // the clock behind the request
	acknowledging
	reading
	releasing // the clock behind our data or acknowledgement
	writing
)

// bit gives one bit as a number.
func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// hear watches the line for what is heard in any phase.
func (s *SWD) hear(io bool) {
	s.last[2] = s.last[2]<<1 | s.last[1]>>63
	s.last[1] = s.last[1]<<1 | s.last[0]>>63
	s.last[0] = s.last[0]<<1 | bit(io)
	last16 := bits.Reverse16(uint16(s.last[0]))
	switch {
	case last16 == 0xe79e && s.Needs == "switch":
		s.awake = true
	case last16 == 0xe3bc && s.awake && s.Needs == "wake":
		s.awake = false
	case s.Needs == "wake" && bits.Reverse16(uint16(s.last[0])<<4)&0xfff == 0x1a0 && s.alerted():
		s.awake = true
	}
	if io {
		s.ones++
		return
	}
	if s.ones >= 50 {
		s.reset, s.dumb, s.phase, s.drive, s.selected = true, false, idle, false, false
	}
	s.ones = 0
}

// alerted says whether the alert is in front of the last twelve bits.
func (s *SWD) alerted() bool {
	const high, low = 0x19bc0ea2e3ddafe9, 0x86852d956209f392
	first := s.last[2]<<52 | s.last[1]>>12  // the 64 bits before the newest 76
	second := s.last[1]<<52 | s.last[0]>>12 // the 64 bits before the newest 12
	return bits.Reverse64(first) == low && bits.Reverse64(second) == high
}

func (s *SWD) rise(io bool) {
	s.hear(io)
	if s.dumb || !s.reset || s.Needs != "" && s.Needs != "target" && !s.awake {
		return
	}
	switch s.phase {
	case idle:
		if io && s.ones < 50 {
			s.phase, s.req, s.n = requesting, 1, 1
		}
	case requesting:
		s.req |= uint8(bit(io)) << s.n
		if s.n++; s.n == 8 {
			s.requested()
		}
	case turning:
		s.phase, s.n, s.drive = acknowledging, 0, !s.selecting && (s.Needs != "target" || s.selected)
		s.out = s.ack&1 != 0
	case acknowledging:
		s.acknowledge()
	case reading:
		s.out = s.data>>s.n&1 != 0
		if s.n++; s.n > 33 {
			s.phase, s.drive = releasing, false
		}
	case releasing:
		if s.phase, s.n = idle, 0; s.writing {
			s.phase, s.data = writing, 0
		}
	case writing:
		s.data |= bit(io) << s.n
		if s.n++; s.n == 33 {
			s.written()
		}
	}
}

// requested looks at a whole request.
func (s *SWD) requested() {
	if s.req&0xc0 != 0x80 || bits.OnesCount8(s.req&0x3e)&1 != 0 {
		s.dumb, s.phase = true, idle
		return
	}
	ap, read, addr := s.req&2 != 0, s.req&4 != 0, s.req>>1&0xc
	s.selecting = s.Needs == "target" && s.req == 0x99
	s.phase, s.writing = turning, false
	if s.Needs == "target" && !s.selected && !s.selecting {
		s.dumb, s.phase = true, idle
		return
	}
	s.ack = 1
	if !s.selecting {
		s.ack = [...]uint8{1, 2, 4}[s.Ready(ap, read, addr)]
	}
	if s.BadAck != nil {
		s.ack = s.BadAck(s.ack)
	}
	if s.ack == 1 && read {
		v := uint32(0)
		if ap {
			v = s.ReadAP(addr)
		} else {
			v = s.ReadDP(addr)
		}
		s.data = uint64(v) | uint64(bits.OnesCount32(v)&1)<<32
		if s.BadParity {
			s.data ^= 1 << 32
		}
	}
}

func (s *SWD) acknowledge() {
	if s.n++; s.n < 3 {
		s.out = s.ack>>s.n&1 != 0
		return
	}
	s.n = 0
	if s.ack == 1 && s.req&4 != 0 {
		s.phase, s.out, s.n = reading, s.data&1 != 0, 1
		return
	}
	s.phase, s.drive, s.writing = releasing, false, s.ack == 1 && s.req&4 == 0
}

func (s *SWD) written() {
	s.phase, s.writing = idle, false
	v := uint32(s.data)
	if bits.OnesCount64(s.data)&1 != 0 {
		s.Spoil()
		return
	}
	ap, addr := s.req&2 != 0, s.req>>1&0xc
	switch {
	case s.selecting:
		s.selected = v&0x0fffffff == s.TargetID&0x0fffffff && v>>28 == s.DLPIDR>>28
	case ap:
		s.WriteAP(addr, v)
	default:
		s.WriteDP(addr, v)
	}
}
