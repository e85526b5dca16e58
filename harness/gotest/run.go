package gotest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/runner"
	"rigor/harness/verdict"
)

// run is one call of Run. Its subtests read res and why once the test function
// has returned, which is after all that writes them.
type run struct {
	t    *testing.T
	b    Bench
	job  *runner.Job
	live *journal.Live
	subs map[string]*testing.T // by the case's id, those that go test entered
	left int                   // cases that it did not
	temp bool                  // the run's folder is a temporary one

	res *journal.Result // nil: there was no run
	why string          // there was none

	mu sync.Mutex // one report at a time: go test mixes the lines of parallel tests
}

// enter makes the subtest of each selected case and pauses it. go test itself
// says which of them are to run, by entering them.
func (r *run) enter(plan []runner.Planned) {
	for i := range plan {
		p := &plan[i]
		if p.Unselected {
			continue
		}
		r.t.Run(p.ID, func(t *testing.T) {
			r.subs[p.ID] = t
			t.Parallel() // up to the end of the test function
			r.report(t, p.ID)
		})
		if r.subs[p.ID] == nil {
			p.Unselected = true
			r.left++
		}
	}
	r.job.Observe = r.observe
}

// until bounds the run: by the test, by signals, and by a time ahead of the end
// of the test binary's.
func (r *run) until(plan []runner.Planned) (context.Context, func()) {
	ctx, stop := signal.NotifyContext(r.t.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // the second signal ends the process
	end, ok := r.t.Deadline()
	if !ok {
		return ctx, stop
	}
	margin := min(r.job.Unwind(plan), time.Until(end)/2)
	ctx, cancel := context.WithDeadlineCause(ctx, end.Add(-margin), fmt.Errorf("the end of go test's -timeout, which is %v away: the rig is put safe before; give it more", margin.Round(time.Second)))
	return ctx, func() { cancel(); stop() }
}

// finish reads what the run came to.
func (r *run) finish(err error) {
	r.t.Helper()
	if err != nil {
		r.why = err.Error()
		r.fail(r.t, "RIG ERROR", []journal.Field{{Name: journal.FieldWhy, Text: r.why}})
	}
	if _, serr := os.Stat(filepath.Join(r.job.Dir, runner.JournalName)); serr != nil {
		return // nothing was begun: each subtest says so
	}
	res, err := runner.Load(r.job.Dir)
	if err != nil {
		r.t.Errorf("the run cannot be read: %v", err)
		return
	}
	r.res = res
	for _, j := range res.Trouble {
		r.fail(r.t, word(j.Verdict), []journal.Field{{Name: journal.FieldWhy, Text: j.Why()}})
	}
	said := func(j verdict.Judgement) bool { return strings.Contains(j.Detail, res.End.Detail) }
	if end := res.End; end != nil && end.How != journal.EndFinished && !slices.ContainsFunc(res.Trouble, said) {
		r.fail(r.t, strings.ToUpper(end.How), []journal.Field{{Name: journal.FieldWhy, Text: end.Detail}})
	}
	for _, in := range res.Open {
		r.say(r.t, "undone    %s: the next run undoes it", in.What)
	}
	// The fold's own word for the whole run, should nothing above have said it.
	if res.Exit != verdict.ExitPass && !r.t.Failed() && !r.anyFails() && !(r.b.AllowInconclusive && res.Worst == verdict.Inconclusive) {
		r.t.Errorf("the run ended with exit code %d", res.Exit)
	}
	if r.b.Report != nil {
		if err := r.b.Report(r.job.Dir, res); err != nil {
			r.t.Errorf("write the reports: %v", err)
		}
	}
	more := ""
	if r.temp {
		more = ", which goes unless something failed"
	}
	r.say(r.t, "run       %s%s", r.job.Dir, more)
}

// anyFails says whether a subtest is going to fail.
func (r *run) anyFails() bool {
	for id := range r.subs {
		if c := r.res.Case(id); c == nil || r.b.meaning(c.Verdict()) == fails {
			return true
		}
	}
	return false
}

// meaning is what a verdict is to go test.
type meaning int

const (
	fails meaning = iota // also what is no verdict at all
	passes
	skips
)

func (b *Bench) meaning(v verdict.Verdict) meaning {
	switch {
	case v == verdict.Pass:
		return passes
	case v == verdict.NotApplicable, v == verdict.Inconclusive && b.AllowInconclusive:
		return skips
	}
	return fails
}

// word says a verdict so that nobody takes one for another.
func word(v verdict.Verdict) string {
	switch v {
	case verdict.Pass:
		return "pass"
	case verdict.NotApplicable:
		return "n/a"
	case verdict.Inconclusive:
		return "INCONCLUSIVE (nothing is shown, neither way)"
	case verdict.Error:
		return "RIG ERROR (nothing is said of the device)"
	case verdict.Fail:
		return "FAIL"
	}
	return "NO VERDICT"
}

// report gives a subtest its case's verdict.
func (r *run) report(t *testing.T, id string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.res == nil {
		r.fail(t, word(verdict.Error), []journal.Field{{Name: journal.FieldWhy, Text: "nothing was run: " + r.why}})
		return
	}
	c := r.res.Case(id)
	if c == nil {
		r.fail(t, word(verdict.None), []journal.Field{{Name: journal.FieldWhy, Text: "the run's journal does not know the case"}})
		return
	}
	t.Attr("rigor.verdict", strings.TrimSuffix(string(c.Judgement.Verdict)+"."+string(c.Judgement.Reason), "."))
	t.Attr("rigor.seconds", strconv.FormatFloat(c.Took.Seconds(), 'f', 3, 64))
	switch r.b.meaning(c.Verdict()) {
	case passes:
		r.say(t, "pass, in %s", took(c))
	case skips:
		r.say(t, "%s: %s", word(c.Verdict()), c.Judgement.Why())
		t.SkipNow()
	default:
		r.fail(t, word(c.Verdict())+", in "+took(c), append([]journal.Field{{Name: "title", Text: c.Title}}, r.res.Explain(c)...))
	}
}

// fail fails a test and says why.
func (r *run) fail(t *testing.T, what string, fields []journal.Field) {
	t.Helper()
	t.Fail()
	r.say(t, "%s", what)
	for _, f := range fields {
		text := f.Text
		if f.Name == journal.FieldEvidence {
			text = filepath.Join(r.job.Dir, text)
		}
		if f.Name == journal.FieldAgain {
			// A space of it may matter.
			r.write(t, fmt.Sprintf("%-9s %s\n", f.Name, clean(text)))
			continue
		}
		r.say(t, "%-9s %s", f.Name, text)
	}
}

// maxText is how much of one text is shown, in characters; the reports have all.
const maxText = 400

// say writes one line into a test's output. What it is made of may hold the
// DUT's own words: every line begins with a word of ours, so that none of it is
// taken for one of go test's.
func (r *run) say(t *testing.T, format string, args ...any) {
	for i, a := range args {
		if s, ok := a.(string); ok {
			s = strings.Join(strings.Fields(s), " ")
			if rs := []rune(s); len(rs) > maxText {
				s = string(rs[:maxText]) + " …"
			}
			args[i] = clean(s)
		}
	}
	r.write(t, fmt.Sprintf(format, args...)+"\n")
}

func (r *run) write(t *testing.T, line string) {
	_, _ = io.WriteString(t.Output(), line) // it goes to memory or standard output, which says nothing
}

// clean makes text harmless for a terminal and for the log of a CI.
func clean(s string) string { return strings.ReplaceAll(escape.CILog(s), `\\`, `\`) }

func took(c *journal.Case) string { return c.Took.Round(time.Millisecond).String() }

// observe tells how the run goes. A journal's writer calls it, one event at a
// time, while the subtests are paused.
func (r *run) observe(e *journal.Event) {
	r.live.Take(e)
	t := r.subs[e.Case]
	switch {
	case t != nil && e.Begin != nil && e.Begin.Try > 1:
		r.say(t, "begins again, after trouble of the rig")
	case t != nil && e.Begin != nil:
		r.say(t, "begins")
	case t != nil && e.CaseEnd != nil && !e.CaseEnd.Retry:
		if c, waits, ok := r.live.Case(e.Case); ok {
			more := ""
			if waits {
				more = ", if its bracket closes well"
			}
			r.say(t, "so far: %s%s: %s", word(c.Verdict()), more, c.Judgement.Why())
		}
	case e.Fault != nil && e.Fault.Broken:
		r.say(r.t, "broken    %s: %s", e.Fault.Part, e.Fault.Error)
	case e.Doctor != nil && e.Doctor.Status == "broken":
		r.say(r.t, "doctor    %s the run: %s: %s", e.Doctor.Phase, e.Doctor.Where(), e.Doctor.Detail)
	case e.Lost != nil:
		r.say(r.t, "lost      the device: %s %s", e.Lost.Diagnosis, e.Lost.Detail)
	}
}
