package rig

import (
	"context"
	"errors"

	"rigor/harness/dap"
)

// gatedAdapter are pads behind their gate whose instrument speaks to the debug port itself.
type gatedAdapter struct {
	*gatedPads
	adapter dap.Adapter
}

// DebugPort gives the port behind the gate.
func (g *gatedAdapter) DebugPort() dap.Transport {
	return &gatedDAP{g.gatedPads, g.adapter.DebugPort()}
}

// gatedDAP is a debug port behind the gate of its pads.
type gatedDAP struct {
	g   *gatedPads
	raw dap.Transport
}

// Attach begins a look, where the instrument wants that.
func (d *gatedDAP) Attach(ctx context.Context) error {
	a, ok := d.raw.(dap.Attacher)
	if !ok {
		return nil
	}
	return d.g.do(ctx, "attach", func() error { return a.Attach(ctx) })
}

// ReadDP reads a register of the debug port.
func (d *gatedDAP) ReadDP(ctx context.Context, reg dap.DPReg) (v uint32, a dap.Answer, err error) {
	err = d.g.do(ctx, "read "+reg.String(), func() (err error) { v, a, err = d.raw.ReadDP(ctx, reg); return err })
	return v, a, err
}

// ReadAP reads a register of an access port.
func (d *gatedDAP) ReadAP(ctx context.Context, ap dap.AP, reg dap.APReg, got []uint32) (n int, a dap.Answer, err error) {
	err = d.g.do(ctx, "read "+reg.String(), func() (err error) { n, a, err = d.raw.ReadAP(ctx, ap, reg, got); return err })
	return n, a, err
}

// Write does one of the writes that there are. One that must not be done is no trouble of
// the instrument.
func (d *gatedDAP) Write(ctx context.Context, w dap.Write) (a dap.Answer, err error) {
	var refused error
	err = d.g.do(ctx, w.String(), func() (err error) {
		if a, err = d.raw.Write(ctx, w); errors.Is(err, dap.ErrForbidden) {
			refused, err = err, nil
		}
		return err
	})
	return a, errors.Join(refused, err)
}

// Idle lets clocks go by.
func (d *gatedDAP) Idle(ctx context.Context, n int) error {
	return d.g.do(ctx, "idle", func() error { return d.raw.Idle(ctx, n) })
}

// Proofs is how often an IDR has to be read alike.
func (d *gatedDAP) Proofs() int {
	if g, ok := d.raw.(dap.Gated); ok {
		return g.Proofs()
	}
	return 1
}

// Shown says whether an access port was shown to be a memory port.
func (d *gatedDAP) Shown(ap dap.AP) bool {
	g, ok := d.raw.(dap.Gated)
	return ok && g.Shown(ap)
}
