// Package dap is the vocabulary of an Arm debug access port (IHI 0031, IHI 0074): its
// registers, the kinds of its answers, and the few writes that can be expressed. Every
// engine that reaches such a port speaks it.
//
// There is no general write. What unlocks, erases or burns takes a value that some
// vendor's register waits for, and none of these can be made here: not even the two
// writes to an access port, which land on a vendor's register where the port is no
// memory port, before a Gate has seen that it is one.
package dap

import (
	"context"
	"fmt"

	"rigor/harness/verdict"
)

// Answer is what a debug port said to a transaction. Its zero value says nothing of the
// DUT.
type Answer uint8

// The answers.
const (
	NotDone  Answer = iota // nothing was asked, or our own bench broke
	OK                     // done
	Wait                   // the port was busy, as often as it was asked
	Fault                  // the port refused, or a sticky error stands
	None                   // nobody drove the line: all of the acknowledgement is high
	Low                    // the line is held low, or two drive it: all of it is low
	Parity                 // the data came with a wrong parity
	Protocol               // an acknowledgement that the protocol does not know
)

// String gives one word.
func (a Answer) String() string {
	names := [...]string{"not-done", "ok", "wait", "fault", "none", "low", "parity", "protocol"}
	if int(a) < len(names) {
		return names[a]
	}
	return fmt.Sprintf("answer-%d", uint8(a))
}

// Answered says that somebody who speaks the protocol is there: it answered in one of
// the three ways that the protocol has. A parity error is none of them.
func (a Answer) Answered() bool { return a == OK || a == Wait || a == Fault }

// Kind gives the kind of answer of a probe. Accepted says that the register was read:
// whether it protects something, the caller knows. NotDone has none.
func (a Answer) Kind() verdict.Kind {
	switch a {
	case OK:
		return verdict.Accepted
	case Wait:
		return verdict.Throttled
	case Fault:
		return verdict.Refused
	case None:
		return verdict.Silent
	case Low:
		return verdict.Unreachable
	case Parity, Protocol:
		return verdict.Garbled
	}
	return ""
}

// DPReg is a register of the debug port: A[3:2] in its low digit, DPBANKSEL in the other.
type DPReg uint8

// The registers that can be read.
const (
	DPIDR     DPReg = 0x00
	DPIDR1    DPReg = 0x10 // ADIv6
	BASEPTR0  DPReg = 0x20 // ADIv6
	BASEPTR1  DPReg = 0x30 // ADIv6
	CTRLSTAT  DPReg = 0x04
	DLCR      DPReg = 0x14
	TARGETID  DPReg = 0x24 // from version 2 on
	DLPIDR    DPReg = 0x34 // from version 2 on
	EVENTSTAT DPReg = 0x44 // from version 2 on
	RESEND    DPReg = 0x08 // of a serial wire port
	RDBUFF    DPReg = 0x0c
)

// Addr gives the address on the wire: 0, 4, 8 or 12.
func (r DPReg) Addr() uint8 { return uint8(r) & 0xc }

// Bank gives DPBANKSEL; banked says whether the register needs it.
func (r DPReg) Bank() (bank uint8, banked bool) {
	return uint8(r) >> 4, r.Addr() == 4 || r.Addr() == 0 && r != DPIDR
}

// String gives the register's name.
func (r DPReg) String() string {
	if s, ok := dpNames[r]; ok {
		return s
	}
	return fmt.Sprintf("DP%#02x", uint8(r))
}

var dpNames = map[DPReg]string{DPIDR: "DPIDR", DPIDR1: "DPIDR1", BASEPTR0: "BASEPTR0", BASEPTR1: "BASEPTR1", CTRLSTAT: "CTRL/STAT",
	DLCR: "DLCR", TARGETID: "TARGETID", DLPIDR: "DLPIDR", EVENTSTAT: "EVENTSTAT", RESEND: "RESEND", RDBUFF: "RDBUFF"}

// Bits of CTRL/STAT.
const (
	StickyOverrun  uint32 = 1 << 1
	StickyCompare  uint32 = 1 << 4
	StickyError    uint32 = 1 << 5
	WriteDataError uint32 = 1 << 7 // of a serial wire port
	StickyAny             = StickyOverrun | StickyCompare | StickyError | WriteDataError
	PowerAsked     uint32 = 1<<30 | 1<<28 // CSYSPWRUPREQ, CDBGPWRUPREQ
	PowerGiven     uint32 = 1<<31 | 1<<29 // CSYSPWRUPACK, CDBGPWRUPACK
	DebugPowerOn   uint32 = 1 << 29       // CDBGPWRUPACK
)

// AP names an access port: by number (ADIv5), or by its address on the bus of the debug
// port (ADIv6).
type AP struct {
	V6 bool
	At uint64
}

// Port gives the access port with a number, of ADIv5.
func Port(n uint8) AP { return AP{At: uint64(n)} }

// PortAt gives the access port at an address, of ADIv6. Its lowest 12 bits are left out.
func PortAt(base uint64) AP { return AP{V6: true, At: base &^ 0xfff} }

// String gives "AP 1", or "AP at 0x2000".
func (a AP) String() string {
	if a.V6 {
		return fmt.Sprintf("AP at %#x", a.At)
	}
	return fmt.Sprintf("AP %d", a.At)
}

// APReg is a register of an access port, as ADIv5 counts them: 0x00 to 0xfc. In ADIv6
// they begin at 0xd00.
type APReg uint16

// fromBase marks a register that is counted from the base of an ADIv6 port.
const fromBase APReg = 0x8000

// Component gives the register at an offset of up to 0xffc in the 4 KiB of a component of
// ADIv6, such as an entry of its ROM table.
func Component(offset uint16) APReg { return fromBase | APReg(offset&0xffc) }

// The registers of a memory access port; those of others have no names here.
const (
	CSW  APReg = 0x00
	TAR  APReg = 0x04
	DRW  APReg = 0x0c
	BD0  APReg = 0x10
	BD1  APReg = 0x14
	BD2  APReg = 0x18
	BD3  APReg = 0x1c
	CFG  APReg = 0xf4
	BASE APReg = 0xf8
	IDR  APReg = 0xfc
)

var apNames = map[APReg]string{CSW: "CSW", TAR: "TAR", DRW: "DRW", BD0: "BD0", BD1: "BD1", BD2: "BD2", BD3: "BD3", CFG: "CFG", BASE: "BASE", IDR: "IDR"}

// String gives the name that the register has in a memory access port.
func (r APReg) String() string {
	if s, ok := apNames[r]; ok {
		return s
	}
	return fmt.Sprintf("AP%#02x", uint16(r))
}

// Offset gives where the register is: within the port's bank space of ADIv5, or in the
// 4 KiB of ADIv6.
func (r APReg) Offset(v6 bool) uint32 {
	if v6 && r&fromBase == 0 {
		return 0xd00 + uint32(r&0xfc)
	}
	return uint32(r & 0xffc)
}

// MemoryPort says whether an IDR is that of a memory access port: its class is 8.
func MemoryPort(idr uint32) bool { return idr>>13&0xf == 8 }

// DebugBus says whether an IDR is that of a memory access port whose bus is an APB, behind
// which are the debug units of cores, and not their memory: APB-AP of ADIv5 and of ADIv6.
func DebugBus(idr uint32) bool {
	return MemoryPort(idr) && (idr&0xf == 2 || idr&0xf == 6) && idr>>17&0x7ff == 0x23b
}

// Transport reaches the registers of one debug port. Every answer is typed; an error is
// the bench's (a *wire.Fault) or the context's, the answer is NotDone then, and nothing
// is said of the DUT. All calls are bounded: by the context, and by a count of retries.
type Transport interface {
	// ReadDP reads a register of the debug port, and selects its bank where it has one.
	ReadDP(ctx context.Context, reg DPReg) (uint32, Answer, error)
	// ReadAP reads one register of an access port len(got) times, which for DRW is as
	// many words of memory. Done says how many are there.
	ReadAP(ctx context.Context, ap AP, reg APReg, got []uint32) (done int, a Answer, err error)
	// Write does one of the writes that there are. It gives an error that is an
	// ErrForbidden where it must not be done; nothing is sent then.
	Write(ctx context.Context, w Write) (Answer, error)
	// Idle lets n clocks go by in which nothing is asked, so that what was written last
	// is done.
	Idle(ctx context.Context, n int) error
}
