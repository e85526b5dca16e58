package exec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds the nesting of an answer.
const maxDepth = 32

// Decode reads exactly one JSON object into resp, in resp's own words. Beyond
// what encoding/json refuses, it refuses a key that is written twice or in
// another case, broken UTF-8, null for the whole, and anything after the object.
func Decode(out []byte, resp any) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %w", ErrAnswer, fmt.Errorf(format, args...))
	}
	out = bytes.TrimSpace(out)
	switch {
	case len(out) == 0:
		return bad("empty")
	case !utf8.Valid(out):
		return bad("broken UTF-8")
	case out[0] != '{':
		return bad("no JSON object")
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	if err := walk(dec, reflect.TypeOf(resp), 0); err != nil {
		return bad("%w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return bad("more than one JSON object")
	}
	strict := json.NewDecoder(bytes.NewReader(out))
	strict.DisallowUnknownFields()
	if err := strict.Decode(resp); err != nil {
		return bad("%w", err)
	}
	return nil
}

// walk reads one value and checks the keys of its objects against t, as far as
// t says what keys there are.
func walk(dec *json.Decoder, t reflect.Type, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	switch tok {
	case json.Delim('['):
		for dec.More() {
			if err := walk(dec, element(t), depth+1); err != nil {
				return err
			}
		}
	case json.Delim('{'):
		seen := map[string]bool{}
		for dec.More() {
			tok, err := dec.Token()
			if err != nil {
				return err
			}
			key, _ := tok.(string) // the decoder admits nothing else here
			if seen[key] {
				return fmt.Errorf("key %q twice", key)
			}
			seen[key] = true
			next, err := field(t, key)
			if err != nil {
				return err
			}
			if err := walk(dec, next, depth+1); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = dec.Token() // the closing delimiter
	return err
}

// element is the type of a list's members, nil where t does not say.
func element(t reflect.Type) reflect.Type {
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		return t.Elem()
	}
	return nil
}

// field is the type that belongs to a key, nil where t does not say.
func field(t reflect.Type, key string) (reflect.Type, error) {
	if t == nil {
		return nil, nil
	}
	if t.Kind() == reflect.Map {
		return t.Elem(), nil
	}
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(unmarshaler) {
		return nil, nil
	}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		if name == key && f.IsExported() {
			return f.Type, nil
		}
	}
	return nil, fmt.Errorf("unknown field %q", key)
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()
