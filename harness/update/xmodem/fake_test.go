package xmodem

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/update/stream"
)

// line is a line in memory: what the sender writes comes out of out.
type line struct {
	in, out chan []byte
	rest    []byte
}

func newLine() *line { return &line{in: make(chan []byte, 1<<10), out: make(chan []byte, 1<<10)} }

func (l *line) Read(ctx context.Context, p []byte) (int, error) {
	if len(l.rest) == 0 {
		select {
		case l.rest = <-l.in:
		default:
			select {
			case l.rest = <-l.in:
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			}
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

// far is the receiver's end, for scripts.
type far struct {
	*testing.T
	l *line
}

func (f *far) say(s string) { f.l.in <- []byte(s) }
func (f *far) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// got gives what the sender wrote next.
func (f *far) got() string {
	select {
	case p := <-f.l.out:
		return string(p)
	case <-time.After(time.Hour):
		f.Error("the sender sends nothing")
		return ""
	}
}

// block wants a sound block and gives its number and its data.
func (f *far) block(withCRC bool) (int, string) {
	p := f.got()
	size := 0
	switch {
	case len(p) > 3 && p[0] == soh:
		size = short
	case len(p) > 3 && p[0] == stx:
		size = long
	}
	check := 1
	if withCRC {
		check = 2
	}
	if !assert.Len(f, p, size+3+check, "no block") {
		return -1, ""
	}
	assert.Equal(f, p[1], ^p[2])
	body := p[3 : 3+size]
	if withCRC {
		assert.Zero(f, stream.CRC16([]byte(p[3:])))
	} else {
		var sum byte
		for i := range body {
			sum += body[i]
		}
		assert.Equal(f, sum, p[3+size])
	}
	return int(p[1]), body
}

// take answers blocks with ACK until the end, which it leaves unanswered.
func (f *far) take(withCRC bool) string {
	var all string
	for {
		select {
		case p := <-f.l.out:
			if string(p) == "\x04" {
				return all
			}
			f.l.out <- p
			_, body := f.block(withCRC)
			all += body
			f.say("\x06")
		case <-time.After(time.Hour):
			f.Error("no end")
			return all
		}
	}
}

// play runs a transfer against a script, in time that costs nothing.
func play(t *testing.T, send func(context.Context, stream.Stream) (Report, error), script func(f *far)) (Report, error) {
	t.Helper()
	var (
		r   Report
		err error
	)
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		done := make(chan struct{})
		go func() {
			defer close(done)
			script(&far{t, l})
		}()
		r, err = send(t.Context(), l)
		<-done
	})
	return r, err
}

func some(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + i>>8)
	}
	return p
}

const bye = "\x18\x18\x18\x18\x18\x18\x18\x18\b\b\b\b\b\b\b\b"

func wantError(t *testing.T, err, kind error, phase Phase, block int) *Error {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.ErrorIs(t, err, kind)
	for _, other := range []error{stream.ErrRefused, stream.ErrNoAnswer, stream.ErrBroken} {
		assert.Equal(t, errors.Is(kind, other), errors.Is(err, other), "%v", err)
	}
	assert.Equal(t, phase, e.Phase, "%v", err)
	assert.Equal(t, block, e.Block, strconv.Quote(err.Error()))
	return e
}
