package program_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/login/program"
	"rigor/harness/verdict"
)

// somebody answers with these lines, and remembers what was asked.
type somebody struct {
	lines []string
	asked []string
}

func (s *somebody) ask(ctx context.Context, question string) (string, error) {
	s.asked = append(s.asked, question)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if len(s.lines) == 0 {
		return "", fmt.Errorf("nobody answered %q", question)
	}
	line := s.lines[0]
	s.lines = s.lines[1:]
	return line, nil
}

func (s *somebody) prober(t *testing.T, proof string) *program.Prober {
	t.Helper()
	cfg := program.Config{Run: program.ByPerson(s.ask, "the app", "owners-secret"), Part: part, Argv: []string{"a person"}, Name: "app"}
	if proof != "" {
		cfg.Proof = regexp.MustCompile(proof)
	}
	p, err := program.New(cfg)
	require.NoError(t, err)
	return p
}

// TestByPerson: a person's word is taken as far as what the DUT showed bears it.
func TestByPerson(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		lines []string
		proof string
		want  verdict.Kind
	}{
		{"let in", []string{"in", "Welcome, keeper"}, "", verdict.Accepted},
		{"let in, as is declared", []string{"IN ", "Welcome, keeper"}, "Welcome", verdict.Accepted},
		{"let in, and not what is declared", []string{"in", "Hello"}, "Welcome", verdict.Unproven},
		{"let in, and shown nothing", []string{"in", ""}, "", verdict.Unproven},
		{"told no", []string{"no", "Wrong PIN"}, "", verdict.Refused},
		{"told no, and shown nothing", []string{"no", " "}, "", verdict.Unproven},
		{"locked", []string{"locked", "Locked for 5 minutes"}, "", verdict.LockedOut},
		{"not there", []string{"gone"}, "", verdict.Unreachable},
		{"a word that nobody knows, once", []string{"dunno", "no", "Wrong PIN"}, "", verdict.Refused},
		{"shown, and then told no", []string{"show", "no", "Wrong PIN"}, "", verdict.Refused},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &somebody{lines: c.lines}
			o, err := s.prober(t, c.proof).Try(t.Context(), login.Credential{User: "keeper", Password: "owners-secret"})
			require.NoError(t, err)
			assert.Equal(t, c.want, o.Kind, o.Detail)
			assert.Equal(t, c.lines[0] == "show", strings.Contains(strings.Join(s.asked, "\n"), "owners-secret"), "it is shown to who asks for it")
		})
	}
}

// TestByPersonTells what is to be tried: no more than is to be sent.
func TestByPersonTells(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		c         login.Credential
		want, not string
	}{
		{login.Nobody, "without any login", "user"},
		{login.Credential{User: "admin", Password: "1234 "}, `user "admin", password "1234 "`, "show"},
		{login.Credential{User: "admin", Password: ""}, `password ""`, "show"},
		{login.Credential{User: "admin", NoPassword: true}, `user "admin".`, "password \""},
	} {
		s := &somebody{lines: []string{"no", "Wrong PIN"}}
		_, err := s.prober(t, "").Try(t.Context(), c.c)
		require.NoError(t, err)
		assert.Contains(t, s.asked[0], c.want)
		assert.NotContains(t, s.asked[0], c.not)
	}
}

// TestByPersonKeepsSecrets: what goes wrong with the asking is told without what was
// asked.
func TestByPersonKeepsSecrets(t *testing.T) {
	t.Parallel()
	s := &somebody{}
	_, err := s.prober(t, "").Try(t.Context(), login.Credential{User: "keeper", Password: "hunter2-longer"})
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "hunter2")
	assert.NotContains(t, fmt.Sprintf("%v", err), "nobody answered \"")

	s = &somebody{lines: []string{"a", "b", "c", "d"}}
	_, err = s.prober(t, "").Try(t.Context(), login.Credential{User: "keeper", Password: "hunter2-longer"})
	require.Error(t, err)
	assert.Len(t, s.asked, 3)
	assert.NotContains(t, err.Error(), "hunter2")

	s = &somebody{lines: []string{"no", "no, hunter2-longer is wrong"}}
	o, err := s.prober(t, "").Try(t.Context(), login.Credential{User: "keeper", Password: "hunter2-longer"})
	require.NoError(t, err)
	assert.NotContains(t, string(o.Evidence), "hunter2", "who copies it from the screen")

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("told to stop"))
	_, err = (&somebody{lines: []string{"no"}}).prober(t, "").Try(ctx, login.Nobody)
	require.ErrorContains(t, err, "told to stop")
}
