package strictyaml

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

// Unmarshaler is a type that reads itself from a Node: one that can be written
// in several ways, or that knows more than its Go type says.
type Unmarshaler interface{ UnmarshalStrict(n *Node) }

// Node is a value of the file, for an Unmarshaler.
type Node struct {
	n *yaml.Node
	d *decoder
}

// Pos gives the node's place.
func (n *Node) Pos() Pos { return n.d.pos(n.n) }

// Errorf reports that something is wrong with the node. It may be called
// several times.
func (n *Node) Errorf(remedy, format string, args ...any) { n.d.errorf(n.n, remedy, format, args...) }

// IsMap says whether the node is a mapping.
func (n *Node) IsMap() bool { return n.n.Kind == yaml.MappingNode }

// IsList says whether the node is a list.
func (n *Node) IsList() bool { return n.n.Kind == yaml.SequenceNode }

// Scalar gives the text of a scalar, as written; false for anything else.
func (n *Node) Scalar() (string, bool) {
	if n.n.Kind != yaml.ScalarNode || n.n.Tag == "!!null" {
		return "", false
	}
	return n.n.Value, true
}

// Keys gives the keys of a mapping in their order, each once. A key that
// stands twice, or is no single value, is an error.
func (n *Node) Keys() []string {
	var keys []string
	if !n.IsMap() {
		return nil
	}
	n.d.pairs(n.n, "the mapping", func(k, _ *yaml.Node) { keys = append(keys, k.Value) })
	return keys
}

// Get gives the value of a key, or nil.
func (n *Node) Get(key string) *Node {
	if _, v := child(n.n, key); v != nil {
		return &Node{v, n.d}
	}
	return nil
}

// Key gives the key itself, for an error about it.
func (n *Node) Key(key string) *Node {
	if k, _ := child(n.n, key); k != nil {
		return &Node{k, n.d}
	}
	return n
}

// Items gives the values of a list.
func (n *Node) Items() []*Node {
	if !n.IsList() {
		return nil
	}
	out := make([]*Node, len(n.n.Content))
	for i, c := range n.n.Content {
		out[i] = &Node{c, n.d}
	}
	return out
}

// Decode decodes the node as Decode does a file, and says whether all was
// well. What names the value in errors. An UnmarshalStrict that decodes its own
// node does it through a plain type of the same fields, which has no
// UnmarshalStrict.
func (n *Node) Decode(into any, what string) bool {
	before := len(n.d.errs)
	n.d.value(n.n, reflect.ValueOf(into).Elem(), what)
	return len(n.d.errs) == before
}

type decoder struct {
	file string
	errs Errors
}

func (d *decoder) pos(n *yaml.Node) Pos { return Pos{d.file, n.Line, n.Column} }

func (d *decoder) errorf(n *yaml.Node, remedy, format string, args ...any) {
	d.errs = append(d.errs, &Error{d.pos(n), fmt.Sprintf(format, args...), remedy})
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	regexpType   = reflect.TypeFor[*regexp.Regexp]()
)

// value decodes n into v. What names the value in errors.
func (d *decoder) value(n *yaml.Node, v reflect.Value, what string) {
	if v.CanAddr() {
		if u, ok := v.Addr().Interface().(Unmarshaler); ok {
			u.UnmarshalStrict(&Node{n, d})
			return
		}
	}
	switch v.Type() {
	case durationType:
		d.duration(n, v, what)
		return
	case regexpType:
		d.regexp(n, v, what)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.value(n, p.Elem(), what)
		v.Set(p)
	case reflect.Struct:
		d.structure(n, v, what)
	case reflect.Map:
		d.mapping(n, v, what)
	case reflect.Slice:
		d.list(n, v, what)
	case reflect.Interface:
		if x := d.free(n, what); x != nil {
			v.Set(reflect.ValueOf(x))
		}
	default:
		d.scalar(n, v, what)
	}
}

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		switch n.Tag {
		case "!!null":
			return "empty"
		case "!!int":
			return "a number"
		case "!!bool":
			return "a yes or no"
		}
		return "a text"
	}
	return "something else"
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, what string) {
	if n.Kind != yaml.ScalarNode {
		d.errorf(n, "", "%s is %s; it must be a single value", what, kind(n))
		return
	}
	if n.Tag == "!!null" {
		d.errorf(n, "give it a value, or take the key out", "%s is empty", what)
		return
	}
	quoted := n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	switch v.Kind() {
	case reflect.String:
		if n.Tag == "!!bool" {
			d.errorf(n, "put it in quotes if it is a text", "%s is %s", what, kind(n))
			return
		}
		v.SetString(n.Value) // a number too: what stands there is kept, leading zeros and all
	case reflect.Bool:
		if n.Tag != "!!bool" {
			d.errorf(n, "write true or false", "%s is %s", what, quote(n.Value))
			return
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(n.Value, 0, v.Type().Bits())
		switch {
		case quoted && err == nil:
			d.errorf(n, "take the quotes away", "%s is a text", what)
		case err != nil || n.Tag != "!!int":
			d.errorf(n, "write a whole number", "%s is %s", what, quote(n.Value))
		case octal.MatchString(n.Value): // YAML 1.1 reads it in base 8, 1.2 does not
			d.errorf(n, "leave the leading zeros out", "%s is %s", what, quote(n.Value))
		default:
			v.SetInt(i)
		}
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || quoted || math.IsNaN(f) || math.IsInf(f, 0) {
			d.errorf(n, "write a number", "%s is %s", what, quote(n.Value))
			return
		}
		v.SetFloat(f)
	default:
		d.errorf(n, "", "%s cannot be read into %s", what, v.Type())
	}
}

// octal is a number whose leading zero means different things in the editions
// of YAML.
var octal = regexp.MustCompile(`^[-+]?0[0-9_]`)

// free decodes what has no declared form, such as the body of a request: texts,
// int, float64, bool, nil, []any, and map[string]any.
func (d *decoder) free(n *yaml.Node, what string) any {
	switch n.Kind {
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		d.pairs(n, what, func(k, v *yaml.Node) { out[k.Value] = d.free(v, k.Value) })
		return out
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, c := range n.Content {
			out[i] = d.free(c, item(what, i))
		}
		return out
	}
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int":
		var i int
		d.scalar(n, reflect.ValueOf(&i).Elem(), what)
		return i
	case "!!float":
		var f float64
		d.scalar(n, reflect.ValueOf(&f).Elem(), what)
		return f
	}
	return n.Value
}

// item names one value of a list in errors.
func item(what string, i int) string { return fmt.Sprintf("%s, item %d", what, i+1) }

// quote shows a text of the file in an error: escaped, and cut.
func quote(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return strconv.Quote(string(r[:most])) + "…"
	}
	return strconv.Quote(s)
}

func (d *decoder) duration(n *yaml.Node, v reflect.Value, what string) {
	if n.Kind == yaml.ScalarNode {
		if t, err := time.ParseDuration(n.Value); err == nil {
			if t < 0 {
				d.errorf(n, "", "%s is %s; a time cannot be negative", what, n.Value)
				return
			}
			v.SetInt(int64(t))
			return
		}
		d.errorf(n, `write a time with its unit, such as "2s" or "250ms"`, "%s is %s", what, quote(n.Value))
		return
	}
	d.errorf(n, `write a time with its unit, such as "2s" or "250ms"`, "%s is %s", what, kind(n))
}

func (d *decoder) regexp(n *yaml.Node, v reflect.Value, what string) {
	if n.Kind != yaml.ScalarNode {
		d.errorf(n, "write a regular expression (RE2 syntax)", "%s is %s", what, kind(n))
		return
	}
	re, err := regexp.Compile(n.Value)
	if err != nil {
		d.errorf(n, "write a regular expression (RE2 syntax)", "%s: %v", what, err)
		return
	}
	v.Set(reflect.ValueOf(re))
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, what string) {
	if n.Kind != yaml.SequenceNode {
		d.errorf(n, "write a list: [a, b], or a line with a dash for each", "%s is %s; it must be a list", what, kind(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		d.value(c, out.Index(i), item(what, i))
	}
	v.Set(out)
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, what string) {
	if n.Kind != yaml.MappingNode {
		d.errorf(n, "write a mapping: name: value", "%s is %s; it must be a mapping", what, kind(n))
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	d.pairs(n, what, func(k, val *yaml.Node) {
		key := reflect.New(v.Type().Key()).Elem()
		d.scalar(k, key, "a key of "+what)
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(val, elem, k.Value)
		out.SetMapIndex(key, elem)
	})
	v.Set(out)
}

// pairs calls each for every key and value, and reports keys given twice.
func (d *decoder) pairs(n *yaml.Node, what string, each func(k, v *yaml.Node)) {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode {
			d.errorf(k, "", "a key of %s is %s", what, kind(k))
			continue
		}
		if k.Tag == "!!merge" {
			d.errorf(k, "write the keys out", "%s has a merge key", what)
			continue
		}
		if line, ok := first[k.Value]; ok {
			d.errorf(k, "keep one of them", "%s stands in %s twice; first on line %d", quote(k.Value), what, line)
			continue
		}
		first[k.Value] = k.Line
		each(k, n.Content[i+1])
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, what string) {
	if n.Kind != yaml.MappingNode {
		d.errorf(n, "write a mapping with "+list(shapeOf(v.Type()).names), "%s is %s; it must be a mapping", what, kind(n))
		return
	}
	shape := shapeOf(v.Type())
	given := map[string]bool{}
	d.pairs(n, what, func(k, val *yaml.Node) {
		given[k.Value] = true
		f, ok := shape.fields[k.Value]
		if !ok {
			d.errorf(k, suggest(k.Value, shape.names), "%s has no key %s", what, quote(k.Value))
			return
		}
		before := len(d.errs)
		d.value(val, v.FieldByIndex(f.index), k.Value)
		if len(d.errs) == before {
			d.oneOf(val, f, k.Value)
		}
	})
	for _, name := range shape.names {
		if shape.fields[name].required && !given[name] {
			d.errorf(n, "add it", "%s has no %s", what, name)
		}
	}
}

// oneOf holds a text, or each of a list, against the words that the field
// takes.
func (d *decoder) oneOf(n *yaml.Node, f field, what string) {
	if len(f.words) == 0 {
		return
	}
	if n.Kind == yaml.SequenceNode {
		for i, c := range n.Content {
			d.oneOf(c, f, item(what, i))
		}
		return
	}
	if n.Kind == yaml.ScalarNode && !slices.Contains(f.words, n.Value) {
		remedy := "it can be " + strings.Join(f.words, ", ")
		if best := Nearest(n.Value, f.words); best != "" {
			remedy = fmt.Sprintf("did you mean %q?", best)
		}
		d.errorf(n, remedy, "%s is %s", what, quote(n.Value))
	}
}

// field is one field of a struct with the rules of its tag strict.
type field struct {
	index    []int // of reflect's FieldByIndex
	required bool
	words    []string
}

// shape is what a struct's tags say: its fields by their keys, those of inlined structs
// too, and the keys in the order of the fields.
type shape struct {
	fields map[string]field
	names  []string
}

// shapes are those that were read before: a profile has a thousand mappings, of some
// dozens of types.
var shapes sync.Map // reflect.Type → *shape

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape) //nolint:forcetypeassert // nothing else is kept there
	}
	s := &shape{fields: map[string]field{}}
	for i := range t.NumField() {
		name, inline := tag(t.Field(i))
		if inline {
			in := shapeOf(t.Field(i).Type)
			for _, k := range in.names {
				f := in.fields[k]
				f.index = append([]int{i}, f.index...)
				s.fields[k] = f
			}
			s.names = append(s.names, in.names...)
		} else if name != "" {
			f := field{index: []int{i}}
			for rule := range strings.SplitSeq(t.Field(i).Tag.Get("strict"), ",") {
				if rule == "required" {
					f.required = true
				} else if words, ok := strings.CutPrefix(rule, "oneof="); ok {
					f.words = strings.Split(words, "|")
				}
			}
			s.fields[name] = f
			s.names = append(s.names, name)
		}
	}
	shapes.Store(t, s)
	return s
}

// KeysOf gives the keys that a struct's mapping can have, in the order of its
// fields.
func KeysOf(v any) []string { return slices.Clone(shapeOf(reflect.TypeOf(v)).names) }

func tag(f reflect.StructField) (name string, inline bool) {
	if !f.IsExported() && !f.Anonymous {
		return "", false
	}
	name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if name == "-" {
		return "", false
	}
	return name, slices.Contains(strings.Split(opts, ","), "inline")
}

func list(names []string) string {
	if len(names) == 0 {
		return "no keys"
	}
	return strings.Join(names, ", ")
}

// suggest names the known key that is closest, or all of them.
func suggest(key string, known []string) string {
	if best := Nearest(key, known); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "it can have " + list(known)
}
