package cable

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/capture"
	"rigor/harness/wire"
)

// Both directions of what goes over the cable are heard, from the ear's first frame to
// its last.
func TestHear(t *testing.T) {
	t.Parallel()
	_, ours, device := pair(t)
	listen(t, device, 7, func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, len("said to the device")))
		_, _ = io.WriteString(c, "said by the device")
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	})
	ear, err := ours.Hear(t.Context(), deviceMAC)
	require.NoError(t, err)
	deaf, err := ours.Hear(t.Context(), net.HardwareAddr{2, 0, 0, 0, 0, 9})
	require.NoError(t, err)

	c, err := ours.DialContext(t.Context(), "tcp", "10.0.7.1:7")
	require.NoError(t, err)
	_, err = io.WriteString(c, "said to the device")
	require.NoError(t, err)
	_, err = io.ReadFull(c, make([]byte, len("said by the device")))
	require.NoError(t, err)
	require.NoError(t, c.Close())

	frames, cut := ear.Frames()
	assert.False(t, cut)
	var said []string
	for _, s := range capture.Streams(frames) {
		said = append(said, string(s.Data))
		assert.False(t, s.Gap)
	}
	assert.Contains(t, said, "said by the device")
	assert.Contains(t, said, "said to the device")
	assert.Contains(t, ear.Scope(), "every frame from and to "+deviceMAC.String())
	frames, _ = deaf.Frames()
	assert.Empty(t, frames)

	require.NoError(t, ear.Close())
	before, _ := ear.Frames()
	_, err = ours.DialContext(t.Context(), "tcp", "10.0.7.1:8")
	require.Error(t, err)
	after, _ := ear.Frames()
	assert.Len(t, after, len(before))

	require.NoError(t, ours.Close())
	_, err = ours.Hear(t.Context(), deviceMAC)
	_, fault := wire.AsFault(err)
	assert.True(t, fault)
}
