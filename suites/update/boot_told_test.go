package update

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/fixtures/firmware"
	"rigor/harness/dut"
	"rigor/harness/firmware/mutant"
	"rigor/harness/profile"
	"rigor/harness/shelf"
)

// TestTold: what runs is a mutant by what it tells, and what is merely none of the maker's
// images is not.
func TestTold(t *testing.T) {
	t.Parallel()
	images, err := shelf.Load(&profile.Images{Format: "mcuboot", Keys: profile.Refs{"maker-key"}, Current: "current", Newer: profile.Refs{"second-build", "newer-1"}}, firmware.File)
	require.NoError(t, err)
	l := &slots{seat: &seat{shelf: images}}
	current := images.Ladder[0].Shows
	signed, other := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	unsigned := &mutant.Mutant{Name: "unsigned", Shows: mutant.Shows{Version: "1.4.2+1", Hash: signed}}
	raised := &mutant.Mutant{Name: "raised", Shows: mutant.Shows{Version: "1.4.2+1", Hash: current.Hash}}
	for _, c := range []struct {
		name            string
		version, digest string
		want            *mutant.Mutant
	}{
		{"all of it", "1.4.2+1", signed, unsigned},
		{"in which no hash was changed", "1.4.2+1", current.Hash, raised},
		{"no digest", "1.4.2+1", "", unsigned},
		{"no version", "", signed, unsigned},
		{"a version that is built in elsewhere", "1.4.2", signed, unsigned},
		{"a genuine image", "1.4.2", current.Hash, nil},
		{"a genuine image that tells another version", "0.9.0", current.Hash, nil},
		{"a rescue system", "0.9.0-rescue", other, nil},
		{"a rescue system without a digest", "0.9.0-rescue", "", nil},
		{"the version of a mutant, and the digest of none", "1.4.2+1", other, nil},
		{"nothing", "", "", nil},
	} {
		assert.Equal(t, c.want, l.told([]*mutant.Mutant{unsigned, raised}, dut.Running{Version: c.version, Digest: c.digest}), c.name)
	}
	assert.Nil(t, l.told(nil, dut.Running{Version: "1.4.2+1", Digest: signed}), "nothing was written")
}
