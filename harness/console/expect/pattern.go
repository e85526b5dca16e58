// Package expect matches patterns against a stream of bytes of which only the
// beginning is known.
//
// # What a match is
//
// A pattern is searched in everything from the cursor on, as Go's regexp does:
// leftmost, and of several ways the one that the expression prefers. Because
// the rest of the stream is not there yet, a match is reported only once it is
// decided: no byte that may follow can move or remove it. "login: " is decided
// with its last byte. "[0-9]+" is decided by the byte after the last digit. "$"
// is decided by the end of a line (with (?m)) or of the text.
//
// The text ends where the stream falls quiet: after the pattern's own quiet, or
// the settle time of the Set. Quiet decides what is still open, and changes
// nothing else.
//
// So the result depends on the bytes and on the silences between them, and never
// on how reads cut the bytes. Of several patterns the one that is decided first
// wins; of those that the same byte decides, a forbidden one before a wanted
// one, then the one that was named first. A
// forbidden pattern does not wait for its longest match: that it matches is
// enough.
//
// # What is searched
//
// Patterns see text: escape sequences of a terminal, carriage returns and NUL
// bytes are left out, so that "(?m)ok$" holds for "ok\r\n" and a coloured prompt
// is a prompt. A pattern that names one of those characters, or that Raw was
// called on, sees the bytes as they came. Offsets are those of the raw stream
// in both cases. Bytes that are not UTF-8 count as U+FFFD each.
//
// Every pattern is run as an automaton whose states are made when they are
// first met: each byte is looked at once, whatever the expression.
package expect

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"time"
	"unicode/utf8"
)

// The bounds of a compiled pattern. A profile is a foreign file, and a short line
// in it can stand for a large program.
const (
	maxProgram = 10_000 // instructions
	maxClasses = 10_000 // of characters that the program tells apart
)

// ErrEmpty says that a pattern matches the empty text, and so everywhere.
var ErrEmpty = errors.New("the pattern matches the empty text")

// Pattern is what a wait looks for. It is immutable, safe for concurrent use,
// and made by Text or Regexp.
type Pattern struct {
	name   string
	source string
	forbid bool
	raw    bool
	quiet  time.Duration
	tree   *syntax.Regexp
	prog   *program
}

// Text gives the pattern for exactly s.
func Text(s string) (Pattern, error) {
	if s == "" {
		return Pattern{}, fmt.Errorf("pattern %q: %w", s, ErrEmpty)
	}
	if !utf8.ValidString(s) {
		return Pattern{}, fmt.Errorf("pattern %q: not UTF-8", s)
	}
	return build(s, regexp.QuoteMeta(s))
}

// Regexp gives the pattern for an expression in Go's syntax. One that matches
// the empty text gives ErrEmpty.
func Regexp(expr string) (Pattern, error) { return build(expr, expr) }

// MustText is Text for a constant. It panics where Text gives an error.
func MustText(s string) Pattern { return must(Text(s)) }

// MustRegexp is Regexp for a constant. It panics where Regexp gives an error.
func MustRegexp(expr string) Pattern { return must(Regexp(expr)) }

func must(p Pattern, err error) Pattern {
	if err != nil {
		panic(err)
	}
	return p
}

func build(source, expr string) (Pattern, error) {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return Pattern{}, fmt.Errorf("pattern %q: %w", source, err)
	}
	prog, err := compile(tree)
	if err != nil {
		return Pattern{}, fmt.Errorf("pattern %q: %w", source, err)
	}
	return Pattern{name: source, source: source, tree: tree, prog: prog, raw: prog.namesHidden()}, nil
}

// Named gives the pattern a name for errors and reports. Without one it goes by
// its source.
func (p Pattern) Named(name string) Pattern { p.name = name; return p }

// Forbidden makes the pattern one that must not come: it ends a wait as a
// failure.
func (p Pattern) Forbidden() Pattern { p.forbid = true; return p }

// Wanted takes Forbidden back.
func (p Pattern) Wanted() Pattern { p.forbid = false; return p }

// Raw makes the pattern see the bytes as they came.
func (p Pattern) Raw() Pattern { p.raw = true; return p }

// Prompt makes the pattern a prompt: it matches only at the end of the text,
// with nothing after it for quiet. A prompt that other output runs over is none.
// A quiet that is not positive takes that back.
func (p Pattern) Prompt(quiet time.Duration) Pattern {
	if !p.Valid() {
		return p
	}
	tree := p.tree
	p.quiet = max(quiet, 0)
	if p.quiet > 0 {
		tree = &syntax.Regexp{Op: syntax.OpConcat, Sub: []*syntax.Regexp{tree, {Op: syntax.OpEndText}}}
	}
	prog, err := compile(tree)
	if err != nil {
		return p // cannot be: the tree compiled when the pattern was made, and grew by one instruction
	}
	p.prog = prog
	return p
}

// Valid says whether the pattern was made by Text or Regexp. The zero Pattern
// never matches.
func (p Pattern) Valid() bool { return p.prog != nil }

// Name gives the pattern's name.
func (p Pattern) Name() string { return p.name }

// String gives the pattern's name, and its source where that is another.
func (p Pattern) String() string {
	if p.name == p.source {
		return fmt.Sprintf("%q", p.source)
	}
	return fmt.Sprintf("%s (%q)", p.name, p.source)
}

// IsForbidden says whether the pattern must not come.
func (p Pattern) IsForbidden() bool { return p.forbid }

// Quiet gives how long nothing may follow, 0 for a pattern that is no prompt.
func (p Pattern) Quiet() time.Duration { return p.quiet }
