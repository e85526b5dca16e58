package check

import (
	"errors"
	"fmt"
	"runtime"

	"rigor/harness/journal"
	"rigor/harness/late"
	"rigor/harness/verdict"
)

// Claim is one thing that a case says. testify assertions on it decide it: a
// failed one means that it does not hold. A claim without evidence does not
// pass.
type Claim struct {
	t        *T
	n        int
	text     string
	expected string
	got      string
	reason   verdict.Reason
	refs     []journal.Ref
	failed   bool
	unknown  bool
}

// Claim makes a claim and judges it in the function. What the function leaves
// undecided holds; what it shows is the evidence. For "refused", "locked",
// "gone" there is Refute: a negative claim made here cannot pass, since it has
// no controls.
func (t *T) Claim(text string, judge func(c *Claim)) {
	c := t.begin(text)
	done := false
	defer func() {
		if !done && !c.failed { // it was left by a panic or by the case's end
			c.unknown = true
		}
		c.close(false)
	}()
	judge(c)
	done = true
}

func (t *T) begin(text string) *Claim {
	t.mu.Lock()
	t.claims++
	c := &Claim{t: t, n: t.claims, text: text}
	t.mu.Unlock()
	if id := t.cfg.Case.Bracket; id != "" && c.n == 1 {
		t.record(&journal.Event{Kind: journal.KindBracket, Bracket: &journal.Bracket{ID: id, Phase: "open", OK: true}})
	}
	return c
}

// Show adds evidence.
func (c *Claim) Show(refs ...journal.Ref) { c.refs = append(c.refs, refs...) }

// Expect says what the claim expects and what was got, for the report. What has
// decided against the claim stays.
func (c *Claim) Expect(expected, got string) {
	c.expected = expected
	if !c.failed && !c.unknown {
		c.got = got
	}
}

// Fail says that the claim does not hold. The first reason stands. One that is told with an
// error of a computer that was too busy (late.ErrLate) rests on what did not come in time,
// and is Unknown.
func (c *Claim) Fail(r verdict.Reason, format string, args ...any) {
	for _, a := range args {
		if err, ok := a.(error); ok && errors.Is(err, late.ErrLate) {
			c.Unknown(verdict.ReasonRigLate, format, args...)
			return
		}
	}
	if !c.failed {
		c.failed, c.reason = true, r
		c.got = fmt.Sprintf(format, args...)
	}
}

// Unknown says that it cannot be said whether the claim holds.
func (c *Claim) Unknown(r verdict.Reason, format string, args ...any) {
	if !c.failed && !c.unknown {
		c.unknown, c.reason = true, r
		c.got = fmt.Sprintf(format, args...)
	}
}

// Failed says whether something has decided against the claim.
func (c *Claim) Failed() bool { return c.failed }

// Undecided says whether it was said that the claim cannot be decided.
func (c *Claim) Undecided() bool { return c.unknown }

// Errorf is how testify says that the claim does not hold.
func (c *Claim) Errorf(format string, args ...any) {
	c.Fail(verdict.ReasonExpectation, "%s", tidy(fmt.Sprintf(format, args...)))
}

// FailNow ends the case after Errorf; the claim does not hold.
func (c *Claim) FailNow() {
	c.Fail(verdict.ReasonExpectation, "the claim does not hold")
	runtime.Goexit()
}

// Helper is there for testify.
func (c *Claim) Helper() {}

func (c *Claim) close(negative bool) *journal.Claim {
	rec := &journal.Claim{Claim: c.n, Text: c.text, Negative: negative, Expected: c.expected, Got: c.got, Evidence: c.refs, Reason: c.reason, Holds: journal.Yes}
	switch {
	case c.failed:
		rec.Holds = journal.No
	case c.unknown:
		rec.Holds = journal.Unknown
	}
	if !negative {
		c.t.record(&journal.Event{Kind: journal.KindClaim, Claim: rec})
	}
	return rec
}
