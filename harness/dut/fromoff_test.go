package dut

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"rigor/harness/profile"
	"rigor/harness/wire"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a start came to is told by what was shown, and silence is neither.
func TestStartFromOff(t *testing.T) {
	for _, tt := range []struct {
		name, boot string
		want       Start
	}{
		{"up", bootText, Start{Up: true}},
		{"up at the second try", "ROM 1.2\r\nboot failed\r\nloading\r\nsystem ready\r\n", Start{Up: true, Failed: 1}},
		{"it fails three times", "ROM 1.2\r\nboot failed\r\nboot failed\r\nboot failed\r\nboot failed\r\n", Start{Failed: 3}},
		{"it fails once, and says no more", "ROM 1.2\r\nboot failed\r\n", Start{Failed: 1}},
		{"no sign of a cold boot", "boot failed\r\nboot failed\r\nboot failed\r\nsystem ready\r\n", Start{}},
		{"nothing", "\r\n", Start{}},
		{"it begins anew twice", "ROM 1.2\r\ncrash\r\nROM 1.2\r\ncrash\r\nROM 1.2\r\nsystem ready\r\n", Start{Up: true, Anew: 2}},
		{"it begins anew without end", strings.Repeat("ROM 1.2\r\ncrash\r\n", 1+endless) + "ROM 1.2\r\nsystem ready\r\n", Start{Anew: endless}},
		{"each failed boot is followed by another", strings.Repeat("ROM 1.2\r\nboot failed\r\n", 9), Start{Failed: 3, Anew: 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &board{boot: tt.boot}
				d := b.with(t, true, false)
				d.Profile.Consoles.Items["main"].Boot.Fail.Sign = profile.Pattern{Literal: "boot failed"}
				got, err := d.StartFromOff(t.Context(), 3)
				require.NoError(t, err)
				assert.Equal(t, tt.want.Up, got.Up)
				assert.Equal(t, tt.want.Failed, got.Failed)
				assert.Equal(t, tt.want.Anew, got.Anew)
				assert.True(t, b.on)
			})
		})
	}
}

// Without a console that shows it, a start is seen on the network.
func TestStartFromOffOnTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := (&board{}).with(t, false, true)
		got, err := d.StartFromOff(t.Context(), 1)
		require.NoError(t, err)
		assert.True(t, got.Up)
		d = (&board{deadOn: true}).with(t, false, true)
		got, err = d.StartFromOff(t.Context(), 1)
		require.NoError(t, err)
		assert.False(t, got.Up)
	})
}

func TestAMemoryIsReadAndTheDUTStaysOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{on: true, boot: bootText}
		d := b.with(t, true, false)
		d.bench.Storages = map[string]wire.Storage{"main": &chip{b: b, bytes: []byte("0123456789")}}
		got, err := d.Memory(t.Context(), "main")
		require.NoError(t, err)
		assert.Equal(t, "0123456789", string(got))
		assert.False(t, b.on)
		_, err = d.Memory(t.Context(), "other")
		require.ErrorIs(t, err, ErrNotWired)
		d.bench.Storages["vast"] = vast{&chip{b: b, bytes: []byte("0123456789")}}
		got, err = d.Memory(t.Context(), "vast")
		require.NoError(t, err, "the rig says of it what cannot be")
		assert.Equal(t, "0123456789", string(got))
	})
}

// vast is a memory that is said to have more bytes than there are anywhere.
type vast struct{ *chip }

func (vast) Size() int64 { return math.MaxInt64 }

// loose is a memory whose clip takes every write, and does nothing.
type loose struct{ *chip }

func (loose) Write(context.Context, int64, []byte) error { return nil }

func TestWhatDoesNotReadBackWasNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{on: true, boot: bootText}
		d := b.with(t, true, false)
		c := &chip{b: b, bytes: []byte("0123456789")}
		d.bench.Storages = map[string]wire.Storage{"main": c, "loose": loose{c}}
		require.NoError(t, d.Rewrite(t.Context(), "main", map[int64][]byte{0: []byte("ab"), 8: []byte("yz")}))
		assert.Equal(t, "ab234567yz", string(c.bytes))
		err := d.Rewrite(t.Context(), "loose", map[int64][]byte{4: []byte("xx")})
		f, ok := wire.AsFault(err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, PartStorage("loose"), f.Part)
	})
}

// What is read back comes in pieces of any size.
func TestStandingCountsWhatIsThere(t *testing.T) {
	memory := []byte("0123456789abcdef")
	at := map[int64][]byte{2: []byte("23456"), 9: []byte("9abc"), 14: []byte("ef"), 15: []byte("fg"), 0: []byte("0x2")}
	for piece := 1; piece <= len(memory); piece++ {
		is := standing{at: at, same: map[int64]int{}}
		for chunk := range slices.Chunk(memory, piece) {
			n, err := is.Write(chunk)
			require.NoError(t, err)
			require.Equal(t, len(chunk), n)
		}
		for off, b := range at {
			assert.Equal(t, off != 0 && off != 15, is.same[off] == len(b), "%q at %d in pieces of %d", b, off, piece)
		}
	}
}
