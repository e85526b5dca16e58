// Package swd is the engine of Arm's Serial Wire Debug (IHI 0031, chapter B4): it plays
// requests on two pads and types each answer.
//
// A bit is two steps: the clock low, with the data that changes there, and the clock
// high. The target takes our bits at the rising edge, and changes its own there; they
// are read at the end of the low half that follows.
package swd

import (
	"context"
	"fmt"
	"math/bits"

	"rigor/harness/dap"
	"rigor/harness/debugport"
	"rigor/harness/wire"
)

// Answer is what the port said.
type Answer = dap.Answer

// The counts of clocks that a waveform is made of.
const (
	ResetHigh = 52 // high bits of a line reset; the port wants 50
	ResetLow  = 2  // low bits behind it, which the port wants
	// WakeHigh are the high bits behind a dormant port's activation code: more than are
	// wanted, so that a decoder that took the alert for requests, of 46 bits each, sees the
	// line reset all the same.
	WakeHigh    = ResetHigh + 48
	Settle      = 8 // idle clocks with which a transfer is done although the clock stops
	requestBits = 8
	ackBits     = 3
	dataBits    = 33 // with the parity
)

// Retries is how often a transaction that was answered with WAIT is asked again, where
// nothing else is set.
const Retries = 32

// Port is one serial wire debug port. It is not safe for concurrent use.
type Port struct {
	w       *debugport.Wires
	clk, io uint32
	gate    *dap.Gate
	retries int

	sel    dap.Selector
	steps  [256]wire.PadStep
	n      int // steps that are used
	got    [64]uint32
	record debugport.Transaction
}

var _ dap.Transport = (*Port)(nil)

// New makes an engine on two pads, by their index.
func New(w *debugport.Wires, clk, io int) *Port {
	return &Port{w: w, clk: 1 << clk, io: 1 << io, gate: dap.NewGate(1), retries: Retries}
}

// Proofs is how often an IDR has to be read alike before an access port counts as one of
// memory, and Shown whether it does: see dap.NewGate.
func (p *Port) Proofs() int { return p.gate.Proofs() }

// Shown says whether an access port was shown to be a memory port.
func (p *Port) Shown(ap dap.AP) bool { return p.gate.Memory(ap) }

// SetRetries sets how often a transaction that is answered with WAIT is asked again.
func (p *Port) SetRetries(n int) { p.retries = max(0, n) }

// Wires gives what the port is played on.
func (p *Port) Wires() *debugport.Wires { return p.w }

// out adds a bit of ours.
func (p *Port) out(bit bool) {
	var level uint32
	if bit {
		level = p.io
	}
	p.steps[p.n] = wire.PadStep{Drive: p.clk | p.io, Level: level}
	p.steps[p.n+1] = wire.PadStep{Drive: p.clk | p.io, Level: level | p.clk}
	p.n += 2
}

// in adds a bit of the target's: read, or let go by.
func (p *Port) in(read bool) {
	p.steps[p.n] = wire.PadStep{Drive: p.clk, Read: read}
	p.steps[p.n+1] = wire.PadStep{Drive: p.clk, Level: p.clk}
	p.n += 2
}

// word adds n bits, least significant first.
func (p *Port) word(v uint64, n int) {
	for i := range n {
		p.out(v>>i&1 != 0)
	}
}

// data adds 32 bits of ours, and their parity.
func (p *Port) data(v uint32) { p.word(uint64(v)|uint64(bits.OnesCount32(v)&1)<<32, dataBits) }

// play sends what was added.
func (p *Port) play(ctx context.Context) error {
	err := p.w.Play(ctx, p.steps[:p.n], p.got[:])
	p.n = 0
	if err != nil {
		p.sel.Forget()
	}
	return err
}

// levels gives count readings of the data pad as a number, the first one lowest.
func (p *Port) levels(from, count int) uint64 {
	var v uint64
	for i := range count {
		if p.got[from+i]&p.io != 0 {
			v |= 1 << i
		}
	}
	return v
}

// request gives the eight bits that ask for a register.
func request(ap, read bool, addr uint8) uint64 {
	r := uint64(0x81) | uint64(addr&0xc)<<1
	if ap {
		r |= 2
	}
	if read {
		r |= 4
	}
	return r | uint64(bits.OnesCount64(r&0x1e)&1)<<5
}

// acknowledged types the three bits of an acknowledgement.
func acknowledged(ack uint64) Answer {
	switch ack {
	case 1:
		return dap.OK
	case 2:
		return dap.Wait
	case 4:
		return dap.Fault
	case 7:
		return dap.None
	case 0:
		return dap.Low
	}
	return dap.Protocol
}

// begin opens the record of a transaction.
func (p *Port) begin(ap, read bool, addr uint8, v uint32) {
	op := debugport.OpDPWrite
	switch {
	case ap && read:
		op = debugport.OpAPRead
	case ap:
		op = debugport.OpAPWrite
	case read:
		op = debugport.OpDPRead
	}
	p.record = debugport.Transaction{From: p.w.Steps(), Op: op, Addr: addr & 0xc, Data: v}
}

// end closes it.
func (p *Port) end(a Answer) Answer {
	p.record.Answer = a
	p.w.Log(&p.record)
	return a
}

// ask sends a request and reads what acknowledges it, with the turnaround before.
func (p *Port) ask(ctx context.Context, ap, read bool, addr uint8) (Answer, error) {
	p.word(request(ap, read, addr), requestBits)
	p.in(false)
	for range ackBits {
		p.in(true)
	}
	if err := p.play(ctx); err != nil {
		return dap.NotDone, err
	}
	return acknowledged(p.levels(0, ackBits)), nil
}

// back ends a transaction that has no data: one turnaround where the port spoke the
// protocol. Where it did not, somebody may be driving data: the line is left alone for
// as long as these take, and a line reset has to follow.
func (p *Port) back(ctx context.Context, a Answer) error {
	if !a.Answered() {
		for range dataBits {
			p.in(false)
		}
	}
	p.in(false)
	return p.play(ctx)
}

// readOnce is one transaction of reading.
func (p *Port) readOnce(ctx context.Context, ap bool, addr uint8) (uint32, Answer, error) {
	p.begin(ap, true, addr, 0)
	a, err := p.ask(ctx, ap, true, addr)
	if err == nil && a != dap.OK {
		err = p.back(ctx, a)
	}
	if err != nil {
		return 0, p.end(dap.NotDone), err
	}
	if a != dap.OK {
		return 0, p.end(a), nil
	}
	for range dataBits {
		p.in(true)
	}
	p.in(false)
	if err := p.play(ctx); err != nil {
		return 0, p.end(dap.NotDone), err
	}
	d := p.levels(0, dataBits)
	p.record.Data = uint32(d)
	if bits.OnesCount64(d)&1 != 0 {
		return 0, p.end(dap.Parity), nil
	}
	return uint32(d), p.end(dap.OK), nil
}

// writeOnce is one transaction of writing.
func (p *Port) writeOnce(ctx context.Context, ap bool, addr uint8, v uint32) (Answer, error) {
	p.begin(ap, false, addr, v)
	a, err := p.ask(ctx, ap, false, addr)
	if err == nil && a != dap.OK {
		err = p.back(ctx, a)
	}
	if err != nil {
		return p.end(dap.NotDone), err
	}
	if a != dap.OK {
		return p.end(a), nil
	}
	p.in(false)
	p.data(v)
	if err := p.play(ctx); err != nil {
		return p.end(dap.NotDone), err
	}
	return p.end(dap.OK), nil
}

// read asks again as long as the port says WAIT.
func (p *Port) read(ctx context.Context, ap bool, addr uint8) (v uint32, a Answer, err error) {
	for try := 0; ; try++ {
		if v, a, err = p.readOnce(ctx, ap, addr); err != nil || a != dap.Wait || try >= p.retries {
			break
		}
	}
	if !a.Answered() {
		p.sel.Forget()
	}
	return v, a, err
}

// write asks again as long as the port says WAIT.
func (p *Port) write(ctx context.Context, ap bool, addr uint8, v uint32) (a Answer, err error) {
	for try := 0; ; try++ {
		if a, err = p.writeOnce(ctx, ap, addr, v); err != nil || a != dap.Wait || try >= p.retries {
			break
		}
	}
	if !a.Answered() {
		p.sel.Forget()
	}
	return a, err
}

// wrap says on what an operation was.
func wrap(err error, what any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%v over serial wire: %w", what, err)
}
