package baseline_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/verdict"
)

func TestClauseString(t *testing.T) {
	assert.Equal(t, "NISTIR8259A LA-2", nist8259a.LA2.String())
	assert.Equal(t, "NISTIR8259A CSA-1 (unverified)", nist8259a.CSA1.String())
	assert.Equal(t, "EN303645 V3.1.3 5.6-4A", en303645.V3("5.6-4A").String())
	assert.Equal(t, "EN303645 V2.1.1 5.6-4", en303645.V2("5.6-4").String())
}

func TestEditionsDiffer(t *testing.T) {
	for _, id := range []string{"5.6-4", "5.3-4", "5.3-6", "5.3-15"} {
		assert.NotPanics(t, func() { en303645.V2(id) })
		assert.Panics(t, func() { en303645.V3(id) }, id)
	}
	for _, id := range []string{"5.1-2A", "5.6-4A", "5.6-4B", "5.3-4A", "5.3-15B"} {
		assert.NotPanics(t, func() { en303645.V3(id) })
		assert.Panics(t, func() { en303645.V2(id) }, id)
	}
	assert.Panics(t, func() { en18031.Code("AUM-9") })
}

func TestNames(t *testing.T) {
	cs := []baseline.Clause{nist8259a.LA2, en303645.V3("5.1-1")}
	for sel, want := range map[string]bool{
		"LA-2": true, "la-2": true, "NISTIR8259A:LA-2": true, "5.1-1": true, "EN303645:5.1-1": true, "en303645:v3.1.3:5.1-1": true, "NISTIR8259A LA-2": true, "EN303645 V3.1.3 5.1-1 (unverified)": true,
		"LA-1": false, "EN303645:V2.1.1:5.1-1": false, "EN18031:5.1-1": false, "": false, "EN303645": false, "NISTIR8259A::LA-2": false,
	} {
		assert.Equal(t, want, baseline.Names(cs, sel), sel)
	}
	for _, c := range cs {
		assert.True(t, c.Named(c.Selector()))
	}
}

func TestPerChannel(t *testing.T) {
	p := baseline.PerChannel{baseline.Network: {nist8259a.LA2, nist8259a.LA3}, baseline.Local: {nist8259a.LA1, nist8259a.LA3}}
	assert.Equal(t, []baseline.Clause{nist8259a.LA2, nist8259a.LA3}, p.For(baseline.Network))
	assert.Equal(t, []baseline.Clause{nist8259a.LA2, nist8259a.LA3, nist8259a.LA1}, p.All())
	e := baseline.Everywhere(nist8259a.ID1)
	assert.Equal(t, e.For(baseline.Network), e.For(baseline.Local))
	assert.Equal(t, "network local", baseline.Network.String()+" "+baseline.Local.String())
	assert.Equal(t, "kind of channel 7", baseline.ChannelKind(7).String())
}

func TestCoverWords(t *testing.T) {
	const cl = "NISTIR8259A LA-2"
	one := func(v verdict.Verdict, r verdict.Reason) baseline.Tested {
		return baseline.Tested{Case: string(v) + "." + string(r), Clauses: []string{cl}, Verdict: v, Reason: r}
	}
	pass, fail := one(verdict.Pass, ""), one(verdict.Fail, verdict.ReasonAccess)
	open, broken := one(verdict.Inconclusive, verdict.ReasonControlFailed), one(verdict.Error, verdict.ReasonFault)
	na, lacks := one(verdict.NotApplicable, verdict.ReasonDeclaredNone), one(verdict.NotApplicable, verdict.ReasonLacks)
	left, waived := one(verdict.NotApplicable, verdict.ReasonNotSelected), one(verdict.NotApplicable, verdict.ReasonWaived)
	for _, tc := range []struct {
		name  string
		cases []baseline.Tested
		want  baseline.Word
	}{
		{"a pass", []baseline.Tested{pass}, "no finding in what was tested"},
		{"a failure wins", []baseline.Tested{pass, open, fail, broken}, "finding"},
		{"a waived failure is one", []baseline.Tested{pass, waived}, "finding"},
		{"a pass and something open", []baseline.Tested{pass, open}, "partly tested"},
		{"a pass and an error", []baseline.Tested{pass, broken}, "partly tested"},
		{"a pass and what the rig lacks", []baseline.Tested{pass, lacks}, "partly tested"},
		{"a pass and what was left out", []baseline.Tested{pass, left}, "partly tested"},
		{"a pass and nothing to test", []baseline.Tested{pass, na}, "no finding in what was tested"},
		{"open alone", []baseline.Tested{open, broken}, "not tested"},
		{"nothing to test alone", []baseline.Tested{na}, "not tested"},
		{"a verdict that nobody knows", []baseline.Tested{pass, one("odd", "")}, "partly tested"},
		{"no verdict", []baseline.Tested{one("", "")}, "not tested"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rows := baseline.Cover(tc.cases)
			require.Len(t, rows, 1)
			assert.Equal(t, tc.want, rows[0].Word)
			assert.Len(t, slices.Concat(rows[0].Findings, rows[0].Passed, rows[0].Open, rows[0].NotApplicable), len(tc.cases), "no case is lost")
			assert.NotContains(t, strings.ToLower(string(rows[0].Word)+rows[0].Remains), " met")
			assert.NotEmpty(t, rows[0].Remains)
			slices.Reverse(tc.cases)
			assert.Equal(t, tc.want, baseline.Cover(tc.cases)[0].Word, "in any order")
		})
	}
}

// One case less never makes a clause look better, but for a failure that is
// taken away.
func TestCoverDoesNotGetGreener(t *testing.T) {
	rank := map[baseline.Word]int{baseline.NotTested: 0, baseline.PartlyTested: 1, baseline.NoFinding: 2}
	kinds := []baseline.Tested{
		{Case: "p", Verdict: verdict.Pass}, {Case: "i", Verdict: verdict.Inconclusive}, {Case: "n", Verdict: verdict.NotApplicable, Reason: verdict.ReasonDeclaredNone}, {Case: "l", Verdict: verdict.NotApplicable, Reason: verdict.ReasonLacks},
	}
	for i := range kinds {
		kinds[i].Clauses = []string{"c"}
	}
	for mask := range 1 << len(kinds) {
		var cases []baseline.Tested
		for i, k := range kinds {
			if mask>>i&1 == 1 {
				cases = append(cases, k)
			}
		}
		if len(cases) == 0 {
			continue
		}
		before := baseline.Cover(cases)[0].Word
		for i, k := range cases {
			worse := slices.Clone(cases)
			worse[i].Verdict, worse[i].Reason = verdict.Inconclusive, verdict.ReasonPrecondition
			after := baseline.Cover(worse)[0].Word
			assert.LessOrEqual(t, rank[after], rank[before], "%s becomes inconclusive", k.Case)
		}
	}
}

func TestCoverRows(t *testing.T) {
	rows := baseline.Cover([]baseline.Tested{
		{Case: "a", Clauses: []string{"EN303645 V3.1.3 5.10-1", "EN303645 V3.1.3 5.2-1"}, Verdict: verdict.Pass},
		{Case: "b", Clauses: []string{"EN303645 V3.1.3 5.2-1"}, Verdict: verdict.Fail},
		{Case: "c", Clauses: nil, Verdict: verdict.Fail},
	}, nist8259a.LA2, en303645.V3("5.2-1"))
	got := map[string]baseline.Word{}
	var order []string
	for _, r := range rows {
		got[r.Clause], order = r.Word, append(order, r.Clause)
	}
	assert.Equal(t, []string{"EN303645 V3.1.3 5.2-1", "EN303645 V3.1.3 5.10-1", "NISTIR8259A LA-2"}, order, "numbers count as numbers")
	assert.Equal(t, map[string]baseline.Word{"EN303645 V3.1.3 5.2-1": baseline.Finding, "EN303645 V3.1.3 5.10-1": baseline.NoFinding, "NISTIR8259A LA-2": baseline.NotTested}, got)
	assert.Contains(t, rows[2].Remains, "no check bears on it")
	assert.Empty(t, baseline.Cover(nil))
}
