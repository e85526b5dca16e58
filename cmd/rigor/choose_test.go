package main

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/matrix"
)

// A name that is given twice makes one run.
func TestChooseTakesEachOnce(t *testing.T) {
	b, err := virtualBed()
	require.NoError(t, err)
	runs, err := (&validateCmd{Only: []string{"default-ssh", "hardened", "default-ssh", "hardened"}}).choose(b)
	require.NoError(t, err)
	assert.Equal(t, []matrix.Run{{Kind: matrix.Weakness, Name: "default-ssh"}, {Kind: matrix.Hardened}}, runs)
}

// Each weakness and each fault of the gateway is of a family, and a family is its
// own alone.
func TestChooseByFamily(t *testing.T) {
	b, err := gatewayBed()
	require.NoError(t, err)
	all, err := (&validateCmd{}).choose(b)
	require.NoError(t, err)
	assert.Len(t, all, 1+len(b.faults)+len(b.weak))
	n := 1 // the hardened one is of none
	for family := range strings.SplitSeq(families, ", ") {
		runs, err := (&validateCmd{Family: []string{family}, Whole: true}).choose(b)
		require.NoError(t, err, family)
		n += len(runs)
		for _, r := range runs {
			assert.Equal(t, family, b.cat.Entry(&r).Family)
			assert.True(t, r.Whole)
		}
	}
	assert.Equal(t, len(all), n)
	_, err = (&validateCmd{Family: []string{"kitchen"}}).choose(b)
	require.ErrorContains(t, err, "--family kitchen: no weakness")
	_, err = (&validateCmd{Family: []string{"update"}, Only: []string{"telnet"}}).choose(b)
	require.ErrorContains(t, err, `is called "telnet"`)
}

// What is planted in the built-in device belongs to the suites that look for it.
func TestChooseBySuite(t *testing.T) {
	b, err := virtualBed()
	require.NoError(t, err)
	assert.Equal(t, []string{"console", "credential", "debugport", "identity", "network", "protection", "reset", "update"}, b.cat.Families())
	names := func(family string) (out []string) {
		runs, err := (&validateCmd{Family: []string{family}}).choose(b)
		require.NoError(t, err)
		for _, r := range runs {
			out = append(out, r.Name)
		}
		return out
	}
	assert.Contains(t, names("console"), "default-ssh", "what names no suites is looked for by those of old")
	assert.NotContains(t, names("console"), "fw-upload-leak")
	assert.Contains(t, names("update"), "fw-upload-breaks", "its cases are of it")
	assert.NotContains(t, names("console"), "fw-upload-breaks")
	assert.NotContains(t, names("console"), "", "the hardened device belongs to none")
	_, err = (&validateCmd{Family: []string{"kitchen"}}).choose(b)
	require.ErrorContains(t, err, "there are console, credential, debugport")
}

// A table that cannot be written to its file is shown nevertheless.
func TestTableIsShownWhateverBecomesOfItsFile(t *testing.T) {
	for _, format := range []string{"text", "json", "markdown"} {
		var out bytes.Buffer
		c := validateCmd{Together: 1, Format: format, Out: filepath.Join(t.TempDir(), "gone", "table.md")}
		require.ErrorContains(t, c.write(&app{out: &out}, &matrix.Result{OK: true}), "write the table")
		assert.NotEmpty(t, out.String(), format)
	}
	out := filepath.Join(t.TempDir(), "table.md")
	c := validateCmd{Together: 1, Format: "text", Out: out}
	require.Error(t, c.write(&app{out: broken{}}, &matrix.Result{OK: true}))
	assert.FileExists(t, out)
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no") }

// Every run is made, in a group or alone, and of a group no case is about two.
func TestTogetherMakesEachRunOnce(t *testing.T) {
	t.Parallel()
	beds := []func() (*bed, error){gatewayBed}
	if !testing.Short() {
		beds = append(beds, virtualBed)
	}
	for _, of := range beds {
		b, err := of()
		require.NoError(t, err)
		runs, err := (&validateCmd{}).choose(b)
		require.NoError(t, err)
		groups := longestFirst(b, runs, b.cat.Together(runs, b.planned, 4))
		assert.Less(t, len(groups), len(runs)*2/3)
		seen := make([]int, len(runs))
		for _, g := range groups {
			assert.LessOrEqual(t, len(g), 4)
			for _, i := range g {
				seen[i]++
				assert.True(t, len(g) == 1 || runs[i].Kind == matrix.Weakness, runs[i].Name)
			}
		}
		for i, n := range seen {
			assert.Equal(t, 1, n, runs[i].Name)
		}
	}
}

// What takes longest begins first, of those of which it is known; faults that wait are
// spread over the rest, and what has many cases to look at goes before what has few.
func TestLongestFirst(t *testing.T) {
	t.Parallel()
	cat, err := matrix.Parse("long.yaml", []byte(`matrix: long
hardened: {takes: 2s}
weaknesses:
  few: {cases: [a], fails: {a: leak}}
  many: {fails: {a: leak}}
  odd: {fails: {a: leak, b: leak}, cause: a}
  slow: {cases: [a], fails: {a: leak}, takes: 90s}
faults:
  quick: {}
  hangs: {takes: 7m}
`))
	require.NoError(t, err)
	b := &bed{cat: cat, planned: []string{"a", "b", "c"}, weak: []string{"few", "many", "odd", "slow"}, faults: []string{"quick", "hangs"}}
	for _, c := range []struct {
		name   string
		groups [][]string
		want   string
	}{
		{"each alone", [][]string{{""}, {"quick"}, {"hangs"}, {"few"}, {"many"}, {"odd"}, {"slow"}}, "hangs odd slow many  few quick"},
		{"a group takes what its longest does", [][]string{{""}, {"few", "slow"}, {"many", "odd"}}, "few many "},
	} {
		t.Run(c.name, func(t *testing.T) {
			runs, err := (&validateCmd{}).choose(b)
			require.NoError(t, err)
			groups := make([][]int, len(c.groups))
			for i, g := range c.groups {
				for _, name := range g {
					groups[i] = append(groups[i], slices.IndexFunc(runs, func(r matrix.Run) bool { return r.Name == name }))
				}
			}
			var order []string
			for _, g := range longestFirst(b, runs, groups) {
				order = append(order, runs[g[0]].Name)
			}
			assert.Equal(t, c.want, strings.Join(order, " "))
		})
	}
}

// The parts of a run are made at the same time, each of the same fault, and each case of
// the built-in device's long ones is in one of them.
func TestRunInParts(t *testing.T) {
	t.Parallel()
	b, err := virtualBed()
	require.NoError(t, err)
	split := 0
	for _, name := range b.faults {
		r := &matrix.Run{Kind: matrix.Fault, Name: name, Second: true}
		own := b.cat.Parts(r, b.planned, b.bracket)
		if own == nil {
			continue
		}
		split++
		of := map[string]int{} // bracket → part
		for i, part := range own {
			for _, id := range part {
				if name := b.bracket[id]; name != "" {
					was, ok := of[name]
					assert.True(t, !ok || was == i, "%s is in two parts", name)
					of[name] = i
				}
			}
		}
		assert.NotEmpty(t, of)
		var together sync.WaitGroup
		together.Add(len(own))
		inParts(r, own, func(i int, part *matrix.Run) {
			together.Done()
			together.Wait() // for the others, which are under way
			assert.Equal(t, name, part.Name)
			assert.True(t, part.Second)
			for _, id := range own[i] {
				part.Cases = append(part.Cases, matrix.Outcome{Case: id})
			}
		})
		assert.Equal(t, len(own), r.Parts)
		var ids []string
		for _, o := range r.Cases {
			ids = append(ids, o.Case)
		}
		assert.ElementsMatch(t, b.cat.Cases(r, b.planned), ids)
	}
	assert.Positive(t, split)
}

// What can be planted is listed with what it is, and a name that is none of it does not
// fill the screen with those that are.
func TestListOfWhatCanBePlanted(t *testing.T) {
	for rig, want := range map[string]string{"": "default-ssh", gatewayRig: "downgrade"} {
		var out bytes.Buffer
		require.NoError(t, (&validateCmd{Rig: rig, List: true, Together: 1}).Run(t.Context(), &app{out: &out, err: &out}))
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		assert.Greater(t, len(lines), 30)
		found := false
		for _, l := range lines {
			f := strings.Fields(l)
			require.Greater(t, len(f), 3, "%q says what it is", l)
			found = found || f[1] == want
		}
		assert.True(t, found, want)
	}
	require.ErrorContains(t, (&validateCmd{Rig: "rigs/bench.yaml", List: true, Together: 1}).Run(t.Context(), &app{}), "nothing is planted in a golden unit")
	b, err := virtualBed()
	require.NoError(t, err)
	_, err = (&validateCmd{Only: []string{"nonsense"}}).choose(b)
	require.ErrorContains(t, err, "see rigor validate --list")
	assert.Less(t, len(err.Error()), 200)
}
