package adi

import (
	"context"
	"fmt"

	"rigor/harness/dap"
)

// Registers that tell what a component on a bus is (IHI 0029, B2).
const (
	atAUTHSTATUS = 0xfb8
	atDEVTYPE    = 0xfcc
	atCIDR0      = 0xff0

	typeCore = 0x15 // DEVTYPE of debug logic of a processor
)

// Component is one that a ROM table on a bus names.
type Component struct {
	At    uint32
	Class uint8 // CIDR1: 1 a ROM table, 9 CoreSight, 14 a generic one
	Type  uint8 // DEVTYPE of one of CoreSight
	Arch  uint32
	Auth  Auth // AUTHSTATUS of one of CoreSight
}

// Core says whether it is the debug unit of a core of the A or R profile.
func (c Component) Core() bool { return c.Class == classSight && c.Type == typeCore }

// TableAt gives where the ROM table is that a BASE names; false where it names none
// (IHI 0031, C2.6.1).
func TableAt(base uint32) (uint32, bool) {
	return base &^ 0xfff, base != 0xffffffff && base&1 != 0
}

// busWalk is a walk through the ROM tables on the bus behind a memory access port.
type busWalk struct {
	m       *Memory
	found   []Component
	seen    map[uint32]bool
	entries int
	gap     string
}

// Components reads the ROM table at an address and those that it names, and gives the
// components that are there. Gap says what could not be told: a table that is none, or has
// no end, a component that refuses to say what it is; "" where all was read. The answer is
// OK, unless the port fell silent.
func (m *Memory) Components(ctx context.Context, at uint32) (found []Component, gap string, a Answer, err error) {
	w := &busWalk{m: m, seen: map[uint32]bool{}}
	a, err = w.component(ctx, at, 0)
	return w.found, w.gap, a, err
}

func (w *busWalk) miss(why string) (Answer, error) {
	if w.gap == "" {
		w.gap = why
	}
	return dap.OK, nil
}

// component looks what is at an address.
func (w *busWalk) component(ctx context.Context, at uint32, depth int) (Answer, error) {
	if w.seen[at] {
		return dap.OK, nil
	}
	w.seen[at] = true
	var id [4]uint32
	_, a, err := w.m.Read(ctx, at+atCIDR0, id[:])
	switch {
	case err != nil || !goes(a):
		return a, err
	case a == dap.Fault:
		return w.miss(fmt.Sprintf("the component at 0x%08x refuses to say what it is", at))
	case id[0]&0xff != 0x0d || id[1]&0xf != 0 || id[2]&0xff != 0x05 || id[3]&0xff != 0xb1:
		return w.miss(fmt.Sprintf("what is at 0x%08x is no component", at))
	}
	c := Component{At: at, Class: uint8(id[1] >> 4 & 0xf)}
	if c.Class == classSight {
		if a, err := w.sight(ctx, &c); err != nil || !goes(a) || a == dap.Fault {
			return a, err
		}
	}
	if c.Class != classROM && (c.Class != classSight || c.Arch&0xffff != archROM || c.Arch>>20&1 == 0) {
		w.found = append(w.found, c)
		return dap.OK, nil
	}
	if depth >= romDepth {
		return w.miss(fmt.Sprintf("the table at 0x%08x is one too deep", at))
	}
	return w.table(ctx, c, depth)
}

// sight reads what a component of CoreSight says of itself. A Fault is noted.
func (w *busWalk) sight(ctx context.Context, c *Component) (Answer, error) {
	for _, r := range []struct {
		at   uint32
		into func(v uint32)
	}{
		{atDEVARCH, func(v uint32) { c.Arch = v }},
		{atDEVTYPE, func(v uint32) { c.Type = uint8(v) }},
		{atAUTHSTATUS, func(v uint32) { c.Auth = Auth(v & 0xff) }},
	} {
		v, a, err := w.m.Word(ctx, c.At+r.at)
		if err != nil || !goes(a) {
			return a, err
		}
		if a == dap.Fault {
			_, _ = w.miss(fmt.Sprintf("the component at 0x%08x does not say all of itself", c.At))
			return a, nil
		}
		r.into(v)
	}
	return dap.OK, nil
}

// table goes through the entries of a ROM table of 32 bits.
func (w *busWalk) table(ctx context.Context, c Component, depth int) (Answer, error) {
	if c.Class == classSight {
		id, a, err := w.m.Word(ctx, c.At+atDEVID)
		switch {
		case err != nil || !goes(a):
			return a, err
		case a == dap.Fault || id&1 != 0:
			return w.miss(fmt.Sprintf("the table at 0x%08x is not one of 32 bits", c.At))
		}
	}
	for off := uint32(0); off < 0x800; off += 4 {
		if w.entries++; w.entries > romEntries {
			return w.miss("the tables have no end")
		}
		e, a, err := w.m.Word(ctx, c.At+off)
		switch {
		case err != nil || !goes(a):
			return a, err
		case a == dap.Fault:
			return w.miss(fmt.Sprintf("the table at 0x%08x is not read to its end", c.At))
		case e == 0 || c.Class == classSight && e&3 != entryPresent && e&3 != entryGone:
			return dap.OK, nil
		case e&1 == 0:
			continue
		}
		if a, err := w.component(ctx, c.At+(e&^0xfff), depth+1); err != nil || !goes(a) {
			return a, err
		}
	}
	return dap.OK, nil
}
