package journal

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"rigor/harness/verdict"
)

// own names the fields that hold the journal's own words, times and hashes.
// Redacting such a value could not hide a secret, but one that is spelled like
// the word, or like four digits of the hash, would break the record.
var own = map[string]bool{"at": true, "prev": true, "kind": true, "verdict": true, "holds": true, "unchanged": true,
	"role": true, "phase": true, "status": true, "how": true, "sha256": true, "digest": true, "refusal": true,
	"expires": true, "waivers_now": true, "reason": true}

var ownWords = func() map[string]bool {
	words := map[string]bool{"before": true, "after": true, "ok": true, "broken": true, "skipped": true, "open": true, "close": true}
	for _, w := range []string{RoleBefore, RoleBetween, RoleAfter, RoleAnti, EndFinished, EndInterrupted, EndAborted, string(Yes), string(No), string(Unknown)} {
		words[w] = true
	}
	for _, k := range kinds {
		words[string(k)] = true
	}
	for _, k := range verdict.Kinds {
		words[string(k)] = true
	}
	for _, v := range verdict.All {
		words[string(v)] = true
	}
	for _, r := range verdict.Reasons {
		words[string(r)] = true
	}
	return words
}()

var ownShape = regexp.MustCompile(`^([0-9a-f]{64}|\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?Z)?)$`)

// isOwn says whether a value is to be left alone: the field is one of ours,
// and so is what stands in it.
func isOwn(key, value string) bool {
	return own[key] && (ownWords[value] || ownShape.MatchString(value))
}

// cleaned gives the event without secrets in its values, and with broken UTF-8
// written out, which JSON would replace without a word. What has to change is
// copied: payloads may be shared. Keys stay, so that a secret that is spelled
// like one cannot damage the line.
func cleaned(e *Event, r Redactor) *Event {
	v, changed := rewrite(reflect.ValueOf(e), "", func(key, s string) string {
		if r != nil && !isOwn(key, s) {
			s = r.String(s)
		}
		return whole(s)
	})
	if !changed {
		return e
	}
	return v.Interface().(*Event) //nolint:forcetypeassert // rewrite keeps the type
}

// whole writes each byte that is no UTF-8 as \xNN.
func whole(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[i])
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

var timeType = reflect.TypeFor[time.Time]()

// rewrite applies f to every string in v, with the name of the field that it
// stands in, and says whether anything changed; then it gives a copy.
func rewrite(v reflect.Value, key string, f func(key, s string) string) (reflect.Value, bool) {
	switch v.Kind() {
	case reflect.String:
		s := v.String()
		clean := f(key, s)
		if clean == s {
			return v, false
		}
		return reflect.ValueOf(clean).Convert(v.Type()), true
	case reflect.Pointer:
		if v.IsNil() {
			return v, false
		}
		elem, changed := rewrite(v.Elem(), key, f)
		if !changed {
			return v, false
		}
		p := reflect.New(elem.Type())
		p.Elem().Set(elem)
		return p, true
	case reflect.Struct:
		if v.Type() == timeType {
			return v, false
		}
		return rewriteStruct(v, f)
	case reflect.Slice:
		out, any := v, false
		for i := range v.Len() {
			elem, changed := rewrite(v.Index(i), key, f)
			if !changed {
				continue
			}
			if !any {
				out, any = reflect.MakeSlice(v.Type(), v.Len(), v.Len()), true
				reflect.Copy(out, v)
			}
			out.Index(i).Set(elem)
		}
		return out, any
	case reflect.Map:
		out, any := v, false
		for it := v.MapRange(); it.Next(); {
			elem, changed := rewrite(it.Value(), it.Key().String(), f)
			if !changed {
				continue
			}
			if !any {
				out, any = reflect.MakeMapWithSize(v.Type(), v.Len()), true
				for all := v.MapRange(); all.Next(); {
					out.SetMapIndex(all.Key(), all.Value())
				}
			}
			out.SetMapIndex(it.Key(), elem)
		}
		return out, any
	}
	return v, false
}

func rewriteStruct(v reflect.Value, f func(key, s string) string) (reflect.Value, bool) {
	out, any := v, false
	names := fieldNames(v.Type())
	for i := range v.NumField() {
		elem, changed := rewrite(v.Field(i), names[i], f)
		if !changed {
			continue
		}
		if !any {
			out, any = reflect.New(v.Type()).Elem(), true
			out.Set(v)
		}
		out.Field(i).Set(elem)
	}
	return out, any
}

var namesOf sync.Map // by reflect.Type: []string

// fieldNames gives the JSON name of each field of a struct.
func fieldNames(t reflect.Type) []string {
	if known, ok := namesOf.Load(t); ok {
		return known.([]string) //nolint:forcetypeassert // nothing else is stored
	}
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	namesOf.Store(t, names)
	return names
}
