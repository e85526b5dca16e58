// Package debugporttest holds small targets for tests of the engines: the registers of a
// debug port, and the two protocols that lead to them, bit by bit. They are written from
// the standards (IHI 0031, IEEE 1149.1), not from the engines, and do no more than tests
// need.
package debugporttest

// Access is one access to a register that reached the target, for tests of what was sent.
type Access struct {
	ToAP  bool
	AP    uint8
	Reg   uint8 // of an access port with its bank; of a debug port A[3:2]
	Write bool
	Value uint32
}

// Registers are a debug port of version 1 or 2 and its access ports.
type Registers struct {
	DPIDR, TargetID, DLPIDR uint32

	APs      map[uint8]*AP
	Unpower  bool // the power is never given
	Waits    int  // how often WAIT is said before each access to an access port
	AllWait  bool // WAIT is all that is said, but to DPIDR, CTRL/STAT and ABORT
	AllFault bool // FAULT is all that is said to access ports

	// Bus makes it a port of version 3: what is at each address behind it. The access ports
	// are in APs then, by their address over 4096.
	Bus map[uint32]uint32

	Accesses []Access
	ctrl     uint32
	sel      uint32
	buffer   uint32
	waited   int
}

// AP is an access port.
type AP struct {
	IDR, CSW, Base uint32
	Others         map[uint8]uint32 // of a vendor
	Memory         map[uint32]uint32
	Refuse         func(addr uint32) bool // an access to memory that is an error
	tar            uint32
}

// Words gives memory that holds n words from an address on, each of them its address
// turned over.
func Words(at uint32, n int) map[uint32]uint32 {
	m := map[uint32]uint32{}
	for i := range n {
		a := at + uint32(4*i)
		m[a] = ^a
	}
	return m
}

// New gives a debug port with one memory port, behind it 4 KiB from 0 on and a core's
// CPUID, and with a vendor's port 1.
func New() *Registers {
	mem := Words(0, 1024)
	mem[0xe000ed00] = 0x410fc241
	return &Registers{DPIDR: 0x2ba01477, APs: map[uint8]*AP{
		0: {IDR: 0x24770011, CSW: 0x23000040, Base: 0xe00ff003, Memory: mem},
		1: {IDR: 0x02880000, Others: map[uint8]uint32{0x0c: 1}},
	}}
}

// Reply is what a port says to a request.
type Reply uint8

// The replies.
const (
	ReplyOK Reply = iota
	ReplyWait
	ReplyFault
)

// sticky are the bits that make an access port say FAULT.
const sticky = 0xb2

// NewV6 gives a debug port of version 3: a ROM table at 0 that names memory ports at
// 0x2000 and 0x4000, and a vendor's port at 0x3000.
func NewV6() *Registers {
	r := New()
	r.DPIDR = 0x4c013477
	r.APs = map[uint8]*AP{2: r.APs[0], 3: {IDR: 0x02880000, Others: map[uint8]uint32{0x0c: 1}},
		4: {IDR: 0x34770008, CSW: 0x40, Memory: Words(0x1000, 16)}}
	r.Bus = map[uint32]uint32{0: 0x2003, 4: 0x3003, 8: 0x4002, 12: 0x4003, 16: 0, 0xfbc: 0x47700af7, 0xfc8: 0, 0xff4: 0x90}
	for _, at := range []uint32{0x2000, 0x3000, 0x4000} {
		r.Bus[at+0xff4], r.Bus[at+0xfbc] = 0x90, 0x47700a17
	}
	r.Bus[0x3fbc] = 0
	return r
}

// Ready says what is replied to a request, before its data.
func (r *Registers) Ready(ap, read bool, addr uint8) Reply {
	always := !ap && (addr == 0 || addr == 4 && read)
	switch {
	case always:
		return ReplyOK
	case r.AllWait:
		return ReplyWait
	case ap && (r.AllFault || r.ctrl&sticky != 0):
		return ReplyFault
	case ap && r.waited < r.Waits:
		r.waited++
		return ReplyWait
	case !ap && addr == 0xc && read && r.ctrl&sticky != 0:
		return ReplyFault
	}
	r.waited = 0
	return ReplyOK
}

// Sticky says whether a sticky error stands.
func (r *Registers) Sticky() bool { return r.ctrl&sticky != 0 }

// Spoil notes data that came with a wrong parity.
func (r *Registers) Spoil() { r.ctrl |= 0x80 }

func (r *Registers) note(a Access) { r.Accesses = append(r.Accesses, a) }

// ReadDP reads a register of the debug port. After AllAP the result of the last reading
// of an access port is in RDBUFF.
func (r *Registers) ReadDP(addr uint8) uint32 {
	r.note(Access{Reg: addr})
	switch addr {
	case 0:
		if r.Bus != nil && r.sel&0xf == 2 {
			return 1 // BASEPTR0: at 0, valid
		} else if r.Bus != nil && r.sel&0xf != 0 {
			return 0
		}
		return r.DPIDR
	case 4:
		switch r.sel & 0xf {
		case 0:
			c := r.ctrl &^ 0xa0000000
			if !r.Unpower {
				c |= c << 1 & 0xa0000000
			}
			return c
		case 2:
			return r.TargetID
		case 3:
			return r.DLPIDR
		}
	case 0xc:
		return r.buffer
	}
	return 0
}

// WriteDP writes one.
func (r *Registers) WriteDP(addr uint8, v uint32) {
	r.note(Access{Reg: addr, Write: true, Value: v})
	switch addr {
	case 0: // ABORT
		for bit, clears := range map[uint32]uint32{2: 0x10, 4: 0x20, 8: 0x80, 16: 2} {
			if v&bit != 0 {
				r.ctrl &^= clears
			}
		}
	case 4:
		if r.sel&0xf == 0 {
			r.ctrl = r.ctrl&sticky | v&0x50000f00
		}
	case 8:
		r.sel = v
	}
}

// ClearByOne is what a JTAG-DP does where ones are written to sticky bits.
func (r *Registers) ClearByOne(v uint32) { r.ctrl &^= v & sticky }

// ReadAP begins the reading of a register of the selected access port, and gives the
// result of the one before.
func (r *Registers) ReadAP(addr uint8) uint32 {
	before := r.buffer
	if r.Bus != nil {
		at := r.sel&^0xf | uint32(addr)
		v, there := r.Bus[at]
		if ap := r.APs[uint8(at>>12)]; ap != nil && at&0xf00 == 0xd00 {
			v, there = r.readAP(ap, uint8(at)), true
		}
		r.buffer = v
		if !there {
			r.ctrl |= 0x20
		}
		return before
	}
	n, reg := uint8(r.sel>>24), uint8(r.sel&0xf0)|addr
	r.note(Access{ToAP: true, AP: n, Reg: reg})
	r.buffer = 0
	if ap := r.APs[n]; ap != nil {
		r.buffer = r.readAP(ap, reg)
	}
	return before
}

func (r *Registers) readAP(ap *AP, reg uint8) uint32 {
	if v, ok := ap.Others[reg]; ok {
		return v
	}
	switch {
	case reg == 0xfc:
		return ap.IDR
	case ap.Memory == nil:
	case reg == 0xf8:
		return ap.Base
	case reg == 0:
		return ap.CSW
	case reg == 4:
		return ap.tar
	case reg == 0xc:
		v := r.memory(ap, ap.tar)
		if ap.CSW>>4&3 == 1 && r.ctrl&sticky == 0 {
			ap.tar = ap.tar&^0x3ff | (ap.tar+4)&0x3ff
		}
		return v
	case reg >= 0x10 && reg <= 0x1c:
		return r.memory(ap, ap.tar&^0xf|uint32(reg&0xc))
	}
	return 0
}

func (r *Registers) memory(ap *AP, addr uint32) uint32 {
	v, there := ap.Memory[addr]
	if !there || ap.CSW&0x40 == 0 || ap.Refuse != nil && ap.Refuse(addr) {
		r.ctrl |= 0x20
		return 0
	}
	return v
}

// WriteAP writes a register of the selected access port.
func (r *Registers) WriteAP(addr uint8, v uint32) {
	n, reg := uint8(r.sel>>24), uint8(r.sel&0xf0)|addr
	if r.Bus != nil {
		n = uint8(r.sel >> 12)
	}
	r.note(Access{ToAP: true, AP: n, Reg: reg, Write: true, Value: v})
	ap := r.APs[n]
	if ap == nil || ap.Memory == nil {
		return
	}
	switch {
	case reg == 0:
		ap.CSW = ap.CSW&0x40 | v&^uint32(0x40)
	case reg == 4:
		ap.tar = v
	case reg >= 0x10 && reg <= 0x1c:
		ap.core(ap.tar&^0xf|uint32(reg&0xc), v)
	}
}

// core is as much of a core as can be halted: DHCSR, DCRSR, DCRDR, where they are there.
func (ap *AP) core(at, v uint32) {
	if _, there := ap.Memory[at]; !there {
		return
	}
	switch {
	case at == 0xe000edf0 && v>>16 == 0xa05f:
		s := uint32(0x00010000) | v&0xf
		if v&6 != 0 {
			s |= 1 << 17
		}
		ap.Memory[at] = s
	case at == 0xe000edf4:
		ap.Memory[0xe000edf8] = 0x1000 + v
	}
}
