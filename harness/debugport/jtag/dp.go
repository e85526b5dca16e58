package jtag

import (
	"context"
	"errors"
	"fmt"

	"rigor/harness/dap"
)

// The instructions of an Arm JTAG-DP (IHI 0031, B3.2), in their lowest four bits; longer
// registers have ones above them.
const (
	irAbort = 0x8
	irDP    = 0xa
	irAP    = 0xb
)

// accBits is the length of DPACC, APACC and ABORT.
const accBits = 35

// Retries is how often a transaction that was answered with WAIT is asked again, where
// nothing else is set, and between how many clocks it is let be.
const (
	Retries   = 32
	WaitClock = 8
)

// ErrNoDP says that a TAP is not known to be that of an Arm debug port: instructions that
// mean something to one mean something else to others, and are not sent.
var ErrNoDP = errors.New("not the TAP of an Arm debug port by its IDCODE")

// IsDP says whether an IDCODE is that of an Arm JTAG-DP: Arm's, and a part from 0xba00 to
// 0xbaff.
func IsDP(idcode uint32) bool { return idcode&0xfff == 0x477 && idcode>>20&0xff == 0xba }

// DP is the debug port behind one TAP of a chain. It is not safe for concurrent use.
type DP struct {
	e             *Engine
	irs           []int // of all TAPs
	at            int   // which is ours
	before, after int   // data bits of the other TAPs in BYPASS
	gate          *dap.Gate
	sel           dap.Selector
	ir            byte // the instruction that is there; 0 is unknown
	power         uint32
	retries       int

	irOut, irIn   []byte
	accOut, accIn []byte
}

var _ dap.Transport = (*DP)(nil)

// NewDP makes the debug port behind a TAP of a chain that Identify has found. It gives
// ErrNoDP where the TAP is not known to be one.
func NewDP(e *Engine, taps []TAP, at int) (*DP, error) {
	if at < 0 || at >= len(taps) || !IsDP(taps[at].IDCode) || taps[at].IR < 4 {
		return nil, fmt.Errorf("TAP %d of %d: %w", at, len(taps), ErrNoDP)
	}
	d := &DP{e: e, at: at, before: at, after: len(taps) - 1 - at, gate: dap.NewGate(2), retries: Retries}
	all := 0
	for i, t := range taps {
		if t.IR < 2 {
			return nil, fmt.Errorf("the length of the instruction register of TAP %d is not known: %w", i, ErrNoDP)
		}
		d.irs = append(d.irs, t.IR)
		all += t.IR
	}
	d.irOut, d.irIn = make([]byte, (all+7)/8), make([]byte, (all+7)/8)
	n := (d.before + accBits + d.after + 7) / 8
	d.accOut, d.accIn = make([]byte, n), make([]byte, n)
	return d, nil
}

// Proofs is how often an IDR has to be read alike before an access port counts as one of
// memory, and Shown whether it does: see dap.NewGate.
func (d *DP) Proofs() int { return d.gate.Proofs() }

// Shown says whether an access port was shown to be a memory port.
func (d *DP) Shown(ap dap.AP) bool { return d.gate.Memory(ap) }

// SetRetries sets how often a transaction that is answered with WAIT is asked again.
func (d *DP) SetRetries(n int) { d.retries = max(0, n) }

// instruct puts an instruction into our TAP, and BYPASS into all others.
func (d *DP) instruct(ctx context.Context, ir byte) error {
	if d.ir == ir {
		return nil
	}
	for i := range d.irOut {
		d.irOut[i] = 0xff
	}
	at := 0
	for i, n := range d.irs {
		if i == d.at {
			for b := range 4 {
				if ir>>b&1 == 0 {
					d.irOut[(at+b)/8] &^= 1 << ((at + b) % 8)
				}
			}
		}
		at += n
	}
	d.ir = 0
	if err := d.e.scan(ctx, true, d.irOut, d.irIn, at); err != nil {
		return err
	}
	d.ir = ir
	return nil
}

// scan shifts one transaction, and gives the acknowledgement and the data that were
// captured: they are of the one before.
func (d *DP) scan(ctx context.Context, ir byte, read bool, addr uint8, v uint32) (ack uint8, data uint32, err error) {
	if err := d.instruct(ctx, ir); err != nil {
		return 0, 0, err
	}
	acc := uint64(v)<<3 | uint64(addr&0xc)>>1
	if read {
		acc |= 1
	}
	for i := range d.accOut {
		d.accOut[i] = 0xff
	}
	for i := range accBits {
		if acc>>i&1 == 0 {
			d.accOut[(d.before+i)/8] &^= 1 << ((d.before + i) % 8)
		}
	}
	if err := d.e.scan(ctx, false, d.accOut, d.accIn, d.before+accBits+d.after); err != nil {
		d.ir = 0
		return 0, 0, err
	}
	return uint8(word(d.accIn, d.before) & 7), word(d.accIn, d.before+3), nil
}

// acknowledged types the three captured bits. OK may be a Fault of an ADIv5 port: its
// CTRL/STAT tells.
func acknowledged(ack uint8) Answer {
	switch ack {
	case 2, 4:
		return dap.OK
	case 1:
		return dap.Wait
	case 7:
		return dap.None
	case 0:
		return dap.Low
	}
	return dap.Protocol
}

// turn does one transaction, again as long as the one before is not finished: one that is
// answered with WAIT is not begun. It gives the result of the one before.
func (d *DP) turn(ctx context.Context, ir byte, read bool, addr uint8, v uint32) (uint32, Answer, error) {
	for try := 0; ; try++ {
		ack, data, err := d.scan(ctx, ir, read, addr, v)
		if err != nil {
			d.lost()
			return 0, dap.NotDone, err
		}
		a := acknowledged(ack)
		if a != dap.Wait || try >= d.retries {
			if a != dap.OK {
				d.lost()
			}
			return data, a, nil
		}
		if err := d.e.Idle(ctx, WaitClock); err != nil {
			d.lost()
			return 0, dap.NotDone, err
		}
	}
}

// lost forgets what stands in the registers.
func (d *DP) lost() {
	d.sel.Forget()
	d.ir = 0
}

// choose does one step of selecting.
func (d *DP) choose(ctx context.Context, s dap.Step) (Answer, error) {
	_, a, err := d.turn(ctx, irDP, false, s.Address(), s.Value)
	if a == dap.OK {
		d.sel.Wrote(s)
	}
	return a, err
}

// reachDP selects the bank of a register.
func (d *DP) reachDP(ctx context.Context, reg dap.DPReg) (a Answer, err error) {
	a = dap.OK
	for step, more := d.sel.DP(reg); more && a == dap.OK; step, more = d.sel.DP(reg) {
		a, err = d.choose(ctx, step)
	}
	return a, err
}

// reachAP selects an access port and a bank of it, and with it the bank of the debug port
// in which CTRL/STAT is, so that settle can read it at once.
func (d *DP) reachAP(ctx context.Context, ap dap.AP, reg dap.APReg) (a Answer, err error) {
	a = dap.OK
	if d.sel.Known() {
		if a, err = d.reachDP(ctx, dap.CTRLSTAT); a != dap.OK {
			return a, err
		}
	}
	for step, more := d.sel.AP(ap, reg); more && a == dap.OK; step, more = d.sel.AP(ap, reg) {
		a, err = d.choose(ctx, step)
	}
	return a, err
}

// ReadDP reads a register of the debug port: one transaction asks, the next brings it.
func (d *DP) ReadDP(ctx context.Context, reg dap.DPReg) (uint32, Answer, error) {
	a, err := d.reachDP(ctx, reg)
	if a == dap.OK {
		_, a, err = d.turn(ctx, irDP, true, reg.Addr(), 0)
	}
	var v uint32
	if a == dap.OK {
		v, a, err = d.turn(ctx, irDP, true, dap.RDBUFF.Addr(), 0)
	}
	if a != dap.OK {
		return 0, a, wrap(err, reg)
	}
	d.gate.SawDP(reg, v)
	return v, a, nil
}

// settle ends a series of transactions with an access port: it brings the result of the
// last one, and tells by CTRL/STAT whether one of them was refused.
func (d *DP) settle(ctx context.Context) (last uint32, a Answer, err error) {
	if a, err = d.reachDP(ctx, dap.CTRLSTAT); a != dap.OK {
		return 0, a, err
	}
	if last, a, err = d.turn(ctx, irDP, true, dap.CTRLSTAT.Addr(), 0); a != dap.OK {
		return 0, a, err
	}
	v, a, err := d.turn(ctx, irDP, true, dap.RDBUFF.Addr(), 0)
	if a == dap.OK && v&(dap.StickyError|dap.StickyOverrun|dap.WriteDataError) != 0 {
		a = dap.Fault
	}
	return last, a, err
}

// ReadAP reads one register of an access port len(got) times. Where one of the readings
// was refused, none is known to be right: done is 0 then.
func (d *DP) ReadAP(ctx context.Context, ap dap.AP, reg dap.APReg, got []uint32) (done int, a Answer, err error) {
	if len(got) == 0 {
		return 0, dap.OK, nil
	}
	a, err = d.reachAP(ctx, ap, reg)
	if reg == dap.DRW {
		d.gate.Moved(ap)
	}
	addr := uint8(reg.Offset(ap.V6) & 0xc)
	for i := 0; i < len(got) && a == dap.OK; i++ {
		var v uint32
		if v, a, err = d.turn(ctx, irAP, true, addr, 0); i > 0 {
			got[i-1] = v
		}
	}
	if a == dap.OK {
		got[len(got)-1], a, err = d.settle(ctx)
	}
	if a != dap.OK {
		return 0, a, wrap(err, ap)
	}
	for _, v := range got {
		d.gate.Saw(ap, reg, v)
	}
	return len(got), a, nil
}

// Write does one of the writes that there are. Sticky errors are cleared in CTRL/STAT, as
// a JTAG-DP wants it.
func (d *DP) Write(ctx context.Context, w dap.Write) (Answer, error) {
	s, err := d.gate.Admit(w)
	if err != nil {
		return dap.NotDone, wrap(err, w)
	}
	var a Answer
	switch {
	case s.ToAP:
		if a, err = d.reachAP(ctx, s.AP, s.Reg); a == dap.OK {
			_, a, err = d.turn(ctx, irAP, false, uint8(s.Reg.Offset(s.AP.V6)&0xc), s.Value)
		}
		if a == dap.OK && s.Reg >= dap.BD0 { // a refused TAR or CSW shows with what is read then
			_, a, err = d.settle(ctx)
		}
	case w == dap.AbortTransaction():
		_, _, err = d.scan(ctx, irAbort, false, 0, s.Value)
		if a = dap.OK; err != nil {
			a = dap.NotDone
		}
	default:
		if w == dap.ClearSticky() {
			s.DP, s.Value = dap.CTRLSTAT, d.power|dap.StickyError|dap.StickyCompare|dap.StickyOverrun
		} else {
			d.power = s.Value
		}
		if a, err = d.reachDP(ctx, dap.CTRLSTAT); a == dap.OK {
			_, a, err = d.turn(ctx, irDP, false, dap.CTRLSTAT.Addr(), s.Value)
		}
	}
	d.gate.Wrote(w, a)
	return a, wrap(err, w)
}

// Idle lets n clocks go by in Run-Test/Idle.
func (d *DP) Idle(ctx context.Context, n int) error { return d.e.Idle(ctx, n) }

// wrap says on what an operation was.
func wrap(err error, what any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%v of a JTAG-DP: %w", what, err)
}
