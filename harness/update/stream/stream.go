// Package stream is what the serial update protocols stand on: the bytes of one
// console with deadlines from a context, and the words for how a transfer ends.
//
// The console owns the port, so that each byte of a transfer is in its
// transcript. A port without a console gets one for the time of the transfer:
// console.Open with no recording.
//
// How a transfer ends is the same question for each protocol, and a transfer
// that broke must never look like firmware that was rejected: ErrRefused is said
// by the device alone, ErrBroken and ErrNoAnswer are what we saw of the line.
// What is none of these is the context's end or the port's own fault (a
// *wire.Fault), and stays in the chain.
package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rigor/harness/console"
)

// How a transfer ends, other than well.
var (
	// ErrRefused says that the device, on a line that showed no fault, said no.
	ErrRefused = errors.New("refused by the device")
	// ErrNoAnswer says that nothing came for as long as an answer may take.
	ErrNoAnswer = errors.New("not answered")
	// ErrBroken says that what came, or what the device says of what it got, is
	// not what was sent. It says nothing of what was to be transferred.
	ErrBroken = errors.New("broken on the line")
)

// ErrSilent is Within's: nothing came in the time given. The wait may go on.
var ErrSilent = errors.New("nothing came")

// Stream is a byte stream to the DUT with one reader.
type Stream interface {
	// Read gives at least one byte where err is nil, and waits where nothing has
	// come. What has come is given also where ctx has ended.
	Read(ctx context.Context, p []byte) (int, error)
	// Write sends all of p or says why not.
	Write(ctx context.Context, p []byte) error
}

// Console is a stream over a console, from a cursor on. It is no safe place for
// two readers.
type Console struct {
	talk console.Talker
	at   console.Cursor
}

var _ Stream = (*Console)(nil)

// Over speaks over a console, and reads it from a cursor on: the one that
// sending the command gave which makes the DUT receive.
func Over(t console.Talker, from console.Cursor) *Console { return &Console{talk: t, at: from} }

// Cursor is behind the last byte that was read: where to go on with the console.
func (c *Console) Cursor() console.Cursor { return c.at }

// Read reads on from the cursor.
func (c *Console) Read(ctx context.Context, p []byte) (int, error) {
	if to := min(c.talk.Mark(), c.at+console.Cursor(len(p))); to > c.at {
		got, err := c.talk.Excerpt(c.at, to)
		if err != nil {
			return 0, fmt.Errorf("read on from byte %d: %w", c.at, err)
		}
		c.at += console.Cursor(len(got))
		return copy(p, got), nil
	}
	n, err := c.talk.Read(ctx, c.at, p)
	c.at += console.Cursor(n)
	return n, err
}

// Write sends p as it is. A console's pace is kept; an echo is not waited for.
func (c *Console) Write(ctx context.Context, p []byte) error {
	_, err := c.talk.Send(ctx, p, console.Blind())
	return err
}

// Within reads for at most d; a d that is not positive reads only what has come
// already. It gives ErrSilent where nothing came, and never for the end of ctx.
func Within(ctx context.Context, s Stream, d time.Duration, p []byte) (int, error) {
	wait, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	n, err := s.Read(wait, p)
	if err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return n, ErrSilent
	}
	return n, err
}

// Shown are the last bytes that errors show of a stream.
const Shown = 160

// Tail appends p to the last bytes, and keeps as many as are shown.
func Tail(last, p []byte) []byte {
	last = append(last, p...)
	if over := len(last) - Shown; over > 0 {
		last = append(last[:0], last[over:]...)
	}
	return last
}

// CRC16 is the CRC of XMODEM and of SMP's serial frames: polynomial 0x1021, from 0, not reflected.
func CRC16(p []byte) uint16 {
	var c uint16
	for _, b := range p {
		c ^= uint16(b) << 8
		for range 8 {
			if c&0x8000 != 0 {
				c = c<<1 ^ 0x1021
			} else {
				c <<= 1
			}
		}
	}
	return c
}
