package person

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"rigor/harness/wire"
)

// Storage is a memory of the DUT that a person reads, with a clip or a socket of theirs:
// they answer with the path of the image. Nobody writes it.
type Storage struct {
	hand
	dir    string
	size   int64
	within time.Duration

	mu    sync.Mutex
	given map[string]bool // images that were given before
}

var _ wire.Storage = (*Storage)(nil)

// NewStorage makes a memory that a person reads. Name and what tell them which; a path that
// they write counts from dir, and from their home where it begins with ~/. Size is that of the
// memory in bytes, 0 where it is not known; within is how long one reading may take. A nil ask makes each reading a *wire.Fault with
// ErrNobody.
func NewStorage(part wire.Part, name, what, dir string, size int64, within time.Duration, ask Ask) *Storage {
	return &Storage{hand: newHand(part, "storage "+name, what, ask), dir: dir, size: size, within: within, given: map[string]bool{}}
}

// Size gives the declared size in bytes, 0 where none is.
func (s *Storage) Size() int64 { return s.size }

// Read has the memory read and copies the image to w. No path, a file that is not there or
// was given before, and one of another size than declared are a *wire.Fault.
func (s *Storage) Read(ctx context.Context, w io.Writer) error {
	const op = "read"
	fault := func(err error) error { return &wire.Fault{Part: s.part, Op: op, Err: err} }
	if s.ask == nil {
		return fault(ErrNobody)
	}
	ctx, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	text, err := s.ask(ctx, "Read "+s.name+" of the DUT, which is off or held in reset, into a file of its own each time, and write the path of that file (or nothing, if it cannot be read):")
	if err != nil {
		return fault(err)
	}
	path := s.path(strings.TrimSpace(text))
	if path == "" {
		return fault(errRefused)
	}
	f, err := os.Open(path) //nolint:gosec // the person at the bench names it
	if err != nil {
		return fault(err)
	}
	defer func() { _ = f.Close() }() // it was only read
	switch st, err := f.Stat(); {
	case err != nil:
		return fault(err)
	case !st.Mode().IsRegular() || st.Size() == 0:
		return fault(fmt.Errorf("%s is no image", path))
	case s.again(fmt.Sprintf("%s of %v", path, st.ModTime())):
		return fault(fmt.Errorf("%s was given before, and is as it was: it does not show what the memory holds now", path))
	case s.size > 0 && st.Size() != s.size:
		return fault(fmt.Errorf("%s has %d bytes, and the memory %d", path, st.Size(), s.size))
	}
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("%s: copy %s: %w", s.part, path, err)
	}
	return nil
}

// again says whether an image was given before, and remembers it.
func (s *Storage) again(image string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.given[image]
	s.given[image] = true
	return was
}

func (s *Storage) path(text string) string {
	if rest, ok := strings.CutPrefix(text, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if text == "" || filepath.IsAbs(text) {
		return text
	}
	return filepath.Join(s.dir, text)
}

// Close does nothing.
func (s *Storage) Close() error { return nil }
