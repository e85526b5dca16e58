package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"rigor/harness/login"
)

// loginForm is a form as a page shows it.
type loginForm struct {
	method, action string
	values         url.Values // what it sends by itself: hidden fields, checked boxes, the first button
	user, password string     // names of the fields to fill in
	token          string     // <meta name="csrf-token">
	sets           bool       // it asks for a new password, or for a second one that nobody declared
}

var (
	errNoForm  = errors.New("it has no form with a field for a password")
	errNewForm = errors.New("its form is one to set a password, not to log in with one")
)

// findForm reads the form that has the password's field, with what a browser
// would send of it (HTML Living Standard 4.10.21.4).
func findForm(page []byte, cfg *FormLogin) (*loginForm, error) {
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		return nil, fmt.Errorf("read the page: %w", err)
	}
	token := ""
	var found *loginForm
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.DataAtom {
		case atom.Meta:
			if strings.EqualFold(attr(n, "name"), "csrf-token") {
				token = attr(n, "content")
			}
		case atom.Form:
			if f := readForm(n, cfg); found == nil && f.password != "" {
				found = f
			}
		}
	}
	if found == nil {
		return nil, errNoForm
	}
	if found.sets {
		return nil, errNewForm
	}
	found.token = token
	return found, nil
}

func readForm(form *html.Node, cfg *FormLogin) *loginForm { //nolint:gocognit // one case for each kind of HTML field
	f := &loginForm{method: http.MethodPost, action: attr(form, "action"), values: url.Values{}}
	if m := attr(form, "method"); m == "" || strings.EqualFold(m, "get") {
		f.method = http.MethodGet
	}
	if cfg.Action != "" {
		f.action = cfg.Action
	}
	lastText, button := "", false
	for n := range form.Descendants() {
		if n.Type != html.ElementNode || attr(n, "name") == "" || has(n, "disabled") {
			continue
		}
		name, kind, value := attr(n, "name"), strings.ToLower(attr(n, "type")), attr(n, "value")
		switch n.DataAtom {
		case atom.Input:
		case atom.Button:
			if kind == "" {
				kind = "submit"
			}
		default:
			continue
		}
		switch kind {
		case "", "text", "email", "tel", "search":
			if f.password == "" {
				lastText = name
			}
			f.values.Set(name, value)
		case "password":
			declared := false
			if f.password == "" && (cfg.Password == "" || cfg.Password == name) {
				f.password, f.user, declared = name, lastText, cfg.Password == name
			} else if _, ok := cfg.Extra[name]; ok {
				declared = true
			} else {
				f.sets = true
			}
			f.sets = f.sets || !declared && slices.Contains(strings.Fields(strings.ToLower(attr(n, "autocomplete"))), "new-password")
		case "hidden":
			f.values.Add(name, value)
		case "checkbox", "radio":
			if has(n, "checked") {
				if !has(n, "value") {
					value = "on"
				}
				f.values.Add(name, value)
			}
		case "submit":
			if !button {
				f.values.Add(name, value)
				button = true
			}
		}
	}
	if cfg.Password != "" && f.password == "" && f.values.Has(cfg.Password) {
		f.password, f.user = cfg.Password, lastText // a password asked for in a plain field
	}
	if cfg.User != "" {
		f.user = cfg.User
	}
	return f
}

// fill gives what to send. What is absent from the credential is not sent.
func (f *loginForm) fill(cfg *FormLogin, c login.Credential) url.Values {
	v := url.Values{}
	for k, list := range f.values {
		v[k] = append([]string(nil), list...)
	}
	for k, value := range cfg.Extra {
		v.Set(k, value)
	}
	v.Del(f.user)
	v.Del(f.password)
	if !c.NoUser && f.user != "" {
		v.Set(f.user, c.User)
	}
	if !c.NoPassword {
		v.Set(f.password, c.Password)
	}
	return v
}

var passwordField = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)<input\b[^>]{0,400}\btype\s*=\s*["']?password\b`)
})

func hasPasswordField(page []byte) bool { return passwordField().Match(page) }

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, key string) bool {
	for _, a := range n.Attr {
		if a.Key == key {
			return true
		}
	}
	return false
}

// parsePath reads "$.data.tokens[0].value": keys and numbers, no more of
// JSONPath (RFC 9535) than a login's answer needs. Steps are string or int.
func parsePath(path string) ([]any, error) {
	if path == "" {
		return nil, nil
	}
	rest, ok := strings.CutPrefix(path, "$")
	if !ok || rest == "" {
		return nil, fmt.Errorf("%q has to begin with $. and name a place, such as $.data.token", path)
	}
	var steps []any
	for rest != "" {
		switch rest[0] {
		case '.':
			rest = rest[1:]
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			if end == 0 {
				return nil, fmt.Errorf("%q has an empty key", path)
			}
			steps, rest = append(steps, rest[:end]), rest[end:]
		case '[':
			number, after, ok := strings.Cut(rest[1:], "]")
			n, err := strconv.Atoi(number)
			if !ok || err != nil || n < 0 {
				return nil, fmt.Errorf("%q has a bad index", path)
			}
			steps, rest = append(steps, n), after
		default:
			return nil, fmt.Errorf("%q has neither . nor [ at %q", path, rest)
		}
	}
	return steps, nil
}

// lookup gives the text or number at a path of a JSON document.
func lookup(body []byte, path string) (string, bool) {
	steps, err := parsePath(path)
	if err != nil || len(steps) == 0 {
		return "", false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var at any
	if d.Decode(&at) != nil {
		return "", false
	}
	for _, step := range steps {
		switch s := step.(type) {
		case string:
			object, ok := at.(map[string]any)
			if !ok {
				return "", false
			}
			at = object[s]
		case int:
			list, ok := at.([]any)
			if !ok || s >= len(list) {
				return "", false
			}
			at = list[s]
		}
	}
	switch v := at.(type) {
	case string:
		// A header cannot carry control characters, and a token has none.
		if v == "" || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", false
		}
		return v, true
	case json.Number:
		return v.String(), true
	}
	return "", false
}
