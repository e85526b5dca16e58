package rig

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"periph.io/x/conn/v3/gpio"

	"rigor/harness/dap"
	"rigor/harness/wire"
)

// adapter is one whose port answers as it is told.
type adapter struct{ err error }

func (a *adapter) Pins() []gpio.PinIO       { return nil }
func (a *adapter) Close() error             { return nil }
func (a *adapter) DebugPort() dap.Transport { return a }
func (a *adapter) Proofs() int              { return 2 }
func (a *adapter) Shown(dap.AP) bool        { return true }

func (a *adapter) Idle(context.Context, int) error { return a.err }

func (a *adapter) ReadDP(context.Context, dap.DPReg) (uint32, dap.Answer, error) {
	return 0x2ba01477, dap.OK, a.err
}

func (a *adapter) ReadAP(_ context.Context, _ dap.AP, _ dap.APReg, got []uint32) (int, dap.Answer, error) {
	return len(got), dap.OK, a.err
}

func (a *adapter) Write(context.Context, dap.Write) (dap.Answer, error) { return dap.OK, a.err }

// TestAdapterGate: an adapter's port is behind the gate of its pads: trouble is a fault of
// the part, a write that must not be done is none, and nothing passes when it is closed.
func TestAdapterGate(t *testing.T) {
	raw := &adapter{}
	pads := gatePads(&gatedPads{gate: gate{part: PadsPart, meter: newMeter(nil)}, raw: raw})
	a, ok := pads.(dap.Adapter)
	require.True(t, ok)
	port, ok := a.DebugPort().(dap.Gated)
	require.True(t, ok)
	assert.Equal(t, 2, port.Proofs())
	assert.True(t, port.Shown(dap.Port(0)))
	ctx := t.Context()
	v, answer, err := port.ReadDP(ctx, dap.DPIDR)
	require.NoError(t, err)
	assert.Equal(t, dap.OK, answer)
	assert.EqualValues(t, 0x2ba01477, v)
	n, _, err := port.ReadAP(ctx, dap.Port(0), dap.IDR, make([]uint32, 2))
	require.NoError(t, err)
	assert.Equal(t, 2, n)

	raw.err = dap.ErrForbidden
	_, err = port.Write(ctx, dap.PowerUp())
	require.ErrorIs(t, err, dap.ErrForbidden)
	_, fault := wire.AsFault(err)
	assert.False(t, fault)

	raw.err = errors.New("gone")
	_, err = port.Write(ctx, dap.PowerUp())
	f, fault := wire.AsFault(err)
	require.True(t, fault)
	assert.Equal(t, PadsPart, f.Part)
	require.Error(t, port.Idle(ctx, 1))

	raw.err = nil
	require.NoError(t, pads.Close())
	_, _, err = port.ReadDP(ctx, dap.DPIDR)
	require.ErrorIs(t, err, ErrClosed)
}
