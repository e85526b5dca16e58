package journal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
)

// maxLine bounds a line, in bytes, so that a damaged file cannot take all
// memory.
const maxLine = 16 << 20

// ErrEmpty says that a journal holds no whole line.
var ErrEmpty = errors.New("journal: empty")

// ErrNoJournal says that no line of a file is one of a journal.
var ErrNoJournal = errors.New("this is no journal of a run; name a run's folder")

// Log is a journal as read: its events, and what is wrong with the file.
type Log struct {
	Events []Event
	Hash   string // of the last good line
	// Torn says that the last line was cut or garbled, as a crash leaves it.
	// What it would have said did not happen.
	Torn bool
	// Damage says what is wrong elsewhere; a damaged journal makes the run an
	// error.
	Damage string

	count  int64
	format int
	known  bool // a line says what it is
	other  bool // a line is none of a journal
}

// Read reads a journal. Only failing to read the file is an error; damage of
// its content is in the Log, with everything that could still be read.
func Read(r io.Reader) (*Log, error) {
	log := &Log{}
	err := log.scan(r, func(e *Event) { log.Events = append(log.Events, *e) })
	return log, err
}

// Load reads a journal and folds it, without keeping its events: what a report
// of a long run needs. It gives what Fold makes of what Read gives.
func Load(r io.Reader) (*Result, error) {
	log, f := &Log{}, newFolder()
	if err := log.scan(r, f.event); err != nil {
		return nil, err
	}
	return f.result(log), nil
}

// How many lines, and how many bytes of them, are decoded together, and up to
// which length the room for a line is used again for others.
const (
	batchLines = 1024
	batchBytes = 1 << 20
	keptLine   = 1 << 14
)

// scanned is a line with what was made of it.
type scanned struct {
	n    int // its number
	raw  []byte
	sum  string
	e    Event
	err  error // the line is no event
	torn bool  // no newline at its end
}

// scan reads line by line and gives each whole event to take, in order.
// Decoding costs the most by far, so that it is shared among the processors,
// batch by batch; the next batch is read while one is taken.
func (l *Log) scan(r io.Reader, take func(*Event)) error {
	src := &source{br: bufio.NewReaderSize(r, 1<<16)}
	var bad *scanned // the line before, which does damage if it is not the last
	now, next := make([]scanned, 0, batchLines), make([]scanned, 0, batchLines)
	now = src.batch(now)
	for src.err == nil && len(now) > 0 {
		var reading sync.WaitGroup
		reading.Go(func() { next = src.batch(next) })
		for i := range now {
			s := &now[i]
			if bad != nil {
				l.damage(bad.n, bad.err)
				bad = nil
			}
			switch {
			case s.torn:
				l.Torn = true
				l.other = l.other || !bytes.HasPrefix(s.raw, []byte("{"))
			case s.err != nil:
				l.other = true
				bad = &scanned{n: s.n, err: s.err}
			default:
				l.add(s, take)
			}
		}
		reading.Wait()
		now, next = next, now
	}
	l.Torn = l.Torn || bad != nil
	switch {
	case src.err != nil:
		return src.err
	case !l.known && (l.other || l.count > 0):
		return ErrNoJournal
	case l.count == 0:
		return ErrEmpty
	case l.format > Format:
		return fmt.Errorf("journal: format %d is newer than this program reads (%d); use a newer rigor", l.format, Format)
	}
	return nil
}

// source gives the lines of a journal.
type source struct {
	br   *bufio.Reader
	n    int // lines read
	done bool
	err  error // of reading the file, for good
}

// batch reads and decodes the next lines, into a batch that was given before;
// none are left when it is empty.
func (s *source) batch(batch []scanned) []scanned {
	batch = batch[:0]
	for size := 0; len(batch) < batchLines && size < batchBytes && !s.done; {
		var room []byte
		if len(batch) < cap(batch) {
			if room = batch[:len(batch)+1][len(batch)].raw[:0]; cap(room) > keptLine {
				room = nil
			}
		}
		line, err := readLine(s.br, room)
		s.n++
		s.done = errors.Is(err, io.EOF)
		switch {
		case s.done && len(line) == 0:
			continue
		case err != nil && !s.done && !errors.Is(err, errLong):
			s.done, s.err = true, fmt.Errorf("journal: read line %d: %w", s.n, err)
			return nil
		case s.done:
			err = nil
		}
		size += len(line)
		batch = append(batch, scanned{n: s.n, raw: line, err: err, torn: s.done})
	}
	decode(batch)
	return batch
}

// decode fills in what the lines of a batch say.
func decode(batch []scanned) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 1+len(batch)/64) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(batch) {
					return
				}
				s := &batch[i]
				if s.err != nil || s.torn {
					continue
				}
				s.err = unmarshal(s.raw, &s.e)
				sum := sha256.Sum256(s.raw)
				s.sum = hex.EncodeToString(sum[:])
			}
		})
	}
	wg.Wait()
}

func (l *Log) damage(n int, err error) {
	if l.Damage == "" {
		l.Damage = fmt.Sprintf("line %d: %v", n, err)
	}
}

// add takes an event in and holds it against the line before.
func (l *Log) add(s *scanned, take func(*Event)) {
	l.count++
	l.known = l.known || s.e.Kind != ""
	switch {
	case s.e.Prev != l.Hash:
		l.damage(s.n, errors.New("does not follow the line before: the chain of hashes is broken"))
	case s.e.Seq != l.count:
		l.damage(s.n, fmt.Errorf("has number %d, want %d", s.e.Seq, l.count))
	case l.count == 1 && (s.e.Kind != KindStart || s.e.Start == nil):
		l.damage(s.n, errors.New("is not a start"))
	}
	if l.count == 1 && s.e.Start != nil {
		l.format = s.e.Start.Format
	}
	l.Hash = s.sum
	take(&s.e)
}

var errLong = fmt.Errorf("is longer than %d bytes", maxLine)

// readLine reads up to and without a newline, and appends that to line. io.EOF
// comes with what stood after the last newline.
func readLine(br *bufio.Reader, line []byte) ([]byte, error) {
	long := false
	for {
		part, err := br.ReadSlice('\n')
		if !long {
			line = append(line, part...)
			long = len(line) > maxLine
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return line, err
		case long:
			return nil, errLong
		}
		return bytes.TrimSuffix(line, []byte("\n")), nil
	}
}
