// Package adi looks at what is behind an Arm debug port (ADIv5, IHI 0031; ADIv6, IHI
// 0074): its power, its access ports, its memory, as far as they can be read.
//
// It stands on a dap.Transport: serial wire, a JTAG-DP, or somebody else's adapter. What
// it writes is the list of package dap.
package adi

import (
	"context"
	"fmt"

	"rigor/harness/dap"
)

// Transport reaches the registers of one debug port.
type Transport = dap.Transport

// Answer is what the port said.
type Answer = dap.Answer

// ID is a DPIDR.
type ID uint32

// Version gives the version of the debug port: 1 to 3.
func (i ID) Version() int { return int(i >> 12 & 0xf) }

// Designer gives the JEP106 code: the count of continuations above, seven bits below.
func (i ID) Designer() uint16 { return uint16(i >> 1 & 0x7ff) }

// Part gives the part number, and Revision the revision.
func (i ID) Part() uint8 { return uint8(i >> 20) }

// Revision gives the revision.
func (i ID) Revision() uint8 { return uint8(i >> 28) }

// Minimal says that the port has no counter and no pushed operations.
func (i ID) Minimal() bool { return i>>16&1 != 0 }

// Plausible says whether it can be the DPIDR of a port: its lowest bit is one, its designer
// is one that JEP106 can name, and its version exists.
func (i ID) Plausible() bool {
	return i&1 != 0 && i>>1&0x7f != 0 && i>>1&0x7f != 0x7f && i.Version() >= 1 && i.Version() <= 3
}

// String gives the number and its fields.
func (i ID) String() string {
	return fmt.Sprintf("DPIDR %#08x: DPv%d, designer %#03x, part %#02x, revision %d", uint32(i), i.Version(), i.Designer(), i.Part(), i.Revision())
}

// Session is a debug port that answers. It is not safe for concurrent use.
type Session struct {
	t     Transport
	id    ID
	power uint32 // CTRL/STAT as it was read last
	mem   map[dap.AP]*Memory
}

// Open reads DPIDR, which has to be the first thing that is read behind a line reset. It
// gives a session where the answer is OK.
func Open(ctx context.Context, t Transport) (*Session, Answer, error) {
	v, a, err := t.ReadDP(ctx, dap.DPIDR)
	if err != nil || a != dap.OK {
		return nil, a, err
	}
	return &Session{t: t, id: ID(v), mem: map[dap.AP]*Memory{}}, a, nil
}

// ID gives DPIDR.
func (s *Session) ID() ID { return s.id }

// Transport gives what the session stands on.
func (s *Session) Transport() Transport { return s.t }

// powerTries bounds how often CTRL/STAT is read until the power is there.
const powerTries = 64

// PowerUp clears the sticky errors, asks for the power of debug and system, and waits until
// it is there. Powered is false where it never came: the port has no more to say then.
func (s *Session) PowerUp(ctx context.Context) (powered bool, a Answer, err error) {
	for _, w := range []dap.Write{dap.ClearSticky(), dap.PowerUp()} {
		if a, err = s.t.Write(ctx, w); err != nil || a != dap.OK {
			return false, a, err
		}
	}
	for range powerTries {
		if s.power, a, err = s.t.ReadDP(ctx, dap.CTRLSTAT); err != nil || a != dap.OK {
			return false, a, err
		}
		if s.power&dap.PowerGiven == dap.PowerGiven {
			return true, a, nil
		}
		if err := s.t.Idle(ctx, 8); err != nil {
			return false, dap.NotDone, err
		}
	}
	return s.power&dap.DebugPowerOn != 0, a, nil
}

// Status gives CTRL/STAT as it was read last.
func (s *Session) Status() uint32 { return s.power }

// PowerDown takes the power back and lets the port do it.
func (s *Session) PowerDown(ctx context.Context) (Answer, error) {
	a, err := s.t.Write(ctx, dap.PowerDown())
	if err != nil || a != dap.OK {
		return a, err
	}
	return a, s.t.Idle(ctx, 8)
}

// Target gives TARGETID and DLPIDR of a port of version 2 or 3.
func (s *Session) Target(ctx context.Context) (target, dlpidr uint32, a Answer, err error) {
	if target, a, err = s.t.ReadDP(ctx, dap.TARGETID); err != nil || a != dap.OK {
		return 0, 0, a, err
	}
	dlpidr, a, err = s.t.ReadDP(ctx, dap.DLPIDR)
	return target, dlpidr, a, err
}

// Recover clears the sticky errors behind a Fault.
func (s *Session) Recover(ctx context.Context) (Answer, error) {
	return s.t.Write(ctx, dap.ClearSticky())
}

// read1 reads one register of an access port, and clears the sticky error of a Fault.
func (s *Session) read1(ctx context.Context, ap dap.AP, reg dap.APReg) (uint32, Answer, error) {
	var v [1]uint32
	_, a, err := s.t.ReadAP(ctx, ap, reg, v[:])
	if err == nil && a == dap.Fault {
		_, err = s.Recover(ctx)
	}
	return v[0], a, err
}

// Read reads one register of an access port: those of vendors tell of locks.
func (s *Session) Read(ctx context.Context, ap dap.AP, reg dap.APReg) (uint32, Answer, error) {
	return s.read1(ctx, ap, reg)
}
