package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"

	"rigor/harness/escape"
)

// SyncEvery is how long a line may stay unsynced when nothing asks for it.
const SyncEvery = 500 * time.Millisecond

// Sink is where lines go: an *os.File in a run.
type Sink interface {
	io.Writer
	Sync() error
}

// Redactor takes secrets out of a text. It is applied to every string value
// of an event, never to keys, before the line is encoded, hashed and written.
type Redactor interface {
	String(s string) string
}

// Writer appends events. It is safe for concurrent use. After the first
// failed write it is broken: each later call gives that error, since a journal
// with a hole is worse than none.
type Writer struct {
	*book
	rig string // of its events
}

// book is what the writers of a journal share.
type book struct {
	mu      sync.Mutex
	sink    Sink
	redact  Redactor
	start   time.Time
	now     func() time.Time
	seq     int64
	prev    string
	line    []byte // room for the next line
	err     error
	dirty   bool
	timer   *time.Timer
	closed  bool
	observe func(*Event)
}

// NewWriter writes to sink. The redactor may be nil. Observe, which may be
// nil, sees each event after it was written, in order, for a live display.
func NewWriter(sink Sink, redact Redactor, observe func(*Event)) *Writer {
	b := &book{sink: sink, redact: redact, now: time.Now, observe: observe}
	b.start = b.now()
	return &Writer{book: b}
}

// On gives a writer of the same journal, whose events are of a rig beside the run's own.
func (w *Writer) On(rig string) *Writer { return &Writer{book: w.book, rig: rig} }

// Append stamps e, links it to the line before and writes it. The event must
// not be changed afterwards.
func (w *Writer) Append(e *Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if w.closed {
		return fmt.Errorf("journal: append %s after close", e.Kind)
	}
	now := w.now()
	w.seq++
	if w.rig != "" {
		e.Rig = w.rig
	}
	e.Seq, e.At, e.Off, e.Prev = w.seq, now.UTC().Truncate(time.Millisecond), now.Sub(w.start).Microseconds(), ""
	// The display must not see more than the file has: both get the clean event.
	*e = *cleaned(e, w.redact)
	e.Prev = w.prev // a hash, which is not looked through
	line, err := appendLine(w.line[:0], e)
	if err != nil {
		w.err = fmt.Errorf("journal: encode %s: %w", e.Kind, err)
		return w.err
	}
	line = escape.JSONLine(line)
	sum := sha256.Sum256(line)
	w.prev = hex.EncodeToString(sum[:])
	line = append(line, '\n')
	if w.line = line; cap(line) > keptLine {
		w.line = nil
	}
	if _, err := w.sink.Write(line); err != nil {
		w.err = fmt.Errorf("journal: write line %d: %w", w.seq, err)
		return w.err
	}
	w.dirty = true
	if w.timer == nil {
		w.timer = time.AfterFunc(SyncEvery, func() { _ = w.Sync() })
	}
	if w.observe != nil {
		w.observe(e)
	}
	return nil
}

// Sync makes what was appended durable. It is called before each altering act
// and at each case's end; else it happens within SyncEvery.
func (w *book) Sync() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sync()
}

func (w *book) sync() error {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	if w.err != nil || !w.dirty {
		return w.err
	}
	if err := w.sink.Sync(); err != nil {
		w.err = fmt.Errorf("journal: sync: %w", err)
		return w.err
	}
	w.dirty = false
	return nil
}

// Err gives the error that broke the writer, if any.
func (w *book) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Hash gives the hash of the last line: the one that JUnit and run.json carry.
func (w *book) Hash() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.prev
}

// Close syncs; later appends are errors. The sink stays open.
func (w *book) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.sync()
	w.closed = true
	return err
}
