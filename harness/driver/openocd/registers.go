package openocd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rigor/harness/dap"
	"rigor/harness/wire"
)

// signs are what OpenOCD 0.12 says of an answer, the most telling first. What is not here
// is not known to be the DUT's: it is a fault of the bench.
var signs = []struct {
	text   string
	answer dap.Answer
}{
	{"on socket", dap.NotDone}, // the adapter's own connection
	{"LIBUSB", dap.NotDone},
	{"Invalid ACK (7)", dap.None},
	{"Invalid ACK (0)", dap.Low},
	{"Invalid ACK", dap.Protocol},
	{"cannot read IDR", dap.None},
	{"Timeout during WAIT", dap.Wait},
	{"ack not OK: 2", dap.Wait},
	{"ack not OK: 4", dap.Fault},
	{"ack not OK: 7", dap.None},
	{"ack not OK: 0", dap.Low},
	{"ack not OK", dap.Protocol},
	{"STICKY ERROR", dap.Fault},
	{"STICKY OVERRUN", dap.Fault},
	{"parity", dap.Parity},
}

// answer types what OpenOCD said while a command failed.
func answer(log string) dap.Answer {
	for _, s := range signs {
		if strings.Contains(log, s.text) {
			return s.answer
		}
	}
	return dap.NotDone
}

// outcome makes an answer of a result, or a fault.
func (d *DAP) outcome(op string, result []string, log string) (dap.Answer, error) {
	if result[0] == "0" {
		return dap.OK, nil
	}
	a := answer(log)
	if a == dap.NotDone {
		return a, d.fault(op, fmt.Errorf("OpenOCD says %q, %s", tail(log), result[0]))
	}
	return a, nil
}

// ReadDP reads a register of the debug port.
func (d *DAP) ReadDP(ctx context.Context, reg dap.DPReg) (uint32, dap.Answer, error) {
	op := fmt.Sprintf("%s dpreg %#x", d.name, uint8(reg))
	result, log, err := d.run(ctx, op)
	if err != nil {
		return 0, dap.NotDone, err
	}
	a, err := d.outcome(op, result, log)
	if a != dap.OK {
		return 0, a, err
	}
	v, ok := numbers(result[1])
	if !ok || len(v) != 1 {
		return 0, dap.NotDone, d.fault(op, fmt.Errorf("OpenOCD gives %q", tail(result[1])))
	}
	d.gate.SawDP(reg, v[0])
	return v[0], a, nil
}

// ap gives how OpenOCD names an access port and a register of it.
func ap(a dap.AP, reg dap.APReg) string { return fmt.Sprintf("%#x %#x", a.At, reg.Offset(a.V6)) }

// ReadAP reads one register of an access port len(got) times, in one command.
func (d *DAP) ReadAP(ctx context.Context, port dap.AP, reg dap.APReg, got []uint32) (int, dap.Answer, error) {
	if len(got) == 0 {
		return 0, dap.OK, nil
	}
	if reg == dap.DRW {
		d.gate.Moved(port)
	}
	op := d.name + " apreg " + ap(port, reg)
	result, log, err := d.run(ctx, fmt.Sprintf("for {set l {}; set i 0} {$i < %d} {incr i} {lappend l [%s]}", len(got), op))
	if err != nil {
		return 0, dap.NotDone, err
	}
	a, err := d.outcome(op, result, log)
	if err != nil {
		return 0, a, err
	}
	read, err := d.exchange(ctx, "join $l")
	if err != nil {
		return 0, dap.NotDone, err
	}
	v, ok := numbers(read)
	if !ok || len(v) > len(got) || a == dap.OK && len(v) < len(got) {
		return 0, dap.NotDone, d.fault(op, fmt.Errorf("OpenOCD gives %q", tail(read)))
	}
	copy(got, v)
	for _, v := range v {
		d.gate.Saw(port, reg, v)
	}
	return len(v), a, nil
}

// errAbort says that a transaction cannot be given up over JTAG.
var errAbort = fmt.Errorf("OpenOCD has no command to give up a transaction over JTAG: %w", wire.ErrUnsupported)

// Write does one of the writes that there are.
func (d *DAP) Write(ctx context.Context, w dap.Write) (dap.Answer, error) {
	s, err := d.gate.Admit(w)
	if err != nil {
		return dap.NotDone, fmt.Errorf("%v through OpenOCD: %w", w, err)
	}
	op := fmt.Sprintf("%s dpreg %#x %#x", d.name, uint8(s.DP), s.Value)
	switch {
	case s.ToAP:
		op = fmt.Sprintf("%s apreg %s %#x", d.name, ap(s.AP, s.Reg), s.Value)
	case s.DP == dap.CTRLSTAT:
		d.power = s.Value
	case d.transport == "jtag" && w == dap.ClearSticky():
		// A JTAG-DP clears them where ones are written to CTRL/STAT.
		op = fmt.Sprintf("%s dpreg %#x %#x", d.name, uint8(dap.CTRLSTAT), d.power|dap.PowerAsked|dap.StickyError|dap.StickyCompare|dap.StickyOverrun)
	case d.transport == "jtag":
		return dap.NotDone, errAbort
	}
	result, log, err := d.run(ctx, op)
	if err != nil {
		return dap.NotDone, err
	}
	a, err := d.outcome(op, result, log)
	d.gate.Wrote(w, a)
	return a, err
}

// Proofs is how often an IDR has to be read alike: see dap.NewGate.
func (d *DAP) Proofs() int { return d.gate.Proofs() }

// Shown says whether an access port was shown to be a memory port.
func (d *DAP) Shown(port dap.AP) bool { return d.gate.Memory(port) }

// Idle lets nothing go by: OpenOCD ends each command with the clocks that it needs.
func (d *DAP) Idle(ctx context.Context, _ int) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("idle: %w", err)
	}
	if d.bad != nil {
		return d.fault("idle", errors.Join(d.bad))
	}
	return nil
}
