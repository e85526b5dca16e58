package capture

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An ear keeps what is from and to its device, to everybody too, and nothing of the
// others on the wire.
func TestEar(t *testing.T) {
	mac := net.HardwareAddr{0x52, 0x54, 0, 1, 2, 3}
	frame := func(to, from net.HardwareAddr, text string) []byte {
		return append(append(append([]byte(nil), to...), from...), "\x08\x00"+text...)
	}
	other, third := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
	all := net.HardwareAddr{255, 255, 255, 255, 255, 255}
	shut := 0
	e := NewEar(mac, "on a wire", func() error { shut++; return nil })
	buf := frame(other, mac, "said")
	e.Take(buf)
	copy(buf[14:], "gone") // a driver reads the next frame into the same place
	e.Take(frame(mac, other, "heard"))
	e.Take(frame(all, mac, "to everybody"))
	e.Take(frame(third, other, "others"))
	e.Take(frame(all, other, "another's"))
	e.Take([]byte("short"))
	e.Take(nil)
	frames, cut := e.Frames()
	assert.False(t, cut)
	var texts []string
	for _, f := range frames {
		assert.False(t, f.At.IsZero())
		texts = append(texts, string(f.Data[14:]))
	}
	assert.Equal(t, []string{"said", "heard", "to everybody"}, texts)
	assert.Equal(t, "every frame from and to 52:54:00:01:02:03 on a wire", e.Scope())

	require.NoError(t, e.Close())
	require.NoError(t, e.Close())
	assert.Equal(t, 1, shut)
	e.Take(frame(mac, other, "late"))
	frames, _ = e.Frames()
	assert.Len(t, frames, 3)
	e.Lost()
	_, cut = e.Frames()
	assert.True(t, cut)
}

// What does not fit is not forgotten silently.
func TestEarIsBounded(t *testing.T) {
	mac := net.HardwareAddr{0x52, 0x54, 0, 1, 2, 3}
	e := NewEar(mac, "on a wire", nil)
	big := append(append([]byte(nil), mac...), make([]byte, 8<<20)...)
	for range 7 {
		e.Take(big)
	}
	_, cut := e.Frames()
	assert.False(t, cut)
	e.Take(big)
	frames, cut := e.Frames()
	assert.True(t, cut)
	assert.Len(t, frames, 7)
	require.NoError(t, e.Close())
}
