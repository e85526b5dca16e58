package html

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/report/diff"
	"rigor/harness/report/shown"
	"rigor/harness/verdict"
)

type suite struct {
	Name, Counts string
	Cases        []caseView
	Short        []link
	ShortNote    string
}

type caseView struct {
	Anchor, Class, Verdict, ID, Title, Took, Why, Waiver, Facts, Rerun string
	Open                                                               bool
	Claims                                                             []claimView
	Excerpts                                                           []excerpt
	Timeline                                                           []moment
	TimelineMore                                                       string
	Evidence                                                           []evidence
}

type claimView struct {
	Class, Verdict, Text, Why string
	Facts                     []fact
}

type excerpt struct{ Where, Text string }

type moment struct{ Off, Text string }

type evidence struct{ Link, Path, What, Hash string }

// suites groups the cases by their suite, in the order of the plan, those that
// need attention first.
func (b *builder) suites() []suite {
	var out []suite
	index := map[string]int{}
	groups := [][]*journal.Case{}
	for i := range b.res.Cases {
		c := &b.res.Cases[i]
		k, ok := index[c.Suite]
		if !ok {
			k = len(out)
			index[c.Suite] = k
			out = append(out, suite{Name: show(c.Suite)})
			groups = append(groups, nil)
		}
		groups[k] = append(groups[k], c)
	}
	loud, quiet := 0, 0
	for k := range out {
		s := &out[k]
		counts := map[verdict.Verdict]int{}
		slices.SortStableFunc(groups[k], func(a, b *journal.Case) int { return rank(a.Verdict()) - rank(b.Verdict()) })
		for _, c := range groups[k] {
			counts[c.Verdict()]++
			n, limit := &quiet, maxQuiet
			if diff.Bad(c.Verdict()) {
				n, limit = &loud, maxLoud
			}
			if *n++; *n > limit {
				l := b.link(c.ID)
				l.Verdict, l.Took = string(c.Verdict()), took(c.Took)
				s.Short = append(s.Short, l)
				continue
			}
			s.Cases = append(s.Cases, b.caseView(c))
		}
		var parts []string
		for _, v := range verdict.All {
			if n := counts[v]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, v))
			}
		}
		s.Counts = strings.Join(parts, ", ")
		s.ShortNote = fmt.Sprintf("%d further cases in short; all of them is in run.json.", len(s.Short))
	}
	return out
}

// rank puts what needs attention first.
func rank(v verdict.Verdict) int { return slices.Index(verdict.All, v) }

func (b *builder) caseView(c *journal.Case) caseView {
	v := caseView{Anchor: b.anchor(c.ID), Class: class(c.Verdict()), Verdict: string(c.Verdict()), ID: show(c.ID), Title: show(c.Title),
		Why: why(c.Judgement), Open: diff.Bad(c.Verdict()), Rerun: show(b.res.Rerun(c.ID))}
	if c.Ran {
		v.Took = took(c.Took)
	}
	if c.Verdict() == verdict.Pass {
		v.Why = ""
	}
	if w := c.Waiver; w != nil {
		v.Waiver = show(fmt.Sprintf("The raw verdict is %s. Waived by %s until %s: %s", c.Raw, w.Owner, w.Expires, w.Reason))
	}
	facts := []string{}
	for _, f := range []struct{ word, value string }{{"Clauses: ", strings.Join(c.Clauses, "; ")}, {"Unit: ", b.res.Unit(c)}, {"State: ", c.State}, {"Effect: ", c.Effect},
		{"Leans on: ", strings.Join(c.Parts, ", ")}, {"Bracket: ", c.Bracket}} {
		if f.value != "" {
			facts = append(facts, f.word+f.value+".")
		}
	}
	if c.Ran {
		facts = append(facts, "Began at "+took(c.At)+".")
	}
	if c.Tries > 1 {
		facts = append(facts, fmt.Sprintf("Tried %d times.", c.Tries))
	}
	v.Facts = show(strings.Join(facts, " "))
	for i := range c.Claims {
		v.Claims = append(v.Claims, claimOf(c, &c.Claims[i]))
	}
	for _, x := range c.Excerpts {
		text := shown.Excerpt(x.Text)
		if len(text) > maxText {
			for n := maxText; ; n-- {
				if utf8.RuneStart(text[n]) {
					text = text[:n] + "\n… cut here; the whole is in the evidence"
					break
				}
			}
		}
		v.Excerpts = append(v.Excerpts, excerpt{show(fmt.Sprintf("%s, bytes %d to %d", x.Source, x.Offset, x.Offset+x.Length)), escape.Visible(text)})
	}
	for i, m := range c.Timeline {
		if i == maxTimeline {
			v.TimelineMore = fmt.Sprintf("And %d more; they are in run.json.", len(c.Timeline)-i)
			break
		}
		v.Timeline = append(v.Timeline, moment{fmt.Sprintf("+%.3f s", m.Off.Seconds()), show(m.Text)})
	}
	for _, r := range refs(c) {
		e := evidence{Path: show(r.Path), Link: hrefOf(r.Path)}
		if f := b.hashes[r.Path]; f != nil {
			e.What, e.Hash = show(f.What), show(f.SHA256)
		} else {
			e.What = "never closed and hashed"
		}
		v.Evidence = append(v.Evidence, e)
	}
	return v
}

// hrefOf links only into the run's own evidence.
func hrefOf(path string) string {
	if strings.HasPrefix(path, "evidence/") && !strings.Contains(path, "..") && !strings.ContainsAny(path, `\`) {
		return "./" + path
	}
	return ""
}

func claimOf(c *journal.Case, cl *journal.ClaimResult) claimView {
	v := claimView{Class: class(cl.Judgement.Verdict), Verdict: string(cl.Judgement.Verdict), Text: show(cl.Text)}
	if cl.Judgement.Verdict != verdict.Pass {
		v.Why = why(cl.Judgement)
	}
	if cl.Try < c.Tries {
		v.Why = strings.TrimSpace(fmt.Sprintf("From try %d, which was run again. ", cl.Try) + v.Why)
	}
	add := func(name, value string) {
		if value != "" {
			v.Facts = append(v.Facts, fact{Name: name, Value: show(value)})
		}
	}
	add("expected", cl.Expected)
	add("got", cl.Got)
	for i := range cl.Controls {
		ctl := &cl.Controls[i]
		how := "as it must"
		if !ctl.OK {
			how = "NOT as it must"
		}
		parts := []string{}
		for _, s := range []string{ctl.Text, string(ctl.Kind), how, ctl.Detail} {
			if s != "" {
				parts = append(parts, s)
			}
		}
		add(ctl.Role, strings.Join(parts, ", "))
	}
	if p := cl.Probes; p != nil {
		add("probes", fmt.Sprintf("%d planned, %d tried, %d effective: %s", p.Planned, p.Tried, p.Effective, journal.KindsText(p.Kinds)))
		add("list of probes", p.Digest)
	}
	if cl.Negative {
		var kinds []string
		for _, k := range cl.Refusal {
			kinds = append(kinds, string(k))
		}
		add("counts as refusal", strings.Join(kinds, ", "))
		add("device unchanged", string(cl.Unchanged))
	}
	add("bracket", cl.Claim.Bracket)
	for _, r := range cl.Evidence {
		where := r.Path
		if r.Offset > 0 || r.Length > 0 {
			where += fmt.Sprintf(", from byte %d", r.Offset)
			if r.Length > 0 {
				where += fmt.Sprintf(", %d bytes", r.Length)
			}
		}
		add("shown by", where)
	}
	return v
}

// refs gives each file of a case's evidence once, in order.
func refs(c *journal.Case) []journal.Ref {
	var out []journal.Ref
	add := func(list []journal.Ref) {
		for _, r := range list {
			if r.Path != "" && !slices.ContainsFunc(out, func(o journal.Ref) bool { return o.Path == r.Path }) {
				out = append(out, r)
			}
		}
	}
	for i := range c.Claims {
		add(c.Claims[i].Evidence)
		if p := c.Claims[i].Probes; p != nil {
			add(p.Evidence)
		}
		for k := range c.Claims[i].Controls {
			add(c.Claims[i].Controls[k].Evidence)
		}
	}
	return out
}
