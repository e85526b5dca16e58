package ofmcuboot

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/firmware/mcuboot"
	"rigor/harness/firmware/mutant"
)

// TestFlipOfTheType: whatever the seed, one flip of the signature's type makes it one that
// nobody knows, which a device that asks for no signature takes, and another one makes it
// the type of another scheme's signature.
func TestFlipOfTheType(t *testing.T) {
	for _, s := range subjects(t) {
		t.Run(s.name, func(t *testing.T) {
			for seed := range uint64(20) {
				s.o.Seed = seed
				set, err := Plan(s.parent, s.o)
				require.NoError(t, err)
				was, err := mcuboot.Parse(s.parent)
				require.NoError(t, err)
				seen := 0
				for _, r := range set.Of(mutant.BitFlip) {
					scheme, of := map[string]bool{
						"flip-tlvs." + mcuboot.TypeName(sigType(was)) + ".type":        false,
						"flip-tlvs." + mcuboot.TypeName(sigType(was)) + ".type-scheme": true,
					}[r.Name]
					if !of {
						continue
					}
					seen++
					m, err := r.Make()
					require.NoError(t, err)
					img, err := mcuboot.Parse(m.Bytes())
					require.NoError(t, err)
					var now []uint16
					for i, tlv := range img.TLVs {
						if tlv.Type != was.TLVs[i].Type {
							now = append(now, tlv.Type)
						}
					}
					require.Len(t, now, 1)
					assert.Equal(t, scheme, mcuboot.Known(now[0]))
					assert.Equal(t, scheme, mcuboot.IsSignature(now[0]), "seed %d: %s is now of type %s", seed, r.Name, mcuboot.TypeName(now[0]))
				}
				assert.Equal(t, 2, seen, "flips of the type")
			}
		})
	}
}

// sigType is the type of an image's signature.
func sigType(img *mcuboot.Image) uint16 {
	for _, t := range img.TLVs {
		if mcuboot.IsSignature(t.Type) {
			return t.Type
		}
	}
	return 0
}
