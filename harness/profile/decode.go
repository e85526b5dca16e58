package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"rigor/harness/strictyaml"
)

// Load reads a profile from a file.
func Load(path string) (*Profile, error) {
	data, err := strictyaml.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the profile: %w", err)
	}
	return Parse(path, data)
}

// Parse reads a profile. The error is a strictyaml.Errors with every mistake
// of the file.
func Parse(name string, data []byte) (*Profile, error) {
	p := &Profile{File: name}
	src, err := strictyaml.Decode(name, data, p)
	if err != nil {
		return nil, err
	}
	p.Source = src
	sum := sha256.Sum256(data)
	p.Digest = hex.EncodeToString(sum[:])
	if errs := p.lint(); len(errs) > 0 {
		return nil, errs
	}
	if errs := src.Unfilled(maxErrors); len(errs) > 0 {
		return nil, errs
	}
	return p, nil
}

var idForm = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// UnmarshalStrict reads a mapping of named things, or {none: reason}.
func (s *Section[T]) UnmarshalStrict(n *strictyaml.Node) {
	s.Given = true
	if !n.IsMap() {
		n.Errorf(`write a mapping of names, or {none: "why there is none"}`, "the section is no mapping")
		return
	}
	keys := n.Keys()
	if none := n.Get("none"); none != nil {
		if len(keys) > 1 {
			n.Key("none").Errorf("keep one of the two", "the section declares none, and something")
			return
		}
		if none.Decode(&s.None.None, "none") && strings.TrimSpace(s.None.None) == "" {
			none.Errorf("say why there is none", "the reason is empty")
		}
		return
	}
	if len(keys) == 0 {
		n.Errorf(`name something, write {none: "why there is none"}, or take the section out`, "the section is empty")
		return
	}
	s.Items = map[string]T{}
	for _, k := range keys {
		if !idForm.MatchString(k) {
			n.Key(k).Errorf("use small letters, digits and dashes", "%q is no name", k)
			continue
		}
		var item T
		if n.Get(k).Decode(&item, k) {
			s.Items[k] = item
			s.Order = append(s.Order, k)
		}
	}
}

// UnmarshalStrict reads a pattern: a text, or {match: …} or {regexp: …} with
// quiet.
func (p *Pattern) UnmarshalStrict(n *strictyaml.Node) {
	if text, ok := n.Scalar(); ok {
		if text == "" {
			n.Errorf("write what is to be seen", "the pattern is empty")
		}
		p.Literal = text
		return
	}
	var plain struct {
		Match  string         `yaml:"match"`
		Regexp *regexp.Regexp `yaml:"regexp"`
		Quiet  duration       `yaml:"quiet"`
	}
	if !n.Decode(&plain, "the pattern") {
		return
	}
	switch {
	case plain.Match != "" && plain.Regexp != nil:
		n.Errorf("keep one of them", "the pattern has both match and regexp")
	case plain.Match == "" && plain.Regexp == nil:
		n.Errorf("write match: TEXT or regexp: EXPRESSION", "the pattern says nothing to look for")
	case plain.Regexp != nil && plain.Regexp.MatchString(""):
		n.Errorf("make it match at least one character", "the expression %q matches nothing at all as well", plain.Regexp)
	}
	p.Literal, p.Regexp, p.Quiet = plain.Match, plain.Regexp, plain.Quiet
}

// UnmarshalStrict reads true, false or anew.
func (s *Survival) UnmarshalStrict(n *strictyaml.Node) {
	text, _ := n.Scalar()
	switch v := Survival(text); v {
	case SurvivesYes, SurvivesNo, SurvivesAnew:
		*s = v
	default:
		n.Errorf("write true, false, or anew where it lasts its whole time again from the end of the boot on", "%q says nothing of whether a lock survives a restart", text)
	}
}

// UnmarshalStrict reads {clear: [ports]}, or {none: reason}.
func (t *Transport) UnmarshalStrict(n *strictyaml.Node) {
	t.Given = n.IsMap() && (n.Get("clear") != nil || n.Get("none") != nil) // {} says nothing
	var plain struct {
		None  string `yaml:"none"`
		Clear []int  `yaml:"clear"`
	}
	if n.Decode(&plain, "transport") {
		t.None.None, t.Clear = plain.None, plain.Clear
	}
}

// UnmarshalStrict reads {wrong: [labels]}, or {none: reason}.
func (s *SetupLabel) UnmarshalStrict(n *strictyaml.Node) {
	s.Given = n.IsMap() && (n.Get("wrong") != nil || n.Get("none") != nil) // {} says nothing
	var plain struct {
		None  string   `yaml:"none"`
		Wrong []string `yaml:"wrong"`
	}
	if n.Decode(&plain, "label") {
		s.None.None, s.Wrong = plain.None, plain.Wrong
	}
}

// UnmarshalStrict reads what may be told: {allow: [expressions]}, or {none:
// reason}.
func (d *Discloses) UnmarshalStrict(n *strictyaml.Node) {
	d.Given = true
	var plain struct {
		None  string           `yaml:"none"`
		Allow []*regexp.Regexp `yaml:"allow"`
	}
	if n.Decode(&plain, "discloses") {
		d.None.None, d.Allow = plain.None, plain.Allow
	}
}

// verbs are the keys of a step of which it has exactly one.
var verbs = []string{"http", "run", "console", "file", "assert", "release", "line", "power", "wait", "exec", "ask", "repeat", "serve", "copy", "transfer", "smp"}

// stepKeys are the further keys of a step, by what it does.
var stepKeys = map[string][]string{
	"http":    {"login", "as", "password", "port", "tls", "header", "json", "form", "body", "upload", "every", "interrupt", "expect", "extract", "within"},
	"run":     {"login", "as", "password", "expect", "extract", "within"},
	"console": {"send", "enter", "break", "expect", "extract", "within"},
	"file":    {"expect", "extract", "within"},
	"assert":  {"within"},
	"release": {"within"},
	"line":    {"expect", "within"},
	"power":   {"within"},
	"wait":    {"within"},
	"exec":    {"give", "expect", "extract", "within"},
	"ask":     {"expect", "extract", "within"},
	"repeat":  {"steps", "within"},

	"serve":    {},
	"copy":     {"login", "to", "by", "password", "within"},
	"transfer": {"within"},
	"smp":      {"within"},
}

// expectKeys are what a step can expect, by what it does.
var expectKeys = map[string][]string{
	"http":    {"status", "match", "not"},
	"run":     {"exit", "match", "not"},
	"console": {"seen", "match", "not"},
	"file":    {"match", "not"},
	"line":    {"asserted"},
	"exec":    {"match", "not"},
	"ask":     {"match", "not"},
}

// UnmarshalStrict reads a step and notes where it stands.
func (s *Step) UnmarshalStrict(n *strictyaml.Node) {
	type plain Step
	var p plain
	if !n.Decode(&p, "the step") {
		return
	}
	*s = Step(p)
	s.At = n.Pos().String()
	for _, v := range verbs {
		if n.Get(v) == nil {
			continue
		}
		if s.Verb != "" {
			n.Key(v).Errorf("make two steps of it", "the step does two things: %s and %s", s.Verb, v)
			return
		}
		s.Verb = v
	}
	if s.Verb == "" {
		n.Errorf("give it one of "+strings.Join(verbs, ", "), "the step does nothing")
		return
	}
	for _, k := range n.Keys() {
		if k != s.Verb && !slices.Contains(stepKeys[s.Verb], k) {
			n.Key(k).Errorf("it can have "+strings.Join(stepKeys[s.Verb], ", "), "a step of %s has no %s", s.Verb, k)
		}
	}
}

// IsLint says whether an error is what Parse found in a file, with places, and
// not that the file could not be read.
func IsLint(err error) bool {
	var errs strictyaml.Errors
	return errors.As(err, &errs)
}
