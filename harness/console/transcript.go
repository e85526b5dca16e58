package console

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"
	"time"
)

// Cursor is a place in a transcript: how many bytes the DUT had sent before it.
// Evidence cites cursors; they are offsets into the raw recording as well.
type Cursor int64

// ErrForgotten says that bytes are asked for that the window no longer holds,
// and that the raw recording cannot be read back.
var ErrForgotten = errors.New("the transcript does not reach back that far")

const (
	blockSize = 64 << 10
	// merge is how far apart two reads may be to share one stamp, and
	// mergeSpan how long one stamp may reach: the resolution of times.
	merge     = time.Millisecond
	mergeSpan = 5 * time.Millisecond
	maxStamps = 1 << 16
)

// stamp says when the bytes from off on came, until the next stamp's. Empty is when
// none of them had come; zero where nobody knows.
type stamp struct {
	off                Cursor
	first, last, empty time.Time
}

// transcript keeps what the DUT sent: the newest bytes in memory, what is older
// wherever spill finds it.
type transcript struct {
	mu     sync.Mutex
	window int
	blocks [][]byte // each but the last has blockSize bytes
	base   Cursor   // of the first block
	end    Cursor
	stamps []stamp
	began  time.Time
	spill  io.ReaderAt // may be nil
	news   chan struct{}
	over   error // why nothing more can come
}

func newTranscript(window int, spill io.ReaderAt) *transcript {
	return &transcript{window: max(window, 2*blockSize), spill: spill, began: time.Now(), news: make(chan struct{})}
}

// add appends what a read gave, of which nothing had come at empty, and says when that
// was. The time is taken with
// the lock held, so that a waiter who finds a silence long enough can be sure
// that no byte is on its way with an earlier stamp.
func (t *transcript) add(p []byte, empty time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := time.Now()
	t.mark(at, empty)
	for len(p) > 0 {
		n := len(t.blocks)
		if n == 0 || len(t.blocks[n-1]) == blockSize {
			// A console that says a line a minute needs no 64 KiB.
			t.blocks = append(t.blocks, make([]byte, 0, min(blockSize, max(1<<10, len(p)))))
			n++
		}
		k := min(len(p), blockSize-len(t.blocks[n-1]))
		t.blocks[n-1] = append(t.blocks[n-1], p[:k]...)
		t.end += Cursor(k)
		p = p[k:]
	}
	for int(t.end-t.base) > t.window+blockSize || (len(t.stamps) > maxStamps && len(t.blocks) > 1) {
		t.drop()
	}
	t.wake()
	return at
}

func (t *transcript) mark(at, empty time.Time) {
	if n := len(t.stamps); n > 0 {
		s := &t.stamps[n-1]
		if at.Sub(s.last) < merge && at.Sub(s.first) < mergeSpan {
			s.last = at
			return
		}
	}
	t.stamps = append(t.stamps, stamp{off: t.end, first: at, last: at, empty: empty})
}

// drop forgets the oldest block.
func (t *transcript) drop() {
	t.base += Cursor(len(t.blocks[0]))
	t.blocks[0] = nil
	t.blocks = t.blocks[1:]
	if gone := t.stampAt(t.base); gone > 0 {
		t.stamps = t.stamps[gone:]
	}
}

// wake tells everybody who waits that something changed.
func (t *transcript) wake() {
	close(t.news)
	t.news = make(chan struct{})
}

// finish says that nothing more can come.
func (t *transcript) finish(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over == nil {
		t.over = why
		t.wake()
	}
}

// piece is what a waiter gets next: bytes that came in one go.
type piece struct {
	data  []byte
	gap   time.Duration // with data: the silence before it; 0 in the midst of a go
	more  bool          // there are bytes behind it
	quiet time.Duration // without data: the silence since the last byte
	over  error         // without data: nothing can follow
	news  <-chan struct{}
}

// next gives the piece at from, at most len(buf) bytes of it, copied to buf.
func (t *transcript) next(from Cursor, buf []byte) (piece, error) {
	t.mu.Lock()
	p := piece{news: t.news}
	if from >= t.end {
		p.over = t.over
		if n := len(t.stamps); n > 0 {
			p.quiet = time.Since(t.stamps[n-1].last)
		}
		t.mu.Unlock()
		return p, nil
	}
	to := min(from+Cursor(len(buf)), t.end)
	if i := t.stampAt(from); i >= 0 {
		if i > 0 && t.stamps[i].off == from {
			p.gap = t.stamps[i].first.Sub(t.stamps[i-1].last)
		}
		if i+1 < len(t.stamps) {
			to = min(to, t.stamps[i+1].off)
		}
	}
	p.more = to < t.end
	p.data = buf[:to-from]
	return p, t.copyUnlock(p.data, from)
}

// stampAt gives the index of the stamp of the byte at c, -1 where it is
// forgotten.
func (t *transcript) stampAt(c Cursor) int {
	return sort.Search(len(t.stamps), func(i int) bool { return t.stamps[i].off > c }) - 1
}

// silence gives the end, the time since the last byte or, if that is shorter,
// since a moment, and why nothing more can come, if so.
func (t *transcript) silence(since time.Time) (end Cursor, quiet time.Duration, news <-chan struct{}, over error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.stamps); n > 0 && t.stamps[n-1].last.After(since) {
		since = t.stamps[n-1].last
	}
	return t.end, time.Since(since), t.news, t.over
}

// copyUnlock fills p with the bytes from from on, which must be there. It is
// called with the lock held and gives it up.
func (t *transcript) copyUnlock(p []byte, from Cursor) error {
	base, spill := t.base, t.spill
	if from >= base {
		defer t.mu.Unlock()
		t.copyLocked(p, from)
		return nil
	}
	old := p[:min(int64(len(p)), int64(base-from))]
	if fresh := p[len(old):]; len(fresh) > 0 {
		t.copyLocked(fresh, base)
	}
	t.mu.Unlock()
	if spill == nil {
		return fmt.Errorf("bytes %d to %d, the window begins at %d: %w", from, from+Cursor(len(p)), base, ErrForgotten)
	}
	if n, err := spill.ReadAt(old, int64(from)); n < len(old) {
		return fmt.Errorf("bytes %d to %d from the raw recording: %w: %w", from, from+Cursor(len(p)), ErrForgotten, err)
	}
	return nil
}

func (t *transcript) copyLocked(p []byte, from Cursor) {
	// All blocks but the last are full, and the base is a sum of full ones.
	at := int(from - t.base)
	for len(p) > 0 {
		n := copy(p, t.blocks[at/blockSize][at%blockSize:])
		p = p[n:]
		at += n
	}
}

// excerpt gives the bytes in [from, to), as far as they have come.
func (t *transcript) excerpt(from, to Cursor) ([]byte, error) {
	t.mu.Lock()
	from, to = max(from, 0), min(to, t.end)
	if from >= to {
		t.mu.Unlock()
		return nil, nil
	}
	p := make([]byte, to-from)
	return p, t.copyUnlock(p, from)
}

func (t *transcript) here() Cursor {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.end
}

// notBefore gives a time at which the byte at c had not come; the zero time where none
// is known.
func (t *transcript) notBefore(c Cursor) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.stampAt(c)
	if i < 0 || c < 0 || c >= t.end {
		return time.Time{}
	}
	return t.stamps[i].empty
}

// when gives the time at which the byte at c came, to within mergeSpan; the
// zero time where it has not, or the stamps are forgotten.
func (t *transcript) when(c Cursor) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.stampAt(c)
	if i < 0 || c < 0 || c >= t.end {
		return time.Time{}
	}
	return t.stamps[i].last
}
