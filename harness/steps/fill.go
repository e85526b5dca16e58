package steps

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"rigor/harness/profile"
)

// fill puts values in. What a value holds is never looked at again: a device
// cannot make us expand anything.
func (r *runner) fill(text string) (string, error) {
	return profile.Expand(text, func(name string) (string, error) {
		if v, ok := r.vars[name]; ok {
			return v, nil
		}
		v, ok, err := r.t.Value(name)
		switch {
		case err != nil:
			return "", fmt.Errorf("${%s}: %w", name, err)
		case !ok:
			return "", fmt.Errorf("${%s}: %w", name, ErrName)
		}
		if strings.HasPrefix(name, "secret.") || name == "unit.label-password" {
			r.secrets.Add(name, v)
		}
		return v, nil
	})
}

// fillAll fills in every text of a JSON value.
func (r *runner) fillAll(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return r.fill(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = r.fillAll(v[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			var err error
			if out[k], err = r.fillAll(v[k]); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

func (r *runner) form(fields map[string]string) (string, error) {
	form := url.Values{}
	for k, v := range fields {
		filled, err := r.fill(v)
		if err != nil {
			return "", err
		}
		form.Set(k, filled)
	}
	return form.Encode(), nil
}

// jsonPath gives the value at $.a.b[0] of a JSON text, as text.
func jsonPath(path string, data []byte) (string, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // a serial number keeps all its digits
	var v any
	if err := dec.Decode(&v); err != nil {
		return "", fmt.Errorf("no JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return "", errors.New("no JSON: something follows it")
	}
	rest := strings.TrimPrefix(path, "$")
	for rest != "" {
		switch rest[0] {
		case '.':
			rest = rest[1:]
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			m, ok := v.(map[string]any)
			if !ok {
				return "", fmt.Errorf("nothing is called %q there", rest[:end])
			}
			if v, ok = m[rest[:end]]; !ok {
				return "", fmt.Errorf("there is no %q", rest[:end])
			}
			rest = rest[end:]
		case '[':
			num, after, ok := strings.Cut(rest[1:], "]")
			i, err := strconv.Atoi(num)
			l, isList := v.([]any)
			if !ok || err != nil || !isList || i < 0 || i >= len(l) {
				return "", fmt.Errorf("there is no [%s]", num)
			}
			v, rest = l[i], after
		default:
			return "", fmt.Errorf("the path is not of the form $.a.b[0]")
		}
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case nil:
		return "", errors.New("it is null")
	}
	b, err := json.Marshal(v)
	return string(b), err
}
