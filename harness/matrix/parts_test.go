package matrix

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/verdict"
)

// Each case is in one part, what shares a bracket in the same one, and what is not split
// is one run.
func TestParts(t *testing.T) {
	fault := Run{Kind: Fault, Name: "cut"}
	whole := fault
	whole.Whole = true
	for _, c := range []struct {
		name    string
		entry   string // of cut, before its other keys
		run     Run
		bracket map[string]string
		want    []string // of each part
	}{
		{"no parts", "", fault, nil, nil},
		{"two", "parts: 2, ", fault, nil, []string{"a[ssh] b[ssh] c[ssh] lone", "a[web] b[web] c[web]"}},
		{"three", "parts: 3, ", fault, nil, []string{"a[ssh] b[web] lone", "a[web] c[ssh]", "b[ssh] c[web]"}},
		{"a bracket stays in one", "parts: 2, ", fault, map[string]string{"a[ssh]": "x", "a[web]": "x", "lone": "x", "b[ssh]": "y", "b[web]": ""},
			[]string{"a[ssh] a[web] b[web] c[web] lone", "b[ssh] c[ssh]"}},
		{"one bracket for all", "parts: 2, cases: ['a[*]'], ", fault, map[string]string{"a[ssh]": "x", "a[web]": "x"}, nil},
		{"more parts than cases", "parts: 9, cases: ['a[*]'], ", fault, nil, []string{"a[ssh]", "a[web]"}},
		{"one case", "parts: 2, cases: [lone], ", fault, nil, nil},
		{"cases that it names", "parts: 2, cases: ['b[*]', lone], ", fault, nil, []string{"b[ssh] lone", "b[web]"}},
		{"all of them", "parts: 2, cases: [lone], ", whole, nil, []string{"a[ssh] b[ssh] c[ssh] lone", "a[web] b[web] c[web]"}},
		{"nothing of that name", "parts: 2, ", Run{Kind: Fault, Name: "none"}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			cat := parse(t, strings.Replace(small, "  cut: {", "  cut: {"+c.entry, 1))
			var got []string
			for _, p := range cat.Parts(&c.run, cases, c.bracket) {
				got = append(got, strings.Join(p, " "))
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// What parts came to is what one run of all their cases would have come to: none of them
// is left out or taken from a part that had it not, and one without a result leaves none.
func TestJoin(t *testing.T) {
	cat := parse(t, strings.Replace(small, "  cut: {", "  cut: {parts: 2, ", 1))
	require.NoError(t, cat.Lint(known()))
	r := &Run{Kind: Fault, Name: "cut"}
	own := cat.Parts(r, cases, nil)
	seen := run(Fault, "cut", map[string]string{"a[ssh]": "error.fault", "c[ssh]": "inconclusive.control-failed", "a[web]": "fail.leak"})
	part := func(of []string) Run {
		p := Run{Kind: Fault, Name: "cut", Cases: slices.Clone(seen.Cases)}
		for i := range p.Cases {
			if !slices.Contains(of, p.Cases[i].Case) {
				p.Cases[i] = Outcome{Case: p.Cases[i].Case, Verdict: verdict.None} // it did not run there
			}
		}
		return p
	}
	parts := []Run{part(own[0]), part(own[1])}
	parts[1].Struck, parts[1].Again = []time.Time{clock(1)}, true
	r.Join(parts, own)
	assert.ElementsMatch(t, seen.Cases, r.Cases)
	assert.Equal(t, []string{"!a[web]"}, marked(cat.Compare(r, cases)))
	assert.Equal(t, 2, r.Parts)
	assert.Equal(t, parts[1].Struck, r.Struck)
	assert.True(t, r.Again)

	for i := range seen.Cases {
		if seen.Cases[i].Case == "a[web]" {
			seen.Cases[i].Verdict, seen.Cases[i].Reason = verdict.Pass, ""
		}
	}
	parts = []Run{part(own[0]), part(own[1])}
	r.Join(parts, own)
	assert.Len(t, r.Cases, len(cases), "it is no longer what it was joined of before")
	res := cat.Judge([]Run{*r}, cases, 1)
	assert.True(t, res.OK)
	assert.Equal(t, "as expected, in 2 parts", res.Rows[0].verdictOf())

	parts[0].Cases = parts[0].Cases[1:]
	r.Join(parts, own)
	assert.Equal(t, []string{"!a[ssh]"}, marked(cat.Compare(r, cases)), "a case that its part had not")

	parts[1] = Run{Kind: Fault, Name: "cut", Broken: "exit status 70"}
	r.Join(parts, own)
	ds := cat.Compare(r, cases)
	require.Len(t, ds, 1)
	assert.Equal(t, "part 2 of 2: exit status 70", ds[0].Got)
	parts[1] = part(own[1])
	r.Join(parts, own)
	assert.Empty(t, r.Broken)
}
