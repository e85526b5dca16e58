package swd

import (
	"context"
	"fmt"

	"rigor/harness/dap"
	"rigor/harness/debugport"
)

// The sequences that switch a port, least significant bit first (IHI 0031, B5.3).
const (
	jtagToSWD     = 0xe79e     // 16 bits
	swdToJTAG     = 0xe73c     // 16 bits
	swdToDormant  = 0xe3bc     // 16 bits
	jtagToDormant = 0x33bbbbba // 31 bits
	alertLow      = 0x86852d956209f392
	alertHigh     = 0x19bc0ea2e3ddafe9
	activateSWD   = 0x1a // 8 bits
)

// sequence plays what add adds, as one transaction of the log. What was seen of the port
// before counts no longer.
func (p *Port) sequence(ctx context.Context, name string, parts ...func()) error {
	p.record = debugport.Transaction{From: p.w.Steps(), Op: debugport.OpSequence, Name: name}
	p.sel.Forget()
	for _, add := range parts {
		add()
		if err := p.play(ctx); err != nil {
			p.end(dap.NotDone)
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	p.end(dap.OK)
	return nil
}

// high adds n high bits.
func (p *Port) high(n int) func() {
	return func() {
		for range n {
			p.out(true)
		}
	}
}

// lineReset adds a line reset with its idle bits.
func (p *Port) lineReset() {
	p.high(ResetHigh)()
	p.word(0, ResetLow)
}

// bits adds n bits of a sequence.
func (p *Port) bits(v uint64, n int) func() { return func() { p.word(v, n) } }

// LineReset brings a port of serial wire to where it waits for the reading of DPIDR, or
// for TARGETSEL.
func (p *Port) LineReset(ctx context.Context) error {
	return p.sequence(ctx, "line reset", p.lineReset)
}

// JTAGToSWD switches a port that has both from JTAG to serial wire, with a line reset
// before and behind.
func (p *Port) JTAGToSWD(ctx context.Context) error {
	p.gate.Forget()
	return p.sequence(ctx, "JTAG to SWD", p.high(ResetHigh), p.bits(jtagToSWD, 16), p.lineReset)
}

// SWDToJTAG switches it back; the TAP is in Test-Logic-Reset then, and the pads are let
// go.
func (p *Port) SWDToJTAG(ctx context.Context) error {
	p.gate.Forget()
	return p.sequence(ctx, "SWD to JTAG", p.high(ResetHigh), p.bits(swdToJTAG, 16), p.high(5))
}

// Wake is a way to wake a port that is dormant, as one of version 2 or 3 may be after
// power-on.
type Wake uint8

// The ways. They differ in what precedes the alert; behind the activation code there is a
// line reset in each.
const (
	// WakePlain is the alert as the standard has it, behind 8 high bits.
	WakePlain Wake = iota
	// WakeAfterReset has a whole line reset before the alert: a port that was in serial
	// wire stays there, and one that is dormant takes it for the high bits.
	WakeAfterReset
	// WakeFromSWD sends a port from serial wire to dormant first.
	WakeFromSWD
	// WakeFromJTAG sends a port from JTAG to dormant first.
	WakeFromJTAG
)

// Wakes lists the ways.
var Wakes = []Wake{WakePlain, WakeAfterReset, WakeFromSWD, WakeFromJTAG}

// String says which way it is.
func (w Wake) String() string {
	names := [...]string{"dormant wake", "dormant wake after a line reset", "dormant wake from SWD", "dormant wake from JTAG"}
	if int(w) < len(names) {
		return names[w]
	}
	return fmt.Sprintf("wake %d", uint8(w))
}

// DormantWake wakes a port to serial wire.
func (p *Port) DormantWake(ctx context.Context, way Wake) error {
	p.gate.Forget()
	var before []func()
	switch way {
	case WakeAfterReset:
		before = append(before, p.lineReset)
	case WakeFromSWD:
		before = append(before, p.high(ResetHigh), p.bits(swdToDormant, 16))
	case WakeFromJTAG:
		before = append(before, p.high(5), p.bits(jtagToDormant, 31))
	}
	return p.sequence(ctx, way.String(), append(before,
		p.high(8), p.bits(alertLow, 64), p.bits(alertHigh, 64), p.bits(activateSWD<<4, 12), p.high(WakeHigh), p.bits(0, ResetLow))...)
}

// Dormant sends a port from serial wire to dormant.
func (p *Port) Dormant(ctx context.Context) error {
	p.gate.Forget()
	return p.sequence(ctx, "SWD to dormant", p.high(ResetHigh), p.bits(swdToDormant, 16))
}

// TargetSel selects one of several ports on the same wires: a line reset, and the write
// to TARGETSEL, which nobody acknowledges. What has to follow is the reading of DPIDR: it
// alone shows whether somebody was meant.
func (p *Port) TargetSel(ctx context.Context, id dap.TargetID) error {
	if err := p.LineReset(ctx); err != nil {
		return err
	}
	p.gate.Targeted(id)
	p.begin(false, false, 0xc, uint32(id))
	p.word(request(false, false, 0xc), requestBits)
	for range 1 + ackBits + 1 {
		p.in(false)
	}
	p.data(uint32(id))
	if err := p.play(ctx); err != nil {
		p.end(dap.NotDone)
		return fmt.Errorf("select target %#08x: %w", uint32(id), err)
	}
	p.end(dap.None)
	return nil
}
