package main

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/profile"
	"rigor/harness/wire"
)

// spoken is a console on which something is said.
type spoken struct{ *io.PipeReader }

func (spoken) Write(context.Context, []byte) error        { return wire.ErrUnsupported }
func (spoken) Break(context.Context, time.Duration) error { return wire.ErrUnsupported }
func (spoken) SetRate(context.Context, int) error         { return nil }
func (s spoken) Close() error                             { return s.PipeReader.Close() }
func (spoken) Check(context.Context) error                { return nil }

// An ear keeps what it has heard last, and knows how much there was: a console that talks
// without end costs no more.
func TestEarKeepsTheLast(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	e := &ear{banner: profile.Pattern{Literal: "ROM 1.2"}}
	over := e.listen(spoken{r})
	_, err := w.Write([]byte("ROM 1.2\r\n"))
	require.NoError(t, err)
	noise := bytes.Repeat([]byte("heartbeat "), 1<<10)
	for range 200 {
		_, err := w.Write(noise)
		require.NoError(t, err)
	}
	from := e.mark()
	_, err = w.Write([]byte("ROM 1.2\r\n"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	<-over
	assert.Equal(t, 200*len(noise)+18, e.mark(), "all of it is counted")
	assert.LessOrEqual(t, len(e.heard), 512<<10)
	assert.LessOrEqual(t, len(e.since(0)), 512<<10)
	assert.Contains(t, string(e.since(from)), "ROM 1.2\r\n")
	assert.True(t, e.begins(e.since(from)))
	assert.Empty(t, e.since(e.mark()))
}
