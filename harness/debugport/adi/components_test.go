package adi

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/dap"
	"rigor/harness/debugport/debugporttest"
)

// TestComponents: a walk through the tables of a bus finds what they name, and says where it
// did not come to an end: a component that refuses or is none, tables in tables, one that
// names itself.
func TestComponents(t *testing.T) {
	const base = 0x80000000
	bus := func(parts ...map[uint32]uint32) map[uint32]uint32 {
		m := map[uint32]uint32{}
		for _, one := range parts {
			for k, v := range one {
				m[k] = v
			}
		}
		return m
	}
	part := func(at, class uint32, words map[uint32]uint32) map[uint32]uint32 {
		m := debugporttest.Words(at+0xf80, 32) // what nobody asks for
		for off, v := range map[uint32]uint32{atDEVARCH: 0, atDEVTYPE: 0, atDEVID: 0, atAUTHSTATUS: 0, atCIDR0: 0x0d, atCIDR1: class << 4, 0xff8: 0x05, 0xffc: 0xb1} {
			m[at+off] = v
		}
		for off, v := range words {
			m[at+off] = v
		}
		return m
	}
	core := func(at, auth uint32) map[uint32]uint32 {
		return part(at, 9, map[uint32]uint32{atDEVTYPE: typeCore, atAUTHSTATUS: auth})
	}
	for name, c := range map[string]struct {
		mem   map[uint32]uint32
		cores []uint32
		gap   string
	}{
		"a table and two cores, one that is not there": {bus(part(base, 1, map[uint32]uint32{0: 0x1003, 4: 0x2002, 8: 0x3003, 12: 0}), core(base+0x1000, 0xaa), core(base+0x3000, 0xff)),
			[]uint32{base + 0x1000, base + 0x3000}, ""},
		"one below its table": {bus(part(base, 1, map[uint32]uint32{0: 0xfffff003, 4: 0}), core(base-0x1000, 0xaa)), []uint32{base - 0x1000}, ""},
		"a table of the other class": {bus(part(base, 9, map[uint32]uint32{atDEVARCH: 0x47700af7, 0: 0x1003, 4: 0}), core(base+0x1000, 0xaa)),
			[]uint32{base + 0x1000}, ""},
		"a table of 64 bits":     {part(base, 9, map[uint32]uint32{atDEVARCH: 0x47700af7, atDEVID: 1}), nil, "not one of 32 bits"},
		"no table at all":        {core(base, 0xaa), []uint32{base}, ""},
		"zeros":                  {debugporttest.Words(base, 0), nil, "refuses to say"},
		"no component":           {part(base, 1, map[uint32]uint32{0xffc: 0}), nil, "is no component"},
		"a component that hides": {part(base, 1, map[uint32]uint32{0: 0x1003, 4: 0}), nil, "0x80001000 refuses"},
		"a core that half hides": {bus(part(base, 1, map[uint32]uint32{0: 0x1003, 4: 0}), func() map[uint32]uint32 {
			m := core(base+0x1000, 0xaa)
			delete(m, base+0x1000+atAUTHSTATUS)
			return m
		}()), nil, "does not say all of itself"},
		"a table that faults":      {part(base, 1, map[uint32]uint32{0: 0x0003}), nil, "not read to its end"},
		"one that names itself":    {part(base, 1, map[uint32]uint32{0: 0x0003, 4: 0}), nil, ""},
		"tables in tables":         {bus(part(base, 1, map[uint32]uint32{0: 0x1003}), part(base+0x1000, 1, map[uint32]uint32{0: 0x1003}), part(base+0x2000, 1, map[uint32]uint32{0: 0x1003}), part(base+0x3000, 1, map[uint32]uint32{0: 0x1003}), part(base+0x4000, 1, nil)), nil, "too deep"},
		"a table that never ends":  {bus(debugporttest.Words(base, 0x800/4), part(base, 1, nil)), nil, "refuses to say"},
		"of entries that are gone": {bus(part(base, 1, ones(0x800))), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := debugporttest.New()
			r.APs[0].IDR, r.APs[0].Memory = 0x44770002, c.mem
			p, _ := overSWD(t, r)
			m, a, err := open(t, p).Memory(t.Context(), dap.Port(0))
			require.NoError(t, err)
			require.Equal(t, dap.OK, a)
			found, gap, a, err := m.Components(t.Context(), base)
			require.NoError(t, err)
			assert.Equal(t, dap.OK, a)
			if c.gap == "" {
				assert.Empty(t, gap)
			} else {
				assert.Contains(t, gap, c.gap)
			}
			var cores []uint32
			for _, f := range found {
				if f.Core() {
					cores = append(cores, f.At)
				}
			}
			assert.Equal(t, c.cores, cores)
		})
	}
	at, is := TableAt(0x80000003)
	assert.True(t, is)
	assert.Equal(t, uint32(0x80000000), at)
	for _, none := range []uint32{0xffffffff, 2, 0} {
		_, is := TableAt(none)
		assert.False(t, is)
	}
}

// ones gives n bytes of entries that are there in no chip.
func ones(n uint32) map[uint32]uint32 {
	m := map[uint32]uint32{}
	for off := uint32(0); off < n; off += 4 {
		m[off] = 0x1002
	}
	return m
}
