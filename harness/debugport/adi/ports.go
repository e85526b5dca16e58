package adi

import (
	"context"

	"rigor/harness/dap"
)

// AccessPort is an access port, and what it answered.
type AccessPort struct {
	At     dap.AP
	Answer Answer // to the reading of IDR
	IDR    uint32
}

// Memory says whether it is one that leads to memory.
func (p AccessPort) Memory() bool { return p.Answer == dap.OK && dap.MemoryPort(p.IDR) }

// Ports reads the IDR of the access ports of ADIv5 from first to last, and gives those that
// are there, or that answered otherwise than OK. It stops where the port no longer speaks
// the protocol, or says WAIT for ever: a is that answer. Read says how many were asked. A
// port of version 3 has no numbers: Protocol.
func (s *Session) Ports(ctx context.Context, first, last uint8) (ports []AccessPort, read int, a Answer, err error) {
	if s.id.Version() >= 3 {
		return nil, 0, dap.Protocol, nil
	}
	for n := int(first); n <= int(last); n++ {
		p := AccessPort{At: dap.Port(uint8(n))}
		if p.IDR, p.Answer, err = s.read1(ctx, p.At, dap.IDR); err != nil {
			return ports, read, dap.NotDone, err
		}
		read++
		if p.Answer != dap.OK || p.IDR != 0 {
			ports = append(ports, p)
		}
		if p.Answer != dap.OK && p.Answer != dap.Fault {
			return ports, read, p.Answer, nil
		}
	}
	return ports, read, dap.OK, nil
}

// Details are the registers of a memory access port that tell what it lets through.
type Details struct {
	CSW, BASE, CFG uint32
	Answers        [3]Answer // of these, in this order
}

// CSW bits.
const (
	DeviceEnabled uint32 = 1 << 6  // transfers are allowed
	SecureDebug   uint32 = 1 << 23 // SPIDEN: secure transfers are allowed
)

// Details reads CSW, BASE and CFG.
func (s *Session) Details(ctx context.Context, ap dap.AP) (d Details, err error) {
	for i, reg := range []dap.APReg{dap.CSW, dap.BASE, dap.CFG} {
		var v uint32
		if v, d.Answers[i], err = s.read1(ctx, ap, reg); err != nil {
			return d, err
		}
		if d.Answers[i] != dap.OK {
			continue
		}
		switch reg {
		case dap.CSW:
			d.CSW = v
		case dap.BASE:
			d.BASE = v
		default:
			d.CFG = v
		}
	}
	return d, nil
}
