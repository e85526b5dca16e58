package qemu

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A channel is served at each start, and its serving ends with the supply.
func TestChannelIsServedFromStartToStart(t *testing.T) {
	t.Parallel()
	needs(t)
	begun, ended := make(chan struct{}, 2), make(chan error, 2)
	m, err := Open(t.Context(), Config{Name: "dut", Spec: board(), Dir: t.TempDir(), Scratch: filepath.Join(t.TempDir(), "scratch"), Log: func(l string) { t.Log("qemu: " + l) },
		Channels: map[string]func(context.Context, net.Conn){"clip": func(_ context.Context, conn net.Conn) {
			begun <- struct{}{}
			_, err := conn.Read(make([]byte, 1)) // nobody in the machine writes
			ended <- err
		}}})
	require.NoError(t, err)
	defer func() { assert.NoError(t, m.Close()) }()
	for range 2 {
		require.NoError(t, m.On(t.Context()))
		<-begun
		select {
		case err := <-ended:
			require.Fail(t, "it ended with the supply on", "%v", err)
		case <-time.After(100 * time.Millisecond):
		}
		require.NoError(t, m.Off(t.Context()))
		select {
		case err := <-ended:
			require.Error(t, err)
		case <-time.After(10 * time.Second):
			require.Fail(t, "it outlives the supply")
		}
	}
}
