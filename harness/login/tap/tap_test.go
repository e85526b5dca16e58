package tap_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/capture"
	"rigor/harness/login/tap"
	"rigor/harness/wire"
)

func TestTap(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "hello")
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}()
	defer func() { _ = l.Close(); <-done }()
	d := tap.New(&net.Dialer{}, 16)
	talk := func(parts ...string) {
		c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
		require.NoError(t, err)
		for _, p := range parts {
			_, err = io.WriteString(c, p)
			require.NoError(t, err)
		}
		_, err = io.ReadFull(c, make([]byte, 5))
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	talk("pass", "word")
	found, cut := d.Sent([]byte("password"))
	assert.True(t, found, "however it was cut")
	assert.False(t, cut)
	sent, received, _ := d.Records()[0].Bytes()
	assert.Equal(t, "password", string(sent))
	assert.Equal(t, "hello", string(received))
	var heard wire.Capturer = d
	frames, cut := heard.Frames()
	assert.False(t, cut)
	var said []string
	for _, s := range capture.Streams(frames) {
		said = append(said, string(s.Data))
		if string(s.Data) == "password" {
			assert.Equal(t, l.Addr().String(), s.To.String())
			assert.NotEqual(t, s.Frame(0), s.Frame(4), "two writes are two frames")
		}
	}
	assert.ElementsMatch(t, []string{"password", "hello"}, said)
	assert.Contains(t, heard.Scope(), "own connections")
	found, _ = d.Sent(nil)
	assert.False(t, found)

	talk(strings.Repeat("x", 14), "password")
	found, cut = d.Sent([]byte("xpassword"))
	assert.False(t, found)
	assert.True(t, cut, "a no says nothing when bytes were dropped")
	d.Forget()
	assert.Empty(t, d.Records())
	_, err = tap.New(&net.Dialer{}, 0).DialContext(t.Context(), "tcp", "127.0.0.1:1")
	require.Error(t, err)
}
