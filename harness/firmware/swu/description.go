package swu

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"rigor/harness/firmware/internal/refusal"
)

// Text is a text in a description, and where it stands without its quotes.
type Text struct {
	Value          string
	Offset, Length int
}

// Entry is something that a description installs: an image, a file, a script.
type Entry struct {
	File   Text
	SHA256 Text // of no length where there is none
	// Compressed says how the file is packed: zlib, zstd or xz; "true" is zlib; empty where it
	// is not.
	Compressed string
	// Whole is the setting of the hash from its name to what ends it: to take it out.
	Whole Text
}

// Description is what a package says of itself.
type Description struct {
	Version  Text
	Hardware []Text // revisions that it is for; none: it does not say
	Entries  []Entry
}

// ParseDescription reads a description in libconfig's syntax or in JSON, without
// includes.
func ParseDescription(b []byte) (*Description, error) {
	p := &parser{text: string(b)}
	root, err := p.document()
	if err != nil {
		line := 1 + strings.Count(p.text[:min(p.at, len(p.text))], "\n")
		return nil, refusal.Of(ErrMalformed, "the description, line %d: %v", line, err)
	}
	software := root.child("software")
	if software == nil || software.kind != group {
		return nil, refusal.Of(ErrMalformed, "the description has no group called software")
	}
	d := &Description{}
	if v := software.child("version"); v != nil && v.kind == text {
		d.Version = v.text
	}
	root.walk(func(n *node) {
		switch {
		case n.kind == group:
			if f := n.child("filename"); f != nil && f.kind == text {
				e := Entry{File: f.text}
				if h := n.child("sha256"); h != nil && h.kind == text {
					e.SHA256, e.Whole = h.text, h.whole
				}
				if c := n.child("compressed"); c != nil {
					e.Compressed = c.text.Value
				}
				d.Entries = append(d.Entries, e)
			}
		case n.name == "hardware-compatibility":
			for _, c := range n.children {
				if c.kind == text {
					d.Hardware = append(d.Hardware, c.text)
				}
			}
		}
	})
	return d, nil
}

type kind int

const (
	other kind = iota // a number, a boolean
	text
	group // { … }
	list  // ( … ), [ … ]
)

type node struct {
	kind     kind
	name     string
	text     Text
	whole    Text
	children []*node
}

func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (n *node) walk(f func(*node)) {
	f(n)
	for _, c := range n.children {
		c.walk(f)
	}
}

// parser reads libconfig and JSON alike: their differences are in the signs between.
type parser struct {
	text  string
	at    int
	depth int
}

const deepest = 64

var errEnd = errors.New("it ends too early")

func (p *parser) document() (*node, error) {
	p.space()
	var root *node
	var err error
	if p.peek() == '{' {
		root, err = p.value()
	} else {
		root = &node{kind: group}
		err = p.settings(root, 0)
	}
	if err != nil {
		return nil, err
	}
	if p.space(); p.at < len(p.text) {
		return nil, fmt.Errorf("%q where nothing was to follow", p.text[p.at])
	}
	return root, nil
}

func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

// space passes over white space and comments.
func (p *parser) space() {
	for p.at < len(p.text) {
		rest := p.text[p.at:]
		switch {
		case strings.ContainsRune(" \t\r\n\f\v", rune(rest[0])):
			p.at++
		case rest[0] == '#', strings.HasPrefix(rest, "//"):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest) - 1
			}
			p.at += n + 1
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest, "*/")
			if n < 0 {
				p.at = len(p.text)
				return
			}
			p.at += n + 2
		default:
			return
		}
	}
}

// settings reads what is in a group up to its end; 0 is the end of the text.
func (p *parser) settings(g *node, end byte) error {
	for {
		p.space()
		if p.at >= len(p.text) {
			if end == 0 {
				return nil
			}
			return errEnd
		}
		if end != 0 && p.peek() == end {
			p.at++
			return nil
		}
		from := p.at
		name, err := p.name()
		if err != nil {
			return err
		}
		p.space()
		if c := p.peek(); c != '=' && c != ':' {
			return fmt.Errorf("%q is to be followed by = or a colon", name)
		}
		p.at++
		n, err := p.value()
		if err != nil {
			return err
		}
		n.name = name
		p.space()
		if c := p.peek(); c == ';' || c == ',' {
			p.at++
		}
		n.whole = Text{p.text[from:p.at], from, p.at - from}
		g.children = append(g.children, n)
	}
}

func (p *parser) name() (string, error) {
	if p.peek() == '"' {
		t, err := p.string()
		return t.Value, err
	}
	from := p.at
	for p.at < len(p.text) && isName(p.text[p.at]) {
		p.at++
	}
	if p.at == from {
		return "", fmt.Errorf("%q where a name was to be", p.text[p.at])
	}
	return p.text[from:p.at], nil
}

func isName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '*' || c == '.' || c == '+'
}

func (p *parser) value() (*node, error) {
	if p.depth++; p.depth > deepest {
		return nil, fmt.Errorf("deeper than %d", deepest)
	}
	defer func() { p.depth-- }()
	p.space()
	switch c := p.peek(); c {
	case 0:
		return nil, errEnd
	case '"':
		t, err := p.strings()
		return &node{kind: text, text: t}, err
	case '{':
		p.at++
		n := &node{kind: group}
		return n, p.settings(n, '}')
	case '(', '[':
		p.at++
		n := &node{kind: list}
		return n, p.values(n, map[byte]byte{'(': ')', '[': ']'}[c])
	}
	from := p.at
	for p.at < len(p.text) && isName(p.text[p.at]) {
		p.at++
	}
	if p.at == from {
		return nil, fmt.Errorf("%q where a value was to be", p.text[p.at])
	}
	return &node{text: Text{p.text[from:p.at], from, p.at - from}}, nil
}

func (p *parser) values(l *node, end byte) error {
	for {
		p.space()
		if p.at >= len(p.text) {
			return errEnd
		}
		if p.peek() == end {
			p.at++
			return nil
		}
		n, err := p.value()
		if err != nil {
			return err
		}
		l.children = append(l.children, n)
		if p.space(); p.peek() == ',' {
			p.at++
		}
	}
}

// strings reads a text, of several that follow each other where it is libconfig.
func (p *parser) strings() (Text, error) {
	t, err := p.string()
	for err == nil {
		if p.space(); p.peek() != '"' {
			return t, nil
		}
		var more Text
		if more, err = p.string(); err == nil {
			t = Text{t.Value + more.Value, t.Offset, more.Offset + more.Length - t.Offset}
		}
	}
	return t, err
}

func (p *parser) string() (Text, error) {
	p.at++
	t := Text{Offset: p.at}
	var b strings.Builder
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; c {
		case '"':
			t.Value, t.Length = b.String(), p.at-t.Offset
			p.at++
			return t, nil
		case '\\':
			if p.at++; p.at >= len(p.text) {
				return t, errEnd
			}
			switch e := p.text[p.at]; e {
			case 'n', 't', 'r', 'f', 'b', 'v', 'a':
				b.WriteByte(map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'f': '\f', 'b': '\b', 'v': '\v', 'a': '\a'}[e])
			case 'x':
				n, err := strconv.ParseUint(p.text[min(p.at+1, len(p.text)):min(p.at+3, len(p.text))], 16, 8)
				if err != nil {
					return t, fmt.Errorf("no number after \\x: %w", err)
				}
				b.WriteByte(byte(n))
				p.at += 2
			default:
				b.WriteByte(e)
			}
		default:
			b.WriteByte(c)
		}
	}
	return t, errEnd
}
