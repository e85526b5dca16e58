package journal

import (
	"fmt"
	"reflect"
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

// isOwn says whether the value of a field of ours is to be left alone: what
// stands in it is ours too, a word, a hash or a time.
func isOwn(value string) bool { return ownWords[value] || isHash(value) || isTime(value) }

// isHash says whether s is a SHA-256 as we write it.
func isHash(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// isTime says whether s is a day, or a time of day in UTC, to any fraction of a
// second.
func isTime(s string) bool {
	const form = "0000-00-00T00:00:00"
	if len(s) != len("0000-00-00") && len(s) <= len(form) {
		return false
	}
	for i := range min(len(s), len(form)) {
		if digit := s[i] >= '0' && s[i] <= '9'; digit != (form[i] == '0') || !digit && s[i] != form[i] {
			return false
		}
	}
	if len(s) == len("0000-00-00") {
		return true
	}
	fraction, ok := strings.CutSuffix(s[len(form):], "Z")
	if ok && fraction != "" {
		fraction, ok = strings.CutPrefix(fraction, ".")
		ok = ok && fraction != "" && strings.Trim(fraction, "0123456789") == ""
	}
	return ok
}

// cleaned gives the event without secrets in its values, and with broken UTF-8
// written out, which JSON would replace without a word. What has to change is
// copied: payloads may be shared. Keys stay, so that a secret that is spelled
// like one cannot damage the line.
func cleaned(e *Event, r Redactor) *Event {
	v, changed := rewrite(reflect.ValueOf(e), false, func(own bool, s string) string {
		if r != nil && (!own || !isOwn(s)) {
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

// rewrite applies f to every string in v, with whether the field that it stands
// in is one of ours, and says whether anything changed; then it gives a copy.
func rewrite(v reflect.Value, ours bool, f func(own bool, s string) string) (reflect.Value, bool) {
	switch v.Kind() {
	case reflect.String:
		s := v.String()
		clean := f(ours, s)
		if clean == s {
			return v, false
		}
		return reflect.ValueOf(clean).Convert(v.Type()), true
	case reflect.Pointer:
		if v.IsNil() {
			return v, false
		}
		elem, changed := rewrite(v.Elem(), ours, f)
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
			elem, changed := rewrite(v.Index(i), ours, f)
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
			elem, changed := rewrite(it.Value(), own[it.Key().String()], f)
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

func rewriteStruct(v reflect.Value, f func(own bool, s string) string) (reflect.Value, bool) {
	out, any := v, false
	ours := ownFields(v.Type())
	for i := range v.NumField() {
		elem, changed := rewrite(v.Field(i), ours[i], f)
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

var ownOf sync.Map // by reflect.Type: []bool

// ownFields says of each field of a struct whether it is one of ours.
func ownFields(t reflect.Type) []bool {
	if known, ok := ownOf.Load(t); ok {
		return known.([]bool) //nolint:forcetypeassert // nothing else is stored
	}
	ours := make([]bool, t.NumField())
	for i := range ours {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		ours[i] = own[name]
	}
	ownOf.Store(t, ours)
	return ours
}
