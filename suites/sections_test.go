package suites_test

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/verdict"
	"rigor/rigs"
	"rigor/suites"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// paths gives every mapping key of a YAML document, to this depth.
func paths(n *yaml.Node, depth int, at []string) (out [][]string) {
	if depth == 0 || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		p := append(slices.Clone(at), n.Content[i].Value)
		out = append(append(out, p), paths(n.Content[i+1], depth-1, p)...)
	}
	return out
}

// without gives the document with the key at a path taken out.
func without(t *testing.T, doc string, path []string) []byte {
	t.Helper()
	var root yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(doc), &root))
	n := root.Content[0]
	for i, key := range path {
		at := -1
		for j := 0; j+1 < len(n.Content); j += 2 {
			if n.Content[j].Value == key {
				at = j
			}
		}
		require.GreaterOrEqual(t, at, 0)
		if i == len(path)-1 {
			n.Content = slices.Delete(n.Content, at, at+2)
			break
		}
		n = n.Content[at+1]
	}
	out, err := yaml.Marshal(&root)
	require.NoError(t, err)
	return out
}

// greener says whether a case looks better than it did: what was open is closed
// or runs, or what ran does not apply any more. That a case runs which was
// declared not applicable is no gain: then the DUT itself is asked.
func greener(now, was *verdict.Judgement) bool {
	open := func(j *verdict.Judgement) bool { return j != nil && j.Verdict != verdict.NotApplicable }
	return open(was) && !open(now) || was == nil && now != nil && !open(now)
}

// TestSections: with any one section of profile or rig taken out, no case gets
// lost and none gets greener.
func TestSections(t *testing.T) {
	t.Parallel()
	file, prof, err := rigs.Load("virtual")
	require.NoError(t, err)
	whole := plan(t, file, prof)
	require.NotEmpty(t, whole)

	text := textOf(t, "profiles/virtual.yaml")
	tried := 0
	for i, path := range keysOf(t, text, 3) {
		if testing.Short() && len(path) > 1 && i%4 != 0 {
			continue // each section, and a sample of what is in them
		}
		t.Run("profile "+strings.Join(path, "."), func(t *testing.T) {
			p, err := profile.Parse("p.yaml", without(t, text, path))
			if err != nil {
				return // refused: nothing is run at all
			}
			tried++
			compare(t, whole, plan(t, file, p), path)
		})
	}
	assert.Greater(t, tried, 20)
	text = textOf(t, "virtual.yaml")
	for i, path := range keysOf(t, text, 2) {
		if testing.Short() && len(path) > 1 && i%4 != 0 {
			continue
		}
		t.Run("rig "+strings.Join(path, "."), func(t *testing.T) {
			f, err := rig.Parse("r.yaml", without(t, text, path))
			if err != nil {
				return
			}
			compare(t, whole, plan(t, f, prof), path)
		})
	}
}

func textOf(t *testing.T, name string) string {
	t.Helper()
	data, err := fs.ReadFile(rigs.Files, name)
	require.NoError(t, err)
	return string(data)
}

func keysOf(t *testing.T, text string, depth int) [][]string {
	t.Helper()
	var root yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(text), &root))
	return paths(root.Content[0], depth, nil)
}

func plan(t *testing.T, f *rig.File, p *profile.Profile) []runner.Planned {
	t.Helper()
	out, err := runner.Plan(suites.All(), runner.PlanInput(f, p), f.Lacks)
	require.NoError(t, err)
	return out
}

func compare(t *testing.T, before, after []runner.Planned, path []string) {
	t.Helper()
	got := map[string]*verdict.Judgement{}
	var ids []string
	for _, p := range after {
		got[p.ID] = p.Skip
		ids = append(ids, p.ID)
	}
	for _, p := range before {
		now, ok := got[p.ID]
		if !assert.True(t, ok, "without %v the case %s is gone: %v", path, p.ID, ids) {
			continue
		}
		assert.False(t, greener(now, p.Skip), "without %v the case %s gets greener: %s, was %s", path, p.ID, say(now), say(p.Skip))
	}
	assert.Len(t, after, len(before), "without %v", path)
}

func say(j *verdict.Judgement) string {
	if j == nil {
		return "runs"
	}
	return fmt.Sprint(j)
}
