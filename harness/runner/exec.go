package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Graces: how long a check has to unwind after its context ended, and a driver
// to come back after the session was taken.
const (
	graceBudget = 2 * time.Second
	graceSignal = 10 * time.Second
	graceDriver = 5 * time.Second
	graceLeak   = 2 * time.Second
	// graceLook is for the look at the rig behind a run that was told to end.
	graceLook = 3 * time.Second
)

// defaultBudget is for a check that gives none.
var defaultBudget = check.Budget{Case: 2 * time.Minute, Cleanup: 30 * time.Second}

// errBudget is the cause of a context whose budget is spent.
var errBudget = errors.New("the budget is spent")

// ended says how a function that ran in its own goroutine ended.
type ended struct {
	returned bool // it came back at all
	whole    bool // it ran to its end, and did not end its goroutine on the way
	panicked any
	stack    []byte
}

// runGuarded runs f in a goroutine that carries the label, and waits for it.
// When ctx ends, f has grace to unwind; then the session is taken back, and if
// f is still not back it is left alone: it can do nothing any more.
func runGuarded(ctx context.Context, label string, s *dut.Session, grace func() time.Duration, f func(context.Context)) ended {
	done := make(chan ended, 1)
	go pprof.Do(ctx, pprof.Labels("case", label), func(ctx context.Context) {
		e := ended{returned: true}
		defer func() {
			if r := recover(); r != nil {
				e.panicked, e.stack = r, debug.Stack()
			}
			done <- e
		}()
		f(ctx)
		e.whole = true
	})
	select {
	case e := <-done:
		return e
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace())
	defer timer.Stop()
	select {
	case e := <-done:
		return e
	case <-timer.C:
	}
	s.Revoke()
	timer.Reset(graceLeak)
	select {
	case e := <-done:
		return e
	case <-timer.C:
		return ended{}
	}
}

// leaked gives the goroutines with the label that are still there once they had
// time to end, each by the functions that it is in.
func leaked(ctx context.Context, label string) []string {
	return outlast(ctx, graceLeak, pause, func() []string { return labelled(label) })
}

// label marks the goroutines of a case of this run: another run of this process
// may be at the same case.
func (r *run) label(id string) string { return fmt.Sprintf("%s of run %p", id, r) }

// labelled gives the goroutines that carry the label.
func labelled(label string) (left []string) {
	var buf bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&buf, 1); err != nil {
		return nil
	}
	want := fmt.Sprintf("%q:%q", "case", label)
	for block := range strings.SplitSeq(buf.String(), "\n\n") {
		if !strings.Contains(block, want) {
			continue
		}
		var count int
		if _, err := fmt.Sscanf(strings.TrimSpace(block), "%d @", &count); err != nil || count == 0 {
			count = 1
		}
		for range count {
			left = append(left, functions(block))
		}
	}
	return left
}

// waits are where a goroutine stands that waits: who had it wait is behind them.
var waits = []string{"runtime.", "internal/poll.", "internal/sync.", "sync.", "internal/runtime/"}

// functions names the last functions of a goroutine's stack, as a profile lists
// them, without those in which each waits.
func functions(block string) string {
	var names []string
	for line := range strings.Lines(block) {
		fields := strings.Split(strings.TrimSpace(line), "\t") // "#", address, function+offset, file:line
		if len(fields) < 3 || fields[0] != "#" {
			continue
		}
		name, _, _ := strings.Cut(fields[2], "+0x")
		if !slices.ContainsFunc(waits, func(p string) bool { return strings.HasPrefix(name, p) }) {
			names = append(names, name)
		}
	}
	return strings.Join(names[:min(len(names), 4)], " < ")
}

// runCase runs one try of a case and gives what its end means; nil when it
// simply returned.
func (r *run) runCase(ctx context.Context, p *Planned) *verdict.Judgement {
	budget := p.Check.Budget
	if budget.Case == 0 {
		budget = defaultBudget
	}
	session := dut.NewSession(r.life, r.heardFault)
	dev := r.device.With(session)
	t := check.NewT(check.Config{ID: p.ID, Check: p.Check, Case: p.Case, Device: dev, Host: r, Cabinet: r.cfg.Cabinet,
		Seed: r.cfg.Seed, Input: r.cfg.Input, Ledger: r.ledger})

	caseCtx, cancel := context.WithTimeoutCause(ctx, budget.Case, fmt.Errorf("%w: %v for %s", errBudget, budget.Case, p.ID))
	e := runGuarded(caseCtx, r.label(p.ID), session, r.grace, func(ctx context.Context) { p.Check.Run(ctx, t) })
	cause := context.Cause(caseCtx)
	cancel()
	j := r.endOf(ctx, p, t, session, e, cause)
	if c := r.cleanup(ctx, p, t, budget); c != nil && (j == nil || verdict.Worst(c.Verdict, j.Verdict) != j.Verdict) {
		j = c
	}
	return j
}

// endOf closes a case's session and says what its end means.
func (r *run) endOf(ctx context.Context, p *Planned, t *check.T, s *dut.Session, e ended, cause error) *verdict.Judgement {
	stuck := r.retire(s, p.ID)
	end := t.End()
	fail := func(reason verdict.Reason, format string, args ...any) *verdict.Judgement {
		return &verdict.Judgement{Verdict: verdict.Error, Reason: reason, Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case e.panicked != nil:
		r.note(p.ID, "panic: %v\n%s", e.panicked, e.stack)
		return fail(verdict.ReasonPanic, "the check panicked: %v", e.panicked)
	case len(stuck) > 0:
		return fail(verdict.ReasonFault, "a driver did not come back: %v", stuck)
	case r.leaseLost():
		return fail(verdict.ReasonLeaseLost, "the lease on the rig was lost while it ran")
	case ctx.Err() != nil:
		return fail(verdict.ReasonInterrupted, "interrupted while it ran")
	case !e.returned:
		return fail(verdict.ReasonBudget, "the check ignored the end of its time and was given up: %v", cause)
	case end != nil && end.Verdict == verdict.Error:
		return end
	// What a check found once its time was over may come of that.
	case errors.Is(cause, errBudget):
		return fail(verdict.ReasonBudget, "%v%s", cause, orNothing("; it ended with: ", end))
	}
	if left := leaked(r.life, r.label(p.ID)); len(left) > 0 {
		return fail(verdict.ReasonLeaked, "the check left %d goroutines running: %s", len(left), strings.Join(left, "; "))
	}
	if end == nil && !e.whole && !r.failed(p.ID) { // a claim that did not hold ends it too
		return fail(verdict.ReasonBug, "the check ended its goroutine and did not say why")
	}
	return end
}

func orNothing(prefix string, j *verdict.Judgement) string {
	if j == nil {
		return ""
	}
	return prefix + j.String()
}

// cleanup runs the cleanups of a case with a session and a budget of their
// own, also while the run is ending. Without the lease nothing is touched.
func (r *run) cleanup(ctx context.Context, p *Planned, t *check.T, budget check.Budget) (worst *verdict.Judgement) {
	fs := t.Cleanups()
	if len(fs) == 0 {
		return nil
	}
	if r.leaseLost() {
		r.note(p.ID, "%d cleanups were not run: the lease on the rig was lost", len(fs))
		return &verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonLeaseLost, Detail: "its cleanups were not run: the lease on the rig was lost"}
	}
	if budget.Cleanup == 0 {
		budget.Cleanup = defaultBudget.Cleanup
	}
	// The run's own end must not take the undoing with it.
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), budget.Cleanup, fmt.Errorf("%w: %v for the cleanup of %s", errBudget, budget.Cleanup, p.ID))
	defer cancel()
	for len(fs) > 0 {
		f := fs[0]
		var j *verdict.Judgement
		j, t = r.undoOne(ctx, p, t, f)
		fs = append(t.Cleanups(), fs[1:]...) // one may ask for more
		if j == nil {
			continue
		}
		r.note(p.ID, "cleanup: %s", j)
		r.machine.Forget()
		if worst == nil || verdict.Worst(worst.Verdict, j.Verdict) != worst.Verdict {
			worst = j
		}
	}
	return worst
}

// undoOne runs one cleanup with a session of its own, and gives the T that it
// worked on: what it claimed counts on.
func (r *run) undoOne(ctx context.Context, p *Planned, t *check.T, f func(context.Context, *check.T)) (*verdict.Judgement, *check.T) {
	session := dut.NewSession(r.life, r.heardFault)
	ct := t.WithDevice(r.device.With(session))
	e := runGuarded(ctx, r.label(p.ID), session, func() time.Duration { return graceBudget }, func(ctx context.Context) { f(ctx, ct) })
	stuck := r.retire(session, p.ID)
	end := ct.End()
	fail := func(reason verdict.Reason, format string, args ...any) *verdict.Judgement {
		return &verdict.Judgement{Verdict: verdict.Error, Reason: reason, Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case e.panicked != nil:
		return fail(verdict.ReasonPanic, "the cleanup panicked: %v", e.panicked), ct
	case len(stuck) > 0:
		return fail(verdict.ReasonFault, "a driver did not come back from a cleanup: %v", stuck), ct
	case !e.returned:
		return fail(verdict.ReasonBudget, "the cleanup was given up: %v", context.Cause(ctx)), ct
	case end == nil && errors.Is(context.Cause(ctx), errBudget):
		return fail(verdict.ReasonBudget, "%v", context.Cause(ctx)), ct
	}
	return end, ct
}

// retire takes a session back for good. Parts in which somebody still is are
// broken.
func (r *run) retire(s *dut.Session, caseID string) []wire.Part {
	s.Revoke()
	quiet, cancel := hadTime(r.life, graceDriver)
	defer cancel()
	stuck, _ := s.Quiesce(quiet) // its error says what the parts say
	for _, part := range stuck {
		r.breakPart(part, caseID, "a driver did not come back within "+graceDriver.String()+" after the session was taken back")
	}
	return stuck
}

// breakPart marks a part as broken: it is not fed on any more.
func (r *run) breakPart(part wire.Part, caseID, why string) {
	r.mu.Lock()
	first := r.broken[part] == ""
	if first {
		r.broken[part] = why
	}
	r.mu.Unlock()
	if first {
		r.append(&journal.Event{Kind: journal.KindFault, Case: caseID, Fault: &journal.Fault{Part: string(part), Error: why, Broken: true}})
	}
}
