// Package rom is what clients of loaders in ROM have in common. A client asks a loader on
// a UART what it is and what it still lets through; its commands are a list without
// erase, write, go, protect or unprotect, and there is no way to send another one.
//
// Whoever calls has put the chip into its loader, by straps and a reset, and takes it out
// again. What the DUT does or does not answer is a verdict.Kind and never an error; an
// error is the port's (a *wire.Fault) or the context's.
package rom

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rigor/harness/console"
	"rigor/harness/verdict"
)

// Wire is what a client needs of a console. A console.Talker is one.
type Wire interface {
	Mark() console.Cursor
	Read(ctx context.Context, from console.Cursor, p []byte) (int, error)
	Send(ctx context.Context, p []byte, how ...console.How) (console.Cursor, error)
}

// Try is one command and what became of it.
type Try struct {
	Command string `json:"command"` // by the name that its protocol's documents give it
	At      uint32 `json:"at,omitempty"`
	Length  int    `json:"length,omitempty"`
	// Kind is Accepted where the loader did it, Refused where it said no, Silent where
	// nothing came, Garbled where what came is no answer.
	Kind   verdict.Kind `json:"kind"`
	Code   int          `json:"code,omitempty"` // the loader's own, of a refusal
	Data   []byte       `json:"data,omitempty"`
	Detail string       `json:"detail,omitempty"`
}

// String gives "READ_REG 0x40001000: accepted".
func (t Try) String() string {
	s := t.Command
	if t.At != 0 || t.Length != 0 {
		s += fmt.Sprintf(" %#x", t.At)
	}
	if t.Length != 0 {
		s += fmt.Sprintf(", %d bytes", t.Length)
	}
	s += ": " + string(t.Kind)
	if t.Code != 0 {
		s += fmt.Sprintf(" (%#02x)", t.Code)
	}
	if t.Detail != "" {
		s += ", " + t.Detail
	}
	return s
}

// Ear reads a wire byte by byte from a place on.
type Ear struct {
	wire Wire
	at   console.Cursor
	buf  [256]byte
	have []byte
}

// Listen gives an ear at a place.
func Listen(w Wire, from console.Cursor) *Ear { return &Ear{wire: w, at: from} }

// At is the place of the next byte.
func (e *Ear) At() console.Cursor { return e.at - console.Cursor(len(e.have)) }

// Byte gives the next byte, or false where none comes by end. An error is not the DUT's.
func (e *Ear) Byte(ctx context.Context, end time.Time) (b byte, there bool, err error) {
	if len(e.have) == 0 {
		short, cancel := context.WithDeadline(ctx, end)
		defer cancel()
		n, err := e.wire.Read(short, e.at, e.buf[:])
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return 0, false, fmt.Errorf("wait for an answer: %w", context.Cause(ctx))
		case errors.Is(err, context.DeadlineExceeded):
			return 0, false, nil
		default:
			return 0, false, fmt.Errorf("wait for an answer: %w", err)
		}
		e.have, e.at = e.buf[:n], e.at+console.Cursor(n)
		if n == 0 {
			return 0, false, nil
		}
	}
	b, e.have = e.have[0], e.have[1:]
	return b, true, nil
}

// Take gives n bytes, or as many as come by end.
func (e *Ear) Take(ctx context.Context, n int, end time.Time) ([]byte, error) {
	var got []byte
	for len(got) < n {
		b, there, err := e.Byte(ctx, end)
		if err != nil || !there {
			return got, err
		}
		got = append(got, b)
	}
	return got, nil
}

// Alike says what memory that reads the same in every byte is worth: nothing is shown by
// it. A loader that may not read gives such bytes as well as empty memory does.
func Alike(data []byte) bool {
	for _, b := range data {
		if b != data[0] {
			return false
		}
	}
	return true
}
