package console

import (
	"slices"
	"sync"
)

// Typed is a line that was sent, without its Enter.
type Typed struct {
	At   Cursor // from before it was sent: its echo comes behind
	Line []byte
}

const (
	// leastTyped is how long a line is that is kept: keys that are sprayed are shorter.
	leastTyped = 4
	// mostTyped is how many lines are kept, the last ones.
	mostTyped = 4096
)

// lines keeps the lines that were sent, for who looks for their echo.
type lines struct {
	mu   sync.Mutex
	kept []Typed
}

// add keeps what was sent, where it is a line that an echo is looked for of.
func (l *lines) add(at Cursor, line []byte, open bool) {
	if !open || len(line) < leastTyped {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) == mostTyped {
		l.kept = slices.Delete(l.kept, 0, mostTyped/4)
	}
	l.kept = append(l.kept, Typed{At: at, Line: slices.Clone(line)})
}

// Typed gives the lines that SendLine sent from a cursor on, the first first, of at
// least four bytes and as many as are kept, 3072 or more. What was sent as a secret is
// not among them: a DUT has no reason to echo it.
func (c *Console) Typed(from Cursor) []Typed {
	c.typed.mu.Lock()
	defer c.typed.mu.Unlock()
	first := slices.IndexFunc(c.typed.kept, func(t Typed) bool { return t.At >= from })
	if first < 0 {
		return nil
	}
	return slices.Clone(c.typed.kept[first:])
}
