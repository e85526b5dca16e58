package fit

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// The fixed parts of a flattened device tree (Devicetree Specification v0.4, 5.2).
const (
	treeMagic     = 0xd00dfeed
	treeHeader    = 40
	treeVersion   = 17
	rsvEntry      = 16 // bytes of a reservation of memory
	wordSize      = 4
	deepest       = 32      // U-Boot's FDT_MAX_DEPTH
	mostNodes     = 1 << 14 // far more than images have
	mostOfOneNode = 1 << 12 // properties
	longestName   = 255     // bytes
	longestPath   = 1024
	largest       = 1 << 29 // bytes of an image; U-Boot's FIT_SIGNATURE_MAX_SIZE is half of it
)

// The tokens of the structure block (5.4.1).
const (
	tokenBegin = 1
	tokenEnd   = 2
	tokenProp  = 3
	tokenNop   = 4
	tokenLast  = 9
)

// FormatError says where bytes are no FIT image, and why.
type FormatError struct {
	Offset int // in bytes from the beginning
	What   string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("no FIT image: at byte %d: %s", e.Offset, e.What)
}

// Is makes every FormatError an [ErrMalformed].
func (e *FormatError) Is(target error) bool { return target == ErrMalformed }

func malformed(at int, format string, args ...any) error {
	return &FormatError{at, fmt.Sprintf(format, args...)}
}

// Node is one of the tree.
type Node struct {
	Path  string // /images/kernel; the root is /
	Props []Prop
	Nodes []*Node

	start, end int // from its begin token to behind its end token
	body       int // behind its begin token
}

// Prop is a property of a node.
type Prop struct {
	Name  string
	Value []byte

	start, value, end int // its token, its value, the token behind it
}

// Name is the last part of the node's path.
func (n *Node) Name() string { return n.Path[strings.LastIndexByte(n.Path, '/')+1:] }

// Prop gives a property; ok is false where there is none of the name.
func (n *Node) Prop(name string) (p Prop, ok bool) {
	for _, p := range n.Props {
		if p.Name == name {
			return p, true
		}
	}
	return Prop{}, false
}

// Child gives the node of a name below this one, nil where there is none.
func (n *Node) Child(name string) *Node {
	for _, c := range n.Nodes {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

// find gives the node of a path, nil where there is none.
func (n *Node) find(path string) *Node {
	if path == "/" {
		return n
	}
	for _, name := range strings.Split(strings.TrimPrefix(path, "/"), "/") {
		if n = n.Child(name); n == nil {
			return nil
		}
	}
	return n
}

// text reads a property that is one text; empty where it is none.
func (n *Node) text(name string) string {
	if p, _ := n.Prop(name); len(p.Value) > 0 && bytes.IndexByte(p.Value, 0) == len(p.Value)-1 {
		return string(p.Value[:len(p.Value)-1])
	}
	return ""
}

// texts reads a property that is a list of texts; ok is false where it is there and none.
func (n *Node) texts(name string) (list []string, ok bool) {
	p, _ := n.Prop(name)
	if len(p.Value) == 0 {
		return nil, true
	}
	if p.Value[len(p.Value)-1] != 0 {
		return nil, false
	}
	return strings.Split(string(p.Value[:len(p.Value)-1]), "\x00"), true
}

// tree is a flattened device tree: where its blocks are, and its nodes.
type tree struct {
	b                            []byte // all of it
	structAt, structEnd          int
	stringsAt, stringsEnd, total int
	reservedAt                   int
	root                         *Node
}

// word reads a number of four bytes, which the caller knows to be there. One that is
// larger than any image can be is [largest]: sums of a few of them are numbers everywhere.
func word(b []byte, at int) int { return int(min(binary.BigEndian.Uint32(b[at:]), largest)) }

// readTree takes a tree apart. The blocks have to be in the order of 5.1, as libfdt asks
// of a tree before it changes it.
func readTree(b []byte) (*tree, error) {
	if len(b) < treeHeader {
		return nil, malformed(len(b), "the header wants %d bytes", treeHeader)
	}
	if m := binary.BigEndian.Uint32(b); m != treeMagic {
		return nil, malformed(0, "magic %#08x, want %#08x", m, uint32(treeMagic))
	}
	t := &tree{total: word(b, 4), structAt: word(b, 8), stringsAt: word(b, 12), reservedAt: word(b, 16)}
	t.stringsEnd, t.structEnd = t.stringsAt+word(b, 32), t.structAt+word(b, 36)
	switch {
	case word(b, 20) < treeVersion || word(b, 24) > treeVersion:
		return nil, malformed(20, "version %d, compatible with %d; want %d", word(b, 20), word(b, 24), treeVersion)
	case t.total < treeHeader || t.total > len(b) || t.total == largest:
		return nil, malformed(4, "the tree is to have %d bytes, and %d are there", t.total, len(b))
	case t.reservedAt < treeHeader || t.reservedAt%8 != 0:
		return nil, malformed(16, "reservations of memory at %d", t.reservedAt)
	case t.structAt%wordSize != 0 || t.structAt < t.reservedAt:
		return nil, malformed(8, "a structure at %d, reservations of memory at %d", t.structAt, t.reservedAt)
	case t.structEnd > t.stringsAt || t.structEnd%wordSize != 0:
		return nil, malformed(36, "the structure ends at %d, and names are at %d", t.structEnd, t.stringsAt)
	case t.stringsEnd > t.total:
		return nil, malformed(32, "the names end at %d, and the tree at %d", t.stringsEnd, t.total)
	}
	t.b = b[:t.total:t.total]
	for at := t.reservedAt; ; at += rsvEntry {
		if at+rsvEntry > t.structAt {
			return nil, malformed(at, "the reservations of memory have no end")
		}
		if bytes.Count(b[at:at+rsvEntry], []byte{0}) == rsvEntry {
			break
		}
	}
	return t, t.nodes()
}

// token is one of the structure block.
type token struct {
	kind       uint32
	start, end int
	name       string // of a node or a property
	value      int    // where that of a property begins
	size       int    // in bytes
}

// next reads the token at an offset, with the padding behind it.
func (t *tree) next(at int) (k token, err error) {
	if at+wordSize > t.structEnd {
		return k, malformed(at, "the structure ends without its last token")
	}
	k = token{kind: binary.BigEndian.Uint32(t.b[at:]), start: at, end: at + wordSize}
	switch k.kind {
	case tokenEnd, tokenNop, tokenLast:
		return k, nil
	case tokenBegin:
		n := bytes.IndexByte(t.b[k.end:min(t.structEnd, k.end+longestName+1)], 0)
		if n < 0 {
			return k, malformed(k.end, "the name of a node has no end, or is longer than %d bytes", longestName)
		}
		k.name = string(t.b[k.end : k.end+n])
		k.end += n + 1
	case tokenProp:
		if k.end+2*wordSize > t.structEnd {
			return k, malformed(at, "a property that is cut off")
		}
		k.size, k.value = word(t.b, k.end), k.end+2*wordSize
		if k.size > t.structEnd-k.value {
			return k, malformed(k.end, "a property of %d bytes where %d are left", k.size, t.structEnd-k.value)
		}
		if k.name, err = t.propName(k.end + wordSize); err != nil {
			return k, err
		}
		k.end = k.value + k.size
	default:
		return k, malformed(at, "token %#x", k.kind)
	}
	k.end = (k.end + wordSize - 1) / wordSize * wordSize
	if k.end > t.structEnd {
		return k, malformed(at, "a token that is cut off")
	}
	return k, nil
}

// propName reads the name of a property by its offset among the names.
func (t *tree) propName(at int) (string, error) {
	from := t.stringsAt + word(t.b, at)
	if from >= t.stringsEnd {
		return "", malformed(at, "the name of a property at %d of %d bytes of names", from-t.stringsAt, t.stringsEnd-t.stringsAt)
	}
	n := bytes.IndexByte(t.b[from:min(t.stringsEnd, from+longestName+1)], 0)
	if n < 0 {
		return "", malformed(from, "the name of a property has no end, or is longer than %d bytes", longestName)
	}
	name := string(t.b[from : from+n])
	if !isName(name) {
		return "", malformed(from, "a property called %q", name)
	}
	return name, nil
}

// isName says whether a name is of the characters that dtc takes.
func isName(name string) bool {
	for _, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune(",._+*#?-@", rune(c)) {
			return false
		}
	}
	return name != ""
}

// opened are the nodes within which a token stands, the root first.
type opened []inside

type inside struct {
	*Node
	seen map[string]bool // names of what is in it
}

// nodes reads the structure. Two of one name beside each other are refused: who reads
// them may take the one or the other.
func (t *tree) nodes() error {
	var open opened
	for at, count := t.structAt, 0; ; {
		k, err := t.next(at)
		if err != nil {
			return err
		}
		at = k.end
		switch {
		case k.kind == tokenNop:
		case k.kind == tokenLast:
			if t.root == nil || len(open) > 0 || at != t.structEnd {
				return malformed(k.start, "the last token within a node, or before the end of the structure")
			}
			return nil
		case t.root != nil && len(open) == 0:
			return malformed(k.start, "token %#x behind the root", k.kind)
		case k.kind == tokenBegin:
			if count++; count > mostNodes || len(open) == deepest {
				return malformed(k.start, "more than %d nodes, or deeper than %d", mostNodes, deepest)
			}
			if open, err = t.begin(k, open); err != nil {
				return err
			}
		case len(open) == 0:
			return malformed(k.start, "token %#x before the root", k.kind)
		case k.kind == tokenProp:
			n, seen := open[len(open)-1].Node, open[len(open)-1].seen
			if len(n.Nodes) > 0 || seen[":"+k.name] || len(n.Props) == mostOfOneNode {
				return malformed(k.start, "the property %q of %s is there twice, behind a node, or one too many", k.name, n.Path)
			}
			seen[":"+k.name] = true
			n.Props = append(n.Props, Prop{k.name, t.b[k.value : k.value+k.size : k.value+k.size], k.start, k.value, k.end})
		case k.kind == tokenEnd:
			open[len(open)-1].end = k.end
			open = open[:len(open)-1]
		}
	}
}

// begin opens a node within others.
func (t *tree) begin(k token, open opened) (opened, error) {
	n := &Node{Path: "/", start: k.start, body: k.end}
	if len(open) == 0 {
		if k.name != "" {
			return nil, malformed(k.start, "a root called %q", k.name)
		}
		t.root = n
	} else {
		up := open[len(open)-1]
		if !isName(k.name) || up.seen["/"+k.name] || len(up.Path)+1+len(k.name) > longestPath {
			return nil, malformed(k.start, "a node called %q in %s, or a second one, or a path longer than %d bytes", k.name, up.Path, longestPath)
		}
		up.seen["/"+k.name] = true
		n.Path = strings.TrimSuffix(up.Path, "/") + "/" + k.name
		up.Nodes = append(up.Nodes, n)
	}
	return append(open, inside{n, map[string]bool{}}), nil
}
