package matrix

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/verdict"
)

func runsOf(c *Catalogue) []Run {
	runs := []Run{{Kind: Hardened}}
	for _, name := range sorted(c.Faults) {
		runs = append(runs, Run{Kind: Fault, Name: name})
	}
	for _, name := range sorted(c.Weaknesses) {
		runs = append(runs, Run{Kind: Weakness, Name: name})
	}
	return runs
}

func TestTogether(t *testing.T) {
	for _, c := range []struct {
		name, from, to string
		most           int
		want           []string
	}{
		{"two", "", "", 2, []string{"", "cut", "dies", "late+shy", "nobody", "open+soft", "same"}},
		{"many", "", "", 9, []string{"", "cut", "dies", "late+shy", "nobody", "open+same+soft"}},
		{"one that has to be alone", "late: {", "late: {alone: it stops all else, ", 9, []string{"", "cut", "dies", "late", "nobody", "open+same+soft", "shy"}},
		{"one at a time", "", "", 1, []string{"", "cut", "dies", "late", "nobody", "open", "same", "shy", "soft"}},
		{"runs of other suites", "same: {", "same: {suites: [s2], ", 9, []string{"", "cut", "dies", "late+shy", "nobody", "open+soft", "same"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cat := parse(t, strings.Replace(small, c.from, c.to, 1))
			k := known()
			k.Cases = append(slices.Clone(k.Cases), "d")
			k.Checks["d"] = "s2"
			cat.Unseen = map[string]string{"d": "for this test"}
			cat.Hardened.NotApplicable["d"] = "declared-none"
			require.NoError(t, cat.Lint(k))
			runs := runsOf(cat)
			var got []string
			for _, of := range cat.Together(runs, cases, c.most) {
				var names []string
				for _, i := range of {
					names = append(names, runs[i].Name)
				}
				got = append(got, strings.Join(names, "+"))
			}
			assert.ElementsMatch(t, c.want, got)
		})
	}
	whole := []Run{{Kind: Weakness, Name: "open", Whole: true}, {Kind: Weakness, Name: "shy", Whole: true}}
	assert.Len(t, parse(t, small).Together(whole, cases, 9), 2, "with all cases each is looked at for itself")
}

// What is planted together is seen as each of them is alone, and each row shows its own.
func TestPlantedTogether(t *testing.T) {
	cat := parse(t, small)
	require.NoError(t, cat.Lint(known()))
	both := map[string]string{"a[ssh]": "fail.access", "a[web]": "fail.leak", "b[ssh]": "inconclusive.control-failed", "lone": "fail.leak"}
	r := run(Weakness, "open", both)
	r.With = []string{"shy"}
	assert.Empty(t, cat.Compare(r, cases))
	second := *r
	second.Name, second.With = "shy", []string{"open"}
	res := cat.Judge([]Run{*r, second}, cases, 1)
	assert.True(t, res.OK)
	assert.Equal(t, []string{"a[ssh]", "a[web]"}, res.Rows[0].Fails)
	assert.Equal(t, []string{"lone"}, res.Rows[1].Fails)
	assert.Equal(t, []string{"open"}, res.Rows[1].With)
	assert.Equal(t, 1, res.Rows[1].Counts[verdict.Inconclusive])
	assert.Zero(t, res.Rows[0].Counts[verdict.Inconclusive])
	assert.Equal(t, "lone", res.Rows[1].Cause)
	assert.Contains(t, res.summary(), "up to 2 weaknesses in one device")

	for name, other := range map[string][]string{
		"lone":   {"!lone", "pass"},                  // the second is missed
		"a[ssh]": {"!a[ssh]", "pass"},                // the first is
		"b[web]": {"!b[web]", "fail.expectation"},    // they make another one fail
		"c[ssh]": {"c[ssh]", "inconclusive.bracket"}, // or unclear
	} {
		odd := run(Weakness, "open", both)
		odd.With = []string{"shy"}
		for i := range odd.Cases {
			if odd.Cases[i].Case == name {
				v, reason, _ := strings.Cut(other[1], ".")
				odd.Cases[i].Verdict, odd.Cases[i].Reason = verdict.Verdict(v), verdict.Reason(reason)
			}
		}
		assert.Equal(t, other[:1], marked(cat.Compare(odd, cases)), name)
	}
	gone := run(Weakness, "open", both)
	gone.With = []string{"who"}
	assert.Equal(t, []string{"*"}, marked(cat.Compare(gone, cases)))
}
