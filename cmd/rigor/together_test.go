package main

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/matrix"
	"rigor/harness/verdict"
)

// A device with several weaknesses that shows what they come to is a row for each; one that
// does not, or whose run breaks, is taken apart, which stays to be read.
func TestGroupIsTakenApart(t *testing.T) {
	cat, err := matrix.Parse("two.yaml", []byte("matrix: two\nweaknesses:\n  open: {fails: {a: access}}\n  shy: {fails: {b: leak}}\n"))
	require.NoError(t, err)
	b := &bed{cat: cat, planned: []string{"a", "b", "c"}}
	shows := func(r *matrix.Run, fails ...string) {
		r.Cases = nil
		for _, id := range b.planned {
			o := matrix.Outcome{Case: id, Verdict: verdict.Pass}
			for _, f := range fails {
				if name, reason, _ := strings.Cut(f, "."); name == id {
					o.Verdict, o.Reason = verdict.Fail, verdict.Reason(reason)
				}
			}
			r.Cases = append(r.Cases, o)
		}
	}
	alone := map[string]string{"open": "a.access", "shy": "b.leak"}
	for _, c := range []struct {
		name     string
		together func(*matrix.Run)
		alone    map[string]string
		made     []string
		apart    string // what is said of the group
		ok       bool
	}{
		{"as it should be", func(r *matrix.Run) { shows(r, "a.access", "b.leak") }, alone, []string{"open+shy"}, "", true},
		{"one hides the other", func(r *matrix.Run) { shows(r, "a.access") }, alone, []string{"open+shy", "open", "shy"}, "b: want fail.leak, got pass", true},
		{"both make a third fail", func(r *matrix.Run) { shows(r, "a.access", "b.leak", "c.leak") }, alone, []string{"open+shy", "open", "shy"}, "c: want pass, got fail.leak", true},
		{"the run breaks", func(r *matrix.Run) { r.Broken = "exit status 70" }, alone, []string{"open+shy", "open", "shy"}, "*: want a run with a result, got exit status 70", true},
		{"alone it is missed too", func(r *matrix.Run) { shows(r, "a.access") }, map[string]string{"open": "a.access"}, []string{"open+shy", "open", "shy"}, "b: want fail.leak, got pass", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			runs := []matrix.Run{{Kind: matrix.Weakness, Name: "open"}, {Kind: matrix.Weakness, Name: "shy"}}
			groups := cat.Together(runs, b.planned, 2)
			require.Equal(t, [][]int{{0, 1}}, groups)
			var made []string
			var said bytes.Buffer
			tell := &progress{to: &said, all: len(runs)}
			b.group(t.Context(), runs, groups[0], 0, tell, func(r *matrix.Run) {
				made = append(made, strings.Join(append([]string{r.Name}, r.With...), "+"))
				if len(r.With) > 0 {
					c.together(r)
				} else {
					shows(r, c.alone[r.Name])
				}
			})
			assert.Equal(t, c.made, made)
			res := cat.Judge(runs, b.planned, 1)
			assert.Equal(t, c.ok, res.OK)
			assert.Equal(t, len(runs), tell.done)
			if c.apart == "" {
				assert.Empty(t, tell.fell)
				assert.Equal(t, []string{"open"}, res.Rows[1].With)
				assert.Equal(t, []string{"b"}, res.Rows[1].Fails)
				return
			}
			require.Len(t, tell.fell, 1)
			assert.Equal(t, []string{"open", "shy"}, tell.fell[0].Names)
			assert.Equal(t, c.apart, tell.fell[0].Diffs[0].String())
			assert.Empty(t, res.Rows[0].With)
		})
	}
	// Interrupted, it shows nothing: no row is made of what was cut.
	ctx, cancel := context.WithCancel(t.Context())
	runs := []matrix.Run{{Kind: matrix.Weakness, Name: "open"}, {Kind: matrix.Weakness, Name: "shy"}}
	tell := &progress{to: &bytes.Buffer{}, all: 2}
	b.group(ctx, runs, []int{0, 1}, 0, tell, func(r *matrix.Run) { r.Broken = "interrupted"; cancel() })
	assert.Zero(t, tell.done)
	assert.Empty(t, tell.fell)
}

// A run that showed less than it should, and nothing wrong, is made once more alone; a
// verdict that is wrong stays, and so do many: that is not the computer.
func TestLessThanExpectedIsLookedAtOnceMore(t *testing.T) {
	cat, err := matrix.Parse("one.yaml", []byte("matrix: one\nweaknesses:\n  open: {fails: {a: access}}\n"))
	require.NoError(t, err)
	b := &bed{cat: cat, planned: []string{"a", "b"}}
	of := func(a, other verdict.Verdict) []matrix.Outcome {
		out := []matrix.Outcome{{Case: "a", Verdict: a}, {Case: "b", Verdict: other}}
		if a == verdict.Fail {
			out[0].Reason = verdict.ReasonAccess
		}
		return out
	}
	other := of(verdict.Fail, verdict.Pass)
	other[0].Reason = verdict.ReasonLeak
	for _, c := range []struct {
		name          string
		first, second []matrix.Outcome
		broken        string
		many          bool
		made          int
		word          string // of its row
	}{
		{"as it should be", of(verdict.Fail, verdict.Pass), nil, "", false, 0, "as expected"},
		{"less clear, and then not", of(verdict.Fail, verdict.Inconclusive), of(verdict.Fail, verdict.Pass), "", false, 1, "as expected"},
		{"less clear twice", of(verdict.Inconclusive, verdict.Pass), of(verdict.Inconclusive, verdict.Pass), "", false, 1, "DIFFERS"},
		{"less clear, and then wrong", of(verdict.Inconclusive, verdict.Pass), of(verdict.Pass, verdict.Pass), "", false, 1, "WRONG"},
		{"wrong", of(verdict.Pass, verdict.Pass), of(verdict.Fail, verdict.Pass), "", false, 0, "WRONG"},
		{"wrong, and less clear", of(verdict.Pass, verdict.Inconclusive), of(verdict.Fail, verdict.Pass), "", false, 0, "WRONG"},
		{"another reason", other, of(verdict.Fail, verdict.Pass), "", false, 0, "DIFFERS"},
		{"not tried", of(verdict.NotApplicable, verdict.Pass), of(verdict.Fail, verdict.Pass), "", false, 0, "DIFFERS"},
		{"broken", nil, of(verdict.Fail, verdict.Pass), "exit status 70", false, 0, "DIFFERS"},
		{"many", of(verdict.Fail, verdict.Inconclusive), of(verdict.Fail, verdict.Pass), "", true, 0, "DIFFERS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			runs := []matrix.Run{{Kind: matrix.Weakness, Name: "open", Cases: c.first, Broken: c.broken}, {Kind: matrix.Hardened, Cases: of(verdict.Pass, verdict.Pass)}}
			for range 10 {
				if c.many {
					runs = append(runs, runs[0])
				}
			}
			made := 0
			tell := &progress{to: &bytes.Buffer{}, all: len(runs)}
			b.again(t.Context(), runs, tell, func(r *matrix.Run) {
				made++
				assert.True(t, r.Second)
				r.Cases = c.second
			})
			assert.Equal(t, c.made, made)
			assert.Len(t, tell.fell, c.made, "what it showed first stays to be read")
			res := cat.Judge(runs, b.planned, 1)
			var text bytes.Buffer
			require.NoError(t, res.Text(&text))
			row := regexp.MustCompile(`(?m)^open .*`).FindString(text.String())
			assert.True(t, strings.HasSuffix(strings.TrimSpace(row), c.word), row)
		})
	}
}
