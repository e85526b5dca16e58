// Package junit renders a run as JUnit XML, in two profiles: rich, for what
// the consumers really read, and strict, valid against the schemas of Jenkins'
// xUnit plugin and of Ant (windyroad) at once.
package junit

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/report/shown"
	"rigor/harness/verdict"
)

// Profile is the flavour of the file.
type Profile string

// The profiles. Rich puts a case's facts with the case; strict has only what
// both schemas know, and moves the facts to the suite.
const (
	Rich   Profile = "rich"
	Strict Profile = "strict"
)

// Attachments says how evidence is pointed at from a case's output.
type Attachments string

// Relative suits GitLab, Absolute Jenkins' attachments plugin.
const (
	Relative Attachments = "relative"
	Absolute Attachments = "absolute"
	Off      Attachments = "off"
)

// Options of the file. The zero value is rich, with evidence relative to the
// run's folder.
type Options struct {
	Profile     Profile
	Attachments Attachments
	// Folder is the run's folder as the reader of the file sees it: for
	// Relative seen from where the CI job began, for Absolute its full path.
	Folder string
}

// Limits, in bytes, of the text that one case may carry: Jenkins cuts a
// failing case's output at 100,000 characters and a passing one's at 1,000.
// maxLine is for what is read in one line, a message or a property. maxFile
// bounds the text of all cases, since consumers refuse large files.
const (
	maxBad  = 90_000
	maxGood = 1_000
	maxLine = 400
	maxFile = 16 << 20
)

// ErrOptions says that an option is not one of those that there are.
type ErrOptions struct{ Name, Value string }

func (e *ErrOptions) Error() string {
	return fmt.Sprintf("junit: there is no %s %q", e.Name, e.Value)
}

// Write renders the run. Equal results give equal bytes.
func Write(w io.Writer, res *journal.Result, o Options) error {
	switch o.Profile {
	case "":
		o.Profile = Rich
	case Rich, Strict:
	default:
		return &ErrOptions{"profile", string(o.Profile)}
	}
	switch o.Attachments {
	case "":
		o.Attachments = Relative
	case Relative, Absolute, Off:
	default:
		return &ErrOptions{"attachments", string(o.Attachments)}
	}
	e := &encoder{w: bufio.NewWriterSize(w, 1<<16)}
	r := &renderer{encoder: e, res: res, o: o, left: maxFile, hashes: make(map[string]string, len(res.Files))}
	for i := range res.Files {
		r.hashes[res.Files[i].Path] = res.Files[i].SHA256
	}
	r.document()
	if err := e.w.Flush(); err != nil {
		return fmt.Errorf("junit: %w", err)
	}
	return nil
}

type renderer struct {
	*encoder
	res    *journal.Result
	o      Options
	left   int // of maxFile
	hashes map[string]string
}

// suite is the cases of one area, in the order of the plan.
type suite struct {
	name  string
	cases []testcase
}

// testcase is one case, or the run itself where it is in trouble.
type testcase struct {
	c     *journal.Case
	class string
	name  string
	at    time.Duration
	took  time.Duration
	j     verdict.Judgement
	extra []string // further lines of the message
}

func (s *suite) count() (failures, errs, skipped int, took time.Duration) {
	for i := range s.cases {
		switch s.cases[i].j.Verdict {
		case verdict.Pass:
		case verdict.Fail:
			failures++
		case verdict.NotApplicable:
			skipped++
		default:
			errs++
		}
		took += s.cases[i].took
	}
	return failures, errs, skipped, took
}

func (r *renderer) suites() []suite {
	var out []suite
	index := map[string]int{}
	dev := plain(r.res.Start.Device)
	for i := range r.res.Cases {
		c := &r.res.Cases[i]
		k, ok := index[c.Suite]
		if !ok {
			k = len(out)
			index[c.Suite] = k
			out = append(out, suite{name: plain(r.res.Start.Rig) + "." + dev + "." + plain(c.Suite)})
		}
		out[k].cases = append(out[k].cases, testcase{c: c, class: dev + "." + plain(c.Suite), name: c.ID, at: c.At, took: c.Took, j: c.Judgement})
	}
	if t := r.runCase(); t != nil {
		out = append(out, suite{name: plain(r.res.Start.Rig) + "." + dev + ".rig", cases: []testcase{*t}})
	}
	return out
}

// runCase gives a case of its own for what is wrong with the run as a whole,
// so that no consumer of the file sees green where the command did not end
// with 0.
func (r *renderer) runCase() *testcase {
	t := &testcase{class: plain(r.res.Start.Device) + ".rig", name: "run[rig]"}
	for _, j := range r.res.Trouble {
		t.extra = append(t.extra, j.String())
	}
	if len(r.res.Trouble) > 0 {
		t.j = r.res.Trouble[0]
		return t
	}
	bad := false
	for v, n := range r.res.Counts {
		bad = bad || n > 0 && v != verdict.Pass && v != verdict.NotApplicable
	}
	switch {
	case r.res.Exit == verdict.ExitPass, bad:
		return nil
	case r.res.Exit == verdict.ExitInterrupted:
		t.j = verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonInterrupted, Detail: "the run was interrupted"}
	default:
		t.j = verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonNotSelected, Detail: "nothing was selected: no case was run"}
	}
	return t
}

// plain makes a name that is put between dots fit for a class name.
func plain(s string) string {
	s = strings.Map(func(c rune) rune {
		if c == '.' || c == '/' || c <= ' ' || c == 0x7f {
			return '_'
		}
		return c
	}, s)
	if s == "" {
		return "unnamed"
	}
	return s
}

func (r *renderer) document() {
	suites := r.suites()
	r.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
	if r.o.Profile == Strict {
		r.open("testsuites")
	} else {
		tests, failures, errs, took := 0, 0, 0, time.Duration(0)
		for i := range suites {
			f, e, _, t := suites[i].count()
			tests, failures, errs, took = tests+len(suites[i].cases), failures+f, errs+e, took+t
		}
		r.open("testsuites", "name", r.res.Start.Run, "tests", strconv.Itoa(tests), "failures", strconv.Itoa(failures),
			"errors", strconv.Itoa(errs), "time", seconds(took))
	}
	for i := range suites {
		r.suite(i, &suites[i])
	}
	r.end("testsuites")
	r.raw("\n")
}

func (r *renderer) suite(id int, s *suite) {
	f, e, sk, took := s.count()
	at := time.Duration(0)
	if len(s.cases) > 0 {
		at = s.cases[0].at
		for i := range s.cases {
			if c := s.cases[i].c; c != nil && c.Ran {
				at = min(at, s.cases[i].at)
			}
		}
	}
	attrs := []string{"name", s.name}
	if r.o.Profile == Strict {
		attrs = append(attrs, "package", plain(r.res.Start.Device))
	}
	host := r.res.Start.Host
	if strings.TrimSpace(host) == "" {
		host = "localhost"
	}
	attrs = append(attrs, "id", strconv.Itoa(id), "hostname", host, "tests", strconv.Itoa(len(s.cases)), "failures", strconv.Itoa(f),
		"errors", strconv.Itoa(e), "skipped", strconv.Itoa(sk), "time", seconds(took), "timestamp", r.stamp(at))
	r.raw("\n")
	r.open("testsuite", attrs...)
	r.properties(r.suiteProperties(s))
	if r.o.Profile == Strict {
		r.strictCases(s)
	} else {
		for i := range s.cases {
			r.testcase(&s.cases[i])
		}
	}
	r.raw("\n")
	r.end("testsuite")
}

func (r *renderer) stamp(off time.Duration) string {
	at := r.res.At.Add(off).UTC()
	if r.o.Profile == Strict {
		return at.Format("2006-01-02T15:04:05") // the Ant schema allows no zone
	}
	return at.Format("2006-01-02T15:04:05.000Z")
}

// seconds has three decimals, as the stricter consumers ask for.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }

func (r *renderer) testcase(t *testcase) {
	attrs := []string{"name", t.name, "classname", t.class, "time", seconds(t.took)}
	if t.c != nil && t.c.Ran {
		attrs = append(attrs, "timestamp", r.stamp(t.at))
	}
	r.raw("\n")
	r.open("testcase", attrs...)
	if t.c != nil {
		r.properties(r.caseProperties(t.c))
	}
	r.outcome(t)
	if t.c != nil {
		if out, refs := r.caseOutput(t), r.attachments(t.c); out != "" || len(refs) > 0 {
			r.open("system-out")
			r.raw(out)
			r.attached(refs)
			r.end("system-out")
		}
	}
	r.end("testcase")
}

// outcome writes the one child that says how the case ended; nothing for a
// pass.
func (r *renderer) outcome(t *testcase) {
	kind, message := Type(t.j), firstLine(t.j.Detail)
	if message == "" {
		message = kind
	}
	switch t.j.Verdict {
	case verdict.Pass:
	case verdict.NotApplicable:
		word := "n/a: "
		if t.c != nil && t.c.Waiver != nil {
			word = "waived: "
		}
		r.element("skipped", clip(word+t.j.Detail, maxBad), "message", word+message)
	case verdict.Fail:
		r.element("failure", r.why(t), "message", message, "type", kind)
	default:
		r.element("error", r.why(t), "message", message, "type", kind)
	}
}

// Type gives the type of the failure or error element: the verdict with its
// reason, so that a CI rule can tell what the DUT did from what the rig did.
func Type(j verdict.Judgement) string {
	reason := string(j.Reason)
	if reason == "" {
		reason = "unknown"
	}
	switch j.Verdict {
	case verdict.Pass, verdict.NotApplicable:
		return ""
	case verdict.Fail:
		return "baseline.fail." + reason
	case verdict.Inconclusive:
		return "baseline.inconclusive." + reason
	}
	return "rig." + reason
}

// why is the text of a failure or error: one fact a line.
func (r *renderer) why(t *testcase) string {
	var b strings.Builder
	b.WriteString(t.j.Detail)
	for _, l := range t.extra {
		b.WriteString("\n" + l)
	}
	if t.c == nil {
		return clip(b.String(), maxBad)
	}
	for i := range t.c.Claims {
		cl := &t.c.Claims[i]
		if cl.Judgement.Verdict == verdict.Pass {
			continue
		}
		fmt.Fprintf(&b, "\nclaim: %s", cl.Text)
		if cl.Expected != "" {
			fmt.Fprintf(&b, "\nexpected: %s", cl.Expected)
		}
		if cl.Got != "" {
			fmt.Fprintf(&b, "\ngot: %s", cl.Got)
		}
	}
	if cmd := r.res.Rerun(t.name); cmd != "" {
		fmt.Fprintf(&b, "\nrun it again: %s", cmd)
	}
	return clip(b.String(), maxBad)
}

// caseOutput is a case's system-out, as XML: its claims, and what the console
// said.
func (r *renderer) caseOutput(t *testcase) string {
	c := t.c
	limit := maxGood
	if t.j.Verdict != verdict.Pass && t.j.Verdict != verdict.NotApplicable {
		limit = max(maxGood, min(maxBad, r.left))
	}
	var b strings.Builder
	for i := range c.Claims {
		cl := &c.Claims[i]
		fmt.Fprintf(&b, "claim %d: %s: %s\n", cl.Claim.Claim, cl.Text, cl.Judgement)
		for k := range cl.Controls {
			ctl := &cl.Controls[k]
			fmt.Fprintf(&b, "  %s: %s ok=%t %s\n", ctl.Role, ctl.Kind, ctl.OK, ctl.Detail)
		}
		if p := cl.Probes; p != nil {
			fmt.Fprintf(&b, "  probes: %d planned, %d tried, %d effective: %s\n", p.Planned, p.Tried, p.Effective, journal.KindsText(p.Kinds))
		}
	}
	out := clip(b.String(), limit)
	for i := range c.Excerpts {
		x := &c.Excerpts[i]
		if len(out) >= limit {
			out += fmt.Sprintf("--- %d further excerpts left out, see the evidence\n", len(c.Excerpts)-i)
			break
		}
		out += clip(fmt.Sprintf("--- %s, bytes %d to %d\n", x.Source, x.Offset, x.Offset+x.Length), maxLine)
		out += cut(escape.Visible(shown.Excerpt(x.Text)), max(limit-len(out), maxLine)) + "\n"
	}
	r.left -= len(out)
	return prose(out)
}

// attachments gives the lines by which CI systems find a case's evidence. They
// are ours, so that they are written after everything that came from the DUT
// was neutralised.
func (r *renderer) attachments(c *journal.Case) []string {
	if r.o.Attachments == Off || c == nil {
		return nil
	}
	var out []string
	for _, p := range evidence(c) {
		if full := path.Join(r.o.Folder, p); pathLike(full) {
			out = append(out, "[[ATTACHMENT|"+full+"]]")
		}
	}
	return out
}

// pathLike says whether a path can stand in a line of its own: anything with
// a control character or brackets in it could say more than where a file is.
func pathLike(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsAny(s, "[]|") && strings.IndexFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) < 0
}

// evidence gives the paths of a case's evidence, each once, in order.
func evidence(c *journal.Case) []string {
	var out []string
	seen := map[string]bool{}
	add := func(refs []journal.Ref) {
		for _, ref := range refs {
			if ref.Path != "" && !seen[ref.Path] {
				seen[ref.Path] = true
				out = append(out, ref.Path)
			}
		}
	}
	for i := range c.Claims {
		cl := &c.Claims[i]
		add(cl.Evidence)
		if cl.Probes != nil {
			add(cl.Probes.Evidence)
		}
		for k := range cl.Controls {
			add(cl.Controls[k].Evidence)
		}
	}
	return out
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return strings.ReplaceAll(clip(s, maxLine), "\n", " ")
}

// clip makes a text visible and then cuts it, so that what grows by escaping
// stays within its limit too.
func clip(s string, limit int) string { return cut(shown.Prose(escape.Visible(s)), limit) }

// cut keeps the head and the tail of a text that is too long.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	head, tail := limit/2, len(s)-limit/2
	for head > 0 && !utf8.RuneStart(s[head]) {
		head--
	}
	for tail < len(s) && !utf8.RuneStart(s[tail]) {
		tail++
	}
	return s[:head] + fmt.Sprintf("\n… %d bytes left out, see the evidence …\n", tail-head) + s[tail:]
}
