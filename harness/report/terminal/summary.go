package terminal

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"rigor/harness/journal"
	"rigor/harness/report/diff"
	"rigor/harness/verdict"
)

// maxShown is how many cases of a kind are shown in full; the report has all.
const maxShown = 50

// Summary writes what the run amounts to: each failure, error and unclear case
// with its reason and the command that runs it again, then the counts. Before
// is the run to compare with, or nil; report is the path to point at, or empty.
func Summary(w io.Writer, res, before *journal.Result, report string, o Options) error {
	p := &printer{w: w, o: o}
	for _, v := range []verdict.Verdict{verdict.Inconclusive, verdict.Error, verdict.Fail} { // the worst stands next to the summary
		shown := 0
		for i := range res.Cases {
			c := &res.Cases[i]
			if c.Verdict() != v {
				continue
			}
			if shown++; shown <= maxShown {
				p.details(res, c)
			}
		}
		if shown > maxShown {
			p.printf("%sand %d more of the kind; see the report\n", p.word(v), shown-maxShown)
		}
	}
	for i := range res.Cases { // what is waived did fail: it is not to be forgotten
		if c := &res.Cases[i]; c.Waiver != nil {
			p.printf("waived   %s  %s", p.bold(p.clean(c.ID)), p.short(c.Judgement.Detail, 300))
		}
	}
	p.footer(res, before, report)
	if p.err != nil {
		return fmt.Errorf("terminal: %w", p.err)
	}
	return nil
}

func (p *printer) details(res *journal.Result, c *journal.Case) {
	p.printf("%s%s  %s", p.word(c.Verdict()), p.bold(p.clean(c.ID)), p.clean(c.Title))
	for _, f := range res.Explain(c) {
		text := f.Text
		switch f.Name {
		case journal.FieldWhy:
			text = p.short(text, 200)
		case journal.FieldAgain:
			text = p.safe(text)
		case journal.FieldEvidence:
			text = p.clean(text)
		default:
			text = p.short(text, 300)
		}
		p.printf("%s%-9s %s", strings.Repeat(" ", column), f.Name, text)
	}
	p.print("\n")
}

func (p *printer) footer(res, before *journal.Result, report string) {
	s := &res.Start
	dut := s.Device
	for _, f := range []string{s.Model, s.Firmware} {
		if f != "" {
			dut += " " + f
		}
	}
	units, rigs := s.Serials(), s.Rigs()
	if len(units) > 0 {
		dut += ", " + plural("unit", units)
	}
	share := ""
	if len(s.Beside) > 0 {
		share = ", each case on one of them"
	}
	p.printf("%s on %s%s", p.clean(dut), p.clean(plural("rig", rigs)), share)
	if planted := s.Plants(); len(planted) > 0 {
		p.printf("planted   %s", p.clean(strings.Join(planted, ", ")))
	}
	p.printf("cases     %s", Counts(res))
	if d := diff.Compare(before, res); d != nil {
		p.printf("before    %s, against %s", d.Summary(), p.clean(d.Before))
		if d.Caution != "" {
			p.printf("          %s", p.clean(d.Caution))
		}
	}
	for _, t := range res.Trouble {
		p.printf("%s %s", p.paint(t.Verdict, "trouble  "), p.short(t.String(), 300))
	}
	for _, in := range res.Open {
		p.printf("undone    %s: %s undoes it", p.short(in.What, 200), p.clean(journal.OnRig("the next run", in.Rig)))
	}
	if report != "" {
		p.printf("report    %s", p.clean(report))
	}
	p.printf("%s in %s, exit code %d", p.paint(res.Worst, Outcome(res)), seconds(res.Took), res.Exit)
}

// plural gives "rig a", "rigs a, b and c", or of more than three "rigs a, b and 2 more".
func plural(what string, names []string) string {
	if more := len(names) - 2; more > 1 {
		names = append(slices.Clone(names[:2]), fmt.Sprintf("%d more", more))
	}
	last := len(names) - 1
	if last < 1 {
		return what + " " + strings.Join(names, "")
	}
	return what + "s " + strings.Join(names[:last], ", ") + " and " + names[last]
}

// Outcome gives the run's verdict in a word or two.
func Outcome(res *journal.Result) string {
	switch {
	case res.Exit == verdict.ExitInterrupted:
		return "INTERRUPTED"
	case res.Worst == verdict.Pass:
		return "PASSED"
	case res.Worst == verdict.Fail:
		return "FAILED"
	case res.Worst == verdict.Error:
		return "ERROR OF THE RIG"
	case res.Worst == verdict.Inconclusive:
		return "INCONCLUSIVE"
	case res.Worst == verdict.NotApplicable && waived(res) > 0:
		return "WAIVED"
	case res.Worst == verdict.NotApplicable:
		return "NOTHING APPLIES"
	}
	return "NOTHING RUN"
}

// Counts gives "40 of 42 planned: 38 passed, 1 failed …", so that a case that
// vanished would show.
func Counts(res *journal.Result) string {
	s := fmt.Sprintf("%d of %d planned", len(res.Cases), res.Planned)
	var parts []string
	for _, v := range []struct {
		v    verdict.Verdict
		word string
	}{{verdict.Pass, "passed"}, {verdict.Fail, "failed"}, {verdict.Inconclusive, "inconclusive"}, {verdict.Error, "error"}, {verdict.NotApplicable, "not applicable"}} {
		n := res.Counts[v.v]
		if v.v == verdict.NotApplicable {
			n -= waived(res)
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v.word))
		}
	}
	if n := waived(res); n > 0 {
		parts = append(parts, fmt.Sprintf("%d waived", n))
	}
	if len(parts) > 0 {
		s += ": " + strings.Join(parts, ", ")
	}
	if n := len(res.Left); n > 0 {
		s += fmt.Sprintf("; %d not selected", n)
	}
	return s
}

// waived counts the failures that a waiver turned into skips.
func waived(res *journal.Result) (n int) {
	for i := range res.Cases {
		if res.Cases[i].Waiver != nil {
			n++
		}
	}
	return n
}
