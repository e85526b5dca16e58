// Package fit reads and verifies U-Boot's FIT images, and writes them again with
// changes: a device tree that describes images by their hashes and configurations of
// them by signatures, with the images in it or behind it.
//
// What is written of an image is what was read, byte for byte, but for what was changed.
//
// A [Verifier] says what U-Boot has to say that requires a key of configurations or of
// images (boot/image-fit-sig.c). [Unsigned] is the same with the signature check taken
// out, and strict: every image of the configuration has a hash, and all of them are
// right.
//
// Sources: Devicetree Specification v0.4, chapter 5; U-Boot's
// doc/usage/fit/source_file_format.rst and signature.rst.
//
// Not here: signatures by elliptic curves, and RSA's with PSS padding. They are read; a
// verifier refuses them as [ErrUnsupported]. What is encrypted is judged as it stands
// there, as its hashes are.
package fit

import (
	"bytes"
	"strings"
)

// Place says where the data of an image are.
type Place string

// The places.
const (
	Nowhere    Place = ""              // there are none
	Inside     Place = "data"          // in the tree
	ByOffset   Place = "data-offset"   // behind the tree, counted from its end aligned to 4
	ByPosition Place = "data-position" // behind the tree, counted from its beginning
)

// Data says where the data of an image are in the bytes that were read.
type Data struct {
	Place          Place
	Offset, Length int
}

// End is the offset after the last byte.
func (d Data) End() int { return d.Offset + d.Length }

// Hash is one of an image's data.
type Hash struct {
	Path  string // of its node
	Algo  string // crc32, md5, sha1, sha256, sha384, sha512
	Value []byte
}

// Signature is a node of one, filled in or not.
type Signature struct {
	Path    string
	Algo    string // sha256,rsa2048
	KeyName string // key-name-hint
	Padding string // empty: pkcs-1.5
	Value   []byte // nil: not filled in
	// HashedNodes are what that of a configuration covers, as the signer said it.
	HashedNodes []string
	// HashedStrings is how many bytes of names it covers; -1: it does not say.
	HashedStrings int
}

// Component is one of the images in a FIT image: a kernel, a ramdisk.
type Component struct {
	Name, Type, Description string
	Hashes                  []Hash
	Signatures              []Signature
	Data                    Data
}

// Config is a configuration: components that are started together.
type Config struct {
	Name, Description string
	Images            []string // names of components, in their order, each once
	Signatures        []Signature
}

// Image is a FIT image, taken apart. All is of the bytes that were read.
type Image struct {
	Root       *Node
	Components []Component
	Configs    []Config
	Default    string // the configuration's name; empty: the image does not say
	TreeLen    int    // bytes of the tree
	// Len is how many bytes tree and data have together, with the zeros that align the end
	// of data to 4 where they are there. What follows is not the image's.
	Len int

	tree *tree
	b    []byte
}

// Names of nodes and properties.
const (
	imagesPath   = "/images"
	configsPath  = "/configurations"
	hashName     = "hash"
	sigName      = "signature"
	algoProp     = "algo"
	valueProp    = "value"
	dataSizeProp = "data-size"
)

// named are the properties of a configuration that name components
// (source_file_format.rst, "Configuration nodes"; FIT_*_PROP of U-Boot's image.h).
var named = map[string]bool{"kernel": true, "ramdisk": true, "fdt": true, "loadables": true, "firmware": true, "fpga": true, "setup": true, "script": true, "standalone": true}

// Parse takes a FIT image apart, whatever follows it. Its error is a *[FormatError].
func Parse(b []byte) (*Image, error) {
	t, err := readTree(b)
	if err != nil {
		return nil, err
	}
	img := &Image{Root: t.root, TreeLen: t.total, Len: t.total, tree: t, b: b}
	images := t.root.Child(imagesPath[1:])
	if images == nil {
		return nil, malformed(t.structAt, "the tree has no node %s", imagesPath)
	}
	for _, n := range images.Nodes {
		c := Component{Name: n.Name(), Type: n.text("type"), Description: n.text("description")}
		if c.Data, err = img.data(n); err != nil {
			return nil, err
		}
		img.Len = max(img.Len, c.Data.End())
		for _, h := range n.Nodes {
			if strings.HasPrefix(h.Name(), hashName) {
				value, _ := h.Prop(valueProp)
				c.Hashes = append(c.Hashes, Hash{h.Path, h.text(algoProp), value.Value})
			}
		}
		if c.Signatures, err = signatures(n); err != nil {
			return nil, err
		}
		img.Components = append(img.Components, c)
	}
	if end := min(align(img.Len), len(b)); img.Len > t.total && len(bytes.Trim(b[img.Len:end], "\x00")) == 0 {
		img.Len = end
	}
	configs := t.root.Child(configsPath[1:])
	if configs == nil {
		return img, nil
	}
	img.Default = configs.text("default")
	for _, n := range configs.Nodes {
		c := Config{Name: n.Name(), Description: n.text("description")}
		if c.Images, err = names(n); err != nil {
			return nil, err
		}
		if c.Signatures, err = signatures(n); err != nil {
			return nil, err
		}
		img.Configs = append(img.Configs, c)
	}
	return img, nil
}

// names reads the names of the components of a configuration.
func names(n *Node) (all []string, err error) {
	seen := map[string]bool{}
	for _, p := range n.Props {
		if !named[p.Name] {
			continue
		}
		list, ok := n.texts(p.Name)
		if !ok {
			return nil, malformed(p.value, "%s of %s is no list of names", p.Name, n.Path)
		}
		for _, name := range list {
			if !seen[name] {
				seen[name] = true
				all = append(all, name)
			}
		}
	}
	return all, nil
}

// data says where the data of a component are (source_file_format.rst, "External data").
// More than one place is refused: U-Boot takes the position before the offset, and both
// before what is inside.
func (img *Image) data(n *Node) (Data, error) {
	var d Data
	inside, isInside := n.Prop(string(Inside))
	offset, isOffset := n.Prop(string(ByOffset))
	position, isPosition := n.Prop(string(ByPosition))
	switch {
	case isInside && (isOffset || isPosition) || isOffset && isPosition:
		return d, malformed(n.start, "the data of %s are in two places", n.Path)
	case isInside:
		return Data{Inside, inside.value, len(inside.Value)}, nil
	case !isOffset && !isPosition:
		return d, nil
	}
	at, d := position, Data{Place: ByPosition}
	if isOffset {
		at, d = offset, Data{ByOffset, align(img.TreeLen), 0}
	}
	size, _ := n.Prop(dataSizeProp)
	if len(at.Value) != wordSize || len(size.Value) != wordSize {
		return d, malformed(n.start, "%s or %s of %s is no number of four bytes", d.Place, dataSizeProp, n.Path)
	}
	d.Offset, d.Length = d.Offset+word(at.Value, 0), word(size.Value, 0)
	if d.End() >= largest || d.Offset < img.TreeLen || d.End() > len(img.b) {
		return d, malformed(at.value, "the data of %s are from %d to %d, the tree ends at %d, and %d bytes are there", n.Path, d.Offset, d.End(), img.TreeLen, len(img.b))
	}
	return d, nil
}

// align gives the next offset that is a multiple of 4.
func align(at int) int { return (at + wordSize - 1) / wordSize * wordSize }

// signatures reads those of a component or a configuration.
func signatures(n *Node) (all []Signature, err error) {
	for _, c := range n.Nodes {
		if !strings.HasPrefix(c.Name(), sigName) {
			continue
		}
		s := Signature{Path: c.Path, Algo: c.text(algoProp), KeyName: c.text("key-name-hint"), Padding: c.text("padding"), HashedStrings: -1}
		if p, ok := c.Prop(valueProp); ok {
			s.Value = p.Value
		}
		var ok bool
		if s.HashedNodes, ok = c.texts("hashed-nodes"); !ok {
			return nil, malformed(c.start, "hashed-nodes of %s is no list of paths", c.Path)
		}
		if p, ok := c.Prop("hashed-strings"); ok {
			if len(p.Value) != 2*wordSize {
				return nil, malformed(p.value, "hashed-strings of %s are not two numbers", c.Path)
			}
			s.HashedStrings = word(p.Value, wordSize)
		}
		all = append(all, s)
	}
	return all, nil
}

// Component gives that of a name; ok is false where there is none.
func (img *Image) Component(name string) (c Component, ok bool) {
	for _, c := range img.Components {
		if c.Name == name {
			return c, true
		}
	}
	return Component{}, false
}

// Config gives the configuration that is started where nobody chooses: the one that the
// image says, or the only one. ok is false where there is none.
func (img *Image) Config() (c Config, ok bool) {
	for _, c := range img.Configs {
		if c.Name == img.Default || img.Default == "" && len(img.Configs) == 1 {
			return c, true
		}
	}
	return Config{}, false
}

// Bytes gives the data of a component, out of what was read.
func (img *Image) Bytes(c Component) []byte {
	return img.b[c.Data.Offset:c.Data.End():c.Data.End()]
}

// Signatures gives all nodes of signatures: those of components, then those of
// configurations.
func (img *Image) Signatures() (all []Signature) {
	for _, c := range img.Components {
		all = append(all, c.Signatures...)
	}
	for _, c := range img.Configs {
		all = append(all, c.Signatures...)
	}
	return all
}
