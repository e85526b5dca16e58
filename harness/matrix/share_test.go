package matrix

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a weakness is to change is always tried, and all else in one of the shares.
func TestShare(t *testing.T) {
	for _, c := range []struct {
		name, from, to string
		run            Run
		bracket        map[string]string
		want           []string // of each share; nil: all cases
	}{
		{name: "a weakness", run: Run{Kind: Weakness, Name: "late"}, want: []string{"a[ssh] b[web] c[ssh] lone", "a[web] c[ssh]", "b[ssh] c[ssh] c[web]"}},
		{name: "two in one device", run: Run{Kind: Weakness, Name: "late", With: []string{"shy"}},
			want: []string{"a[ssh] b[ssh] b[web] c[ssh] lone", "a[web] b[ssh] c[ssh] lone", "b[ssh] c[ssh] c[web] lone"}},
		{name: "a bracket stays in one", run: Run{Kind: Weakness, Name: "late"}, bracket: map[string]string{"a[ssh]": "x", "b[web]": "x", "c[web]": "x", "lone": ""},
			want: []string{"a[ssh] b[web] c[ssh] c[web]", "a[web] c[ssh] lone", "b[ssh] c[ssh]"}},
		{name: "a fault", run: Run{Kind: Fault, Name: "cut"}, want: []string{"a[ssh] b[web] c[ssh] lone", "a[ssh] a[web] c[ssh] lone", "a[ssh] b[ssh] c[ssh] c[web] lone"}},
		{name: "of a suite's cases", from: "late: {", to: "late: {suites: [s], ", run: Run{Kind: Weakness, Name: "late"},
			want: []string{"a[ssh] b[web] c[ssh] lone", "a[web] c[ssh]", "b[ssh] c[ssh] c[web]"}},
		{name: "the hardened device has all", run: Run{Kind: Hardened}},
		{name: "a fault that counts the cases", run: Run{Kind: Fault, Name: "dies"}},
		{name: "a change that nothing may mind", run: Run{Kind: Weakness, Name: "same"}, want: []string{"a[ssh] b[web] lone", "a[web] c[ssh]", "b[ssh] c[web]"}},
		{name: "one that is asked for with all", run: Run{Kind: Weakness, Name: "late", Whole: true}},
		{name: "one that names its cases", from: "late: {", to: "late: {cases: ['c[ssh]', lone], ", run: Run{Kind: Weakness, Name: "late"}},
		{name: "one that leans on other cases", from: "late: {", to: "late: {leans: what a leaves behind, ", run: Run{Kind: Weakness, Name: "late"}},
		{name: "one beside it", from: "late: {", to: "late: {leans: what a leaves behind, ", run: Run{Kind: Weakness, Name: "shy", With: []string{"late"}}},
		{name: "nothing of that name", run: Run{Kind: Weakness, Name: "none"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cat := parse(t, strings.Replace(small, c.from, c.to, 1))
			require.NoError(t, cat.Lint(known()))
			tried := map[string]bool{}
			for n := range 3 {
				got := cat.Share(&c.run, cases, c.bracket, n, 3)
				if c.want == nil {
					assert.Nil(t, got)
					continue
				}
				assert.Equal(t, c.want[n], strings.Join(got, " "))
				assert.Equal(t, got, cat.Share(&c.run, cases, c.bracket, n+3, 3), "the next round")
				for _, id := range got {
					tried[id] = true
				}
			}
			if c.want != nil {
				assert.Len(t, tried, len(cases), "a case has its turn in no share")
			}
		})
	}
	assert.Nil(t, parse(t, small).Share(&Run{Kind: Weakness, Name: "late"}, cases, nil, 0, 1), "one share is all")
}

// A run of a share is held against what it had: a wrong verdict there counts, what it left
// out does not, and one that it should have had does.
func TestCompareShare(t *testing.T) {
	cat := parse(t, small)
	require.NoError(t, cat.Lint(known()))
	r := run(Weakness, "late", map[string]string{"c[ssh]": "fail.access", "lone": "fail.leak", "a[web]": "fail.leak"})
	r.Only = []string{"a[ssh]", "c[ssh]", "lone"}
	diffs := cat.Compare(r, cases)
	require.Len(t, diffs, 1, "%v", diffs)
	assert.Equal(t, "lone", diffs[0].Case)
	assert.True(t, diffs[0].False)

	r.Cases = slices.DeleteFunc(r.Cases, func(o Outcome) bool { return o.Case != "c[ssh]" })
	assert.Len(t, cat.Compare(r, cases), 2, "what was to be in the run is not")

	r = run(Weakness, "late", map[string]string{"c[ssh]": "fail.access"})
	r.Only = []string{"a[ssh]", "c[ssh]"}
	res := cat.Judge([]Run{*r}, cases, 1)
	assert.True(t, res.OK)
	assert.True(t, res.Part)
	assert.Equal(t, "1 fail, 1 pass", res.Rows[0].counts())
	res.Share = "1/3"
	assert.Contains(t, res.summary(), "of 7 cases those that each one names, and of those that are to stay as they are the share 1/3")
}
