package profile

import (
	"fmt"
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
	out := []string{s.HTTP, s.Run, s.Send, s.Body, s.File, s.Ask, s.Password}
	out = append(out, s.Exec...)
	for _, m := range []map[string]string{s.Header, s.Form, s.Give} {
		for _, k := range sortedKeys(m) {
			out = append(out, m[k])
		}
	}
	eachText(s.JSON, "", func(_, text string) { out = append(out, text) })
	return slices.DeleteFunc(out, func(t string) bool { return t == "" })
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

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
