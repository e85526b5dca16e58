package junit

import (
	"bufio"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/report/shown"
)

// encoder writes XML. It is our own, since encoding/xml either writes control
// bytes raw or turns them into U+FFFD without a word.
type encoder struct {
	w *bufio.Writer
}

// raw writes what is known to be XML. Errors stay in the bufio.Writer.
func (e *encoder) raw(s string) { _, _ = e.w.WriteString(s) }

func attr(s string) string  { return shown.Prose(escape.XMLAttr(s)) }
func prose(s string) string { return shown.Prose(escape.XMLText(s)) }

func (e *encoder) open(name string, attrs ...string) {
	e.raw("<" + name)
	for i := 0; i+1 < len(attrs); i += 2 {
		e.raw(" " + attrs[i] + `="` + attr(attrs[i+1]) + `"`)
	}
	e.raw(">")
}

func (e *encoder) end(name string) { e.raw("</" + name + ">") }

func (e *encoder) element(name, text string, attrs ...string) {
	e.open(name, attrs...)
	e.raw(prose(text))
	e.end(name)
}

// property is a name with a value; the names are our own words.
type property struct{ name, value string }

func (e *encoder) properties(ps []property) {
	e.raw("\n<properties>")
	for _, p := range ps {
		if p.value != "" {
			e.raw("\n" + `<property name="` + attr(p.name) + `" value="` + attr(strings.ReplaceAll(clip(p.value, 4*maxLine), "\n", " ")) + `"/>`)
		}
	}
	e.raw("\n</properties>\n")
}

func (r *renderer) suiteProperties(s *suite) []property {
	st := &r.res.Start
	ps := []property{
		{"run.id", st.Run}, {"run.planned", strconv.Itoa(r.res.Planned)}, {"run.selected", strconv.Itoa(len(r.res.Cases))},
		{"run.verdict", string(r.res.Worst)}, {"run.exit", strconv.Itoa(r.res.Exit)}, {"run.selectors", strings.Join(st.Selectors, " ")},
		{"run.seed", strconv.FormatUint(st.Seed, 10)}, {"run.writer", st.Writer}, {"run.clock", st.Clock},
		{"journal.sha256", r.res.Hash}, {"rig", strings.Join(st.Rigs(), " ")}, {"dut.profile", st.Device}, {"dut.maker", st.Maker}, {"dut.model", st.Model},
		{"dut.hardware", st.Hardware}, {"dut.firmware", st.Firmware}, {"dut.unit", strings.Join(st.Serials(), " ")}, {"dut.planted", strings.Join(st.Plants(), " ")},
	}
	for _, k := range slices.Sorted(maps.Keys(st.Digests)) {
		ps = append(ps, property{"digest." + k, st.Digests[k]})
	}
	if r.o.Profile == Strict { // a case has no properties there
		for i := range s.cases {
			if c := s.cases[i].c; c != nil {
				for _, p := range r.caseProperties(c) {
					ps = append(ps, property{c.ID + "." + p.name, p.value})
				}
			}
		}
	}
	return ps
}

func (r *renderer) caseProperties(c *journal.Case) []property {
	ps := []property{{"title", c.Title}, {"clauses", strings.Join(c.Clauses, "; ")}, {"verdict", string(c.Judgement.Verdict)}, {"reason", string(c.Judgement.Reason)}}
	if c.Waiver != nil {
		ps = append(ps, property{"verdict.raw", c.Raw.String()}, property{"waiver.owner", c.Waiver.Owner}, property{"waiver.expires", c.Waiver.Expires})
	}
	ps = append(ps, property{"state", c.State}, property{"unit", r.res.Unit(c)})
	if c.Tries > 1 {
		ps = append(ps, property{"tries", strconv.Itoa(c.Tries)})
	}
	// Numbered, since several readers keep only the last of equal names.
	for i, p := range evidence(c) {
		ps = append(ps, property{fmt.Sprintf("evidence%d", i+1), p})
		if h := r.hashes[p]; h != "" {
			ps = append(ps, property{fmt.Sprintf("evidence%d.sha256", i+1), h})
		}
	}
	return ps
}

// strictCases writes bare cases, and what they had to say as the suite's own
// output.
func (r *renderer) strictCases(s *suite) {
	for i := range s.cases {
		t := &s.cases[i]
		r.raw("\n")
		r.open("testcase", "name", t.name, "classname", t.class, "time", seconds(t.took))
		r.outcome(t)
		r.end("testcase")
	}
	r.raw("\n")
	r.open("system-out")
	for i := range s.cases {
		t := &s.cases[i]
		if t.c == nil {
			continue
		}
		if out := r.caseOutput(t); out != "" {
			r.raw(prose("== "+t.name+"\n") + out)
		}
		r.attached(r.attachments(t.c))
	}
	r.end("system-out")
	r.raw("\n")
	r.element("system-err", "")
}

// attached writes the lines that point at evidence. They are ours: what came
// from the DUT has been neutralised, they must not be.
func (r *renderer) attached(lines []string) {
	for _, l := range lines {
		r.raw(markup.Replace(l) + "\n")
	}
}

var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
