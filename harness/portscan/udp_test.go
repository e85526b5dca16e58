package portscan

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

// packets are the computer's own sockets, for datagrams too.
type packets struct{ sockets }

// ListenPacket opens one on loopback.
func (packets) ListenPacket(ctx context.Context, network string) (net.PacketConn, error) {
	var lc net.ListenConfig
	return lc.ListenPacket(ctx, network, "127.0.0.1:0")
}

// A server that answers from another port, as TFTP does, is heard; one that refuses,
// and one that is silent, are what they are.
func TestUDPFromAnotherPort(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for what does not come, in real time")
	}
	t.Parallel()
	listen := func() net.PacketConn {
		var lc net.ListenConfig
		c, err := lc.ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	asked, other, silent, gone := listen(), listen(), listen(), listen()
	go func() {
		buf := make([]byte, 2048)
		for {
			_, from, err := asked.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = other.WriteTo([]byte("\x00\x05\x00\x01no such file\x00"), from)
		}
	}()
	number := func(c net.PacketConn) int { return c.LocalAddr().(*net.UDPAddr).Port }
	closed := number(gone)
	require.NoError(t, gone.Close())
	for name, c := range map[string]struct {
		dialer wire.Dialer
		want   State
	}{"heard": {&packets{}, Open}, "by connections alone": {&sockets{}, Filtered}} {
		res, err := ScanUDP(t.Context(), c.dialer, "127.0.0.1", []int{number(asked), number(silent), closed}, Limits{Tries: 2})
		require.NoError(t, err, name)
		assert.Equal(t, c.want, res.States[number(asked)], name)
		assert.Equal(t, Filtered, res.States[number(silent)], name)
		assert.Equal(t, Closed, res.States[closed], name)
	}
}
