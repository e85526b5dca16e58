package adi

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/dap"
)

// liar is a debug port that answers what it likes.
type liar struct {
	script []byte
	at     int
	calls  int
	gate   *dap.Gate
}

func (l *liar) next() byte {
	b := l.script[l.at%len(l.script)]
	l.at++
	return b
}

// answer is OK most of the time, or a walk would end at once.
func (l *liar) answer() (uint32, dap.Answer) {
	l.calls++
	v := uint32(l.next()) | uint32(l.next())<<8 | uint32(l.next())<<16 | uint32(l.next())<<24
	if b := l.next(); b > 0xf0 {
		return 0, dap.Answer(b % 8)
	}
	return v, dap.OK
}

func (l *liar) ReadDP(context.Context, dap.DPReg) (uint32, dap.Answer, error) {
	v, a := l.answer()
	return v, a, nil
}

func (l *liar) ReadAP(_ context.Context, ap dap.AP, reg dap.APReg, got []uint32) (int, dap.Answer, error) {
	for i := range got {
		v, a := l.answer()
		if a != dap.OK {
			return i, a, nil
		}
		got[i] = v
		l.gate.Saw(ap, reg, v)
	}
	return len(got), dap.OK, nil
}

func (l *liar) Write(_ context.Context, w dap.Write) (dap.Answer, error) {
	if _, err := l.gate.Admit(w); err != nil {
		return dap.NotDone, err
	}
	_, a := l.answer()
	l.gate.Wrote(w, a)
	return a, nil
}

func (l *liar) Idle(context.Context, int) error { return nil }

// FuzzLiar: whatever the registers hold, ROM tables that lead in circles and power that
// never comes among them, a look ends after a bounded number of transactions.
func FuzzLiar(f *testing.F) {
	for _, b := range [][]byte{{0}, {0x77, 0x14, 0xa0, 0x2b, 0}, {0x77, 0x34, 1, 0x4c, 0}, {3, 0, 1, 0, 0, 0xf7, 0x0a, 0x70, 0x47, 0}, {3, 0x10, 0, 0, 1}, {0x90, 0, 0, 0, 0, 0xf7, 0x0a, 0x77, 0x47, 0}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 {
			return
		}
		l := &liar{script: script, gate: dap.NewGate(1)}
		ctx := t.Context()
		s, a, err := Open(ctx, l)
		require.NoError(t, err)
		if a != dap.OK {
			assert.Nil(t, s)
			return
		}
		_, _, err = s.PowerUp(ctx)
		require.NoError(t, err)
		ports, _, _, err := s.Ports(ctx, 0, 255)
		require.NoError(t, err)
		more, _, err := s.PortsV6(ctx)
		require.NoError(t, err)
		for i, p := range append(ports, more...) {
			if i == 16 {
				break
			}
			m, a, err := s.Memory(ctx, p.At)
			require.NoError(t, err)
			if a != dap.OK {
				continue
			}
			n, a, err := m.Read(ctx, 0xfffffff0, make([]uint32, 64)) // over the end
			require.NoError(t, err)
			assert.LessOrEqual(t, n, 4)
			assert.NotEqual(t, dap.OK, a)
			c, a, err := m.Core(ctx, dap.HaltAllowed())
			require.NoError(t, err)
			if a != dap.OK {
				continue
			}
			_, _, err = c.Halt(ctx)
			require.NoError(t, err)
			_, _, err = c.Register(ctx, dap.CorePC)
			require.NoError(t, err)
			_, err = c.Detach(ctx)
			require.NoError(t, err)
		}
		assert.Less(t, l.calls, 20000)
	})
}

// TestV6Loops: a table that names itself, one that never ends, and tables in tables end.
func TestV6Loops(t *testing.T) {
	for _, entry := range []uint32{0x3, 0x1003, 0xfffff003} {
		l := &looping{entry: entry}
		s, a, err := Open(t.Context(), l)
		require.NoError(t, err)
		require.Equal(t, dap.OK, a)
		_, a, err = s.PortsV6(t.Context())
		require.NoError(t, err)
		assert.NotEqual(t, dap.NotDone, a)
		assert.Less(t, l.calls, 5000, "entry %#x", entry)
	}
}

// looping is a port of version 3 on whose bus everything is a table of one kind of entry.
type looping struct {
	liar
	entry uint32
}

func (l *looping) ReadDP(_ context.Context, r dap.DPReg) (uint32, dap.Answer, error) {
	return map[dap.DPReg]uint32{dap.DPIDR: 0x4c013477, dap.BASEPTR0: 1}[r], dap.OK, nil
}

func (l *looping) ReadAP(_ context.Context, _ dap.AP, reg dap.APReg, got []uint32) (int, dap.Answer, error) {
	l.calls++
	got[0] = l.entry
	switch reg.Offset(true) {
	case 0xff4:
		got[0] = 0x90
	case 0xfbc:
		got[0] = 0x47700af7
	case 0xfc8:
		got[0] = 0
	}
	return 1, dap.OK, nil
}
