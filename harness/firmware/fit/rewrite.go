package fit

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// Edit is a change of a tree: a node that is taken out with all below it, or a property
// that gets a value.
type Edit struct {
	Node  string // the path of the node: /images/kernel
	Prop  string // empty: the node is taken out
	Value []byte // nil: the property is taken out
}

// splice is a stretch of what was read, and what comes in its place.
type splice struct {
	from, to int
	with     []byte
}

// Rewrite writes the image with changes, and nothing of what follows it. Where nothing
// was changed it is what was read. Names of properties stay where they are, since
// signatures cover them. Data that are behind the tree by an offset move with its end;
// those that have a position stay, and the tree must not grow into them.
//
// The data of components are not changed by it, unless they are a property.
func (img *Image) Rewrite(edits ...Edit) ([]byte, error) {
	const doing = "write a FIT image"
	t := img.tree
	var cuts []splice
	for _, e := range edits {
		n := img.Root.find(e.Node)
		if n == nil || e.Prop == "" && n == img.Root {
			return nil, fmt.Errorf("%s: no node %s that could be changed so", doing, e.Node)
		}
		if e.Prop == "" {
			cuts = append(cuts, splice{from: n.start, to: n.end})
			continue
		}
		p, ok := n.Prop(e.Prop)
		if !ok {
			return nil, fmt.Errorf("%s: %s has no property %s", doing, e.Node, e.Prop)
		}
		c := splice{from: p.start, to: p.end}
		switch {
		case e.Value == nil:
		case bytes.Equal(e.Value, p.Value):
			continue // what pads it may be anything
		default:
			c.with = binary.BigEndian.AppendUint32(nil, tokenProp)
			c.with = binary.BigEndian.AppendUint32(c.with, uint32(len(e.Value)))
			c.with = append(c.with, t.b[p.value-wordSize:p.value]...) // where its name is
			c.with = append(c.with, e.Value...)
			c.with = append(c.with, make([]byte, align(len(e.Value))-len(e.Value))...)
		}
		cuts = append(cuts, c)
	}
	structure, err := spliced(t.b, t.structAt, t.structEnd, cuts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	grown := len(structure) - (t.structEnd - t.structAt)
	out := slices.Concat(t.b[:t.structAt], structure, t.b[t.structEnd:])
	for _, field := range []int{4, 12, 36} { // sizes of tree and structure, where names are
		n := word(t.b, field) + grown
		if n >= largest {
			return nil, fmt.Errorf("%s: %d bytes", doing, n)
		}
		binary.BigEndian.PutUint32(out[field:], uint32(n))
	}
	if out, err = img.behind(out); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return out, nil
}

// spliced gives a stretch of bytes with changes.
func spliced(b []byte, from, to int, cuts []splice) ([]byte, error) {
	slices.SortStableFunc(cuts, func(x, y splice) int { return x.from - y.from })
	var out []byte
	for _, c := range cuts {
		if c.from < from {
			return nil, fmt.Errorf("two changes of what is at byte %d", c.from)
		}
		out = append(append(out, b[from:c.from]...), c.with...)
		from = c.to
	}
	return append(out, b[from:to]...), nil
}

// behind puts what is behind the tree behind a changed one.
func (img *Image) behind(out []byte) ([]byte, error) {
	if len(out) == img.TreeLen {
		return append(out, img.b[img.TreeLen:img.Len]...), nil
	}
	first, moves := img.Len, false // where data begin that have a position
	for _, c := range img.Components {
		if c.Data.Place == ByPosition {
			first = min(first, c.Data.Offset)
		}
		moves = moves || c.Data.Place == ByOffset
	}
	switch {
	case img.Len == img.TreeLen:
		return out, nil
	case moves && first < img.Len:
		return nil, fmt.Errorf("some data have a position and some an offset: they cannot keep their places towards each other")
	case moves:
		out = append(out, make([]byte, align(len(out))-len(out))...)
		return append(out, img.b[min(align(img.TreeLen), img.Len):img.Len]...), nil
	case len(out) > first:
		return nil, fmt.Errorf("the tree would end at byte %d, and data begin at %d", len(out), first)
	}
	if n := img.TreeLen - len(out); n > 0 {
		out = append(out, make([]byte, n)...)
	}
	return append(out, img.b[len(out):img.Len]...), nil
}

// Region is a range of bytes of an image with a stable name: header,
// /images/kernel:data, names, data of kernel.
type Region struct {
	Name           string
	Offset, Length int
}

// End is the offset after the last byte.
func (r Region) End() int { return r.Offset + r.Length }

// Regions gives the parts of the image in their order. They cover it without a gap; empty
// ones are left out. Data that lie over each other are one region, called as the first.
func (img *Image) Regions() []Region {
	t := img.tree
	var all []Region
	put := func(name string, to int) {
		from := 0
		if len(all) > 0 {
			from = all[len(all)-1].End()
		}
		if to > from {
			all = append(all, Region{name, from, to - from})
		}
	}
	put("header", treeHeader)
	put("reservations", t.structAt)
	var walk func(n *Node)
	walk = func(n *Node) {
		put(n.Path, n.body)
		for _, p := range n.Props {
			put(n.Path+":"+p.Name, p.end)
		}
		for _, c := range n.Nodes {
			walk(c)
		}
		put(n.Path+" end", n.end)
	}
	walk(t.root)
	put("end", t.stringsAt)
	put("names", t.stringsEnd)
	put("free space", t.total)
	outside := slices.DeleteFunc(slices.Clone(img.Components), func(c Component) bool { return c.Data.Offset < t.total })
	slices.SortStableFunc(outside, func(x, y Component) int { return x.Data.Offset - y.Data.Offset })
	for _, c := range outside {
		put("before the data of "+c.Name, c.Data.Offset)
		put("data of "+c.Name, c.Data.End())
	}
	put("end of data", img.Len)
	return all
}
