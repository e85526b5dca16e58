// Package dialog reads a terminal that asks and answers: what the DUT said
// since we last spoke, once it has fallen quiet.
package dialog

import (
	"context"
	"errors"
	"io"
	"regexp"
	"sync"
	"time"
)

// Window is how many bytes of a dialogue are kept. What is older is dropped.
const Window = 64 << 10

// Stream collects what a reader gives. One goroutine reads until the reader
// ends: close what is read from, and then Wait.
type Stream struct {
	mu      sync.Mutex
	all     []byte // what came, cut to Window
	unread  int    // where in all the text begins that nobody has taken
	last    time.Time
	err     error
	arrived chan struct{} // has one element when something came
	done    chan struct{}
	waiting func() (done func())
}

// New starts to read r. Waiting, which may be nil, is told when the DUT is waited
// for: a quiet that a prompt needs is the DUT's time and not the harness's.
func New(r io.Reader, waiting func() (done func())) *Stream {
	if waiting == nil {
		waiting = func() func() { return func() {} }
	}
	s := &Stream{arrived: make(chan struct{}, 1), done: make(chan struct{}), last: time.Now(), waiting: waiting}
	go s.pump(r)
	return s
}

func (s *Stream) pump(r io.Reader) {
	defer close(s.done)
	buf := make([]byte, 4<<10)
	for {
		n, err := r.Read(buf)
		s.mu.Lock()
		s.all = append(s.all, buf[:n]...)
		if over := len(s.all) - Window; over > 0 {
			s.all = append(s.all[:0], s.all[over:]...)
			s.unread = max(0, s.unread-over)
		}
		if n > 0 {
			s.last = time.Now()
		}
		s.err = err
		s.mu.Unlock()
		select {
		case s.arrived <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// Wait blocks until the reader has ended.
func (s *Stream) Wait() { <-s.done }

// All gives what was said so far, as far as it is kept.
func (s *Stream) All() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]byte(nil), s.all...)
}

// Take gives what came since the last Take, and takes it.
func (s *Stream) Take() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := append([]byte(nil), s.all[s.unread:]...)
	s.unread = len(s.all)
	return text
}

// Settle waits until something new is there and nothing has followed it for
// quiet, and gives all text that was not taken, without taking it: a prompt
// cannot be told from the beginning of a line in any other way. Seen is how
// much of that text the caller knows: with the number of bytes of the last
// answer, Settle waits for more; with 0 it is content with what is there.
// After the stream's end it gives the rest with the reader's error; when ctx
// ends, what is there with the context's error.
func (s *Stream) Settle(ctx context.Context, quiet time.Duration, seen int) ([]byte, error) {
	defer s.waiting()()
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for {
		s.mu.Lock()
		text, err, last := append([]byte(nil), s.all[s.unread:]...), s.err, s.last
		s.mu.Unlock()
		rest := quiet - time.Since(last)
		switch {
		case err != nil:
			return text, err
		case len(text) > seen && rest <= 0:
			return text, nil
		case len(text) <= seen:
			rest = time.Hour // nothing new yet: only an arrival or ctx wakes us
		}
		timer.Reset(rest)
		select {
		case <-ctx.Done():
			return text, ctx.Err()
		case <-s.arrived:
		case <-timer.C:
		}
	}
}

// Ended says whether err is how a stream ends that was closed by the other
// side, and not a deadline.
func Ended(err error) bool {
	return err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}

// The sequences that a terminal obeys: CSI, OSC, charset and single-letter
// escapes, and the characters that move without printing.
var escapes = regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|\x1b[()][0-9A-Za-z]|\x1b[0-9=>A-Za-z]|[\x00\x07\x0e\x0f]")

// Plain gives text without terminal control sequences, its line ends as "\n".
func Plain(text []byte) []byte {
	out := escapes.ReplaceAll(text, nil)
	plain := out[:0:0]
	for i, b := range out {
		if b == '\r' {
			// CR LF and CR CR LF are one line end; a lone CR begins the line anew.
			if i+1 < len(out) && (out[i+1] == '\n' || out[i+1] == '\r') {
				continue
			}
			b = '\n'
		}
		plain = append(plain, b)
	}
	return plain
}
