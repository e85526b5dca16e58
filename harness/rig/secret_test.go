package rig

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type redacted map[string]string

func (r redacted) Add(name, value string) { r[name] = value }

func TestSecretsAreResolvedAndRedacted(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "label"), []byte("from file \r\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "open"), []byte("x1y2\n"), 0o644))
	seen := redacted{}
	s, err := resolveSecrets(map[string]string{"a": "env:A", "b": "file:label", "c": "virtual:owner", "d": "file:" + filepath.Join(dir, "open")}, Env{
		Dir:    dir,
		Getenv: func(name string) (string, bool) { return "from " + name, true },
		Given:  map[string]func(string) (string, error){"virtual": func(n string) (string, error) { return "v-" + n, nil }},
		Redact: seen,
	})
	require.NoError(t, err)
	want := redacted{"a": "from A", "b": "from file ", "c": "v-owner", "d": "x1y2"}
	assert.Equal(t, want, seen)
	assert.Equal(t, []string{"a", "b", "c", "d"}, s.Names())
	for name, value := range want {
		got, err := s.Value("secret:" + name)
		require.NoError(t, err)
		assert.Equal(t, value, got)
	}
	require.Len(t, s.Hints(), 1)
	assert.Contains(t, s.Hints()[0], "open can be read by others (mode 0644): chmod 600 it")

	empty, err := s.Value("")
	require.NoError(t, err)
	assert.Empty(t, empty)
	_, err = s.Value("secret:zzz")
	assert.EqualError(t, err, "secret zzz: not declared under secrets in the rig file")
	_, err = (*Secrets)(nil).Get("a")
	assert.Error(t, err)
}

// TestSecretSources: a program prints a secret, a person types one, each once.
func TestSecretSources(t *testing.T) {
	var ran [][]string
	asked := 0
	env := Env{Dir: "/rig", AskHidden: func(_ context.Context, q string) (string, error) {
		asked++
		return "typed for " + q, nil
	}}.Sources(t.Context(), Drivers{Secret: func(_ context.Context, dir string, argv []string) (string, error) {
		ran = append(ran, append([]string{dir}, argv...))
		if argv[0] == "broken" {
			return "", errors.New("exit status 1")
		}
		return "printed", nil
	}})
	refs := map[string]string{"a": "exec:pass show acme/operator", "b": "ask: the PIN of the door", "c": "exec:pass show acme/operator"}
	for range 2 {
		s, err := resolveSecrets(refs, env.Sources(t.Context(), Drivers{}))
		require.NoError(t, err)
		assert.Equal(t, map[string]string{"a": "printed", "b": "typed for the PIN of the door:", "c": "printed"}, s.value)
	}
	assert.Equal(t, [][]string{{"/rig", "pass", "show", "acme/operator"}}, ran)
	assert.Equal(t, 1, asked)
	_, err := resolveSecrets(map[string]string{"s": "exec:broken"}, env)
	require.EqualError(t, err, "secrets.s: exec:broken: exit status 1")

	f, err := Parse("r.yaml", []byte("rig: r\nprofile: p.yaml\nsecrets: {pin: 'ask:the PIN'}\n"))
	require.NoError(t, err)
	err = CheckSecrets(f, Env{}.Sources(t.Context(), Drivers{}))
	require.EqualError(t, err, "r.yaml:3:11: secrets.pin: ask:the PIN: a person has to type it, and there is none at a terminal; start rigor at a terminal, or give env:VARIABLE or file:PATH for runs without a person")
}

func TestSecretErrorsNameTheReferenceOnly(t *testing.T) {
	const value = "hunter2-very-secret"
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "big"), []byte(strings.Repeat(value, 10000)), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "empty"), []byte("\n"), 0o600))
	for name, text := range map[string]string{"two-lines": value + "\nmore\n", "nul": value + "\x00", "tab": "\t" + value, "mac": value + "\r\r\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	tests := []struct{ ref, want string }{
		{"file:two-lines", "secrets.s: file:two-lines has a line break behind 19 characters, which cannot be typed at a console, nor sent in a form"},
		{"file:nul", "secrets.s: file:nul has the control character U+0000 behind 19 characters, which cannot be typed at a console, nor sent in a form"},
		{"file:tab", "secrets.s: file:tab has the control character U+0009 behind 0 characters, which cannot be typed at a console, nor sent in a form"},
		{"file:mac", "secrets.s: file:mac has a line break behind 19 characters, which cannot be typed at a console, nor sent in a form"},
		{value, "secrets.s: want env:VARIABLE, file:PATH, exec:PROGRAM or ask:TEXT, never the secret itself"},
		{value + ":x", "secrets.s: want env:VARIABLE, file:PATH, exec:PROGRAM or ask:TEXT: the scheme is not known here"},
		{"env:", "secrets.s: want env:VARIABLE, file:PATH, exec:PROGRAM or ask:TEXT, never the secret itself"},
		{"env:UNSET", "secrets.s: the environment variable UNSET is not set"},
		{"env:EMPTY", "secrets.s: env:EMPTY is empty"},
		{"file:gone", "secrets.s: stat " + dir + "/gone: no such file or directory"},
		{"file:big", "secrets.s: " + dir + "/big is over 65536 bytes: not a secret's file"},
		{"file:empty", "secrets.s: file:empty is empty"},
		{"file:.", "secrets.s: " + dir + " is not a regular file"},
		{"virtual:x", "secrets.s: virtual:x: no such account"},
	}
	for _, tt := range tests {
		t.Run(tt.ref, func(t *testing.T) {
			s, err := resolveSecrets(map[string]string{"s": tt.ref}, Env{
				Dir:    dir,
				Getenv: func(name string) (string, bool) { return "", name == "EMPTY" },
				Given:  map[string]func(string) (string, error){"virtual": func(string) (string, error) { return value, errors.New("no such account") }},
			})
			require.EqualError(t, err, tt.want)
			assert.NotContains(t, err.Error(), value)
			_, err = s.Get("s")
			require.EqualError(t, err, tt.want)
		})
	}
	_, err := (&Secrets{}).Value(value)
	assert.NotContains(t, err.Error(), value)
}

func TestCheckSecretsSaysWhereOneIsThatCannotBeTyped(t *testing.T) {
	f, err := Parse("r.yaml", []byte("rig: r\nprofile: p.yaml\nsecrets:\n  good: env:GOOD\n  bad: env:BAD\n"))
	require.NoError(t, err)
	err = CheckSecrets(f, Env{Getenv: func(name string) (string, bool) {
		return map[string]string{"GOOD": "päss word", "BAD": "a\nb"}[name], true
	}})
	require.EqualError(t, err, "r.yaml:5:3: secrets.bad: env:BAD has a line break behind 1 characters, which cannot be typed at a console, nor sent in a form; give the secret alone, on one line")
}
