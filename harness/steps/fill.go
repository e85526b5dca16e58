package steps

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// reference is ${name} in a text; $${ stands for ${ itself.
var reference = regexp.MustCompile(`\$?\$\{([A-Za-z][A-Za-z0-9_.-]*)\}`)

// fill puts values in. What a value holds is never looked at again: a device
// cannot make us expand anything.
func (r *runner) fill(text string) (string, error) {
	var failed error
	out := reference.ReplaceAllStringFunc(text, func(ref string) string {
		if strings.HasPrefix(ref, "$$") {
			return ref[1:]
		}
		name := ref[2 : len(ref)-1]
		if v, ok := r.vars[name]; ok {
			return v
		}
		v, ok, err := r.t.Value(name)
		switch {
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("${%s}: %w", name, err))
		case !ok:
			failed = errors.Join(failed, fmt.Errorf("${%s}: %w", name, ErrName))
		}
		return v
	})
	return out, failed
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
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return "", fmt.Errorf("no JSON: %w", err)
	}
	rest := strings.TrimPrefix(path, "$")
	for rest != "" {
		switch {
		case rest[0] == '.':
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
		case rest[0] == '[':
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
	case nil:
		return "", errors.New("it is null")
	}
	b, err := json.Marshal(v)
	return string(b), err
}
