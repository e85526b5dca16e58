package strictyaml

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
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

// Decode decodes the node as Decode does a file. What names the value in
// errors. It says whether all was well. The type's own UnmarshalStrict is not
// called, so that it can use Decode for its plain form through another type.
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
		var x any
		if err := n.Decode(&x); err != nil {
			d.errorf(n, "", "%s cannot be read: %v", what, err)
			return
		}
		if x != nil {
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
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
	case reflect.Bool:
		if n.Tag != "!!bool" {
			d.errorf(n, "write true or false", "%s is %q", what, n.Value)
			return
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(n.Value, 0, v.Type().Bits())
		if err != nil {
			d.errorf(n, "write a whole number", "%s is %q", what, n.Value)
			return
		}
		v.SetInt(i)
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil {
			d.errorf(n, "write a number", "%s is %q", what, n.Value)
			return
		}
		v.SetFloat(f)
	default:
		d.errorf(n, "", "%s cannot be read into %s", what, v.Type())
	}
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
		d.errorf(n, `write a time with its unit, such as "2s" or "250ms"`, "%s is %q", what, n.Value)
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
		d.value(c, out.Index(i), fmt.Sprintf("%s, item %d", what, i+1))
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
		if line, ok := first[k.Value]; ok {
			d.errorf(k, "keep one of them", "%q stands in %s twice; first on line %d", k.Value, what, line)
			continue
		}
		first[k.Value] = k.Line
		each(k, n.Content[i+1])
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, what string) {
	if n.Kind != yaml.MappingNode {
		d.errorf(n, "write a mapping with "+list(fieldNames(v.Type())), "%s is %s; it must be a mapping", what, kind(n))
		return
	}
	fields := fieldsOf(v)
	d.pairs(n, what, func(k, val *yaml.Node) {
		f, ok := fields[k.Value]
		if !ok {
			d.errorf(k, suggest(k.Value, fieldNames(v.Type())), "%s has no key %q", what, k.Value)
			return
		}
		d.value(val, f, k.Value)
	})
}

// fieldsOf gives the fields of a struct by their keys, those of inlined
// structs too.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	t := v.Type()
	for i := range t.NumField() {
		name, inline := tag(t.Field(i))
		if inline {
			for k, f := range fieldsOf(v.Field(i)) {
				out[k] = f
			}
		} else if name != "" {
			out[name] = v.Field(i)
		}
	}
	return out
}

func fieldNames(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, inline := tag(f)
		if inline {
			out = append(out, fieldNames(f.Type)...)
		} else if name != "" {
			out = append(out, name)
		}
	}
	return out
}

// KeysOf gives the keys that a struct's mapping can have, in the order of its
// fields.
func KeysOf(v any) []string { return fieldNames(reflect.TypeOf(v)) }

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

// Nearest gives the known name that is closest to one that is not known, or ""
// where none is close.
func Nearest(name string, known []string) string {
	best, dist := "", len(name)/3+2
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < dist {
			best, dist = k, d
		}
	}
	return best
}

// distance is the number of single letters to change from a to b (Levenshtein).
func distance(a, b string) int {
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		cur := make([]int, len(b)+1)
		cur[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			cur[j+1] = min(prev[j]+cost, prev[j+1]+1, cur[j]+1)
		}
		prev = cur
	}
	return prev[len(b)]
}
