package bitbang

import (
	"fmt"

	"rigor/harness/wire"
)

// levels are what the peer was told last. The protocol cannot let go of anything but
// SWDIO, so a pad that is let go gets the level that IEEE 1149.1 gives to an undriven
// one: TMS, TDI and the resets are high; a clock stays as it is.
type levels struct {
	jtag  byte // '0' to '7', 0 before the first
	reset byte // 'r' to 'u', 0 before the first
	swd   byte // 'd' to 'g', 0 before the first
	drive byte // 'O' or 'o', 0 before the first
}

// wires knows which bit of a step is which wire.
type wires struct {
	bit  map[Role]uint32 // the pad's bit, 0 for one that is not there
	all  uint32
	read uint32 // the bits that can be read: TDO, SWDIO
}

func newWires(pads []Pad) wires {
	w := wires{bit: map[Role]uint32{}}
	for i, p := range pads {
		w.bit[p.Role] = 1 << i
		w.all |= 1 << i
		if p.Role == TDO || p.Role == SWDIO {
			w.read |= 1 << i
		}
	}
	return w
}

// check says what of a step cannot be done by anybody.
func (w *wires) check(s wire.PadStep) error {
	if s.Drive&^w.all != 0 {
		return fmt.Errorf("the step drives pads %#x, there are %#x", s.Drive, w.all)
	}
	if s.Drive&w.bit[TDO] != 0 {
		return fmt.Errorf("%s is the target's to drive", TDO)
	}
	return nil
}

// has says whether one of the roles is there.
func (w *wires) has(roles ...Role) bool {
	for _, r := range roles {
		if w.bit[r] != 0 {
			return true
		}
	}
	return false
}

// append adds the letters that bring the peer from now to the step's levels, those
// that change something.
func (w *wires) append(out []byte, now *levels, s wire.PadStep) []byte {
	if w.has(TRST, SRST) {
		if l := 'r' + w.low(s, TRST)<<1 + w.low(s, SRST); l != now.reset && (now.reset != 0 || l != 'r') {
			now.reset = l
			out = append(out, l)
		}
	}
	if w.has(TCK, TMS, TDI) {
		tck := w.held(s, TCK, now.jtag, 4)
		if l := '0' + tck<<2 + (1-w.low(s, TMS))<<1 + (1 - w.low(s, TDI)); l != now.jtag {
			now.jtag = l
			out = append(out, l)
		}
	}
	if !w.has(SWCLK, SWDIO) {
		return out
	}
	drive := byte('o')
	if s.Drive&w.bit[SWDIO] != 0 {
		drive = 'O'
	}
	if drive != now.drive && (now.drive != 0 || drive == 'O') {
		now.drive = drive
		out = append(out, drive)
	}
	var swd byte
	if now.swd != 0 {
		swd = now.swd - 'd'
	}
	clk := w.held(s, SWCLK, swd, 2)
	if l := 'd' + clk<<1 + w.held(s, SWDIO, swd, 1); l != now.swd {
		now.swd = l
		out = append(out, l)
	}
	return out
}

// low is 1 for a pad that the step drives low.
func (w *wires) low(s wire.PadStep, r Role) byte {
	if b := w.bit[r]; s.Drive&b != 0 && s.Level&b == 0 {
		return 1
	}
	return 0
}

// held gives the level of a pad that keeps the last one when it is let go.
func (w *wires) held(s wire.PadStep, r Role, last, mask byte) byte {
	b := w.bit[r]
	switch {
	case s.Drive&b == 0:
		if last&mask != 0 {
			return 1
		}
		return 0
	case s.Level&b != 0:
		return 1
	}
	return 0
}

// asks adds the requests of a reading and says how many answers it has.
func (w *wires) asks(out []byte, s wire.PadStep) ([]byte, int) {
	n := 0
	if w.bit[TDO] != 0 {
		out, n = append(out, 'R'), n+1
	}
	if b := w.bit[SWDIO]; b != 0 && s.Drive&b == 0 {
		out, n = append(out, 'c'), n+1
	}
	return out, n
}

// reading makes one of the answers to asks ('0' or '1') and of what we told the peer
// ourselves.
func (w *wires) reading(s wire.PadStep, told levels, answers []byte) uint32 {
	var got uint32
	set := func(r Role, high bool) {
		if high {
			got |= w.bit[r]
		}
	}
	set(TCK, told.jtag != 0 && (told.jtag-'0')&4 != 0)
	set(TMS, told.jtag == 0 || (told.jtag-'0')&2 != 0)
	set(TDI, told.jtag == 0 || (told.jtag-'0')&1 != 0)
	set(TRST, told.reset == 0 || (told.reset-'r')&2 == 0)
	set(SRST, told.reset == 0 || (told.reset-'r')&1 == 0)
	set(SWCLK, told.swd != 0 && (told.swd-'d')&2 != 0)
	if w.bit[TDO] != 0 {
		set(TDO, answers[0] == '1')
		answers = answers[1:]
	}
	if b := w.bit[SWDIO]; b != 0 {
		if s.Drive&b == 0 {
			set(SWDIO, answers[0] == '1')
		} else {
			set(SWDIO, s.Level&b != 0)
		}
	}
	return got
}
