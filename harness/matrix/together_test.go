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
		{"many", "", "", 9, []string{"", "cut", "dies", "late+shy", "nobody", "open+soft", "same"}},
		{"one that has to be alone", "late: {", "late: {alone: it stops all else, ", 9, []string{"", "cut", "dies", "late", "nobody", "open+soft", "same", "shy"}},
		{"one at a time", "", "", 1, []string{"", "cut", "dies", "late", "nobody", "open", "same", "shy", "soft"}},
		{"runs of other suites", "soft: {", "soft: {suites: [s], ", 9, []string{"", "cut", "dies", "late+open+shy", "nobody", "same", "soft"}},
		{"what nobody may mind beside its like alone", "nobody: {later: no check looks there yet}", "nobody: {harmless: true}", 9, []string{"", "cut", "dies", "late+shy", "nobody+same", "open+soft"}},
		{"one that leans on cases that it does not change", "late: {", "late: {leans: what a leaves behind, ", 9, []string{"", "cut", "dies", "late", "nobody", "open+soft", "same", "shy"}},
		{"one that names its cases, among those of suites", "late: {", "late: {cases: ['c[ssh]'], ", 9, []string{"", "cut", "dies", "late", "nobody", "open+soft", "same", "shy"}},
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
	runs := []Run{*r, second}
	res := cat.Judge(slices.Clone(runs), cases, 1)
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
	// What only the other one's run has is not of its row.
	few := parse(t, strings.Replace(strings.Replace(small, "shy: {", "shy: {cases: [lone, 'b[ssh]'], ", 1), "open: {", "open: {cases: ['a[*]', 'c[*]'], ", 1))
	res = few.Judge(slices.Clone(runs), cases, 1)
	assert.True(t, res.OK)
	assert.True(t, res.Part)
	assert.Equal(t, map[verdict.Verdict]int{verdict.Fail: 2, verdict.Pass: 1, verdict.NotApplicable: 1}, res.Rows[0].Counts)
	assert.Equal(t, map[verdict.Verdict]int{verdict.Fail: 1, verdict.Inconclusive: 1}, res.Rows[1].Counts)
	assert.Equal(t, "as expected, beside 1 more", res.Rows[1].verdictOf())

	gone := run(Weakness, "open", both)
	gone.With = []string{"who"}
	assert.Equal(t, []string{"*"}, marked(cat.Compare(gone, cases)))
}

// A group that was taken apart stays to be read, whatever each of its weaknesses showed
// alone.
func TestTakenApartIsSaid(t *testing.T) {
	cat := parse(t, small)
	res := cat.Judge([]Run{*run(Hardened, "", nil)}, cases, 1)
	res.Apart = []Apart{{Names: []string{"open", "shy"}, Diffs: []Difference{{Case: "b[web]", Want: "pass", Got: "fail.access: \x1b[2J", False: true}}}}
	var text, page strings.Builder
	require.NoError(t, res.Text(&text))
	require.NoError(t, res.Markdown(&page))
	assert.Contains(t, text.String(), "not as it should be beside others, and looked at alone: open, shy\n    b[web]: want pass, got fail.access: ")
	assert.Contains(t, page.String(), "| open, shy | b\\[web\\] | pass |")
	assert.NotContains(t, text.String()+page.String(), "\x1b")
}
