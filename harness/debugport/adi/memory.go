package adi

import (
	"context"
	"fmt"

	"rigor/harness/dap"
)

// wrap is the size of the block within which TAR goes on by itself, in bytes.
const wrap = 1024

// Memory reads memory through a memory access port.
type Memory struct {
	s   *Session
	ap  dap.AP
	csw uint32 // as it was read
	inc dap.Increment
	set bool // CSW is what we wrote
}

// Memory gives the memory behind an access port. Its CSW is read; where DeviceEn is not
// set in it, no transfer will be made by the port. The answer is not OK where the port is
// no memory port, or does not answer: there is no memory then.
func (s *Session) Memory(ctx context.Context, ap dap.AP) (*Memory, Answer, error) {
	if m := s.mem[ap]; m != nil {
		return m, dap.OK, nil
	}
	gate, gated := s.t.(dap.Gated)
	var idr [2]uint32
	n := 1
	if gated {
		n = min(len(idr), gate.Proofs())
	}
	if !gated || !gate.Shown(ap) {
		_, a, err := s.t.ReadAP(ctx, ap, dap.IDR, idr[:n])
		if err == nil && a == dap.Fault {
			_, err = s.Recover(ctx)
		}
		if err != nil || a != dap.OK {
			return nil, a, err
		}
		if !dap.MemoryPort(idr[0]) || n > 1 && idr[0] != idr[1] {
			return nil, dap.Protocol, nil
		}
	}
	m := &Memory{s: s, ap: ap}
	v, a, err := s.read1(ctx, ap, dap.CSW)
	if err != nil || a != dap.OK {
		return nil, a, err
	}
	m.csw = v
	s.mem[ap] = m
	return m, a, nil
}

// CSW gives the CSW as it was before we set it.
func (m *Memory) CSW() uint32 { return m.csw }

// Enabled says whether DeviceEn is set.
func (m *Memory) Enabled() bool { return m.csw&DeviceEnabled != 0 }

// Read reads len(got) words from an address on; its lowest two bits are left out. Done
// says how many are there: those behind are not known, and the answer says why. The sticky
// error of a Fault is cleared. There is no memory behind the last address: Protocol.
func (m *Memory) Read(ctx context.Context, addr uint32, got []uint32) (done int, a Answer, err error) {
	addr &^= 3
	a = dap.OK
	first := addr
	for done < len(got) && a == dap.OK {
		if addr < first {
			return done, dap.Protocol, nil
		}
		n := min(len(got)-done, int(wrap-addr%wrap)/4)
		var k int
		k, a, err = m.block(ctx, addr, got[done:done+n])
		done += k
		addr += uint32(4 * k)
		if err != nil {
			return done, dap.NotDone, fmt.Errorf("read memory at %#08x: %w", addr, err)
		}
	}
	if a == dap.Fault {
		m.set = false
		if _, err := m.s.Recover(ctx); err != nil {
			return done, dap.NotDone, fmt.Errorf("clear the error at %#08x: %w", addr, err)
		}
	}
	return done, a, nil
}

// block reads within 1 KiB.
func (m *Memory) block(ctx context.Context, addr uint32, got []uint32) (int, Answer, error) {
	inc := dap.Next
	if len(got) == 1 && !m.set {
		inc = dap.Stay
	}
	if !m.set || inc == dap.Next && m.inc != dap.Next {
		if a, err := m.s.t.Write(ctx, dap.Words(m.ap, inc)); err != nil || a != dap.OK {
			return 0, a, err
		}
		m.set, m.inc = true, inc
	}
	if a, err := m.s.t.Write(ctx, dap.Address(m.ap, addr)); err != nil || a != dap.OK {
		return 0, a, err
	}
	return m.s.t.ReadAP(ctx, m.ap, dap.DRW, got)
}

// Word reads one word.
func (m *Memory) Word(ctx context.Context, addr uint32) (uint32, Answer, error) {
	var v [1]uint32
	_, a, err := m.Read(ctx, addr, v[:])
	return v[0], a, err
}
