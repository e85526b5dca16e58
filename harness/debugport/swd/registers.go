package swd

import (
	"context"
	"fmt"

	"rigor/harness/dap"
)

// ReadDP reads a register of the debug port, and selects its bank where it has one. The
// first one after a line reset has to be DPIDR.
func (p *Port) ReadDP(ctx context.Context, reg dap.DPReg) (uint32, Answer, error) {
	for step, more := p.sel.DP(reg); more; step, more = p.sel.DP(reg) {
		if a, err := p.choose(ctx, step); a != dap.OK {
			return 0, a, wrap(err, reg)
		}
	}
	v, a, err := p.read(ctx, false, reg.Addr())
	if a == dap.OK {
		p.gate.SawDP(reg, v)
	}
	return v, a, wrap(err, reg)
}

// choose does one step of selecting.
func (p *Port) choose(ctx context.Context, s dap.Step) (Answer, error) {
	a, err := p.write(ctx, false, s.Address(), s.Value)
	if a == dap.OK {
		p.sel.Wrote(s)
	} else {
		p.sel.Forget()
	}
	return a, err
}

// selectAP sees to it that a register of an access port is reached.
func (p *Port) selectAP(ctx context.Context, ap dap.AP, reg dap.APReg) (Answer, error) {
	for step, more := p.sel.AP(ap, reg); more; step, more = p.sel.AP(ap, reg) {
		if a, err := p.choose(ctx, step); a != dap.OK {
			return a, err
		}
	}
	return dap.OK, nil
}

// ReadAP reads one register of an access port len(got) times. What the port answers to a
// reading is the result of the one before; the last comes from RDBUFF, which follows it
// at once.
func (p *Port) ReadAP(ctx context.Context, ap dap.AP, reg dap.APReg, got []uint32) (done int, a Answer, err error) {
	if len(got) == 0 {
		return 0, dap.OK, nil
	}
	if a, err := p.selectAP(ctx, ap, reg); a != dap.OK {
		return 0, a, wrap(err, ap)
	}
	if reg == dap.DRW {
		p.gate.Moved(ap)
	}
	addr := uint8(reg.Offset(ap.V6) & 0xc)
	if _, a, err = p.read(ctx, true, addr); a != dap.OK {
		return 0, a, wrap(err, ap)
	}
	for done < len(got) {
		if done == len(got)-1 {
			got[done], a, err = p.read(ctx, false, dap.RDBUFF.Addr())
		} else {
			got[done], a, err = p.read(ctx, true, addr)
		}
		if a != dap.OK {
			return done, a, wrap(err, ap)
		}
		p.gate.Saw(ap, reg, got[done])
		done++
	}
	return done, dap.OK, nil
}

// Write does one of the writes that there are.
func (p *Port) Write(ctx context.Context, w dap.Write) (Answer, error) {
	s, err := p.gate.Admit(w)
	if err != nil {
		return dap.NotDone, wrap(err, w)
	}
	var a Answer
	if s.ToAP {
		if a, err = p.selectAP(ctx, s.AP, s.Reg); a == dap.OK {
			a, err = p.write(ctx, true, uint8(s.Reg.Offset(s.AP.V6)&0xc), s.Value)
		}
	} else {
		if a = dap.OK; s.DP != dap.DPIDR { // ABORT needs no bank
			for step, more := p.sel.DP(s.DP); more && a == dap.OK; step, more = p.sel.DP(s.DP) {
				a, err = p.choose(ctx, step)
			}
		}
		if a == dap.OK {
			a, err = p.write(ctx, false, s.DP.Addr(), s.Value)
		}
	}
	p.gate.Wrote(w, a)
	return a, wrap(err, w)
}

// Idle lets n clocks go by with the line low: the port does what was written last.
func (p *Port) Idle(ctx context.Context, n int) error {
	for n > 0 {
		chunk := min(n, len(p.steps)/2)
		p.word(0, min(chunk, 64))
		n -= min(chunk, 64)
		if err := p.play(ctx); err != nil {
			return fmt.Errorf("idle clocks of serial wire: %w", err)
		}
	}
	return nil
}
