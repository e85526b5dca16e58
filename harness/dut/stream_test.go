package dut

import (
	"testing"
	"testing/synctest"
	"time"

	"rigor/harness/update/stream"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStream: a transfer reads and writes through the session, and ends with it.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{}
		d := b.with(t, true, false)
		con, err := d.Console("main")
		require.NoError(t, err)
		s := stream.Over(con, con.Mark())
		b.out <- []byte("C")
		buf := make([]byte, 8)
		n, err := stream.Within(t.Context(), s, time.Second, buf)
		require.NoError(t, err)
		assert.Equal(t, "C", string(buf[:n]))
		require.NoError(t, s.Write(t.Context(), []byte{4}))
		b.out <- []byte("\x06")
		synctest.Wait()
		n, err = stream.Within(t.Context(), s, 0, buf)
		require.NoError(t, err, "what has come is read without a wait")
		assert.Equal(t, "\x06", string(buf[:n]))
		_, err = stream.Within(t.Context(), s, time.Second, buf)
		require.ErrorIs(t, err, stream.ErrSilent)

		time.AfterFunc(time.Second, d.s.Revoke)
		_, err = stream.Within(t.Context(), s, time.Minute, buf)
		require.ErrorIs(t, err, ErrRevoked)
		require.ErrorIs(t, s.Write(t.Context(), []byte{4}), ErrRevoked)
	})
}
