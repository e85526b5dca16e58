// Package terminal shows a run to the person in front of it: one line for each
// case that ends, a live line that says what is being waited for, and at the
// end what went wrong and how to run it again.
package terminal

import (
	"fmt"
	"io"
	"strings"
	"time"

	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/report/shown"
	"rigor/harness/verdict"
)

// Options say what the terminal can do.
type Options struct {
	Color bool // colours are wanted and understood: a terminal, and no NO_COLOR
	Live  bool // a terminal that can redraw its last line
	Width int  // of the live line, in columns; 0: 80
	CI    bool // a CI system reads along and obeys lines of its own kind
}

var words = map[verdict.Verdict]string{
	verdict.Pass: "pass", verdict.Fail: "FAIL", verdict.Error: "ERROR", verdict.Inconclusive: "UNCLEAR", verdict.NotApplicable: "n/a", verdict.None: "open",
}

// maxText is how much of one text is shown, in characters; the report has all.
const maxText = 400

// column is where ids begin, so that they stand below one another.
const column = 9

var colors = map[verdict.Verdict]string{
	verdict.Pass: "32", verdict.Fail: "31;1", verdict.Error: "35;1", verdict.Inconclusive: "33;1", verdict.NotApplicable: "2", verdict.None: "2",
}

type printer struct {
	w   io.Writer
	o   Options
	err error
}

func (p *printer) print(s string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, s)
	}
}

// printf writes one line; the arguments have been cleaned.
func (p *printer) printf(format string, args ...any) { p.print(fmt.Sprintf(format, args...) + "\n") }

// clean makes foreign text fit for a line of the terminal. Nothing that is
// shown there needs to be longer than maxText.
func (p *printer) clean(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > maxText {
		s = string(r[:maxText]) + " …"
	}
	return p.safe(s)
}

// safe escapes and leaves all else as it is: for a command, in which a space
// or the end may matter.
func (p *printer) safe(s string) string {
	if p.o.CI {
		return shown.Prose(escape.CILog(s))
	}
	return shown.Prose(escape.Terminal(s))
}

func (p *printer) short(s string, n int) string {
	s = p.clean(s)
	if r := []rune(s); len(r) > n {
		return string(r[:n-2]) + " …"
	}
	return s
}

func (p *printer) paint(v verdict.Verdict, s string) string {
	if !p.o.Color {
		return s
	}
	return "\x1b[" + colors[v] + "m" + s + "\x1b[0m"
}

func (p *printer) bold(s string) string {
	if !p.o.Color {
		return s
	}
	return "\x1b[1m" + s + "\x1b[0m"
}

// word gives the verdict's word, padded up to the column of ids.
func (p *printer) word(v verdict.Verdict) string {
	w := words[v]
	return p.paint(v, w) + strings.Repeat(" ", column-len(w))
}

func seconds(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// why gives "access: opened for root".
func (p *printer) why(j verdict.Judgement) string { return p.short(j.Why(), 200) }

// line is the one line of a case that ended.
func (p *printer) line(c *journal.Case) string {
	s := p.word(c.Verdict()) + p.clean(c.ID)
	if c.Ran {
		s += "  " + seconds(c.Took)
	}
	if c.Verdict() != verdict.Pass {
		s += "  " + p.why(c.Judgement)
	}
	return s
}
