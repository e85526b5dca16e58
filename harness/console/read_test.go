package console

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{})
		at := c.Mark()
		time.AfterFunc(time.Second, func() { port.say("\x06C\x00\xff") })
		buf := make([]byte, 3)
		n, err := c.Read(within(t, 2*time.Second), at, buf)
		require.NoError(t, err)
		assert.Equal(t, "\x06C\x00", string(buf[:n]), "no more than fits")

		over, cancel := context.WithCancel(t.Context())
		cancel()
		n, err = c.Read(over, at+3, buf)
		require.NoError(t, err, "what is there is given though nobody waits")
		assert.Equal(t, "\xff", string(buf[:n]))

		began := time.Now()
		_, err = c.Read(within(t, time.Second), at+4, buf)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(began))

		_, err = c.Read(within(t, time.Second), at, nil)
		assert.NoError(t, err)

		require.NoError(t, c.Close())
		n, err = c.Read(t.Context(), at, buf)
		require.NoError(t, err)
		assert.Equal(t, 3, n, "what came before the end stays")
		_, err = c.Read(t.Context(), at+4, buf)
		assert.ErrorIs(t, err, ErrClosed)
	})
}
