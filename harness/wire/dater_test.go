package wire_test

import (
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

// TestDater: what is read late is known to have come between two moments: nothing was
// there at the first.
func TestDater(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = r.Close() }()
	var d wire.Dater
	assert.Zero(t, d.Empty())
	p := make([]byte, 16)

	_, err = w.WriteString("first")
	require.NoError(t, err)
	n, err := d.Read(r, p)
	require.NoError(t, err)
	assert.Equal(t, "first", string(p[:n]))
	assert.Zero(t, d.Empty(), "nobody looked before it came")

	begun, sent := time.Now(), make(chan time.Time, 1)
	go func() {
		<-time.After(3 * wire.LookEvery)
		sent <- time.Now()
		_, _ = w.WriteString("second")
	}()
	n, err = d.Read(r, p)
	require.NoError(t, err)
	assert.Equal(t, "second", string(p[:n]))
	empty := d.Empty()
	assert.True(t, empty.After(begun))
	assert.NotZero(t, empty)

	// What came before the next Read may have come at any time since then.
	_, err = w.WriteString("third")
	require.NoError(t, err)
	<-time.After(time.Millisecond)
	_, err = d.Read(r, p)
	require.NoError(t, err)
	assert.Equal(t, empty, d.Empty())
	d.Forget()
	assert.Zero(t, d.Empty())
	<-sent

	require.NoError(t, w.Close())
	_, err = d.Read(r, p)
	require.ErrorIs(t, err, io.EOF)
}

// TestDaterClosed: Close ends a Read as it ends a file's.
func TestDaterClosed(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = w.Close() }()
	go func() {
		<-time.After(5 * time.Millisecond)
		_ = r.Close()
	}()
	var d wire.Dater
	_, err = d.Read(r, make([]byte, 1))
	require.ErrorIs(t, err, os.ErrClosed)
}
