package debugport

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"periph.io/x/conn/v3/gpio"

	"rigor/harness/dap"
	"rigor/harness/debugport/debugporttest"
	"rigor/harness/wire"
)

// echo are three pads, the last of which follows the second, pulled up.
func echo() *debugporttest.Wave {
	return &debugporttest.Wave{Names: []string{"J3.2", "J3 [4]", "J3.6"}, Step: func(drive, level uint32) uint32 {
		level |= 7 &^ drive
		return level&3 | level&2<<1
	}}
}

// TestPlay: in one call and pin by pin the readings and the count are the same.
func TestPlay(t *testing.T) {
	for name, pads := range map[string]wire.Pads{"player": echo(), "pins": echo().ByPin()} {
		w := New(pads, Options{})
		assert.Equal(t, []string{"J3.2", "J3 [4]", "J3.6"}, w.Pins())
		i, ok := w.Pin("J3.6")
		assert.True(t, ok)
		assert.Equal(t, 2, i)
		var got [3]uint32
		require.NoError(t, w.Play(t.Context(), []wire.PadStep{
			{Drive: 3, Read: true}, {Drive: 3, Level: 3}, {Drive: 1, Level: 0, Read: true}, {Drive: 2, Level: 0, Read: true},
		}, got[:]), name)
		assert.Equal(t, [3]uint32{0, 6, 1}, got, name)
		assert.EqualValues(t, 4, w.Steps())
		assert.EqualValues(t, 1, w.Plays())
		w.Hold(1, gpio.High)
		require.NoError(t, w.Play(t.Context(), []wire.PadStep{{Drive: 3, Read: true}}, got[:]))
		assert.EqualValues(t, 6, got[0], "held")
		require.NoError(t, w.Release(t.Context()))
	}
}

// TestFaults: what a pin says is the bench's, and names the part and the pin.
func TestFaults(t *testing.T) {
	wave := echo()
	w := New(wave.ByPin(), Options{Part: "pads.swd"})
	wave.Err = errors.New("gone")
	err := w.Play(t.Context(), []wire.PadStep{{Drive: 1}}, nil)
	f, ok := wire.AsFault(err)
	require.True(t, ok)
	assert.EqualValues(t, "pads.swd", f.Part)
	assert.ErrorContains(t, err, "J3.2")
	assert.ErrorContains(t, err, "not done")

	w = New(wave, Options{})
	_, ok = wire.AsFault(w.Play(t.Context(), []wire.PadStep{{Read: true}}, nil))
	assert.True(t, ok, "no room for a reading")
	_, ok = wire.AsFault(w.Play(t.Context(), []wire.PadStep{{Read: true}}, make([]uint32, 1)))
	assert.True(t, ok)
}

// TestTraceIsBounded: the last steps and transactions are kept, and what is lost is said.
func TestTraceIsBounded(t *testing.T) {
	w := New(echo(), Options{Keep: 4, Transactions: 2, Half: time.Microsecond, Now: func() time.Time { return time.Unix(0, 0) }})
	for i := range 5 {
		from := w.Steps()
		require.NoError(t, w.Play(t.Context(), []wire.PadStep{{Drive: 1}, {Drive: 1, Level: 1, Read: true}}, make([]uint32, 1)))
		w.Log(&Transaction{From: from, Op: OpDPRead, Data: uint32(i), Answer: dap.OK})
	}
	kept, lost := w.Transactions()
	assert.EqualValues(t, 3, lost)
	require.Len(t, kept, 2)
	assert.Equal(t, "DP read 0 ok 0x00000004", kept[1].String())
	assert.EqualValues(t, 10, kept[1].To)

	var b bytes.Buffer
	require.NoError(t, w.WriteVCD(&b))
	assert.Equal(t, `$date 1970-01-01T00:00:00Z $end
$comment Steps 6 to 10 of pads. A level of the target is drawn from the edge on at which it changes. 2 transactions, 3 older ones are not here. $end
$timescale 100 ns $end
$scope module pads $end
$var wire 1 a J3.2 $end
$var wire 1 b J3__4_ $end
$var wire 1 c J3.6 $end
$var string 1 T transaction $end
$upscope $end
$enddefinitions $end
#0
$dumpvars
xa
xb
xc
$end
#0
sDP_read_0_ok_0x00000003 T
0a
1b
1c
#10
1a
#20
sDP_read_0_ok_0x00000004 T
0a
#30
1a
#40
`, b.String())
	b.Reset()
	require.NoError(t, w.WriteLog(&b))
	assert.Equal(t, "3 older transactions are not here", strings.SplitN(b.String(), "\n", 2)[0])

	none := New(echo(), Options{Keep: -1, Transactions: -1})
	require.NoError(t, none.Play(t.Context(), []wire.PadStep{{}}, nil))
	none.Log(&Transaction{})
	kept, lost = none.Transactions()
	assert.Empty(t, kept)
	assert.EqualValues(t, 1, lost)
	require.NoError(t, none.WriteVCD(&b))
}

func TestTick(t *testing.T) {
	for half, want := range map[time.Duration]string{0: "10 us", time.Microsecond: "100 ns", 20 * time.Millisecond: "1 ms", time.Nanosecond: "1 ns"} {
		unit, n := tick(half)
		assert.Equal(t, want, unit, "%v", half)
		assert.GreaterOrEqual(t, n, int64(2))
	}
}

func TestDigits(t *testing.T) {
	assert.Equal(t, "0x0", Digits(nil, 0))
	assert.Equal(t, "0x7ff", Digits([]byte{0xff, 0xff}, 11))
	assert.Equal(t, "0x4ba00477", Digits([]byte{0x77, 4, 0xa0, 0x4b}, 32))
}

// TestDrop: what is not worth keeping goes, and what it overwrote does not come back.
func TestDrop(t *testing.T) {
	w := New(echo(), Options{Keep: 4, Transactions: 3})
	do := func(level uint32) {
		from := w.Steps()
		require.NoError(t, w.Play(t.Context(), []wire.PadStep{{Drive: 3, Level: level}}, nil))
		w.Log(&Transaction{From: from, Op: OpDPRead, Data: level, Answer: dap.OK})
	}
	for i := range uint32(3) {
		do(i)
	}
	m := w.Mark()
	do(3)
	w.Drop(m)
	kept, lost := w.Transactions()
	assert.EqualValues(t, 1, lost, "the fourth took the place of the first")
	require.Len(t, kept, 2)
	assert.EqualValues(t, 2, kept[1].Data)
	assert.EqualValues(t, 4, w.Steps())
	do(1)
	kept, _ = w.Transactions()
	assert.EqualValues(t, 1, kept[len(kept)-1].Data)
	assert.EqualValues(t, 3, kept[len(kept)-1].at)
	var b bytes.Buffer
	require.NoError(t, w.WriteVCD(&b))
	assert.Contains(t, b.String(), "sDP_read_0_ok_0x00000001 T\n1a\n0b\n")
	for range 20 {
		do(0)
	}
	w.Drop(m)
	kept, lost = w.Transactions()
	assert.Empty(t, kept)
	assert.EqualValues(t, 21, lost)
}
