package smp

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/update/stream"
)

// line is a line in memory: what the client writes comes out of out.
type line struct {
	in, out chan []byte
	rest    []byte
}

func newLine() *line { return &line{in: make(chan []byte, 1<<10), out: make(chan []byte, 1<<10)} }

func (l *line) Read(ctx context.Context, p []byte) (int, error) {
	if len(l.rest) == 0 {
		select {
		case l.rest = <-l.in:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

func (l *line) Write(ctx context.Context, p []byte) error {
	l.out <- bytes.Clone(p)
	return ctx.Err()
}

// far is the device's end, for scripts.
type far struct {
	*testing.T
	l *line
}

// got gives the next request.
func (f *far) got() (header, map[string]any) {
	select {
	case p := <-f.l.out:
		var d decoder
		for _, b := range p {
			packet, err := d.feed(b)
			require.NoError(f, err)
			if packet == nil {
				continue
			}
			h, body, err := parse(packet)
			require.NoError(f, err)
			var m map[string]any
			require.NoError(f, cbor.Unmarshal(body, &m))
			return h, m
		}
		require.Fail(f, "no request", "%q", p)
	case <-time.After(time.Hour):
		require.Fail(f, "the client asks nothing")
	}
	return header{}, nil
}

// frames gives an answer as it goes over the line.
func (f *far) frames(h header, body any) []byte {
	p, err := cbor.Marshal(body)
	require.NoError(f, err)
	h.op++
	return appendFrames(nil, h.packet(p), lineMax)
}

func (f *far) say(h header, body any) { f.l.in <- f.frames(h, body) }

type m = map[string]any

// play has a client ask, against a script, in time that costs nothing.
func play(t *testing.T, o Options, ask func(context.Context, *Client) error, script func(f *far)) (Faults, error) {
	t.Helper()
	var (
		err    error
		faults Faults
	)
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		done := make(chan struct{})
		go func() {
			defer close(done)
			script(&far{t, l})
		}()
		c, nerr := New(l, o)
		require.NoError(t, nerr)
		err = ask(t.Context(), c)
		faults = c.Faults()
		<-done
		assert.Empty(t, l.out, "nothing more is asked")
	})
	return faults, err
}

func wantLine(t *testing.T, err, kind error) {
	t.Helper()
	var e *LineError
	require.ErrorAs(t, err, &e)
	assert.ErrorIs(t, err, kind)
	assert.NotErrorIs(t, err, stream.ErrRefused)
}
