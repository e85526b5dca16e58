package update

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/fixtures/firmware"
	"rigor/harness/dut"
	"rigor/harness/firmware/mutant"
	"rigor/harness/profile"
	"rigor/harness/shelf"
)

// TestInSlots: what a refused image left is told from what the maker's images are, and a
// memory that is not the DUT's, or shows nothing, is no sign that nothing is there.
func TestInSlots(t *testing.T) {
	t.Parallel()
	p := &profile.Profile{Images: profile.Images{Format: "mcuboot", Keys: profile.Refs{"maker-key"}, Current: "current", Newer: profile.Refs{"second-build", "newer-1"}, Older: profile.Refs{"older"},
		Slots: profile.Slots{Storage: "main", At: []profile.Slot{{Offset: 0, Length: 16 << 10}, {Offset: 16 << 10, Length: 16 << 10}}}}}
	images, err := shelf.Load(&p.Images, firmware.File)
	require.NoError(t, err)
	s := &seat{d: dut.New(p, dut.Unit{}, &dut.Bench{}), shelf: images}
	s.now = dut.Running{Version: "1.4.2", Digest: images.Ladder[0].Shows.Hash}
	current, second, older := images.Ladder[0].Bytes, images.Ladder[1].Bytes, images.Older[0].Bytes
	bad := bytes.Clone(second)
	bad[3000] ^= 1
	probe := func(name string, b []byte) *mutant.Mutant {
		set := mutant.NewSet(current, 1, mutant.Shows{})
		set.Add(mutant.BitFlip, name, mutant.Refuse, "", func() (mutant.Made, error) {
			return mutant.Made{Bytes: b, Lacks: mutant.Integrity, Parts: []mutant.Part{{What: "image", Old: current, New: b}}}, nil
		})
		m, err := set.Of(mutant.BitFlip)[0].Make()
		require.NoError(t, err)
		return m
	}
	refused := []*mutant.Mutant{probe("bent", bad), probe("cut", current[:100]), probe("old", older)}
	memory := func(a, b []byte) []byte {
		out := bytes.Repeat([]byte{0xff}, 32<<10)
		copy(out, a)
		copy(out[16<<10:], b)
		return out
	}
	for _, c := range []struct {
		name   string
		memory []byte
		want   string
	}{
		{"two of the maker's", memory(current, second), ""},
		{"one, and an empty slot", memory(current, nil), ""},
		{"a refused one", memory(current, bad), "bent lies in the slot at 0x4000"},
		{"a piece of one", memory(current, bad[:5000]), "the slot at 0x4000 does not begin with an image of the maker's"},
		{"one that is cut", memory(current[:100], current), "cut lies in the slot at 0x0"},
		{"a genuine one that was refused", memory(current, older), "old lies in the slot at 0x4000"},
		{"a clip that is loose", memory(nil, nil), "the image that runs is not seen in the memory"},
		{"another memory", memory(second, nil), "the image that runs is not seen in the memory"},
		{"one that is too short", current, "the slot at 0x0 ends behind the memory"},
	} {
		assert.Equal(t, c.want, s.inSlots(c.memory, refused), c.name)
	}
}
