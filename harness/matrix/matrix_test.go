package matrix

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/verdict"
)

var update = flag.Bool("update", false, "write the golden files anew")

const small = `
matrix: small
channels:
  ssh: ['*[ssh]']
  web: ['*[web]', lone]
hardened:
  not-applicable: {'c[web]': declared-none}
weaknesses:
  open: {fails: {'a[*]': access, 'a[web]': open-to-all|leak}, cause: a}
  shy: {unclear: {'b[ssh]': control-failed}, fails: {lone: leak}}
  soft: {fails: {'b[*]': expectation, 'c[ssh]': access}, cause: b}
  late: {fails: {'c[ssh]': access}}
  nobody: {later: no check looks there yet}
  same: {harmless: true}
faults:
  cut: {breaks: [ssh], stands: {'b[ssh]': it does not use the wire}, wavers: {lone: sometimes}}
  dies: {breaks: [ssh, web], begins: true}
`

var cases = []string{"a[ssh]", "a[web]", "b[ssh]", "b[web]", "c[ssh]", "c[web]", "lone"}

func known() Known {
	return Known{Weaknesses: []string{"open", "shy", "soft", "late", "nobody", "same"}, Faults: []string{"cut", "dies"}, Counted: []string{"dies"},
		Cases: cases, Checks: map[string]string{"a": "s", "b": "s", "c": "s", "lone": "s"}}
}

func parse(t *testing.T, text string) *Catalogue {
	t.Helper()
	c, err := Parse("small.yaml", []byte(text))
	require.NoError(t, err)
	return c
}

func TestLintTakesWhatIsComplete(t *testing.T) {
	require.NoError(t, parse(t, small).Lint(known()))
}

func TestLint(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"a weakness without an entry", "  same: {harmless: true}\n", "", "weakness same has no entry"},
		{"an entry without a weakness", "  same:", "  sane:", `has no weakness "sane"`},
		{"a fault without an entry", "  cut: {", "  cute: {", "bench fault cut has no entry"},
		{"a case that is none", "'a[web]': open", "'a[wet]': open", `no case is called "a[wet]"`},
		{"a glob of nothing", "'b[*]': exp", "'x[*]': exp", `no case is called "x[*]"`},
		{"a reason that is none", "{lone: leak}", "{lone: leek}", `"leek" is no reason`},
		{"one of two reasons that is none", "open-to-all|leak", "open-to-all|lake", `"lake" is no reason`},
		{"nothing detects it", "late: {fails: {'c[ssh]': access}}", "late: {unclear: {'c[ssh]': state}}", "nothing detects it"},
		{"a check that nothing shows to fail", "late: {fails: {'c[ssh]': access}}", "late: {fails: {'b[ssh]': access}}", "no weakness has check c as its sole failure or its cause"},
		{"two checks and no cause", ", cause: b}", "}", "cases of 2 checks fail: b, c"},
		{"a cause that does not fail", ", cause: b}", ", cause: lone}", "no case of lone is to fail"},
		{"later, and fails", "nobody: {later:", "nobody: {fails: {lone: leak}, later:", "it is to be seen later, and fails cases now"},
		{"harmless, and fails", "same: {harmless: true}", "same: {harmless: true, fails: {lone: leak}}", "it is harmless, and fails cases"},
		{"a channel that is none", "cut: {breaks: [ssh]", "cut: {breaks: [shh]", `no channel is called "shh"`},
		{"stands that is not broken", "'b[ssh]': it does", "'b[web]': it does", "none of its cases is broken"},
		{"stands without a reason", "'b[ssh]': it does not use the wire", "'b[ssh]': ''", "no reason is given"},
		{"a fault that begins and does not say so", ", begins: true", "", "begins is false"},
		{"a hardened device that fails", "not-applicable: {'c[web]': declared-none}", "fails: {'c[web]': leak}", "the hardened device fails"},
		{"cases that do not see it", "late: {", "late: {cases: [lone], ", "nothing detects it"},
		{"no cases at all", "late: {", "late: {cases: [], ", "a run without cases shows nothing"},
		{"cases that are none", "late: {", "late: {cases: ['c[*]', 'x[*]'], ", `no case is called "x[*]"`},
		{"parts of a weakness", "late: {", "late: {parts: 2, ", "its cases have one run"},
		{"one part", "cut: {", "cut: {parts: 1, ", "1 is no number of parts"},
		{"fewer than none", "cut: {", "cut: {parts: -2, ", "-2 is no number of parts"},
		{"parts of a fault that begins", "dies: {", "dies: {parts: 2, ", "begins at one moment of a run"},
		{"breaks for a weakness", "late: {", "late: {breaks: [ssh], ", "are for bench faults"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Contains(t, small, c.from)
			err := parse(t, strings.Replace(small, c.from, c.to, 1)).Lint(known())
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.want)
			assert.Regexp(t, `small\.yaml:\d+:\d+: `, err.Error())
		})
	}
}

func TestParseRefusesUnknownKeys(t *testing.T) {
	_, err := Parse("x.yaml", []byte("matrix: x\nweakness: {}\n"))
	require.ErrorContains(t, err, "x.yaml:2:1")
}

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		glob, id string
		want     bool
	}{
		{"a[ssh]", "a[ssh]", true},
		{"a[ssh]", "a[ssh2]", false},
		{"a[*]", "a[ssh]", true},
		{"a[*]", "ab[ssh]", false},
		{"*[ssh]", "cred-a[ssh]", true},
		{"*[ssh]", "cred-a[telnet]", false},
		{"cred-*[ssh]", "cred-a[ssh]", true},
		{"*", "lone", true},
		{"*a*b", "xaxb", true},
		{"*a*b", "xbxa", false},
		{"a*a", "a", false},
	} {
		assert.Equal(t, c.want, matches(c.glob, c.id), "%s %s", c.glob, c.id)
	}
}

// clock gives moments in seconds.
func clock(s float64) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(s * float64(time.Second)))
}

// run makes a run in which all is as in the hardened device but for what is
// given: "fail.access".
func run(k Kind, name string, other map[string]string) *Run {
	r := &Run{Kind: k, Name: name}
	for i, id := range cases {
		o := Outcome{Case: id, Verdict: verdict.Pass, From: clock(float64(i)), To: clock(float64(i) + 0.9)}
		if id == "c[web]" {
			o.Verdict, o.Reason = verdict.NotApplicable, verdict.ReasonDeclaredNone
			o.From, o.To = time.Time{}, time.Time{}
		}
		if s, ok := other[id]; ok {
			v, reason, _ := strings.Cut(s, ".")
			o.Verdict, o.Reason = verdict.Verdict(v), verdict.Reason(reason)
		}
		r.Cases = append(r.Cases, o)
	}
	return r
}

func TestCompare(t *testing.T) {
	unclear := "inconclusive.control-failed"
	for _, c := range []struct {
		name  string
		kind  Kind
		of    string
		cases map[string]string
		want  []string // case, "!" before it for a wrong verdict
	}{
		{"hardened", Hardened, "", nil, nil},
		{"hardened, one fails", Hardened, "", map[string]string{"lone": "fail.leak"}, []string{"!lone"}},
		{"hardened, one unclear", Hardened, "", map[string]string{"lone": unclear}, []string{"lone"}},
		{"hardened, n/a for another reason", Hardened, "", map[string]string{"c[web]": "not-applicable.lacks"}, []string{"c[web]"}},
		{"hardened, n/a that passes", Hardened, "", map[string]string{"c[web]": "pass"}, []string{"!c[web]"}},
		{"seen", Weakness, "open", map[string]string{"a[ssh]": "fail.access", "a[web]": "fail.leak"}, nil},
		{"seen, the closer key decides", Weakness, "open", map[string]string{"a[ssh]": "fail.access", "a[web]": "fail.access"}, []string{"a[web]"}},
		{"missed", Weakness, "open", nil, []string{"!a[ssh]", "!a[web]"}},
		{"unclear instead", Weakness, "open", map[string]string{"a[ssh]": unclear, "a[web]": "fail.open-to-all"}, []string{"a[ssh]"}},
		{"one more fails", Weakness, "shy", map[string]string{"lone": "fail.leak", "b[ssh]": unclear, "a[web]": "fail.leak"}, []string{"!a[web]"}},
		{"passes where it cannot know", Weakness, "shy", map[string]string{"lone": "fail.leak"}, []string{"!b[ssh]"}},
		{"for later", Weakness, "nobody", nil, nil},
		{"harmless", Weakness, "same", nil, nil},
		{"harmless, and minded", Weakness, "same", map[string]string{"b[web]": "fail.expectation"}, []string{"!b[web]"}},
		{"cut", Fault, "cut", map[string]string{"a[ssh]": "error.fault", "c[ssh]": unclear}, nil},
		{"cut, wavers", Fault, "cut", map[string]string{"a[ssh]": "error.fault", "c[ssh]": unclear, "lone": unclear}, nil},
		{"cut, wavers do not fail", Fault, "cut", map[string]string{"a[ssh]": "error.fault", "c[ssh]": unclear, "lone": "fail.leak"}, []string{"!lone"}},
		{"cut, a broken one passes", Fault, "cut", map[string]string{"a[ssh]": "error.fault"}, []string{"!c[ssh]"}},
		{"cut, a broken one fails", Fault, "cut", map[string]string{"a[ssh]": "fail.absent", "c[ssh]": unclear}, []string{"!a[ssh]"}},
		{"cut, a sound one is unclear", Fault, "cut", map[string]string{"a[ssh]": unclear, "c[ssh]": unclear, "a[web]": unclear}, []string{"a[web]"}},
		{"cut, what stands is unclear", Fault, "cut", map[string]string{"a[ssh]": unclear, "c[ssh]": unclear, "b[ssh]": unclear}, []string{"b[ssh]"}},
		{"unknown", Weakness, "none", nil, []string{"*"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, marked(parse(t, small).Compare(run(c.kind, c.of, c.cases), cases)))
		})
	}
}

func marked(ds []Difference) []string {
	var out []string
	for _, d := range ds {
		s := d.Case
		if d.False {
			s = "!" + s
		}
		out = append(out, s)
	}
	return out
}

// A fault that begins in mid run: a case that was over before it may pass.
func TestCompareStruck(t *testing.T) {
	cat := parse(t, small)
	gone := map[string]string{"b[web]": "error.fault", "c[ssh]": "error.fault", "lone": "inconclusive.dut-lost"}
	r := run(Fault, "dies", gone)
	r.Struck = []time.Time{clock(3.5)} // in b[web], the fourth
	assert.Empty(t, cat.Compare(r, cases))
	r.Struck = []time.Time{clock(2.5)} // in b[ssh], which passed
	assert.Equal(t, []string{"!b[ssh]"}, marked(cat.Compare(r, cases)))
	r.Again = true // it is over at once: what ran later passes rightly
	for i := range r.Cases {
		r.Cases[i].Verdict = verdict.Pass
	}
	r.Cases[5].Verdict, r.Cases[5].Reason = verdict.NotApplicable, verdict.ReasonDeclaredNone
	assert.Equal(t, []string{"!b[ssh]"}, marked(cat.Compare(r, cases)))

	gone["b[web]"] = "fail.dut-disabled"
	r = run(Fault, "dies", gone)
	r.Struck = []time.Time{clock(3.5)}
	assert.Equal(t, []string{"!b[web]"}, marked(cat.Compare(r, cases)), "the case during which it died")
}

// What never struck shows nothing, however well all went.
func TestCompareNeverStruck(t *testing.T) {
	assert.Equal(t, []string{"!*"}, marked(parse(t, small).Compare(run(Fault, "dies", nil), cases)))
}

// A run with some cases is held against what is to be seen of those.
func TestCases(t *testing.T) {
	cat := parse(t, strings.Replace(small, "late: {", "late: {cases: ['c[*]', lone], ", 1))
	require.NoError(t, cat.Lint(known()))
	r := run(Weakness, "late", map[string]string{"c[ssh]": "fail.access"})
	all := r.Cases
	r.Cases = all[4:]
	assert.Empty(t, cat.Compare(r, cases))
	r.Cases = all[5:]
	assert.Equal(t, []string{"!c[ssh]"}, marked(cat.Compare(r, cases)), "a case of its own that was not run")
	r.Cases = all
	r.Cases[0].Verdict = verdict.None // those that are not selected are in the result without a verdict
	assert.Empty(t, cat.Compare(r, cases))
	r.Whole = true
	assert.Equal(t, []string{"a[ssh]"}, marked(cat.Compare(r, cases)), "where all are run, all count")
	r.Whole = false
	res := cat.Judge([]Run{*r}, cases, 1)
	assert.True(t, res.OK)
	assert.Contains(t, res.summary(), "of 7 cases those that each one names")
	assert.Equal(t, 3, res.Rows[0].Counts[verdict.Pass]+res.Rows[0].Counts[verdict.Fail]+res.Rows[0].Counts[verdict.NotApplicable])
}

func TestCompareMissingCaseAndBrokenRun(t *testing.T) {
	cat := parse(t, small)
	r := run(Hardened, "", nil)
	r.Cases = r.Cases[1:]
	assert.Equal(t, []string{"!a[ssh]"}, marked(cat.Compare(r, cases)))
	ds := cat.Compare(&Run{Kind: Fault, Name: "cut", Broken: "exit status 70"}, cases)
	require.Len(t, ds, 1)
	assert.Contains(t, ds[0].Got, "exit status 70")
}

func TestAgainst(t *testing.T) {
	expect := map[string]string{"a[*]": "pass", "a[ssh]": "fail.access", "gone": "pass"}
	ds := Against(expect, run(Hardened, "", map[string]string{"a[ssh]": "fail.access", "b[ssh]": "fail.leak"}).Cases)
	assert.Equal(t, []string{"!gone"}, marked(ds))
	ds = Against(map[string]string{"a[*]": "pass"}, run(Hardened, "", map[string]string{"a[ssh]": "fail.access"}).Cases)
	assert.Equal(t, []string{"!a[ssh]"}, marked(ds))
}

// TestTables holds the three forms against golden files, with hostile text in
// what a device said.
func TestTables(t *testing.T) {
	cat := parse(t, small)
	odd := run(Fault, "cut", map[string]string{"a[ssh]": "error.fault"})
	odd.Cases[4].Detail = "\x1b[2J| <b> ]]>\n::error"
	res := cat.Judge([]Run{*run(Hardened, "", nil), *run(Weakness, "open", map[string]string{"a[ssh]": "fail.access", "a[web]": "fail.leak"}),
		*run(Weakness, "nobody", nil), *run(Weakness, "same", nil), *odd}, cases, 7)
	res.Took = 90 * time.Second
	require.False(t, res.OK)
	require.Equal(t, 1, res.False)
	for name, write := range map[string]func(*strings.Builder) error{
		"table.txt":  func(b *strings.Builder) error { return res.Text(b) },
		"table.md":   func(b *strings.Builder) error { return res.Markdown(b) },
		"table.json": func(b *strings.Builder) error { return res.JSON(b) },
	} {
		var b strings.Builder
		require.NoError(t, write(&b))
		if name != "table.json" {
			assert.NotContains(t, b.String(), "\x1b")
		}
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, string(want), b.String(), name)
	}
	ok := cat.Judge([]Run{*run(Hardened, "", nil)}, cases, 7)
	assert.True(t, ok.OK)
	assert.Contains(t, ok.summary(), "VALID")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte("matrix: x\nweaknesses: {a: }\nfaults: {b: {breaks: [c]}}\n"))
	f.Add([]byte("matrix: [\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f.yaml", data)
		if err != nil {
			return
		}
		_ = c.Lint(known()) // whatever it says, it ends
		for name := range c.Faults {
			if c.Faults[name] != nil {
				_ = c.Compare(run(Fault, name, nil), cases)
			}
		}
	})
}
