package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// Redactor takes values that must not be seen in any output.
type Redactor interface {
	Add(name, value string)
}

// maxSecret bounds a secret's file; it is larger than any password or key
// phrase that a console or a form takes.
const maxSecret = 64 << 10

// Secrets holds the values that the rig file refers to. Its errors name a
// secret and never hold a value.
type Secrets struct {
	value map[string]string
	err   map[string]error
	hints []string
}

// resolveSecrets reads every secret of refs (NAME → env:VAR, file:PATH, or
// SCHEME:NAME for a scheme in env.Given) and hands the values to env.Redact.
// The error joins what could not be resolved; the rest is usable.
func resolveSecrets(refs map[string]string, env Env) (*Secrets, error) {
	s := &Secrets{value: map[string]string{}, err: map[string]error{}}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		v, err := s.resolve(refs[name], env)
		if err == nil && v == "" {
			err = fmt.Errorf("%s is empty", refs[name])
		}
		if err == nil {
			err = typable(refs[name], v)
		}
		if err != nil {
			err = fmt.Errorf("secrets.%s: %w", name, err)
			s.err[name] = err
			errs = append(errs, err)
			continue
		}
		s.value[name] = v
		if env.Redact != nil {
			env.Redact.Add(name, v)
		}
	}
	return s, errors.Join(errs...)
}

// Sources gives an Env that also knows the secrets that a program prints (exec:PROGRAM
// ARG …, cut at blanks) and those that a person types (ask:TEXT). Each is asked for once,
// however often what it gives is bound; what env knows already stays.
func (e Env) Sources(ctx context.Context, d Drivers) Env {
	given := maps.Clone(e.Given)
	if given == nil {
		given = map[string]func(string) (string, error){}
	}
	add := func(scheme string, from func(string) (string, error)) {
		if given[scheme] == nil {
			given[scheme] = once(from)
		}
	}
	if d.Secret != nil {
		add("exec", func(rest string) (string, error) { return d.Secret(ctx, e.Dir, strings.Fields(rest)) })
	}
	add("ask", func(rest string) (string, error) {
		if e.AskHidden == nil {
			return "", errNobody
		}
		return e.AskHidden(ctx, rest+":")
	})
	e.Given = given
	return e
}

// errNobody says that a secret is to be typed, and there is nobody to type it.
var errNobody = errors.New("a person has to type it, and there is none at a terminal")

// once remembers what was found.
func once(from func(string) (string, error)) func(string) (string, error) {
	var mu sync.Mutex
	known := map[string]string{}
	return func(rest string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if v, ok := known[rest]; ok {
			return v, nil
		}
		v, err := from(rest)
		if err == nil {
			known[rest] = v
		}
		return v, err
	}
}

// errTyped says that a secret is none that a person could type.
var errTyped = errors.New("which cannot be typed at a console, nor sent in a form")

// typable refuses what a console or a form would take for something else. The
// error says nothing of the value but where.
func typable(ref, v string) error {
	for i, r := range []rune(v) {
		switch {
		case r == '\n' || r == '\r':
			return fmt.Errorf("%s has a line break behind %d characters, %w", ref, i, errTyped)
		case unicode.IsControl(r):
			return fmt.Errorf("%s has the control character U+%04X behind %d characters, %w", ref, r, i, errTyped)
		}
	}
	return nil
}

// CheckSecrets says which secrets of a rig file cannot be read here, each with its
// place in the file: a strictyaml.Errors. Nothing is opened but what holds them.
func CheckSecrets(f *File, env Env) error {
	dir, err := filepath.Abs(env.Dir)
	if err != nil {
		return fmt.Errorf("rig %s: the folder of its file: %w", f.Name, err)
	}
	env.Dir, env.Redact = dir, nil
	s, err := resolveSecrets(f.Secrets, env)
	if err == nil {
		return nil
	}
	return s.placed(f)
}

// placed gives what could not be read, each with its place in the file and a remedy.
func (s *Secrets) placed(f *File) error {
	l := &fileLint{f: f}
	for _, name := range slices.Sorted(maps.Keys(s.err)) {
		remedy := "write the secret to that file, mode 0600"
		switch {
		case errors.Is(s.err[name], errTyped):
			remedy = "give the secret alone, on one line"
		case strings.HasPrefix(f.Secrets[name], "env:"):
			remedy = "set the variable where rigor is started"
		case strings.HasPrefix(f.Secrets[name], "exec:"):
			remedy = "let the program print the secret alone, and end with code 0"
		case strings.HasPrefix(f.Secrets[name], "ask:"):
			remedy = "start rigor at a terminal, or give env:VARIABLE or file:PATH for runs without a person"
		}
		l.errorf([]string{"secrets", name}, remedy, "%v", s.err[name])
	}
	return l.sorted()
}

func (s *Secrets) resolve(ref string, env Env) (string, error) {
	scheme, rest, ok := strings.Cut(ref, ":")
	switch given := env.Given[scheme]; {
	case !ok || rest == "":
		// The text may be the secret itself, pasted where its reference belongs.
		return "", errors.New("want env:VARIABLE, file:PATH, exec:PROGRAM or ask:TEXT, never the secret itself")
	case scheme == "env":
		lookup := env.Getenv
		if lookup == nil {
			lookup = os.LookupEnv
		}
		v, set := lookup(rest)
		if !set {
			return "", fmt.Errorf("the environment variable %s is not set", rest)
		}
		return v, nil
	case scheme == "file":
		return s.readFile(rest, env.Dir)
	case given != nil:
		v, err := given(strings.TrimSpace(rest))
		if err != nil {
			return "", fmt.Errorf("%s: %w", ref, err)
		}
		return v, nil
	}
	return "", errors.New("want env:VARIABLE, file:PATH, exec:PROGRAM or ask:TEXT: the scheme is not known here")
}

func (s *Secrets) readFile(path, dir string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	info, err := os.Stat(path) // before it is opened: a pipe that nobody writes to would not return
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		s.hints = append(s.hints, fmt.Sprintf("%s can be read by others (mode %04o): chmod 600 it", path, mode))
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxSecret {
		return "", fmt.Errorf("%s is over %d bytes: not a secret's file", path, maxSecret)
	}
	v := strings.TrimSuffix(string(b), "\n")
	return strings.TrimSuffix(v, "\r"), nil
}

// Get gives the value of the secret with this name.
func (s *Secrets) Get(name string) (string, error) {
	if s == nil {
		return "", fmt.Errorf("secret %s: the rig file has no secrets", name)
	}
	if v, ok := s.value[name]; ok {
		return v, nil
	}
	if err := s.err[name]; err != nil {
		return "", err
	}
	return "", fmt.Errorf("secret %s: not declared under secrets in the rig file", name)
}

// Value gives what a reference "secret:NAME" of a rig or profile stands for.
// An empty reference gives an empty value.
func (s *Secrets) Value(ref string) (string, error) {
	if ref == "" {
		return "", nil
	}
	name, ok := strings.CutPrefix(ref, "secret:")
	if !ok {
		return "", errors.New("want a reference secret:NAME, never the secret itself")
	}
	return s.Get(name)
}

// Names lists the secrets that have a value, in order.
func (s *Secrets) Names() []string {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.value))
}

// Hints lists what is unwise about where the secrets are kept.
func (s *Secrets) Hints() []string {
	if s == nil {
		return nil
	}
	return s.hints
}
