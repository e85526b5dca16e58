package journal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a line, in bytes, so that a damaged file cannot take all
// memory.
const maxLine = 16 << 20

// ErrEmpty says that a journal holds no whole line.
var ErrEmpty = errors.New("journal: empty")

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
}

// Read reads a journal. Only failing to read the file is an error; damage of
// its content is in the Log, with everything that could still be read.
func Read(r io.Reader) (*Log, error) {
	log := &Log{}
	br := bufio.NewReaderSize(r, 1<<16)
	bad := error(nil) // of the line before, which does damage if it is not the last
	for n := 1; ; n++ {
		line, err := readLine(br)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errLong) {
			return nil, fmt.Errorf("journal: read line %d: %w", n, err)
		}
		last := errors.Is(err, io.EOF)
		if last && len(line) == 0 {
			log.Torn = bad != nil
			break
		}
		if bad != nil {
			log.damage(n-1, bad)
		}
		if last { // no newline at its end
			log.Torn = true
			break
		}
		if bad = err; bad == nil {
			bad = log.add(n, line)
		}
	}
	if len(log.Events) == 0 {
		return log, ErrEmpty
	}
	if log.Damage == "" && (log.Events[0].Kind != KindStart || log.Events[0].Start == nil) {
		log.Damage = "line 1: is not a start"
	}
	if s := log.Events[0].Start; s != nil && s.Format > Format {
		return log, fmt.Errorf("journal: format %d is newer than this program reads (%d); use a newer rigor", s.Format, Format)
	}
	return log, nil
}

func (l *Log) damage(n int, err error) {
	if l.Damage == "" {
		l.Damage = fmt.Sprintf("line %d: %v", n, err)
	}
}

// add takes a line in. One that does not decode is not taken, with the error.
func (l *Log) add(n int, line []byte) error {
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return err
	}
	if e.Prev != l.Hash {
		l.damage(n, errors.New("does not follow the line before: the chain of hashes is broken"))
	}
	if want := int64(len(l.Events)) + 1; e.Seq != want {
		l.damage(n, fmt.Errorf("has number %d, want %d", e.Seq, want))
	}
	sum := sha256.Sum256(line)
	l.Hash = hex.EncodeToString(sum[:])
	l.Events = append(l.Events, e)
	return nil
}

var errLong = fmt.Errorf("is longer than %d bytes", maxLine)

// readLine reads up to and without a newline. io.EOF comes with what stood
// after the last newline.
func readLine(br *bufio.Reader) ([]byte, error) {
	var line []byte
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
