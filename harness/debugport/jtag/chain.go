package jtag

import (
	"context"
	"math/bits"

	"rigor/harness/dap"
)

// Answer is what the chain said. None is TDO that is high all the time, Low is TDO that
// is low all the time, Protocol an answer that no chain gives.
type Answer = dap.Answer

// Limits of a chain, as the published tools have them.
const (
	MaxTAPs = 32
	MaxIR   = 32 // bits of one TAP
)

// TAP is one TAP of a chain. The first is the one whose TDO is the chain's.
type TAP struct {
	IDCode uint32 // 0 where the TAP has none
	IR     int    // length of its instruction register in bits; 0 where it is not told
}

// HasID says whether the TAP has an IDCODE.
func (t TAP) HasID() bool { return t.IDCode != 0 }

// word gives 32 bits of b from bit at on.
func word(b []byte, at int) uint32 {
	var v uint32
	for i := range 32 {
		if (at+i)/8 < len(b) && b[(at+i)/8]>>((at+i)%8)&1 != 0 {
			v |= 1 << i
		}
	}
	return v
}

// room gives a buffer for n bits.
func (e *Engine) room(n int) []byte {
	if need := (n + 7) / 8; len(e.back) < need {
		e.back = make([]byte, need)
	}
	return e.back
}

// IDCodes resets the TAPs and reads what their data registers hold then: the IDCODE of
// each that has one, one bit of each that has none. It stops where the ones come back
// that were shifted in.
func (e *Engine) IDCodes(ctx context.Context) ([]TAP, Answer, error) {
	if err := e.Reset(ctx); err != nil {
		return nil, dap.NotDone, err
	}
	const most = 32 * (MaxTAPs + 2)
	in := e.room(most + 1)
	ones := e.allOnes(most + 1)
	op := e.open(false, in)
	var taps []TAP
	at, n := 0, 0 // what was looked at, what was shifted
	ended := false
	err := e.lead(ctx, ShiftDR)
	for err == nil && !ended && n+32 <= most && len(taps) <= MaxTAPs {
		if err = e.shiftBits(ctx, ones, n, 32, false); err != nil {
			break
		}
		if err = e.play(ctx); err != nil {
			break
		}
		n += 32
		for !ended && at < n && len(taps) <= MaxTAPs {
			if in[at/8]>>(at%8)&1 == 0 {
				taps = append(taps, TAP{})
				at++
				continue
			}
			if at+32 > n {
				break
			}
			if v := word(in, at); v == 0xffffffff {
				ended = true
			} else {
				taps = append(taps, TAP{IDCode: v})
				at += 32
			}
		}
	}
	if err == nil {
		err = e.shiftBits(ctx, ones, n, 1, true)
	}
	if err = e.finish(ctx, false, err, op, ones, n+1); err != nil {
		return nil, dap.NotDone, err
	}
	switch {
	case ended && len(taps) > 0:
		return taps, dap.OK, nil
	case ended:
		return nil, dap.None, nil
	case allAlike(in, n, 0):
		return nil, dap.Low, nil
	}
	return nil, dap.Protocol, nil
}

// allAlike says whether the first n bits all have one level.
func allAlike(b []byte, n int, level byte) bool {
	for i := range n {
		if b[i/8]>>(i%8)&1 != level {
			return false
		}
	}
	return true
}

// bypass brings all TAPs to BYPASS: it shifts ones until those that were captured are
// out, then one zero, until it comes back, then ones over it. It gives what was captured
// and the length of all instruction registers; 0 where the zero did not come back: TDI does
// not lead there. No other instruction than all ones is ever updated.
func (e *Engine) bypass(ctx context.Context) (captured []byte, length int, a Answer, err error) {
	const most = MaxTAPs * MaxIR
	const all = 2*most + 64
	in := e.room(all + 1)
	out := append(e.out[:0], e.allOnes(all + 1)[:(all+8)/8]...)
	e.out = out
	op := e.open(true, in)
	n := 0
	flushed := false
	err = e.lead(ctx, ShiftIR)
	for err == nil && !flushed && n < most+64 {
		if err = e.shiftBits(ctx, out, n, 32, false); err == nil {
			err = e.play(ctx)
		}
		n += 32
		flushed = n >= 64 && word(in, n-64) == 0xffffffff && word(in, n-32) == 0xffffffff
	}
	head := n
	if err == nil && flushed && !allAlike(in, n, 1) {
		out[n/8] &^= 1 << (n % 8)
		for err == nil && length == 0 && n+32 <= all {
			if err = e.shiftBits(ctx, out, n, 32, false); err == nil {
				err = e.play(ctx)
			}
			n += 32
			if v := word(in, n-32); err == nil && v != 0xffffffff {
				length = n - 32 + bits.TrailingZeros32(^v) - head
			}
		}
	}
	if err == nil {
		err = e.shiftBits(ctx, out, n, 1, true)
	}
	if err = e.finish(ctx, true, err, op, out, n+1); err != nil {
		return nil, 0, dap.NotDone, err
	}
	switch {
	case allAlike(in, n, 1):
		return nil, 0, dap.None, nil
	case allAlike(in, n, 0):
		return nil, 0, dap.Low, nil
	case !flushed:
		return nil, 0, dap.Protocol, nil
	}
	e.bypassed = true
	return append([]byte(nil), in[:head/8]...), length, dap.OK, nil
}

// IRLengths gives the length of each instruction register, the first TAP first, for a chain
// of n TAPs, and of all together. Each begins with a one and a zero when it is captured;
// where others of its bits look alike, the single lengths are not told: each is nil then.
// All TAPs are in BYPASS afterwards.
func (e *Engine) IRLengths(ctx context.Context, n int) (each []int, all int, a Answer, err error) {
	captured, all, a, err := e.bypass(ctx)
	if a != dap.OK || err != nil {
		return nil, all, a, err
	}
	if all == 0 {
		return nil, 0, dap.Protocol, nil
	}
	var starts []int
	for i := 0; i+1 < all; i++ {
		if v := word(captured, i); v&3 == 1 {
			starts = append(starts, i)
		}
	}
	if len(starts) == 0 || starts[0] != 0 || len(starts) < n {
		return nil, all, dap.Protocol, nil
	}
	if n == 1 {
		return []int{all}, all, dap.OK, nil
	}
	if len(starts) != n {
		return nil, all, dap.OK, nil
	}
	for i, s := range starts {
		end := all
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		each = append(each, end-s)
	}
	return each, all, dap.OK, nil
}

// BypassDelay brings all TAPs to BYPASS and sends a pattern through them, another one
// each time. The delay in bits is the number of TAPs. A pattern that comes back at once
// is a Protocol answer: TDI and TDO are shorted; so is one that does not come back.
func (e *Engine) BypassDelay(ctx context.Context) (int, Answer, error) {
	if !e.bypassed {
		if _, _, a, err := e.bypass(ctx); a != dap.OK || err != nil {
			return 0, a, err
		}
	}
	e.pattern = e.pattern*1664525 + 1013904223
	pattern := e.pattern | 1<<31
	const n = 32 + MaxTAPs
	out := append(e.out[:0], byte(pattern), byte(pattern>>8), byte(pattern>>16), byte(pattern>>24), 0xff, 0xff, 0xff, 0xff)
	e.out = out
	in := e.room(n)
	if err := e.scan(ctx, false, out, in, n); err != nil {
		return 0, dap.NotDone, err
	}
	for d := 0; d <= MaxTAPs; d++ {
		if word(in, d) == pattern && allAlike(in, d, 0) {
			if d == 0 {
				return 0, dap.Protocol, nil
			}
			return d, dap.OK, nil
		}
	}
	switch {
	case allAlike(in, n, 1):
		return 0, dap.None, nil
	case allAlike(in, n, 0):
		return 0, dap.Low, nil
	}
	return 0, dap.Protocol, nil
}

// Identify reads the IDCODEs, the lengths of the instruction registers, and sees that as
// many TAPs are passed in BYPASS as have shown themselves: if not, the answer is Protocol.
// The TAPs are in BYPASS afterwards.
func (e *Engine) Identify(ctx context.Context) ([]TAP, Answer, error) {
	taps, a, err := e.IDCodes(ctx)
	if a != dap.OK || err != nil {
		return nil, a, err
	}
	each, _, a, err := e.IRLengths(ctx, len(taps))
	if a != dap.OK || err != nil {
		return taps, a, err
	}
	for i := range each {
		taps[i].IR = each[i]
	}
	d, a, err := e.BypassDelay(ctx)
	if a == dap.OK && d != len(taps) {
		a = dap.Protocol
	}
	return taps, a, err
}
