package dap

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const memIDR, vendorIDR = 0x24770011, 0x02880000

// all gives every write that can be expressed, with values by chance where a constructor
// takes one.
func all(r *rand.Rand) []Write {
	ap := Port(uint8(r.Uint32()))
	if r.IntN(2) == 0 {
		ap = PortAt(r.Uint64())
	}
	ws := []Write{{}, ClearSticky(), AbortTransaction(), PowerUp(), PowerDown(),
		Words(ap, Increment(r.Uint32())), Address(ap, r.Uint32()), Address(ap, CoreAt)}
	for _, act := range []HaltAct{CoreHalt, CoreStep, CoreRun, CoreDetach, HaltAct(r.Uint32())} {
		if w, err := CoreControl(ap, HaltAllowed(), act); err == nil {
			ws = append(ws, w)
		}
	}
	if w, err := CoreSelect(ap, HaltAllowed(), CoreRegister(r.Uint32())); err == nil {
		ws = append(ws, w)
	}
	return ws
}

// TestNothingElse: whatever is written, in whatever order, only the listed registers are,
// with the listed values; and of access ports only those that were shown to be memory ports.
func TestNothingElse(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sent := map[string]int{}
	for range 3000 {
		g := NewGate(1 + r.IntN(2))
		for range r.IntN(6) {
			for _, w := range all(r) {
				if r.IntN(2) == 0 {
					w.ap = Port(uint8(r.IntN(3))) // one that may be known
				}
				switch r.IntN(5) {
				case 0:
					g.Saw(w.ap, IDR, []uint32{memIDR, vendorIDR, 0, r.Uint32()}[r.IntN(4)])
				case 1:
					g.Saw(w.ap, CSW, r.Uint32())
				case 2:
					g.Moved(w.ap)
				}
				shown := g.Memory(w.ap)
				csw := uint32(0)
				if s := g.ports[w.ap]; s != nil {
					csw = s.csw
				}
				s, err := g.Admit(w)
				if err != nil {
					require.ErrorIs(t, err, ErrForbidden)
					assert.Zero(t, s)
					continue
				}
				g.Wrote(w, []Answer{OK, OK, Fault, Wait}[r.IntN(4)])
				check(t, s, shown, csw)
				sent[w.String()[:4]]++
			}
		}
	}
	assert.NotEmpty(t, sent)
}

// check says whether one write is of the list.
func check(t *testing.T, s Sent, shown bool, csw uint32) {
	t.Helper()
	switch {
	case !s.ToAP && s.DP == DPIDR: // ABORT
		assert.Contains(t, []uint32{0x1e, 1}, s.Value)
	case !s.ToAP:
		assert.Equal(t, CTRLSTAT, s.DP)
		assert.Contains(t, []uint32{0, 0x50000000}, s.Value)
	default:
		require.True(t, shown, "%+v to what is not shown to be memory", s)
		switch s.Reg {
		case CSW:
			assert.Equal(t, csw&^0x37, s.Value&^0x37, "only size and increment change")
			assert.EqualValues(t, 2, s.Value&0x27)
		case TAR:
			assert.Zero(t, s.Value&3)
		case BD0:
			assert.Contains(t, []uint32{0xa05f0003, 0xa05f0005, 0xa05f0001, 0xa05f0000}, s.Value)
		case BD1:
			assert.LessOrEqual(t, s.Value, uint32(16), "no transfer to a register")
		default:
			t.Errorf("%v is never written", s.Reg)
		}
	}
}

// TestVendorPort: the first two registers of a vendor's port are reset and mass erase: they
// stay out of reach whatever is read, until its IDR is that of memory.
func TestVendorPort(t *testing.T) {
	for _, idr := range []uint32{vendorIDR, 0x12880000, 0x001c0000, 0x16e60001, 0x002a0000, 0, 0xffffffff} {
		g := NewGate(1)
		for range 3 {
			g.Saw(Port(1), IDR, idr)
			g.Saw(Port(1), CSW, 0x40)
		}
		for _, w := range []Write{Words(Port(1), Next), Words(Port(1), Stay), Address(Port(1), 4)} {
			_, err := g.Admit(w)
			require.ErrorIs(t, err, ErrForbidden, "IDR %#x", idr)
		}
	}
	g := NewGate(2)
	g.Saw(Port(0), IDR, memIDR)
	assert.False(t, g.Memory(Port(0)), "read once where the wire has no parity")
	g.Saw(Port(0), IDR, vendorIDR)
	g.Saw(Port(0), IDR, memIDR)
	assert.False(t, g.Memory(Port(0)), "not alike")
	g.Saw(Port(0), IDR, memIDR)
	assert.True(t, g.Memory(Port(0)))
	g.Forget()
	assert.False(t, g.Memory(Port(0)), "another port may be there now")
}

// TestHaltNeedsItsAddress: the key of DHCSR goes nowhere else.
func TestHaltNeedsItsAddress(t *testing.T) {
	_, err := CoreControl(Port(0), Consent{}, CoreHalt)
	require.ErrorIs(t, err, ErrForbidden)
	_, err = CoreSelect(Port(0), Consent{}, CorePC)
	require.ErrorIs(t, err, ErrForbidden)
	halt, err := CoreControl(Port(0), HaltAllowed(), CoreHalt)
	require.NoError(t, err)
	at := Address(Port(0), CoreAt)
	for name, c := range map[string]struct {
		before func(g *Gate)
		ok     bool
	}{
		"there":        {func(g *Gate) { g.Wrote(at, OK) }, true},
		"never":        {func(*Gate) {}, false},
		"refused":      {func(g *Gate) { g.Wrote(at, OK); g.Wrote(Address(Port(0), CoreAt+16), Fault) }, false},
		"elsewhere":    {func(g *Gate) { g.Wrote(Address(Port(0), CoreAt+4), OK) }, false},
		"moved":        {func(g *Gate) { g.Wrote(at, OK); g.Moved(Port(0)) }, false},
		"after sticky": {func(g *Gate) { g.Wrote(at, OK); g.Wrote(ClearSticky(), OK) }, false},
		"another port": {func(g *Gate) { g.Wrote(Address(Port(1), CoreAt), OK) }, false},
	} {
		g := NewGate(1)
		g.Saw(Port(0), IDR, memIDR)
		c.before(g)
		_, err := g.Admit(halt)
		assert.Equal(t, c.ok, err == nil, name)
	}
}

// TestWriteIsClosed: nobody outside makes a write but by the constructors.
func TestWriteIsClosed(t *testing.T) {
	for _, v := range []any{Write{}, Consent{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			assert.False(t, typ.Field(i).IsExported(), "%v.%s", typ, typ.Field(i).Name)
		}
	}
}

func TestVersions(t *testing.T) {
	g := NewGate(1)
	g.SawDP(DPIDR, 0x4c013477)
	g.Saw(Port(0), IDR, memIDR)
	_, err := g.Admit(Address(Port(0), 4))
	require.ErrorIs(t, err, ErrForbidden, "an access port with a number at a debug port that has none")
}

func TestWords(t *testing.T) {
	for a := NotDone; a <= Protocol+1; a++ {
		assert.NotEmpty(t, a.String())
	}
	assert.Equal(t, "CTRL/STAT", CTRLSTAT.String())
	assert.Equal(t, "DP0x64", DPReg(0x64).String())
	assert.Equal(t, "AP0x40", APReg(0x40).String())
	assert.Equal(t, "AP at 0x2000", PortAt(0x2abc).String())
	assert.EqualValues(t, 0xdfc, IDR.Offset(true))
	assert.EqualValues(t, 0xfbc, Component(0xfbc).Offset(true))
}
