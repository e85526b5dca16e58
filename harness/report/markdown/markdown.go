// Package markdown renders a run as a summary for the pages of CI systems.
package markdown

import (
	"fmt"
	"io"
	"strings"

	"rigor/harness/journal"
	"rigor/harness/report/cover"
	"rigor/harness/report/diff"
	"rigor/harness/report/shown"
	"rigor/harness/report/terminal"
	"rigor/harness/verdict"
)

// Max is how long a summary may be, in bytes: a larger one than 1 MiB is
// dropped as a whole by those who show it.
const Max = 900_000

// note stands at the end of a summary that was cut.
const note = "\n*The summary was cut here; the report has all of it.*\n"

// Write renders the summary. Before is the run to compare with, or nil. Equal
// results give equal bytes.
func Write(w io.Writer, res, before *journal.Result) error {
	b := &builder{}
	b.head(res, before)
	b.bad(res)
	b.clauses(res)
	if _, err := io.WriteString(w, b.text()); err != nil {
		return fmt.Errorf("summary.md: %w", err)
	}
	return nil
}

// builder collects whole lines up to Max, so that no markup is cut in two.
type builder struct {
	strings.Builder
	full bool
}

// block adds lines that belong together, or none of them.
func (b *builder) block(s string) {
	if b.full || b.Len()+len(s)+len(note) > Max {
		b.full = true
		return
	}
	b.WriteString(s)
}

func (b *builder) text() string {
	if b.full {
		return b.String() + note
	}
	return b.String()
}

var marks = map[verdict.Verdict]string{verdict.Pass: "✅", verdict.Fail: "❌", verdict.Error: "🟣", verdict.Inconclusive: "❔", verdict.NotApplicable: "⬜"}

// clip bounds one cell.
func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		s = string(r[:n-1]) + "…"
	}
	return shown.Markdown(s)
}

func (b *builder) head(res, before *journal.Result) {
	s := &res.Start
	b.block(fmt.Sprintf("## %s %s: %s on %s\n\n", marks[res.Worst], terminal.Outcome(res), clip(strings.TrimSpace(s.Device+" "+s.Firmware), 120), clip(s.Rig, 80)))
	b.block(fmt.Sprintf("%s. Exit code %d.\n\n", terminal.Counts(res), res.Exit))
	if len(s.Selectors) > 0 {
		b.block("Selected: " + clip(strings.Join(s.Selectors, " "), 300) + "\n\n")
	}
	if planted := s.Plants(); len(planted) > 0 {
		b.block("Planted in the device: " + clip(strings.Join(planted, ", "), 300) + "\n\n")
	}
	for _, t := range res.Trouble {
		b.block("- **" + clip(t.String(), 500) + "**\n")
	}
	for _, in := range res.Open {
		b.block("- not undone: " + clip(in.What, 300) + "\n")
	}
	if d := diff.Compare(before, res); d != nil {
		b.block(fmt.Sprintf("\nAgainst %s: %s.\n", clip(d.Before, 100), d.Summary()))
		if d.Caution != "" {
			b.block("Mind that " + clip(d.Caution, 300) + ".\n")
		}
		for _, l := range d.Lists() {
			if l.Word == diff.NotSelected {
				continue // whoever chose the cases knows which they are not
			}
			for i, ch := range l.Changes {
				if i == 20 {
					b.block(fmt.Sprintf("- %s: and %d more\n", l.Word, len(l.Changes)-i))
					break
				}
				text := clip(ch.ID, 200)
				if ch.Moved != "" {
					text += ", on " + clip(ch.Moved, 200)
				}
				b.block(fmt.Sprintf("- %s: %s\n", l.Word, text))
			}
		}
	}
	b.block("\n")
}

func (b *builder) bad(res *journal.Result) {
	for _, v := range []verdict.Verdict{verdict.Fail, verdict.Error, verdict.Inconclusive} {
		if res.Counts[v] == 0 {
			continue
		}
		b.block(fmt.Sprintf("### %s %s\n\n| Case | Why | Run it again |\n|---|---|---|\n", marks[v], map[verdict.Verdict]string{
			verdict.Fail: "Failed", verdict.Error: "Errors of the rig", verdict.Inconclusive: "Inconclusive"}[v]))
		for i := range res.Cases {
			if c := &res.Cases[i]; c.Verdict() == v {
				b.block(fmt.Sprintf("| %s | %s | %s |\n", clip(c.ID, 200), clip(string(c.Judgement.Reason)+": "+c.Judgement.Detail, 400), clip(res.Rerun(c.ID), 400)))
			}
		}
		b.block("\n")
	}
}

func (b *builder) clauses(res *journal.Result) {
	rows := cover.Rows(res)
	if len(rows) == 0 {
		return
	}
	b.block("<details><summary>Clauses</summary>\n\n| Clause | Result | Findings |\n|---|---|---|\n")
	for _, r := range rows {
		b.block(fmt.Sprintf("| %s | %s | %s |\n", clip(r.Clause, 100), r.Word, clip(strings.Join(r.Findings, ", "), 300)))
	}
	b.block("\n</details>\n")
}
