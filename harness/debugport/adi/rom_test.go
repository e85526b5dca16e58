package adi

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/dap"
)

// tables is a debug port of version 3 whose components are written down: a word at an
// address; what is not there reads as zero, and what is in faults is refused.
type tables struct {
	words  map[uint64]uint32
	faults map[uint64]bool
}

func (t tables) ReadDP(_ context.Context, reg dap.DPReg) (uint32, Answer, error) {
	switch reg {
	case dap.DPIDR:
		return 0x4c013477, dap.OK, nil
	case dap.BASEPTR0:
		return 0x1001, dap.OK, nil
	}
	return 0, dap.OK, nil
}

func (t tables) ReadAP(_ context.Context, ap dap.AP, reg dap.APReg, got []uint32) (int, Answer, error) {
	at := ap.At + uint64(reg.Offset(true))
	if t.faults[at] {
		return 0, dap.Fault, nil
	}
	for i := range got {
		got[i] = t.words[at]
	}
	return len(got), dap.OK, nil
}

func (tables) Write(context.Context, dap.Write) (Answer, error) { return dap.OK, nil }
func (tables) Idle(context.Context, int) error                  { return nil }

// TestTablesToTheirEnd: a table that faults on the way, and tables in tables deeper than is
// looked, may hide an access port: the walk does not say that it has seen all.
func TestTablesToTheirEnd(t *testing.T) {
	rom := func(at uint64, entries ...uint32) map[uint64]uint32 {
		m := map[uint64]uint32{at + atCIDR1: 0x10}
		for i, e := range entries {
			m[at+uint64(4*i)] = e
		}
		return m
	}
	join := func(all ...map[uint64]uint32) map[uint64]uint32 {
		m := map[uint64]uint32{}
		for _, one := range all {
			for k, v := range one {
				m[k] = v
			}
		}
		return m
	}
	port := map[uint64]uint32{0x2000 + 0xdfc: 0x14770015}
	var deep map[uint64]uint32
	for at := uint64(0x1000); at <= 0x6000; at += 0x1000 {
		deep = join(deep, rom(at, 0x1003))
	}
	for name, c := range map[string]struct {
		t     tables
		want  Answer
		ports int
	}{
		"to the end":      {tables{words: join(rom(0x1000, 0x1003), port)}, dap.OK, 1},
		"an entry faults": {tables{join(rom(0x1000, 0x1003, 0x2003), port), map[uint64]bool{0x1004: true}}, dap.Protocol, 1},
		"too deep":        {tables{words: deep}, dap.Protocol, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, a, err := Open(t.Context(), c.t)
			require.NoError(t, err)
			require.Equal(t, dap.OK, a)
			ports, a, err := s.PortsV6(t.Context())
			require.NoError(t, err)
			assert.Equal(t, c.want, a)
			assert.Len(t, ports, c.ports)
		})
	}
}
