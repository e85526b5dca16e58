package profile

import (
	"reflect"
	"slices"
	"strings"

	"rigor/harness/strictyaml"
)

// Said is what a profile says about one of its sections.
type Said string

// What can be said. A section that says nothing leaves the cases that need it
// inconclusive (profile-missing); one that is declared absent makes them not
// applicable.
const (
	SaidGiven Said = "given"
	SaidNone  Said = "none"
	SaidNot   Said = "missing"
)

// Fed is one section of a profile as it feeds the checks: "logins",
// "logins.ssh", "logins.ssh.lockout".
type Fed struct {
	Path   string
	Said   Said
	Reason string         // of an absence that is declared
	Pos    strictyaml.Pos // where it stands, or would have to
}

// Feed lists every section that can be declared absent, in the order of the
// reference, and what the profile says about it: what its checks are fed with,
// and what they miss.
func (p *Profile) Feed() []Fed {
	var out []Fed
	p.eachSection(func(s section) {
		f := Fed{Path: strings.Join(s.path, "."), Said: SaidNot, Reason: s.none, Pos: p.Source.Pos(s.path...)}
		switch {
		case s.none != "":
			f.Said = SaidNone
		case p.Source.Has(s.path...):
			f.Said = SaidGiven
		}
		out = append(out, f)
	})
	return out
}

// section is a mapping that can be {none: reason}.
type section struct {
	path []string
	none string
	keys []string // that it can have besides none; nil where it holds named things
}

// eachSection walks the profile's type, so that no section can be forgotten.
func (p *Profile) eachSection(f func(section)) {
	var walk func(v reflect.Value, path []string)
	walk = func(v reflect.Value, path []string) {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return
			}
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			return
		}
		if n := v.FieldByName("None"); n.IsValid() && n.Type() == reflect.TypeFor[None]() {
			s := section{path: path, none: n.Field(0).String()}
			if !v.FieldByName("Items").IsValid() {
				s.keys = slices.DeleteFunc(strictyaml.KeysOf(v.Interface()), func(k string) bool { return k == "none" })
			}
			f(s)
		}
		if items, order := v.FieldByName("Items"), v.FieldByName("Order"); items.IsValid() && order.IsValid() {
			for i := range order.Len() {
				walk(items.MapIndex(order.Index(i)), append(slices.Clone(path), order.Index(i).String()))
			}
			return
		}
		for i := range v.NumField() {
			key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			if key != "" && key != "-" {
				walk(v.Field(i), append(slices.Clone(path), key))
			}
		}
	}
	walk(reflect.ValueOf(p).Elem(), nil)
}

// absences holds what is declared absent against what is declared beside it.
func (l *linter) absences() {
	l.p.eachSection(func(s section) {
		at := append(slices.Clone(s.path), "none")
		if !l.p.Source.Has(at...) || s.keys == nil { // sections of names were looked at when read
			return
		}
		if strings.TrimSpace(s.none) == "" {
			l.errorf(at, "say why there is none", "the reason is empty")
		}
		for _, k := range l.p.Source.Keys(s.path...) {
			if slices.Contains(s.keys, k) {
				l.errorf(at, "keep one of the two", "%s declares none, and %s", strings.Join(s.path, "."), k)
				return
			}
		}
	})
}
