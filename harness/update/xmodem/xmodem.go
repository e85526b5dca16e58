// Package xmodem sends files to a DUT by XMODEM (checksum, CRC, blocks of 1K)
// and YMODEM batch, after the XMODEM/YMODEM Protocol Reference that Chuck
// Forsberg edited (1988). Which check the blocks carry is the receiver's wish.
//
// The receiver drives: a block goes out again when it asks for that, and never
// because its answer is late, since two answers to one block would leave us one
// answer ahead of the receiver, and its last word would then be taken from the
// wrong place. What is lost on the line thus costs the receiver's own time-out
// (10 s in the reference).
//
// A transfer that is done says that the receiver took each byte, and nothing of
// what it thinks of them: most check an image only afterwards. YMODEM-g, which
// sends without asking, has no way to tell a broken line from a refusal, and is
// left out for that.
package xmodem

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rigor/harness/update/stream"
)

// Options say how to send. The zero value is the reference's.
type Options struct {
	Long bool // blocks of 1024 bytes, to a receiver that asks for a CRC
	Pad  byte // fills the last block; 0x1A (SUB) where it is 0. YMODEM tells the true length

	Start   time.Duration // for the receiver to ask for the first block; 60 s where it is 0
	Answer  time.Duration // for each answer; 60 s where it is 0, more than any receiver's own time-out
	Settle  time.Duration // of silence after which nothing more belongs to an answer; 100 ms where it is 0
	Quiet   time.Duration // the same behind trouble on the line; 1 s where it is 0
	Retries int           // of one block or end; 10 where it is 0

	// Progress is told of each acknowledged block: bytes of this file. It must
	// not block.
	Progress func(acked, total int)
}

// File is one file of a batch. The name is what the receiver is told: at most
// 1000 bytes, no NUL.
type File struct {
	Name string
	Data []byte
}

// Report says what went over, also where the transfer failed.
type Report struct {
	Asked   bool // the receiver has asked for a block
	CRC     bool // it asked for a CRC, not for a checksum
	Files   int  // whose end was acknowledged
	Acked   int  // bytes of files in acknowledged blocks, without padding
	Padding int  // bytes that were added to the last block of the last file
	Repeats int  // blocks and ends that the receiver asked for again, but the first end
	Strays  int  // bytes that came where none, or another, belonged
}

// Clean says that the line showed no fault.
func (r Report) Clean() bool { return r.Repeats == 0 && r.Strays == 0 }

// Phase is where in a transfer something happened.
type Phase string

// The phases of a transfer, in their order.
const (
	Start    Phase = "start"     // nobody has asked for a block yet
	Header   Phase = "header"    // block 0 of a batch, up to the wish for the file
	Data     Phase = "data"      // the blocks of the file
	End      Phase = "end"       // all blocks are acknowledged, the end is not
	BatchEnd Phase = "batch end" // all files are done, the receiver still waits for one
)

// Error says how a transfer ended, other than well, and where.
type Error struct {
	Kind  error // stream.ErrRefused, stream.ErrNoAnswer or stream.ErrBroken
	Phase Phase
	Block int // of the file, the first is 1; 0 in a header and before the first block
	Why   string
	Last  []byte // the last bytes that came, raw; at most stream.Shown
}

// Error names kind, place, reason and the last bytes, escaped.
func (e *Error) Error() string {
	where := string(e.Phase)
	if e.Block > 0 {
		where = fmt.Sprintf("%s, block %d", e.Phase, e.Block)
	}
	saw := "nothing ever came"
	if len(e.Last) > 0 {
		saw = fmt.Sprintf("the last bytes that came %q", e.Last)
	}
	return fmt.Sprintf("transfer %v at %s: %s; %s", e.Kind, where, e.Why, saw)
}

// Unwrap gives the kind.
func (e *Error) Unwrap() error { return e.Kind }

// Send sends data as one file by XMODEM. It returns nil when the receiver has
// acknowledged the end. Else the error is an *Error, or the context's or the
// port's; the receiver is then told to cancel, as far as the line carries that.
func Send(ctx context.Context, s stream.Stream, data []byte, o Options) (Report, error) {
	t := newSender(s, o)
	err := t.run(ctx, func() error {
		if err := t.start(ctx); err != nil {
			return err
		}
		return t.file(ctx, data)
	})
	return t.r, err
}

// SendBatch sends files by YMODEM batch, as Send does. An *Error in the phase
// BatchEnd says that all files were acknowledged, and the end of the batch not.
func SendBatch(ctx context.Context, s stream.Stream, files []File, o Options) (Report, error) {
	t := newSender(s, o)
	heads := make([][]byte, len(files))
	for i, f := range files {
		var err error
		if heads[i], err = f.header(); err != nil {
			return t.r, err
		}
	}
	err := t.run(ctx, func() error {
		if err := t.start(ctx); err != nil {
			return err
		}
		for i, f := range files {
			t.phase, t.block = Header, 0
			if err := t.announce(ctx, heads[i]); err != nil {
				return err
			}
			if err := t.asked(ctx, false); err != nil {
				return err
			}
			if err := t.file(ctx, f.Data); err != nil {
				return err
			}
			if t.phase, t.block = Header, 0; i == len(files)-1 {
				t.phase = BatchEnd
			}
			if err := t.asked(ctx, true); err != nil {
				return err
			}
		}
		t.phase, t.block = BatchEnd, 0
		return t.announce(ctx, nil)
	})
	return t.r, err
}

// cancelling is for how long the cancel of a transfer is tried.
const cancelling = time.Second

// run runs a transfer, and cancels it where it fails.
func (t *sender) run(ctx context.Context, transfer func() error) error {
	err := transfer()
	if err == nil || t.cancelled {
		return err
	}
	// The transfer's context may be what ended it.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelling)
	defer stop()
	bye := make([]byte, 0, 16)
	for range 8 {
		bye = append(bye, can)
	}
	for range 8 {
		bye = append(bye, bs) // so that a shell that reads them has nothing left of them
	}
	if werr := t.s.Write(ctx, bye); werr != nil && !errors.Is(err, werr) {
		return fmt.Errorf("%w (and it could not be cancelled: %w)", err, werr)
	}
	return err
}
