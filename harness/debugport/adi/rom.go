package adi

import (
	"context"

	"rigor/harness/dap"
)

// Registers of a component, by their offset in its 4 KiB (IHI 0029, B2; IHI 0074, D3).
const (
	atDEVARCH = 0xfbc
	atDEVID   = 0xfc8
	atCIDR1   = 0xff4

	classROM     = 0x1 // of ADIv5
	classSight   = 0x9
	archROM      = 0x0af7
	entryPresent = 3
	entryGone    = 2
)

// Bounds of a walk through ROM tables.
const (
	romDepth   = 4
	romEntries = 512
)

// walk is a walk through the ROM tables on the bus of a debug port of ADIv6.
type walk struct {
	s       *Session
	ports   []AccessPort
	seen    map[uint64]bool
	entries int
	gap     bool // a table was not read to its end
}

// PortsV6 walks the ROM tables of a debug port of ADIv6 from BASEPTR on, and gives the access
// ports that they name. The answer is that of the first register that could not be read
// where it is neither OK nor Fault; Protocol where there is no valid BASEPTR, where a
// table was not read to its end, and where the port is older.
func (s *Session) PortsV6(ctx context.Context) ([]AccessPort, Answer, error) {
	if s.id.Version() < 3 {
		return nil, dap.Protocol, nil
	}
	lo, a, err := s.t.ReadDP(ctx, dap.BASEPTR0)
	if err != nil || a != dap.OK {
		return nil, a, err
	}
	hi, a, err := s.t.ReadDP(ctx, dap.BASEPTR1)
	if err != nil || a != dap.OK {
		return nil, a, err
	}
	if lo&1 == 0 {
		return nil, dap.Protocol, nil
	}
	w := &walk{s: s, seen: map[uint64]bool{}}
	a, err = w.component(ctx, uint64(hi)<<32|uint64(lo&^0xfff), 0)
	if a == dap.OK && w.gap {
		a = dap.Protocol
	}
	return w.ports, a, err
}

// goes says whether a walk goes on behind an answer.
func goes(a Answer) bool { return a == dap.OK || a == dap.Fault }

// component looks at what is at an address: a ROM table, or else an access port by its IDR.
func (w *walk) component(ctx context.Context, base uint64, depth int) (Answer, error) {
	if w.seen[base] {
		return dap.OK, nil
	}
	w.seen[base] = true
	at := dap.PortAt(base)
	cidr, a, err := w.s.read1(ctx, at, dap.Component(atCIDR1))
	if err != nil || !goes(a) {
		return a, err
	}
	class := cidr >> 4 & 0xf
	var arch uint32
	if a == dap.OK && class == classSight {
		if arch, a, err = w.s.read1(ctx, at, dap.Component(atDEVARCH)); err != nil || !goes(a) {
			return a, err
		}
	}
	if class == classROM || class == classSight && arch&0xffff == archROM && arch>>20&1 != 0 {
		if depth >= romDepth {
			w.gap = true
			return dap.OK, nil
		}
		return w.table(ctx, base, class, depth)
	}
	p := AccessPort{At: at}
	if p.IDR, p.Answer, err = w.s.read1(ctx, at, dap.IDR); err != nil || !goes(p.Answer) {
		return p.Answer, err
	}
	if p.Answer != dap.OK || p.IDR != 0 {
		w.ports = append(w.ports, p)
	}
	return dap.OK, nil
}

// table goes through the entries of a ROM table.
func (w *walk) table(ctx context.Context, base uint64, class uint32, depth int) (Answer, error) {
	at := dap.PortAt(base)
	wide := uint16(0)
	if class == classSight {
		id, a, err := w.s.read1(ctx, at, dap.Component(atDEVID))
		if err != nil || !goes(a) {
			return a, err
		}
		wide = uint16(id & 1)
	}
	for off := uint16(0); off < 0x800; off += 4 << wide {
		if w.entries++; w.entries > romEntries {
			return dap.Protocol, nil
		}
		e, a, err := w.s.read1(ctx, at, dap.Component(off))
		if err != nil || !goes(a) {
			return a, err
		}
		w.gap = w.gap || a == dap.Fault
		if a == dap.Fault || e == 0 || class == classSight && e&3 != entryPresent && e&3 != entryGone {
			return dap.OK, nil
		}
		if e&1 == 0 || e&3 == entryGone {
			continue
		}
		to := base + uint64(int64(int32(e&^0xfff)))
		if wide != 0 {
			hi, a, err := w.s.read1(ctx, at, dap.Component(off+4))
			if err != nil || !goes(a) {
				return a, err
			}
			to = base + (uint64(hi)<<32 | uint64(e&^0xfff))
		}
		if a, err := w.component(ctx, to, depth+1); err != nil || !goes(a) {
			return a, err
		}
	}
	return dap.OK, nil
}
