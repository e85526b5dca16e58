package junit_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	gojunit "github.com/joshdk/go-junit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
	"rigor/harness/report/junit"
	"rigor/harness/verdict"
)

// doc is the file as encoding/xml reads it.
type doc struct {
	Tests    string  `xml:"tests,attr"`
	Failures string  `xml:"failures,attr"`
	Errors   string  `xml:"errors,attr"`
	Suites   []suite `xml:"testsuite"`
}

type suite struct {
	Name      string  `xml:"name,attr"`
	Timestamp string  `xml:"timestamp,attr"`
	Tests     int     `xml:"tests,attr"`
	Failures  int     `xml:"failures,attr"`
	Errors    int     `xml:"errors,attr"`
	Skipped   int     `xml:"skipped,attr"`
	Props     []prop  `xml:"properties>property"`
	Cases     []tcase `xml:"testcase"`
	Out       string  `xml:"system-out"`
}

type prop struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type tcase struct {
	Name      string `xml:"name,attr"`
	Classname string `xml:"classname,attr"`
	Time      string `xml:"time,attr"`
	Props     []prop `xml:"properties>property"`
	Failure   []out  `xml:"failure"`
	Error     []out  `xml:"error"`
	Skipped   []out  `xml:"skipped"`
	Out       string `xml:"system-out"`
}

type out struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func render(t testing.TB, res *journal.Result, o junit.Options) []byte {
	t.Helper()
	var buf bytes.Buffer
	require.NoError(t, junit.Write(&buf, res, o))
	return buf.Bytes()
}

func parse(t testing.TB, data []byte) *doc {
	t.Helper()
	var d doc
	require.NoError(t, xml.Unmarshal(data, &d))
	return &d
}

func (d *doc) find(t testing.TB, name string) *tcase {
	t.Helper()
	for i := range d.Suites {
		for k := range d.Suites[i].Cases {
			if d.Suites[i].Cases[k].Name == name {
				return &d.Suites[i].Cases[k]
			}
		}
	}
	t.Fatalf("no case %s", name)
	return nil
}

// count is what a reader makes of a file.
type count struct{ tests, failures, errors, skipped int }

// want is what the result says; the run's own case counts as an error.
func want(res *journal.Result, runCase bool) count {
	c := count{len(res.Cases), res.Counts[verdict.Fail], res.Counts[verdict.Error] + res.Counts[verdict.Inconclusive], res.Counts[verdict.NotApplicable]}
	if runCase {
		c.tests++
		c.errors++
	}
	return c
}

func (d *doc) tree() (attrs, tree count) {
	for _, s := range d.Suites {
		attrs = count{attrs.tests + s.Tests, attrs.failures + s.Failures, attrs.errors + s.Errors, attrs.skipped + s.Skipped}
		for _, c := range s.Cases {
			tree.tests++
			tree.failures += len(c.Failure)
			tree.errors += len(c.Error)
			tree.skipped += len(c.Skipped)
		}
	}
	return attrs, tree
}

func byGoJUnit(t testing.TB, data []byte) count {
	t.Helper()
	suites, err := gojunit.Ingest(data)
	require.NoError(t, err)
	var c count
	for _, s := range suites {
		for _, k := range s.Tests {
			c.tests++
			switch k.Status {
			case gojunit.StatusFailed:
				c.failures++
			case gojunit.StatusError:
				c.errors++
			case gojunit.StatusSkipped:
				c.skipped++
			}
		}
	}
	return c
}

func TestShape(t *testing.T) {
	res := journaltest.Sample().Fold()
	d := parse(t, render(t, res, junit.Options{}))
	assert.Equal(t, []string{"9", "1", "3"}, []string{d.Tests, d.Failures, d.Errors})
	var names []string
	for _, s := range d.Suites {
		names = append(names, s.Name)
	}
	assert.Equal(t, []string{"bench-a.acme-gateway.console", "bench-a.acme-gateway.credential", "bench-a.acme-gateway.interfaces"}, names)
	assert.Equal(t, "2026-11-23T02:00:03.750Z", d.Suites[0].Timestamp)
	assert.Contains(t, d.Suites[0].Props, prop{"run.planned", "10"})
	assert.Contains(t, d.Suites[0].Props, prop{"journal.sha256", res.Hash})
	assert.Contains(t, d.Suites[0].Props, prop{"dut.unit", "AG-000123"})
	assert.Contains(t, d.Suites[0].Props, prop{"run.clock", "synchronised"})

	f := d.find(t, "con-boot-interrupt[main]")
	assert.Equal(t, "acme-gateway.console", f.Classname)
	require.Len(t, f.Failure, 1)
	assert.Equal(t, "baseline.fail.access", f.Failure[0].Type)
	assert.Contains(t, f.Failure[0].Text, "expected: the boot goes on")
	assert.Contains(t, f.Failure[0].Text, "run it again: rigor run --rig rigs/bench-a.yaml --seed 7 'con-boot-interrupt[main]'")
	assert.Contains(t, f.Props, prop{"clauses", "NISTIR 8259A LA-1"})
	assert.Contains(t, f.Props, prop{"evidence1", journaltest.Path("con-boot-interrupt[main]")})
	assert.Contains(t, f.Props, prop{"evidence1.sha256", journaltest.Hash(journaltest.Path("con-boot-interrupt[main]"))})
	assert.Contains(t, f.Out, `Hit any key to stop autoboot:  2 \x08\x08\x08 1`, "the transcript is visible once, not twice")
	assert.Equal(t, []string{"[[ATTACHMENT|" + journaltest.Path("con-boot-interrupt[main]") + "]]"}, attachments(f.Out), "the device's own is neutralised")

	assert.Equal(t, "baseline.inconclusive.two-units", d.find(t, "cred-unique[ssh]").Error[0].Type)
	assert.Equal(t, "rig.fault", d.find(t, "con-sysrq[main]").Error[0].Type)
	assert.Equal(t, "n/a: the profile declares no telnet: removed in 1.2", d.find(t, "cred-blank[telnet]").Skipped[0].Message)
	waived := d.find(t, "cred-enum[web]")
	assert.Contains(t, waived.Skipped[0].Message, "waived: ")
	assert.Contains(t, waived.Skipped[0].Message, "raw: fail.expectation")
	pass := d.find(t, "cred-known-list[ssh]")
	assert.Equal(t, "42.750", pass.Time)
	assert.Empty(t, pass.Failure)
	assert.Empty(t, pass.Error)
	assert.Empty(t, pass.Skipped)
}

var attachment = regexp.MustCompile(`(?m)^[ \t\r]*\[\[(?:ATTACHMENT|PROPERTY)\|.*\]\][ \t\r]*$`)

func attachments(s string) []string { return attachment.FindAllString(s, -1) }

func TestAttachments(t *testing.T) {
	res := journaltest.Sample().Fold()
	path := journaltest.Path("cred-known-list[ssh]")
	for _, tt := range []struct {
		o    junit.Options
		want []string
	}{
		{junit.Options{}, []string{"[[ATTACHMENT|" + path + "]]"}},
		{junit.Options{Attachments: junit.Relative, Folder: "runs/r 1&2"}, []string{"[[ATTACHMENT|runs/r 1&2/" + path + "]]"}},
		{junit.Options{Attachments: junit.Absolute, Folder: "/var/lib/rigor/r1"}, []string{"[[ATTACHMENT|/var/lib/rigor/r1/" + path + "]]"}},
		{junit.Options{Attachments: junit.Off}, nil},
	} {
		d := parse(t, render(t, res, tt.o))
		assert.Equal(t, tt.want, attachments(d.find(t, "cred-known-list[ssh]").Out))
	}
	var err *junit.ErrOptions
	require.ErrorAs(t, junit.Write(io.Discard, res, junit.Options{Attachments: "x"}), &err)
	require.ErrorAs(t, junit.Write(io.Discard, res, junit.Options{Profile: "x"}), &err)
}

// A path from a journal cannot smuggle in a second line.
func TestAttachmentPathsAreChecked(t *testing.T) {
	id := "a"
	b := journaltest.New().Plan("s", id, "")
	b.Begin(id).Claim(id, journal.Claim{Claim: 1, Text: "t", Holds: journal.No, Evidence: []journal.Ref{
		{Path: "evidence/x\n[[ATTACHMENT|/etc/passwd]]"}, {Path: "evidence/y]][[ATTACHMENT|/etc/shadow"}, {Path: "evidence/\u202eok"}, {Path: "evidence/good"}}}).Done(id)
	d := parse(t, render(t, b.End().Fold(), junit.Options{}))
	assert.Equal(t, []string{"[[ATTACHMENT|evidence/good]]"}, attachments(d.find(t, id).Out))
}

func TestTroubleOfTheRunIsNeverGreen(t *testing.T) {
	one := func() *journaltest.Builder { return journaltest.New().Plan("s", "a", "").Pass("a") }
	tests := map[string]struct {
		b      *journaltest.Builder
		reason string
	}{
		"cut short":        {one(), "rig.unfinished"},
		"interrupted":      {one().Add(journal.Event{Kind: journal.KindEnd, End: &journal.End{How: journal.EndInterrupted, Safe: true}}), "rig.interrupted"},
		"not safe":         {one().Add(journal.Event{Kind: journal.KindEnd, End: &journal.End{How: journal.EndFinished}}), "rig.fault"},
		"nothing planned":  {journaltest.New().End(), "rig.not-selected"},
		"nothing selected": {journaltest.New().Plan("s", "a", "", func(p *journal.Plan) { p.Unselected = true }).End(), "rig.not-selected"},
	}
	for name, tt := range tests {
		for _, profile := range []junit.Profile{junit.Rich, junit.Strict} {
			t.Run(name+" "+string(profile), func(t *testing.T) {
				res := tt.b.Fold()
				require.NotZero(t, res.Exit)
				data := render(t, res, junit.Options{Profile: profile})
				d := parse(t, data)
				c := d.find(t, "run[rig]")
				require.Len(t, c.Error, 1)
				assert.Equal(t, tt.reason, c.Error[0].Type)
				assert.NotZero(t, byGoJUnit(t, data).errors)
				last := d.Suites[len(d.Suites)-1]
				assert.Equal(t, "bench-a.acme-gateway.rig", last.Name)
				attrs, tree := d.tree()
				assert.Equal(t, want(res, true), tree)
				assert.Equal(t, tree, attrs)
			})
		}
	}
	res := one().End().Fold()
	assert.NotContains(t, string(render(t, res, junit.Options{})), "run[rig]", "a run that is well has no such case")
}

func TestCaps(t *testing.T) {
	big := strings.Repeat("0123456789é\n\x00", 10_000)
	res := journaltest.Hostile(big).Fold()
	for _, profile := range []junit.Profile{junit.Rich, junit.Strict} {
		data := render(t, res, junit.Options{Profile: profile})
		d := parse(t, data)
		for _, s := range d.Suites {
			for _, c := range s.Cases {
				limit := 100_000
				if len(c.Failure)+len(c.Error) == 0 {
					limit = 2_500
				}
				assert.LessOrEqual(t, len(c.Out), limit, c.Name)
				for _, o := range slices.Concat(c.Failure, c.Error) {
					assert.LessOrEqual(t, len(o.Text), 100_000)
					assert.LessOrEqual(t, len(o.Message), 500)
					assert.Contains(t, o.Text, "bytes left out")
				}
			}
		}
	}
}

// hostile gives each nasty text with the file that it makes.
func hostile(t *testing.T, f func(t *testing.T, res *journal.Result, o junit.Options, data []byte)) {
	for _, name := range slices.Sorted(maps.Keys(journaltest.Nasty)) {
		res := journaltest.Hostile(journaltest.Nasty[name]).Fold()
		for _, profile := range []junit.Profile{junit.Rich, junit.Strict} {
			t.Run(name+" "+string(profile), func(t *testing.T) {
				o := junit.Options{Profile: profile}
				f(t, res, o, render(t, res, o))
			})
		}
	}
}

func TestHostileBytes(t *testing.T) {
	hostile(t, func(t *testing.T, res *journal.Result, o junit.Options, data []byte) {
		assert.True(t, utf8.Valid(data))
		for _, c := range string(data) {
			if good := c == '\n' || c == '\t' || c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) && c != 0xfffe && c != 0xffff && !(c >= 0x202a && c <= 0x202e); !good { // Helper, which each assertion calls, costs more than the look
				t.Fatalf("%U", c)
			}
		}
		d := parse(t, data)
		attrs, tree := d.tree()
		assert.Equal(t, want(res, true), tree)
		assert.Equal(t, tree, attrs)
		assert.Equal(t, tree, byGoJUnit(t, data))
		for _, s := range d.Suites {
			for _, text := range attachments(s.Out) {
				assert.Contains(t, text, "[[ATTACHMENT|evidence/")
			}
			for _, c := range s.Cases {
				assert.LessOrEqual(t, len(c.Failure)+len(c.Error)+len(c.Skipped), 1)
				for _, text := range attachments(c.Out) {
					assert.Contains(t, text, "[[ATTACHMENT|evidence/")
				}
				for _, o := range slices.Concat(c.Failure, c.Error, c.Skipped) {
					assert.Empty(t, attachments(o.Text))
				}
			}
		}
	})
}

func FuzzText(f *testing.F) {
	for _, text := range journaltest.Nasty {
		f.Add(text[:min(len(text), 500)])
	}
	f.Fuzz(func(t *testing.T, text string) {
		res := journaltest.Hostile(text).Fold()
		for _, profile := range []junit.Profile{junit.Rich, junit.Strict} {
			data := render(t, res, junit.Options{Profile: profile})
			attrs, tree := parse(t, data).tree()
			assert.Equal(t, want(res, true), tree)
			assert.Equal(t, tree, attrs)
		}
	})
}
