package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"rigor/harness/journal"
	"rigor/harness/runner"
	"rigor/harness/verdict"
)

// quick are cases that cost little; on the open device some of
// them fail.
var quick = []string{"cred-blank[api]", "cred-change[api]", "cred-derivable", "cred-enum[api]", "cred-policy", "cred-unique",
	"cred-transport[api]", "idn-model-fw", "log-auth-events[api]", "net-info[web]"}

// A section is a key of a file, by its path.
type section struct {
	file string
	path []string
}

func (s section) String() string { return s.file + " " + strings.Join(s.path, ".") }

// sections lists the keys of a file's first two levels.
func sections(t *testing.T, file, text string) (out []section) {
	t.Helper()
	var doc yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(text), &doc))
	var walk func(n *yaml.Node, at []string)
	walk = func(n *yaml.Node, at []string) {
		if n.Kind != yaml.MappingNode || len(at) == 2 {
			return
		}
		for i := 0; i < len(n.Content); i += 2 {
			path := append(slices.Clone(at), n.Content[i].Value)
			out = append(out, section{file, path})
			walk(n.Content[i+1], path)
		}
	}
	walk(doc.Content[0], nil)
	return out
}

// without gives a text without one of its keys.
func without(t testing.TB, text string, path []string) string {
	t.Helper()
	var doc yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(text), &doc))
	n := doc.Content[0]
	for depth, key := range path {
		i := 0
		for n.Content[i].Value != key {
			i += 2
		}
		if depth == len(path)-1 {
			n.Content = slices.Delete(n.Content, i, i+2)
			break
		}
		n = n.Content[i+1]
	}
	out, err := yaml.Marshal(&doc)
	require.NoError(t, err)
	return string(out)
}

// A run with one section of its rig or profile taken out ends with a clear
// error, or reports as many cases, none of which looks better than before. What
// stands in a section is taken out piece by piece where CI is set: it is a
// hundred runs, and suites.TestSections does it for the plan. RIGOR_SECTIONS=1/3
// has the first of three shares of these pieces.
func TestRunWithoutASectionGetsNoGreener(t *testing.T) {
	if testing.Short() {
		t.Skip("whole runs; left out by -short")
	}
	t.Parallel()
	texts := map[string]string{"rig.yaml": builtin(t, "virtual-open.yaml"), "profiles/virtual.yaml": builtin(t, "profiles/virtual.yaml")}
	all := append(sections(t, "rig.yaml", texts["rig.yaml"]), sections(t, "profiles/virtual.yaml", texts["profiles/virtual.yaml"])...)
	all = slices.DeleteFunc(all, func(s section) bool { return s.path[0] == "virtual" }) // the weaknesses
	require.Greater(t, len(all), 50)
	nth, of, n := 1, 1, 0
	if share := os.Getenv("RIGOR_SECTIONS"); share != "" {
		_, err := fmt.Sscanf(share, "%d/%d", &nth, &of)
		require.NoError(t, err, share)
		require.True(t, 1 <= nth && nth <= of, share)
	}
	all = slices.DeleteFunc(all, func(s section) bool {
		if len(s.path) == 1 {
			return false
		}
		n++
		return os.Getenv("CI") == "" || n%of != nth%of
	})
	code, whole, text := runWithout(t, texts, section{})
	require.Equal(t, verdict.ExitFail, code, text)
	require.NotNil(t, whole)
	for _, s := range all {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			heavy(t)
			code, res, text := runWithout(t, texts, s)
			if code == verdict.ExitUsage {
				assert.Regexp(t, `rigor: \S+:\d+:\d+: \S`, text)
				assert.Nil(t, res, "an error and a run")
				return
			}
			require.NotNil(t, res, text)
			assert.Equal(t, whole.Planned, res.Planned, "planned cases")
			assert.Len(t, res.Cases, len(whole.Cases), "reported cases")
			for i := range whole.Cases {
				was := &whole.Cases[i]
				now := caseOf(res, was.ID)
				if assert.NotNil(t, now, "%s is gone", was.ID) {
					assert.False(t, greener(was.Verdict(), now.Verdict()), "%s was %s, and is %s now", was.ID, was.Judgement, now.Judgement)
				}
			}
		})
	}
}

// greener says whether what was not good is good now. What passed and does not
// apply now is less said, not more; so is a failure that is not looked for.
func greener(was, now verdict.Verdict) bool {
	good := func(v verdict.Verdict) bool { return v == verdict.Pass || v == verdict.NotApplicable }
	return !good(was) && good(now) || was == verdict.NotApplicable && now == verdict.Pass
}

func caseOf(res *journal.Result, id string) *journal.Case {
	for i := range res.Cases {
		if res.Cases[i].ID == id {
			return &res.Cases[i]
		}
	}
	return nil
}

// runWithout runs the quick cases with one section taken out. The result is nil
// where there is no run.
func runWithout(t *testing.T, texts map[string]string, s section) (code int, res *journal.Result, said string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "profiles"), 0o700))
	for name, text := range texts {
		if name == s.file {
			text = without(t, text, s.path)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	b := &bench{dir: dir, env: home(dir)}
	out := filepath.Join(dir, "run")
	r := output(t, b.command(append([]string{"run", "--rig", "rig.yaml", "--out", out}, quick...)...))
	if _, err := os.Stat(out); err != nil {
		return r.code, nil, fmt.Sprint(r)
	}
	res, err := runner.Load(out)
	require.NoError(t, err)
	return r.code, res, fmt.Sprint(r)
}
