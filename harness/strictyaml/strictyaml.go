// Package strictyaml decodes YAML into Go structs and takes nothing that it
// does not know: an unknown key, a key given twice, a wrong type is an error
// with file, line, column and what to do. It finds all of a file's errors, not
// only the first.
//
// A field takes part when its yaml tag has a name; those of a struct with
// ",inline" count as the outer one's. A tag strict:"required" asks for the key,
// strict:"oneof=a|b" for one of the words. Strings, whole and floating numbers,
// booleans, durations, regular expressions, structs, slices, maps, pointers and
// any are known; other forms come with an Unmarshaler. Anchors, aliases, tags,
// merge keys and second documents are refused.
package strictyaml

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// Limits of a file: one that is larger or deeper is no rig and no profile.
const (
	maxSize   = 1 << 20
	maxDepth  = 40
	maxErrors = 20
)

// Pos is a place in a file. Line and Column count from 1.
type Pos struct {
	File         string
	Line, Column int
}

// String gives "file:line:column".
func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Error is one thing that is wrong in a file, and what to do.
type Error struct {
	Pos    Pos
	What   string
	Remedy string // may be empty
}

// Error gives "file:line:column: what is wrong; remedy".
func (e *Error) Error() string {
	s := e.Pos.String() + ": " + e.What
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return shown(s)
}

// shown writes out what a terminal would obey and what would break the line:
// keys of the file stand in messages as they are.
func shown(s string) string {
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unprintable(r) {
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// Errors is everything that is wrong in a file, by place.
type Errors []*Error

// Error gives a line for each.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Source remembers where everything stands in a file, for errors that are
// found when it is understood as a whole.
type Source struct {
	File string
	root *yaml.Node
}

// Pos gives the place of the value at a path of keys and indexes ("ways", "0",
// "from"): that of its key, where it has one, and of the deepest part that
// exists.
func (s *Source) Pos(path ...string) Pos {
	if s == nil {
		return Pos{Line: 1, Column: 1}
	}
	if s.root == nil {
		return Pos{s.File, 1, 1}
	}
	at := s.root
	n := s.root
	for _, p := range path {
		key, next := child(n, p)
		if next == nil {
			break
		}
		n = next
		at = cmp.Or(key, next)
	}
	return Pos{s.File, at.Line, at.Column}
}

// Has says whether there is a value at a path.
func (s *Source) Has(path ...string) bool {
	if s == nil {
		return false
	}
	n := s.root
	for _, p := range path {
		if _, n = child(n, p); n == nil {
			return false
		}
	}
	return n != nil
}

// Keys gives the keys of the mapping at a path, in their order; nil where there
// is none.
func (s *Source) Keys(path ...string) []string {
	if s == nil || s.root == nil {
		return nil
	}
	n := s.root
	for _, p := range path {
		if _, n = child(n, p); n == nil {
			return nil
		}
	}
	var keys []string
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			keys = append(keys, n.Content[i].Value)
		}
	}
	return keys
}

// Errorf makes an error at a path.
func (s *Source) Errorf(path []string, remedy, format string, args ...any) *Error {
	return &Error{Pos: s.Pos(path...), What: fmt.Sprintf(format, args...), Remedy: remedy}
}

// FillIn stands in a draft for what only its reader knows.
const FillIn = "FILL-IN"

// Unfilled gives an error for each text in which FillIn still stands: a reason that is
// none would have cases not apply. Up to a number of them.
func (s *Source) Unfilled(most int) (errs Errors) {
	if s == nil || s.root == nil {
		return nil
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, FillIn) && len(errs) < most {
			errs = append(errs, &Error{Pos: Pos{s.File, n.Line, n.Column}, What: FillIn + " still stands there", Remedy: "write what is so, or put the line behind a # again"})
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(s.root)
	return errs
}

func child(n *yaml.Node, name string) (key, value *yaml.Node) {
	if n == nil {
		return nil, nil
	}
	n = resolve(n)
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				return n.Content[i], n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(n.Content) {
			return nil, n.Content[i]
		}
	}
	return nil, nil
}

func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// Decode decodes one YAML document into the struct that into points to. The
// error is an Errors.
func Decode(file string, data []byte, into any) (*Source, error) {
	d := &decoder{file: file}
	src := &Source{File: file}
	if len(data) > maxSize {
		return src, Errors{{Pos{file, 1, 1}, fmt.Sprintf("the file has over %d bytes, which is all that is read", maxSize), "is it the right file?"}}
	}
	root, problem := parse(file, data)
	if problem != nil {
		return src, Errors{problem}
	}
	src.root = root
	if problem := plain(file, root, 0); problem != nil {
		return src, Errors{problem}
	}
	d.value(root, reflect.ValueOf(into).Elem(), "the file")
	return src, d.result()
}

func (d *decoder) result() error {
	if len(d.errs) == 0 {
		return nil
	}
	return d.errs.Arrange()
}

// Arrange gives the errors by file and place, each once, and at most 20: a
// last one counts the others. It is for errors that are found after Decode.
func (es Errors) Arrange() Errors {
	out := slices.Clone(es)
	slices.SortStableFunc(out, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	out = slices.CompactFunc(out, func(a, b *Error) bool { return *a == *b })
	if more := len(out) - maxErrors; more > 0 {
		out = append(out[:maxErrors:maxErrors], &Error{out[maxErrors].Pos, fmt.Sprintf("and %d more from here on", more), ""})
	}
	return out
}
