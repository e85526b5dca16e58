package dap

import (
	"errors"
	"fmt"
)

// ErrForbidden says that a write is not one that may be sent now.
var ErrForbidden = errors.New("this is never written")

// op is what a write does.
type op uint8

const (
	opNone op = iota
	opClear
	opAbort
	opPowerUp
	opPowerDown
	opCSW
	opTAR
	opHalt
	opStep
	opRun
	opDetach
	opCoreRegister
)

// Write is one of the writes that can be expressed. Its zero value is none, and is
// refused.
type Write struct {
	op   op
	ap   AP
	addr uint32 // TAR
	inc  Increment
	core CoreRegister
}

// ClearSticky clears the sticky errors: ABORT with 0x1e.
func ClearSticky() Write { return Write{op: opClear} }

// AbortTransaction gives up what an access port has not finished: ABORT with 1.
func AbortTransaction() Write { return Write{op: opAbort} }

// PowerUp asks for the power of debug and system: CTRL/STAT with 0x50000000. The rescue
// port of an RP2040 is not asked: it would reset the chip.
func PowerUp() Write { return Write{op: opPowerUp} }

// PowerDown takes that back: CTRL/STAT with 0.
func PowerDown() Write { return Write{op: opPowerDown} }

// Increment says whether TAR goes on by itself.
type Increment uint8

// The two kinds. Packed transfers are not used.
const (
	Stay Increment = iota
	Next           // by one word for each; it wraps within 1 KiB
)

// Words sets CSW to accesses of one word. All else of it stays as it was last read: it
// is refused before that.
func Words(ap AP, inc Increment) Write { return Write{op: opCSW, ap: ap, inc: inc} }

// Address sets TAR: where in memory the next reading is.
func Address(ap AP, addr uint32) Write { return Write{op: opTAR, ap: ap, addr: addr &^ 3} }

// Consent is leave to halt a core. Its zero value is none.
type Consent struct{ given bool }

// HaltAllowed is the leave of a rig file that says `allow: [halt]`. Nobody else gives it.
func HaltAllowed() Consent { return Consent{given: true} }

// HaltAct is one of the things that can be done to a core of ARMv6-M to ARMv8-M through
// its DHCSR.
type HaltAct uint8

// The acts. CoreDetach gives up debugging, so that the core is as if nobody had been there.
const (
	CoreHalt HaltAct = iota
	CoreStep
	CoreRun
	CoreDetach
)

// CoreAt is the address of DHCSR; DCRSR and DCRDR follow it.
const CoreAt uint32 = 0xe000edf0

// CoreControl writes DHCSR through BD0, with TAR at CoreAt. It is refused without
// consent.
func CoreControl(ap AP, c Consent, act HaltAct) (Write, error) {
	if !c.given {
		return Write{}, fmt.Errorf("halt a core without the rig's leave: %w", ErrForbidden)
	}
	if act > CoreDetach {
		return Write{}, fmt.Errorf("act %d on a core: %w", act, ErrForbidden)
	}
	return Write{op: opHalt + op(act), ap: ap}, nil
}

// CoreRegister names a register of a core, as REGSEL of DCRSR does.
type CoreRegister uint8

// Those that are of use: what halting and stepping show.
const (
	CoreSP   CoreRegister = 13
	CoreLR   CoreRegister = 14
	CorePC   CoreRegister = 15
	CoreXPSR CoreRegister = 16
)

// CoreSelect writes DCRSR through BD1, with TAR at CoreAt, so that a register can be
// read from DCRDR. A transfer to a register cannot be made. It is refused without consent.
func CoreSelect(ap AP, c Consent, r CoreRegister) (Write, error) {
	if !c.given {
		return Write{}, fmt.Errorf("read a register of a core without the rig's leave: %w", ErrForbidden)
	}
	if r > CoreXPSR {
		return Write{}, fmt.Errorf("register %d of a core: %w", r, ErrForbidden)
	}
	return Write{op: opCoreRegister, ap: ap, core: r}, nil
}

// String says what the write does.
func (w Write) String() string {
	switch w.op {
	case opClear:
		return "clear sticky errors"
	case opAbort:
		return "abort the transaction"
	case opPowerUp:
		return "power up"
	case opPowerDown:
		return "power down"
	case opCSW:
		return fmt.Sprintf("%v: words", w.ap)
	case opTAR:
		return fmt.Sprintf("%v: address %#08x", w.ap, w.addr)
	case opHalt, opStep, opRun, opDetach:
		return fmt.Sprintf("%v: core %s", w.ap, [...]string{"halt", "step", "run", "detach"}[w.op-opHalt])
	case opCoreRegister:
		return fmt.Sprintf("%v: core register %d", w.ap, w.core)
	}
	return "nothing"
}

// Sent is a write as it goes over the wire.
type Sent struct {
	ToAP  bool
	AP    AP
	DP    DPReg // ABORT is at 0, as DPIDR is
	Reg   APReg
	Value uint32
}

// TargetID is what TARGETSEL takes: TINSTANCE, TPARTNO, TDESIGNER, and a one.
type TargetID uint32

// The targets of an RP2040.
const (
	RP2040Core0  TargetID = 0x01002927
	RP2040Core1  TargetID = 0x11002927
	RP2040Rescue TargetID = 0xf1002927
)

// Gate decides what may be sent to one debug port. An engine tells it all that it has
// read, and sends only what it admits.
type Gate struct {
	proofs int // equal readings of an IDR that show an access port to be what it says
	target TargetID

	version  int    // of the debug port; 0 is not known
	instance uint32 // as DLPIDR tells it
	pico     bool   // TARGETID is that of an RP2040

	ports map[AP]*seen
	tar   map[AP]uint32
}

type seen struct {
	idr   uint32
	times int
	csw   uint32
	known bool // csw was read
}

// NewGate makes one. Proofs is how often an IDR has to be read alike before an access port
// counts as a memory port: once where the wire has a parity, twice where it has none.
func NewGate(proofs int) *Gate {
	g := &Gate{proofs: max(1, proofs)}
	g.Forget()
	return g
}

// Proofs gives that count.
func (g *Gate) Proofs() int { return g.proofs }

// Forget drops what was seen: the wires may lead to another port now. That a rescue port
// was selected stays until another is.
func (g *Gate) Forget() { g.ports, g.tar = map[AP]*seen{}, map[AP]uint32{} }

// SawDP notes what the debug port answered to a reading that was OK: from version 2 on it
// tells which one it is.
func (g *Gate) SawDP(reg DPReg, v uint32) {
	switch {
	case reg == DPIDR:
		g.version = int(v >> 12 & 0xf)
	case reg == DLPIDR:
		g.instance = v >> 28
	case reg == TARGETID && v&0x0fffffff == uint32(RP2040Core0):
		g.pico = true
	}
	if g.pico && g.instance == 0xf {
		g.target = RP2040Rescue
	}
}

// Targeted notes what TARGETSEL selected.
func (g *Gate) Targeted(id TargetID) {
	g.Forget()
	g.target, g.instance, g.pico = id, 0, false
}

// Saw notes what an access port answered to a reading that was OK.
func (g *Gate) Saw(ap AP, reg APReg, v uint32) {
	if reg != IDR && reg != CSW {
		return
	}
	s := g.ports[ap]
	if s == nil {
		s = &seen{}
		g.ports[ap] = s
	}
	switch {
	case reg == CSW:
		s.csw, s.known = v, true
	case s.times > 0 && s.idr != v:
		s.idr, s.times = v, 1
		delete(g.tar, ap)
	default:
		s.idr = v
		s.times++
	}
}

// Memory says whether an access port was shown to be a memory port.
func (g *Gate) Memory(ap AP) bool {
	s := g.ports[ap]
	return s != nil && s.times >= g.proofs && MemoryPort(s.idr)
}

// Wrote notes that a write was answered with OK; any other answer leaves unknown what
// stands in the register.
func (g *Gate) Wrote(w Write, a Answer) {
	switch {
	case w.op == opClear || w.op == opAbort: // a write to TAR may have been refused before
		clear(g.tar)
	case w.op != opTAR:
	case a == OK:
		g.tar[w.ap] = w.addr
	default:
		delete(g.tar, w.ap)
	}
}

// Moved notes that a reading of DRW may have moved TAR.
func (g *Gate) Moved(ap AP) { delete(g.tar, ap) }

// Admit gives what to send for a write, or an error that is an ErrForbidden.
func (g *Gate) Admit(w Write) (Sent, error) {
	switch w.op {
	case opClear:
		return Sent{DP: DPIDR, Value: 0x1e}, nil
	case opAbort:
		return Sent{DP: DPIDR, Value: 1}, nil
	case opPowerUp, opPowerDown:
		if g.target == RP2040Rescue {
			return Sent{}, fmt.Errorf("%v of the rescue port of an RP2040, which resets the chip: %w", w, ErrForbidden)
		}
		if w.op == opPowerDown {
			return Sent{DP: CTRLSTAT}, nil
		}
		return Sent{DP: CTRLSTAT, Value: PowerAsked}, nil
	case opNone:
		return Sent{}, fmt.Errorf("an empty write: %w", ErrForbidden)
	}
	if !g.Memory(w.ap) {
		return Sent{}, fmt.Errorf("%v, which is not shown to be a memory port: %w", w, ErrForbidden)
	}
	if g.version != 0 && w.ap.V6 != (g.version >= 3) {
		return Sent{}, fmt.Errorf("%v of a debug port of version %d: %w", w, g.version, ErrForbidden)
	}
	s := Sent{ToAP: true, AP: w.ap}
	switch w.op {
	case opCSW:
		p := g.ports[w.ap]
		if !p.known {
			return Sent{}, fmt.Errorf("%v, whose CSW was not read: %w", w, ErrForbidden)
		}
		s.Reg, s.Value = CSW, p.csw&^0x37|2|uint32(w.inc&1)<<4
		return s, nil
	case opTAR:
		s.Reg, s.Value = TAR, w.addr
		return s, nil
	}
	if at, ok := g.tar[w.ap]; !ok || at != CoreAt {
		return Sent{}, fmt.Errorf("%v, with TAR elsewhere: %w", w, ErrForbidden)
	}
	s.Reg = BD0
	const key = 0xa05f0000
	switch w.op {
	case opHalt:
		s.Value = key | 3
	case opStep:
		s.Value = key | 5
	case opRun:
		s.Value = key | 1
	case opDetach:
		s.Value = key
	case opCoreRegister:
		s.Reg, s.Value = BD1, uint32(w.core)
	}
	return s, nil
}
