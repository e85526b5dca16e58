package html

import (
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"rigor/harness/baseline"
	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/report/cover"
	"rigor/harness/report/diff"
	"rigor/harness/report/shown"
	"rigor/harness/report/terminal"
	"rigor/harness/verdict"
)

// view is what the page's template sees: only texts, each made fit to be
// looked at; the template escapes them for where they stand.
type view struct {
	CSP                                             string
	Style                                           template.CSS
	Class, Outcome, Device, Rig, Counts, When, Took string
	Run, Writer, Hash                               string
	Exit                                            int
	Why                                             []string
	Tiles                                           []tile
	Attention                                       []link
	AttentionMore                                   string
	Diff                                            *diffView
	Clauses                                         []clause
	Suites                                          []suite
	Left                                            []string
	LeftMore                                        string
	Facts                                           []fact
	Tables                                          []table
}

type tile struct {
	Class, Word string
	N           int
}

type link struct{ Anchor, Class, Verdict, ID, Why, Took, Note string }

type diffView struct {
	Summary, Before, Caution string
	Lists                    []linkList
}

type linkList struct {
	Word    string
	Changes []link
	More    string
}

type clause struct {
	Clause, Class, Remains, More string
	Word                         baseline.Word
	Cases                        []link
}

type fact struct {
	Name, Value string
	Mono        bool
}

type table struct {
	Title string
	Head  []string
	Rows  [][]string
	More  string
}

// show makes foreign text fit to be looked at: no control characters, nothing
// that turns the direction of writing.
func show(s string) string { return shown.Prose(escape.Visible(s)) }

type builder struct {
	res     *journal.Result
	anchors map[string]string
	taken   map[string]bool
	verdict map[string]verdict.Verdict
	hashes  map[string]*journal.Evidence
}

func newView(res, before *journal.Result) *view {
	b := &builder{res: res, anchors: map[string]string{}, taken: map[string]bool{}, verdict: map[string]verdict.Verdict{}, hashes: map[string]*journal.Evidence{}}
	for i := range res.Cases {
		b.anchor(res.Cases[i].ID)
		b.verdict[res.Cases[i].ID] = res.Cases[i].Verdict()
	}
	for i := range res.Files {
		b.hashes[res.Files[i].Path] = &res.Files[i]
	}
	s := &res.Start
	v := &view{CSP: csp, Style: template.CSS(style), //nolint:gosec // the style sheet is our own
		Class: class(res.Worst), Outcome: terminal.Outcome(res), Device: show(strings.TrimSpace(s.Device + " " + s.Firmware)), Rig: show(s.Rig),
		Counts: terminal.Counts(res), When: res.At.UTC().Format("2 January 2006, 15:04:05 UTC"), Took: took(res.Took), Exit: res.Exit,
		Run: show(s.Run), Writer: show(s.Writer), Hash: show(res.Hash), Facts: b.facts(), Tables: b.tables()}
	for _, t := range res.Trouble {
		v.Why = append(v.Why, show(t.String()))
	}
	for i := range res.Cases {
		if c := &res.Cases[i]; len(v.Why) == 0 && diff.Bad(res.Worst) && c.Verdict() == res.Worst {
			v.Why = append(v.Why, show(c.ID)+": "+why(c.Judgement))
		}
	}
	for _, t := range []struct {
		v    verdict.Verdict
		word string
	}{{verdict.Fail, "failed"}, {verdict.Error, "errors of the rig"}, {verdict.Inconclusive, "inconclusive"}, {verdict.Pass, "passed"}, {verdict.NotApplicable, "not applicable"}} {
		v.Tiles = append(v.Tiles, tile{class(t.v), t.word, res.Counts[t.v]})
	}
	v.Attention, v.AttentionMore = b.attention()
	v.Diff = b.diff(before)
	v.Clauses = b.clauses()
	v.Suites = b.suites()
	for i := range res.Left {
		if i == maxRows {
			v.LeftMore = fmt.Sprintf("and %d more", len(res.Left)-i)
			break
		}
		v.Left = append(v.Left, show(res.Left[i].ID))
	}
	return v
}

func class(v verdict.Verdict) string {
	if v == verdict.None {
		return "none"
	}
	return string(v)
}

func took(d time.Duration) string {
	if d < time.Minute {
		return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s"
	}
	return d.Round(time.Second).String()
}

// anchor gives the place of a case in the page: the same for the same id in
// every report, as long as no two ids differ only in their signs.
func (b *builder) anchor(id string) string {
	if a, ok := b.anchors[id]; ok {
		return a
	}
	a := "case-" + strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, id), "-")
	free := a
	for n := 2; b.taken[free]; n++ {
		free = a + "-" + strconv.Itoa(n)
	}
	b.taken[free] = true
	b.anchors[id] = free
	return free
}

func (b *builder) link(id string) link {
	l := link{ID: show(id), Class: class(b.verdict[id])}
	if _, ok := b.verdict[id]; ok {
		l.Anchor = b.anchor(id)
	}
	return l
}

func why(j verdict.Judgement) string {
	switch {
	case j.Reason == "":
		return show(j.Detail)
	case j.Detail == "":
		return string(j.Reason)
	}
	return show(string(j.Reason) + ": " + j.Detail)
}

func (b *builder) attention() (out []link, more string) {
	total := 0
	for _, v := range []verdict.Verdict{verdict.Fail, verdict.Error, verdict.Inconclusive} {
		for i := range b.res.Cases {
			c := &b.res.Cases[i]
			if c.Verdict() != v {
				continue
			}
			if total++; total <= maxLoud {
				l := b.link(c.ID)
				l.Verdict, l.Why = string(v), why(c.Judgement)
				out = append(out, l)
			}
		}
	}
	if total > maxLoud {
		more = fmt.Sprintf("And %d more; they are in run.json.", total-maxLoud)
	}
	return out, more
}

func (b *builder) diff(before *journal.Result) *diffView {
	d := diff.Compare(before, b.res)
	if d == nil {
		return nil
	}
	v := &diffView{Summary: upper(d.Summary()), Before: show(d.Before), Caution: show(d.Caution)}
	for _, l := range d.Lists() {
		if len(l.Changes) == 0 {
			continue
		}
		out := linkList{Word: l.Word}
		for i, ch := range l.Changes {
			if i == maxLinks*5 {
				out.More = fmt.Sprintf("and %d more", len(l.Changes)-i)
				break
			}
			k := b.link(ch.ID)
			if ch.Was.Verdict != verdict.None && ch.Now.Verdict != verdict.None && ch.Was.Verdict != ch.Now.Verdict {
				k.Note = string(ch.Was.Verdict) + " before"
			}
			if ch.Moved != "" {
				k.Note = strings.TrimPrefix(k.Note+"; on "+show(ch.Moved), "; ")
			}
			out.Changes = append(out.Changes, k)
		}
		v.Lists = append(v.Lists, out)
	}
	return v
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func (b *builder) clauses() []clause {
	wordClass := map[baseline.Word]string{baseline.Finding: "fail", baseline.NoFinding: "pass", baseline.PartlyTested: "inconclusive", baseline.NotTested: "none"}
	var out []clause
	for _, r := range cover.Rows(b.res) {
		c := clause{Clause: show(r.Clause), Word: r.Word, Class: wordClass[r.Word], Remains: clip(show(r.Remains), 800)}
		ids := slices.Concat(r.Findings, r.Open, r.Passed, r.NotApplicable)
		for i, id := range ids {
			if i == maxLinks {
				c.More = fmt.Sprintf("and %d more", len(ids)-i)
				break
			}
			c.Cases = append(c.Cases, b.link(id))
		}
		out = append(out, c)
	}
	return out
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + " …"
	}
	return s
}

// wasLeft says how a run left its rig.
func wasLeft(e *journal.End) string {
	switch {
	case !e.AsMeant():
		return "NOT shown to be safe"
	case e.Safe && e.Left == journal.LeftUnbound:
		return "put safe, but for one that was never bound"
	case e.Safe:
		return "put safe"
	case e.Left == journal.LeftHeld:
		return "left as it is: it was to be held"
	}
	return "never bound, and left as it was"
}

func (b *builder) facts() []fact {
	s := &b.res.Start
	unit := strings.Join(s.Serials(), ", ")
	for _, u := range b.res.Units {
		unit += fmt.Sprintf("; %s said %q", journal.OnRig("the device", u.Rig), u.Got)
		if !u.OK {
			unit += ", which is NOT the one declared"
		}
	}
	selectors := strings.Join(s.Selectors, " ")
	if selectors == "" {
		selectors = "all"
	}
	end := "cut short: the journal has no end"
	if e := b.res.End; e != nil {
		end = e.How + ", rig " + wasLeft(e)
		if e.Detail != "" {
			end += ": " + e.Detail
		}
	}
	all := []fact{
		{"Maker, model", strings.TrimSpace(s.Maker + " " + s.Model), false}, {"Hardware", s.Hardware, false}, {"Firmware, as declared", s.Firmware, false}, {"Unit", unit, false},
		{"Planted weaknesses", strings.Join(s.Plants(), ", "), false},
		{"Rig", strings.Join(s.Rigs(), ", ") + map[bool]string{true: "; each case on the unit of one of them"}[len(s.Beside) > 0], false}, {"Rig file", s.RigFile, true}, {"Host", s.Host, false}, {"Clock", s.Clock, false},
		{"Selected", selectors, false}, {"Seed", strconv.FormatUint(s.Seed, 10), false}, {"Ended", end, false}, {"Signal", b.res.Signal, false},
		{"Parts found broken", strings.Join(b.res.Broken, ", "), false},
	}
	for _, k := range slices.Sorted(maps.Keys(s.Digests)) {
		all = append(all, fact{"SHA-256 of " + k, s.Digests[k], true})
	}
	if b.res.Damage != "" {
		all = append(all, fact{"Journal", "damaged: " + b.res.Damage, false})
	} else if b.res.Torn {
		all = append(all, fact{"Journal", "its last line was cut and is left out", false})
	}
	var out []fact
	for _, f := range all {
		if f.Value != "" {
			out = append(out, fact{show(f.Name), show(f.Value), f.Mono})
		}
	}
	return out
}

// tables gives what happened to the rig and outside of the cases.
func (b *builder) tables() []table {
	var out []table
	add := func(title string, n int, row func(i int) []string, head ...string) {
		t := table{Title: title, Head: head}
		for i := range n {
			if i == maxRows {
				t.More = fmt.Sprintf("And %d more; they are in run.json.", n-i)
				break
			}
			cells := row(i)
			for k := range cells {
				cells[k] = show(cells[k])
			}
			t.Rows = append(t.Rows, cells)
		}
		if n > 0 {
			out = append(out, t)
		}
	}
	r := b.res
	add("Doctor", len(r.Doctor), func(i int) []string {
		d := r.Doctor[i]
		return []string{journal.OnRig(d.Phase+" the run", d.Rig), d.Item, d.Part, d.Status, d.Detail}
	}, "When", "Item", "Part", "Status", "Detail")
	add("Trouble of the rig", len(r.Faults), func(i int) []string {
		f := r.Faults[i]
		return []string{journal.OnRig(took(f.Off), f.Rig), f.Case, f.What.Part, f.What.Op, f.What.Error, map[bool]string{true: "broken from here on"}[f.What.Broken]}
	}, "At", "Case", "Part", "While", "Error", "")
	add("Losses of the device", len(r.Losses), func(i int) []string {
		l := r.Losses[i]
		return []string{journal.OnRig(took(l.Off), l.Rig), l.Case, l.What.Diagnosis, l.What.Detail, map[bool]string{true: "came back", false: "did not come back"}[l.What.Returned]}
	}, "At", "Case", "Diagnosis", "Detail", "")
	add("States of the device", len(r.States), func(i int) []string {
		s := r.States[i]
		return []string{journal.OnRig(took(s.Off), s.Rig), s.What.From, s.What.To, s.What.Way, map[bool]string{true: "reached", false: "NOT reached"}[s.What.OK], s.What.Detail}
	}, "At", "From", "To", "Way", "", "Detail")
	add("Observed besides", len(r.Observe), func(i int) []string {
		o := r.Observe[i]
		return []string{o.Topic, o.Text, strings.Join(o.Contradicts, ", ")}
	}, "Topic", "What", "Contradicts")
	add("Not undone", len(r.Open), func(i int) []string { return []string{journal.OnRig(r.Open[i].ID, r.Open[i].Rig), r.Open[i].What} }, "Intent", "What")
	add("Waivers", len(r.Start.Waivers), func(i int) []string {
		w := r.Start.Waivers[i]
		scope := strings.TrimSpace(strings.Join([]string{w.Unit, w.Model, w.Version}, " "))
		return []string{w.Case, scope, w.Reason, w.Owner, w.Expires}
	}, "Case", "Only for", "Reason", "Owner", "Expires")
	var runFiles []journal.Evidence
	used := map[string]bool{}
	for i := range r.Cases {
		for _, e := range refs(&r.Cases[i]) {
			used[e.Path] = true
		}
	}
	for _, f := range r.Files {
		if !used[f.Path] {
			runFiles = append(runFiles, f)
		}
	}
	add("Further evidence", len(runFiles), func(i int) []string {
		f := runFiles[i]
		return []string{f.Path, f.What, strconv.FormatInt(f.Size, 10), f.SHA256}
	}, "File", "What", "Bytes", "SHA-256")
	return out
}
