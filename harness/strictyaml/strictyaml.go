// Package strictyaml decodes YAML into Go structs and takes nothing that it
// does not know: an unknown key, a key given twice, a wrong type is an error
// with file, line, column and what to do. It finds all of a file's errors, not
// only the first.
package strictyaml

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

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
	return s
}

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
	if s == nil || s.root == nil {
		return Pos{Line: 1, Column: 1}
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
		var i int
		if _, err := fmt.Sscanf(name, "%d", &i); err == nil && i >= 0 && i < len(n.Content) {
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
		return src, Errors{{Pos{file, 1, 1}, fmt.Sprintf("the file has %d bytes; at most %d are read", len(data), maxSize), "is it the right file?"}}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return src, Errors{{Pos{file, 1, 1}, "the file is empty", ""}}
		}
		return src, Errors{syntax(file, err)}
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		at := Pos{file, max(more.Line, 1), max(more.Column, 1)}
		return src, Errors{{at, "the file has a second document", "keep one, without a line of ---"}}
	}
	root := &doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		root = doc.Content[0]
	}
	src.root = root
	if err := bounded(root, 0, map[*yaml.Node]bool{}); err != nil {
		return src, Errors{{Pos{file, root.Line, root.Column}, err.Error(), "write it out plainly"}}
	}
	d.value(root, reflect.ValueOf(into).Elem(), "the file")
	return src, d.result()
}

// syntax makes the library's message one of ours.
func syntax(file string, err error) *Error {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if n, serr := fmt.Sscanf(msg, "line %d:", &line); n == 1 && serr == nil {
		_, msg, _ = strings.Cut(msg, ": ")
	}
	return &Error{Pos{file, line, 1}, "this is not YAML: " + msg, "look at the indentation and at quotes on this line and the one before"}
}

// bounded refuses documents that are deep, or whose aliases make them so.
func bounded(n *yaml.Node, depth int, open map[*yaml.Node]bool) error {
	if depth > maxDepth {
		return fmt.Errorf("the file is nested deeper than %d", maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		return fmt.Errorf("line %d: anchors and aliases are not read", n.Line)
	}
	for _, c := range n.Content {
		if err := bounded(c, depth+1, open); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) result() error {
	if len(d.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(d.errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	if len(d.errs) > maxErrors {
		d.errs = d.errs[:maxErrors]
	}
	return d.errs
}
