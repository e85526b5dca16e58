package jtag

import (
	"context"
	"errors"
	"fmt"
	"math/bits"

	"rigor/harness/dap"
)

// ErrNoSample says that the instruction SAMPLE of a part is not known. Its code differs
// from part to part, and a wrong one may be an instruction that alters: none is tried.
var ErrNoSample = errors.New("the code of SAMPLE is not known for this IDCODE")

// samples are the codes of SAMPLE, as the makers' BSDL files have them: what it loads on
// the way out is the output latches, which reach no pin without EXTEST.
var samples = []struct {
	mask, id uint32
	ir       int
	code     uint32
	part     string
}{
	{0x0fffffff, 0x049511c3, 4, 0x1, "OpenCores TAP"},
	{0x0f000fff, 0x06000041, 5, 0x2, "STM32 boundary scan"},
	{0x0f000fff, 0x03000093, 6, 0x1, "Xilinx 7 series"},
	{0x0f000fff, 0x04000093, 6, 0x1, "Xilinx Spartan-6"},
	{0x00000fff, 0x000000dd, 10, 0x5, "Intel (Altera)"},
}

// sampleCode gives the code of SAMPLE of a TAP.
func sampleCode(t TAP) (code uint32, ok bool) {
	for _, s := range samples {
		if t.IDCode&s.mask == s.id && t.IR == s.ir {
			return s.code, true
		}
	}
	return 0, false
}

// maxBoundary bounds a boundary register, in bits.
const maxBoundary = 8192

// Sample reads the boundary register of a TAP: the levels of the part's pins, that of the
// cell next to TDO first, and how many they are. The part goes on as it was. Where the
// register has no end within 8192 bits the answer is Protocol. It gives ErrNoSample where
// the code is not known. The TAPs are reset afterwards.
func (e *Engine) Sample(ctx context.Context, taps []TAP, at int) (levels []byte, n int, a Answer, err error) {
	if at < 0 || at >= len(taps) {
		return nil, 0, dap.NotDone, fmt.Errorf("TAP %d of %d: %w", at, len(taps), ErrNoSample)
	}
	code, ok := sampleCode(taps[at])
	if !ok {
		return nil, 0, dap.NotDone, fmt.Errorf("IDCODE %#08x with %d bits of instruction: %w", taps[at].IDCode, taps[at].IR, ErrNoSample)
	}
	all, before := 0, 0
	for i, t := range taps {
		if t.IR < 2 {
			return nil, 0, dap.NotDone, fmt.Errorf("the length of the instruction register of TAP %d is not known: %w", i, ErrNoSample)
		}
		if i < at {
			before += t.IR
		}
		all += t.IR
	}
	ir := append([]byte(nil), e.allOnes(all)[:(all+7)/8]...)
	for i := range taps[at].IR {
		if code>>i&1 == 0 {
			ir[(before+i)/8] &^= 1 << ((before + i) % 8)
		}
	}
	if err := e.scan(ctx, true, ir, make([]byte, len(ir)), all); err != nil {
		return nil, 0, dap.NotDone, err
	}
	got, total, err := e.measure(ctx)
	if err != nil {
		return nil, 0, dap.NotDone, err
	}
	if err := e.Reset(ctx); err != nil {
		return nil, 0, dap.NotDone, err
	}
	n = total - (len(taps) - 1)
	if n < 1 {
		return nil, 0, dap.Protocol, nil
	}
	levels = make([]byte, (n+7)/8)
	for i := range n {
		levels[i/8] |= got[(at+i)/8] >> ((at + i) % 8) & 1 << (i % 8)
	}
	return levels, n, dap.OK, nil
}

// measure shifts a pattern through the data registers until it comes back, and gives what
// came before it; 0 where it does not come back.
func (e *Engine) measure(ctx context.Context) (got []byte, total int, err error) {
	const size = maxBoundary + MaxTAPs + 96
	e.pattern = e.pattern*1664525 + 1013904223
	low := e.pattern | 1
	high := bits.Reverse32(e.pattern) ^ 0x5a5a5a5a
	out := append(e.out[:0], e.allOnes(size)[:size/8]...)
	e.out = out
	for i := range 4 {
		out[i], out[4+i] = byte(low>>(8*i)), byte(high>>(8*i))
	}
	in := e.room(size + 1)
	op := e.open(false, in)
	err = e.lead(ctx, ShiftDR)
	n, at, found := 0, 0, false
	for err == nil && !found && n+32 < size {
		if err = e.shiftBits(ctx, out, n, 32, false); err == nil {
			err = e.play(ctx)
		}
		n += 32
		for ; err == nil && !found && at+64 <= n; at++ {
			if found = word(in, at) == low && word(in, at+32) == high; found {
				total = at
			}
		}
	}
	if err == nil {
		err = e.shiftBits(ctx, out, n, 1, true)
	}
	if err = e.finish(ctx, false, err, op, out, n+1); err != nil || !found {
		return nil, 0, err
	}
	return in, total, nil
}
