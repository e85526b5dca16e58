package xmodem

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rigor/harness/update/stream"
)

// sender is one transfer.
type sender struct {
	s stream.Stream
	o Options
	r Report

	buf    [256]byte
	pos, n int // what of buf is read and not looked at
	last   []byte
	wish   byte // what the receiver asked with first
	again  bool // its wish for a file has come, and was not waited for
	frame  []byte
	phase  Phase
	block  int

	cancelled bool // by the receiver
}

func newSender(s stream.Stream, o Options) *sender {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.Start, time.Minute)
	def(&o.Answer, time.Minute)
	def(&o.Settle, 100*time.Millisecond)
	def(&o.Quiet, time.Second)
	if o.Retries <= 0 {
		o.Retries = 10
	}
	if o.Pad == 0 {
		o.Pad = sub
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	return &sender{s: s, o: o, phase: Start, frame: make([]byte, 0, long+5)}
}

// fail makes the error of what ended the transfer.
func (t *sender) fail(kind error, why string, args ...any) error {
	return &Error{Kind: kind, Phase: t.phase, Block: t.block, Why: fmt.Sprintf(why, args...), Last: append([]byte(nil), t.last...)}
}

// next gives the next byte, within d. The error may be stream.ErrSilent.
func (t *sender) next(ctx context.Context, d time.Duration) (byte, error) {
	if t.pos == t.n {
		n, err := stream.Within(ctx, t.s, d, t.buf[:])
		if err != nil {
			if errors.Is(err, stream.ErrSilent) {
				return 0, err
			}
			return 0, fmt.Errorf("transfer at %s: %w", t.phase, err)
		}
		t.pos, t.n = 0, n
		t.last = stream.Tail(t.last, t.buf[:n])
	}
	t.pos++
	return t.buf[t.pos-1], nil
}

// event gives the next byte that means something, ack, nak, crc or can (for the
// two that cancel), and counts the others. The error may be stream.ErrSilent.
func (t *sender) event(ctx context.Context, until time.Time) (byte, error) {
	for {
		b, err := t.next(ctx, time.Until(until))
		if err != nil {
			return 0, err
		}
		switch b {
		case ack, nak, crc:
			return b, nil
		case can:
			both, err := t.canceled(ctx)
			if err != nil || both {
				return can, err
			}
		}
		t.r.Strays++
	}
}

// canceled says whether a CAN is followed by its second.
func (t *sender) canceled(ctx context.Context) (bool, error) {
	b, err := t.next(ctx, t.o.Quiet)
	switch {
	case errors.Is(err, stream.ErrSilent):
		return false, nil
	case err != nil:
		return false, err
	case b == can:
		t.cancelled = true
		return true, nil
	}
	t.pos--
	return false, nil
}

// refused is the error of a transfer that the receiver has cancelled. Receivers
// cancel also when they get nothing but garbage: only on a line without a fault
// is it a refusal.
func (t *sender) refused() error {
	if !t.r.Clean() {
		return t.fail(stream.ErrBroken, "the receiver cancelled on a line with faults (%d repeats, %d stray bytes)", t.r.Repeats, t.r.Strays)
	}
	return t.fail(stream.ErrRefused, "the receiver cancelled")
}

// start waits until the receiver asks for the first block. Before that, a
// console may say anything: a wish is a byte that silence follows.
func (t *sender) start(ctx context.Context) error {
	until := time.Now().Add(t.o.Start)
	for {
		b, err := t.next(ctx, time.Until(until))
		if errors.Is(err, stream.ErrSilent) {
			return t.fail(stream.ErrNoAnswer, "nobody asked for a block within %s", t.o.Start)
		}
		if err != nil {
			return err
		}
		switch b {
		case can:
			both, err := t.canceled(ctx)
			if err != nil {
				return err
			}
			if both {
				return t.refused()
			}
		case crc, nak:
			_, err := t.next(ctx, t.o.Settle)
			if errors.Is(err, stream.ErrSilent) {
				t.wish, t.r.Asked, t.r.CRC = b, true, b == crc
				return nil
			}
			if err != nil {
				return err
			}
			t.pos--
		}
	}
}

// asked waits for the receiver's wish for what comes next in a batch. Behind a
// file's end it may be preceded by a second ACK, as U-Boot's is.
func (t *sender) asked(ctx context.Context, ended bool) error {
	until := time.Now().Add(t.o.Answer)
	for !t.again {
		b, err := t.event(ctx, until)
		switch {
		case errors.Is(err, stream.ErrSilent):
			return t.fail(stream.ErrNoAnswer, "the receiver did not ask on within %s", t.o.Answer)
		case err != nil:
			return err
		case b == can:
			return t.refused()
		case b == t.wish:
			return nil
		case b == ack && ended:
			ended = false
		default:
			t.r.Strays++
		}
	}
	t.again = false
	return nil
}

// answer waits for the answer to what was sent: ack, nak or can. Where asks is
// set, the receiver may still be asking as it did before, which means that it
// has got nothing yet. The error may be stream.ErrSilent.
func (t *sender) answer(ctx context.Context, asks bool) (byte, error) {
	until := time.Now().Add(t.o.Answer)
	for {
		b, err := t.event(ctx, until)
		if err != nil || b == ack || b == can {
			return b, err
		}
		if b == crc && !asks {
			t.r.Strays++
			continue
		}
		// Its time-out may have crossed what we sent: an answer that follows at
		// once is a later one, and so the right one.
		settle := t.o.Settle
		if b == crc {
			settle = t.o.Quiet
		}
		for settled := time.Now().Add(settle); ; {
			later, err := t.event(ctx, settled)
			if errors.Is(err, stream.ErrSilent) {
				return nak, nil
			}
			if err != nil || later == ack || later == can {
				if later == ack && !asks {
					t.r.Strays++ // the first
				}
				return later, err
			}
		}
	}
}

// silence waits until nothing has come for d. It says whether a NAK came, which
// takes back an ACK before it.
func (t *sender) silence(ctx context.Context, d time.Duration) (taken bool, err error) {
	until := time.Now().Add(t.o.Answer)
	for time.Now().Before(until) {
		b, err := t.event(ctx, time.Now().Add(d))
		switch {
		case errors.Is(err, stream.ErrSilent):
			return taken, nil
		case err != nil:
			return taken, err
		case b == can:
			return taken, t.refused()
		case b == nak:
			taken = true
		case b == t.wish:
			t.again = true
		default:
			t.r.Strays++
		}
	}
	return taken, t.fail(stream.ErrBroken, "the line is never silent for %s", d)
}

// purge forgets what came before it could be an answer.
func (t *sender) purge(ctx context.Context, asks bool) error {
	for {
		b, err := t.event(ctx, time.Now())
		switch {
		case errors.Is(err, stream.ErrSilent):
			return nil
		case err != nil:
			return err
		case b == can:
			return t.refused()
		case !asks || b != t.wish:
			t.r.Strays++
		}
	}
}

// put sends the frame until it is acknowledged.
func (t *sender) put(ctx context.Context, asks bool) error {
	faulty := false
	for try := 0; try <= t.o.Retries; try++ {
		if err := t.purge(ctx, asks); err != nil {
			return err
		}
		if try > 0 {
			t.r.Repeats++
			faulty = true
		}
		strays := t.r.Strays
		if err := t.s.Write(ctx, t.frame); err != nil {
			return fmt.Errorf("transfer at %s: %w", t.phase, err)
		}
		b, err := t.answer(ctx, asks)
		switch {
		case errors.Is(err, stream.ErrSilent):
			return t.unanswered(strays)
		case err != nil:
			return err
		case b == can:
			return t.refused()
		case b == nak:
			continue
		}
		if !faulty && t.r.Strays == strays {
			return nil
		}
		taken, err := t.silence(ctx, t.o.Quiet)
		if err != nil || !taken {
			return err
		}
	}
	return t.fail(stream.ErrBroken, "the receiver asked for it again %d times", t.o.Retries)
}

// unanswered is the error where no answer came: garbage is no silence.
func (t *sender) unanswered(strays int) error {
	if n := t.r.Strays - strays; n > 0 {
		return t.fail(stream.ErrBroken, "%d bytes came within %s, and no answer", n, t.o.Answer)
	}
	return t.fail(stream.ErrNoAnswer, "nothing came within %s", t.o.Answer)
}

// announce sends block 0 of a batch; an empty one ends it.
func (t *sender) announce(ctx context.Context, head []byte) error {
	size := short
	if len(head) >= short {
		size = long
	}
	t.frame = frame(t.frame[:0], 0, head, size, 0, t.r.CRC)
	return t.put(ctx, true)
}

// file sends the blocks of a file, and its end.
func (t *sender) file(ctx context.Context, data []byte) error {
	t.phase, t.block = Data, 0
	for rest := data; len(rest) > 0; {
		size := short
		if t.o.Long && t.r.CRC && len(rest) >= toLong {
			size = long
		}
		n := min(size, len(rest))
		t.block++
		t.frame = frame(t.frame[:0], byte(t.block), rest[:n], size, t.o.Pad, t.r.CRC)
		if err := t.put(ctx, t.block == 1); err != nil {
			return err
		}
		rest = rest[n:]
		t.r.Acked += n
		t.r.Padding = size - n
		t.o.Progress(len(data)-len(rest), len(data))
	}
	return t.end(ctx)
}

// end says that the file is over. Before that it makes sure that no answer is
// on its way still, or the one to the last block would be taken for the one to
// the end.
func (t *sender) end(ctx context.Context) error {
	for t.block > 0 {
		d := t.o.Settle
		if !t.r.Clean() {
			d = t.o.Quiet
		}
		taken, err := t.silence(ctx, d)
		if err != nil {
			return err
		}
		if !taken {
			break
		}
		t.r.Repeats++
		if err := t.put(ctx, false); err != nil {
			return err
		}
	}
	t.phase = End
	for try := 0; try <= t.o.Retries; try++ {
		if try > 1 { // a cautious receiver asks for the end twice
			t.r.Repeats++
		}
		strays := t.r.Strays
		if err := t.s.Write(ctx, []byte{eot}); err != nil {
			return fmt.Errorf("transfer at %s: %w", t.phase, err)
		}
		b, err := t.answer(ctx, false)
		switch {
		case errors.Is(err, stream.ErrSilent):
			return t.unanswered(strays)
		case err != nil:
			return err
		case b == can:
			return t.refused()
		case b == ack:
			t.r.Files++
			return nil
		}
	}
	return t.fail(stream.ErrBroken, "the receiver asked for the end again %d times", t.o.Retries)
}
