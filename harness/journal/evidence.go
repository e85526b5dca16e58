package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Appender takes events: a Writer, or what stands in for one in a test.
type Appender interface {
	Append(e *Event) error
}

// Cabinet holds the evidence files of a run. Each file is hashed as it is
// written, and its hash goes into the journal when it is closed.
type Cabinet struct {
	dir string // the run's folder
	log Appender
	red func(io.Writer) io.WriteCloser
	mu  sync.Mutex
	has map[string]int
}

// NewCabinet keeps evidence under dir/evidence. Redact, which may be nil,
// wraps each file so that no secret reaches it.
func NewCabinet(dir string, log Appender, redact func(io.Writer) io.WriteCloser) *Cabinet {
	return &Cabinet{dir: dir, log: log, red: redact, has: map[string]int{}}
}

// File is one evidence file while it is written. It is safe for concurrent
// use.
type File struct {
	cab  *Cabinet
	path string // relative to the run's folder
	what string
	mime string
	id   string

	mu   sync.Mutex
	f    *os.File
	w    io.Writer
	c    io.Closer // of the redactor; nil without one
	sum  hash.Hash
	size int64
}

// Create makes a new file for a case (or for the run, with an empty case). The
// name gets a number if it is taken; both are made safe for a file system.
func (c *Cabinet) Create(caseID, name, what, mime string) (*File, error) {
	folder := "evidence"
	if caseID != "" {
		folder = filepath.Join(folder, safeName(caseID))
	}
	c.mu.Lock()
	path := filepath.Join(folder, safeName(name))
	for first, ext := path, filepath.Ext(path); c.has[path] > 0; {
		c.has[first]++
		path = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(first, ext), c.has[first], ext)
	}
	c.has[path] = 1
	c.mu.Unlock()
	full := filepath.Join(c.dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return nil, fmt.Errorf("evidence %s: %w", path, err)
	}
	f, err := os.OpenFile(full, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("evidence %s: %w", path, err)
	}
	file := &File{cab: c, path: path, what: what, mime: mime, id: caseID, f: f, sum: sha256.New()}
	file.w = countTo{file}
	if c.red != nil {
		wc := c.red(countTo{file})
		file.w, file.c = wc, wc
	}
	return file, nil
}

type countTo struct{ f *File }

func (c countTo) Write(p []byte) (int, error) {
	n, err := c.f.f.Write(p)
	c.f.sum.Write(p[:n])
	c.f.size += int64(n)
	return n, err
}

// Ref points at the whole file.
func (f *File) Ref() Ref { return Ref{Path: f.path} }

// Write appends p, redacted.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f == nil {
		return 0, fmt.Errorf("evidence %s: write after close", f.path)
	}
	n, err := f.w.Write(p)
	if err != nil {
		return n, fmt.Errorf("evidence %s: %w", f.path, err)
	}
	return n, nil
}

// Close ends the file and records its hash. A second Close does nothing.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f == nil {
		return nil
	}
	var err error
	if f.c != nil {
		err = f.c.Close()
	}
	if cerr := f.f.Close(); err == nil {
		err = cerr
	}
	f.f = nil
	if err != nil {
		return fmt.Errorf("evidence %s: %w", f.path, err)
	}
	return f.cab.log.Append(&Event{Kind: KindEvidence, Case: f.id, Evidence: &Evidence{
		Path: f.path, What: f.what, MIME: f.mime, Size: f.size, SHA256: hex.EncodeToString(f.sum.Sum(nil))}})
}

// safeName keeps letters, digits, dot, dash and underscore of s, so that a
// name can come from anywhere.
func safeName(s string) string {
	out := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '_'
	}, s)
	out = strings.Trim(out, "._")
	if out == "" {
		return "unnamed"
	}
	return out[:min(len(out), 100)]
}
