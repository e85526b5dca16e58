package console

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"rigor/harness/console/expect"
	"rigor/harness/wire"
)

// ErrTimeout is in the chain of every *TimeoutError.
var ErrTimeout = errors.New("the console did not show it in time")

// ErrClosed says that the console was closed by its owner.
var ErrClosed = errors.New("the console is closed")

const (
	// tail is how many of the last bytes an error shows.
	tail = 160
	// maxSecret is how far before them a secret may begin, however it is written.
	maxSecret = 8 << 10
)

// TimeoutError says that a wait ended without what it waited for. It says
// nothing about why.
type TimeoutError struct {
	Part   wire.Part
	Waited []string // the patterns that were wanted
	After  time.Duration
	Seen   int64  // bytes that came since the cursor
	Last   []byte // the last of them, raw but for secrets
	Cause  error  // what ended the context
}

// Error names what was waited for, how long, and the last bytes, escaped.
func (e *TimeoutError) Error() string {
	saw := "nothing came"
	if e.Seen > 0 {
		saw = fmt.Sprintf("%d bytes came, the last %q", e.Seen, e.Last)
	}
	return fmt.Sprintf("%s: waited %s for %s: %s", e.Part, e.After.Round(time.Millisecond), strings.Join(e.Waited, " or "), saw)
}

// Unwrap gives ErrTimeout and the context's error.
func (e *TimeoutError) Unwrap() []error { return []error{ErrTimeout, e.Cause} }

// ForbiddenError says that a forbidden pattern came.
type ForbiddenError struct {
	Part  wire.Part
	Match Match
}

// Error names the pattern and what matched, escaped.
func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("%s: forbidden %s at byte %d: %q", e.Part, e.Match.Pattern, e.Match.From, cut(e.Match.Text))
}

func cut(p []byte) []byte { return p[max(0, len(p)-tail):] }

// Match is a pattern that was found.
type Match struct {
	Pattern  expect.Pattern
	Index    int // of the pattern in the call
	From, To Cursor
	Text     []byte    // as the pattern saw it: without escape sequences, carriage returns and NUL
	Groups   [][]byte  // of the expression, from its first; nil where a group took no part
	At       time.Time // when its last byte came, to within 5 ms

	match expect.Match
}

// Group gives the text of a named group, nil where there is none.
func (m Match) Group(name string) []byte { return m.match.Group(name) }
