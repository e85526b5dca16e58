// Package jtag is the engine of JTAG (IEEE 1149.1): it walks the TAPs of a chain through
// their states, and reads what they answer.
//
// A clock is two steps: TCK low, with TMS and TDI set, and TCK high. The TAPs take both at
// the rising edge and change TDO at the falling one; TDO is read at the end of the high
// half, after the rising edge.
//
// What is shifted in is bounded by the API: instructions are BYPASS, those that a TAP has
// by itself after a reset, SAMPLE where it is known of the part, and the four of an Arm
// debug port, whose writes are those of package dap. There is no scan of any register with
// any value.
package jtag

import (
	"context"
	"errors"
	"fmt"

	"rigor/harness/dap"
	"rigor/harness/debugport"
	"rigor/harness/wire"
)

// State is a state of the TAP controller.
type State uint8

// The states, in the order of their usual numbers.
const (
	TestLogicReset State = iota
	RunTestIdle
	SelectDR
	CaptureDR
	ShiftDR
	Exit1DR
	PauseDR
	Exit2DR
	UpdateDR
	SelectIR
	CaptureIR
	ShiftIR
	Exit1IR
	PauseIR
	Exit2IR
	UpdateIR
)

// next gives where a state leads with TMS low and high.
var next = [16][2]State{
	TestLogicReset: {RunTestIdle, TestLogicReset}, RunTestIdle: {RunTestIdle, SelectDR},
	SelectDR: {CaptureDR, SelectIR}, CaptureDR: {ShiftDR, Exit1DR}, ShiftDR: {ShiftDR, Exit1DR}, Exit1DR: {PauseDR, UpdateDR},
	PauseDR: {PauseDR, Exit2DR}, Exit2DR: {ShiftDR, UpdateDR}, UpdateDR: {RunTestIdle, SelectDR},
	SelectIR: {CaptureIR, TestLogicReset}, CaptureIR: {ShiftIR, Exit1IR}, ShiftIR: {ShiftIR, Exit1IR}, Exit1IR: {PauseIR, UpdateIR},
	PauseIR: {PauseIR, Exit2IR}, Exit2IR: {ShiftIR, UpdateIR}, UpdateIR: {RunTestIdle, SelectDR},
}

// String gives the standard's name.
func (s State) String() string {
	return [...]string{"Test-Logic-Reset", "Run-Test/Idle", "Select-DR-Scan", "Capture-DR", "Shift-DR", "Exit1-DR", "Pause-DR", "Exit2-DR", "Update-DR",
		"Select-IR-Scan", "Capture-IR", "Shift-IR", "Exit1-IR", "Pause-IR", "Exit2-IR", "Update-IR"}[s&15]
}

// ways gives the TMS bits of the shortest way from one state to another, the first bit
// lowest, and how many they are.
var ways = shortest()

type way struct {
	tms uint16
	n   uint8
}

func shortest() (all [16][16]way) {
	for from := range State(16) {
		queue := []State{from}
		var seen [16]bool
		seen[from] = true
		for len(queue) > 0 {
			s := queue[0]
			queue = queue[1:]
			for tms, to := range next[s] {
				if seen[to] {
					continue
				}
				seen[to] = true
				w := all[from][s]
				all[from][to] = way{w.tms | uint16(tms)<<w.n, w.n + 1}
				queue = append(queue, to)
			}
		}
	}
	return all
}

// window is how many clocks go to the pads in one call.
const window = 512

// Engine plays a chain of TAPs on four pads. It is not safe for concurrent use.
type Engine struct {
	w                  *debugport.Wires
	tck, tms, tdi, tdo uint32

	state  State
	steps  [2 * window]wire.PadStep
	n      int
	got    [window]uint32
	in     []byte // where readings go, from bit at on
	at     int
	reads  int
	record debugport.Transaction

	ones, out, back []byte // room of scans
	pattern         uint32
	bypassed        bool // all ones are in all instruction registers
}

// New makes an engine on four pads, by their index. The state of the TAPs is not known:
// Reset first.
func New(w *debugport.Wires, tck, tms, tdi, tdo int) *Engine {
	return &Engine{w: w, tck: 1 << tck, tms: 1 << tms, tdi: 1 << tdi, tdo: 1 << tdo}
}

// Wires gives what the chain is played on.
func (e *Engine) Wires() *debugport.Wires { return e.w }

// State gives where the TAPs are, if they follow.
func (e *Engine) State() State { return e.state }

// clock adds a clock, and plays what was added where there is no more room.
func (e *Engine) clock(ctx context.Context, tms, tdi, read bool) error {
	if e.n == len(e.steps) {
		if err := e.play(ctx); err != nil {
			return err
		}
	}
	drive := e.tck | e.tms | e.tdi
	var level uint32
	if tms {
		level |= e.tms
	}
	if tdi {
		level |= e.tdi
	}
	e.steps[e.n] = wire.PadStep{Drive: drive, Level: level}
	e.steps[e.n+1] = wire.PadStep{Drive: drive, Level: level | e.tck, Read: read}
	e.n += 2
	if read {
		e.reads++
	}
	bit := 0
	if tms {
		bit = 1
	}
	e.state = next[e.state][bit]
	return nil
}

// play sends what was added, and puts the readings where they belong.
func (e *Engine) play(ctx context.Context) error {
	n, reads := e.n, e.reads
	e.n, e.reads = 0, 0
	if n == 0 {
		return nil
	}
	if err := e.w.Play(ctx, e.steps[:n], e.got[:]); err != nil {
		return err
	}
	for i := range reads {
		if e.got[i]&e.tdo != 0 {
			e.in[e.at/8] |= 1 << (e.at % 8)
		}
		e.at++
	}
	return nil
}

// lead walks to a state by the shortest way.
func (e *Engine) lead(ctx context.Context, to State) error {
	w := ways[e.state][to]
	for i := range w.n {
		if err := e.clock(ctx, w.tms>>i&1 != 0, true, false); err != nil {
			return err
		}
	}
	return nil
}

// Reset brings all TAPs to Test-Logic-Reset, from any state, and on to Run-Test/Idle.
func (e *Engine) Reset(ctx context.Context) error {
	e.bypassed = false
	return e.sequence(ctx, "TAP reset", func() error {
		for range 5 {
			if err := e.clock(ctx, true, true, false); err != nil {
				return err
			}
		}
		e.state = TestLogicReset
		return e.clock(ctx, false, true, false)
	})
}

// Idle lets n clocks go by in Run-Test/Idle.
func (e *Engine) Idle(ctx context.Context, n int) error {
	return e.sequence(ctx, "idle", func() error {
		if err := e.lead(ctx, RunTestIdle); err != nil {
			return err
		}
		for range n {
			if err := e.clock(ctx, false, true, false); err != nil {
				return err
			}
		}
		return nil
	})
}

// sequence plays what f adds, as one transaction of the log.
func (e *Engine) sequence(ctx context.Context, name string, f func() error) error {
	e.record = debugport.Transaction{From: e.w.Steps(), Op: debugport.OpSequence, Name: name}
	err := f()
	if err == nil {
		err = e.play(ctx)
	}
	return e.close(err, name)
}

// close ends the record of a transaction.
func (e *Engine) close(err error, what any) error {
	e.record.Answer = dap.OK
	if err != nil {
		e.n, e.reads, e.bypassed = 0, 0, false
		e.record.Answer = dap.NotDone
		err = fmt.Errorf("%v over JTAG: %w", what, err)
	}
	e.w.Log(&e.record)
	return err
}

// errLong says that a scan is longer than any chain.
var errLong = errors.New("longer than any chain")

// maxScan bounds a scan, in bits.
const maxScan = 1 << 20

// scan shifts n bits out through IR or DR, and what comes back into in. It ends in
// Update-IR or Update-DR: the next scan needs no Run-Test/Idle between. Both are least
// significant bit first; without out it is ones.
func (e *Engine) scan(ctx context.Context, ir bool, out, in []byte, n int) error {
	if n < 1 || n > maxScan || len(in)*8 < n || out != nil && len(out)*8 < n {
		return fmt.Errorf("scan of %d bits: %w", n, errLong)
	}
	if out == nil {
		out = e.allOnes(n)
	}
	op := e.open(ir, in)
	err := e.lead(ctx, e.shift(ir))
	if err == nil {
		err = e.shiftBits(ctx, out, 0, n, true)
	}
	return e.finish(ctx, ir, err, op, out, n)
}

// open begins the record of a scan whose readings go to in.
func (e *Engine) open(ir bool, in []byte) debugport.Op {
	op := debugport.OpDR
	if ir {
		op = debugport.OpIR
	}
	clear(in)
	e.in, e.at = in, 0
	e.bypassed = e.bypassed && !ir
	e.record = debugport.Transaction{From: e.w.Steps(), Op: op}
	return op
}

// shift gives the state in which a scan shifts.
func (e *Engine) shift(ir bool) State {
	if ir {
		return ShiftIR
	}
	return ShiftDR
}

// shiftBits shifts the bits of out from bit from on; last says that they are the last of
// the scan.
func (e *Engine) shiftBits(ctx context.Context, out []byte, from, n int, last bool) error {
	for i := from; i < from+n; i++ {
		if err := e.clock(ctx, last && i == from+n-1, out[i/8]>>(i%8)&1 != 0, true); err != nil {
			return err
		}
	}
	return nil
}

// finish leads from Exit1 to Update, and closes the record.
func (e *Engine) finish(ctx context.Context, ir bool, err error, op debugport.Op, out []byte, n int) error {
	if err == nil {
		update := UpdateDR
		if ir {
			update = UpdateIR
		}
		err = e.lead(ctx, update)
	}
	if err == nil {
		err = e.play(ctx)
	}
	e.record.Bits, e.record.Out, e.record.In = n, out[:(n+7)/8], e.in[:(n+7)/8]
	return e.close(err, op)
}

// allOnes gives n ones.
func (e *Engine) allOnes(n int) []byte {
	for len(e.ones)*8 < n {
		e.ones = append(e.ones, 0xff)
	}
	return e.ones
}
