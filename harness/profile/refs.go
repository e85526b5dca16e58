package profile

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// reference is ${name} in a text; $${ stands for ${ itself. An opening without
// a name is caught too, so that a slip of the pen is not sent to the DUT.
var reference = regexp.MustCompile(`\$?\$\{(?:([A-Za-z][A-Za-z0-9_.-]*)\})?`)

// Expand puts the value of each ${name} into a text. What a value holds is
// never looked at again: nothing that a DUT says makes us expand anything. The
// first error of value, which should name what it was asked for, ends it.
func Expand(text string, value func(name string) (string, error)) (string, error) {
	var failed error
	out := reference.ReplaceAllStringFunc(text, func(ref string) string {
		switch {
		case failed != nil:
			return ""
		case strings.HasPrefix(ref, "$$"):
			return ref[1:]
		case ref == "${":
			failed = fmt.Errorf("a ${ in it is not followed by a name and }; write $${ for the characters themselves")
			return ""
		}
		v, err := value(ref[2 : len(ref)-1])
		if err != nil {
			failed = err
		}
		return v
	})
	if failed != nil {
		return "", failed
	}
	return out, nil
}

// IsValueName says whether a step may give a value this name. It has no dot, so
// that no value can pass for a unit's or a secret's.
func IsValueName(name string) bool { return valueName.MatchString(name) }

// References gives the names that a text refers to, each once.
func References(text string) ([]string, error) {
	var names []string
	_, err := Expand(text, func(name string) (string, error) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		return "", nil
	})
	return names, err
}

// Texts gives every text of the step in which values are put, without those of
// inner steps.
func (s *Step) Texts() []string {
	out := []string{s.HTTP, s.Run, s.Send, s.Body, s.File, s.Ask, s.Password, s.Upload.File, s.Serve, s.Copy, s.To, s.Transfer.File, s.SMP.File}
	out = append(out, s.Exec...)
	for _, m := range []map[string]string{s.Header, s.Form, s.Give} {
		for _, k := range sortedKeys(m) {
			out = append(out, m[k])
		}
	}
	eachText(s.JSON, "", func(_, text string) { out = append(out, text) })
	return slices.DeleteFunc(out, func(t string) bool { return t == "" })
}

// LabelPassword is the name of the value that stands on the unit's label.
const LabelPassword = "unit.label-password"

// Refers says whether a text of the steps, or of their inner ones, has the value
// put in.
func Refers(ss []Step, name string) bool {
	return slices.ContainsFunc(ss, func(s Step) bool {
		return Refers(s.Steps, name) || slices.ContainsFunc(s.Texts(), func(text string) bool {
			names, err := References(text)
			return err == nil && slices.Contains(names, name)
		})
	})
}

// Without gives the steps as a client makes them that does not send the value:
// members of a json object, fields of a form and headers that hold it and nothing
// else are left out. It gives false where there is none of these.
func Without(ss []Step, name string) (out []Step, ok bool) {
	ref := "${" + name + "}"
	out = slices.Clone(ss)
	for i := range out {
		s := &out[i]
		var inJSON, inner bool
		s.JSON, inJSON = withoutMember(s.JSON, ref)
		for _, m := range []*map[string]string{&s.Form, &s.Header} {
			left := maps.Clone(*m)
			maps.DeleteFunc(left, func(_, text string) bool { return text == ref })
			ok = ok || len(left) < len(*m)
			*m = left
		}
		s.Steps, inner = Without(s.Steps, name)
		ok = ok || inJSON || inner
	}
	return out, ok
}

// withoutMember gives a JSON value without the members of its objects that are the
// text, and whether there was one.
func withoutMember(v any, text string) (out any, ok bool) {
	switch v := v.(type) {
	case map[string]any:
		left := map[string]any{}
		for k, x := range v {
			if x == any(text) {
				ok = true
				continue
			}
			y, in := withoutMember(x, text)
			left[k], ok = y, ok || in
		}
		return left, ok
	case []any:
		list := slices.Clone(v)
		for i := range list {
			y, in := withoutMember(list[i], text)
			list[i], ok = y, ok || in
		}
		return list, ok
	}
	return v, false
}

// eachText calls f for every text of a JSON value, with the key under which it
// stands.
func eachText(v any, key string, f func(key, text string)) {
	switch v := v.(type) {
	case string:
		f(key, v)
	case []any:
		for _, x := range v {
			eachText(x, key, f)
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			eachText(v[k], k, f)
		}
	}
}

// SortedKeys gives the keys of a mapping in order.
func SortedKeys[V any](m map[string]V) []string { return sortedKeys(m) }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
