package console

import (
	"context"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/console/expect"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// needsSysRq: SysRq is not declared absent. What it answers has a default.
var needsSysRq = check.OfConsole(func(con *profile.Console) *verdict.Judgement {
	if con.SysRq.Declared() {
		return check.DeclaredNone(con.SysRq.None.None)
	}
	if con.Login.Zero() {
		return check.NotDeclared("the console declares no login prompt, at which a key that SysRq does not take could be seen")
	}
	return nil
})

// helpText is what Linux prints to BREAK and h.
var helpText = expect.MustRegexp(`(?i)sysrq ?: ?HELP|loglevel\(0-9\)`).Named("SysRq's help")

// breakFor is how long the line is held low: as long as tcsendbreak(3) at least.
const breakFor = 250 * time.Millisecond

// SysRq: BREAK does not open the kernel's SysRq.
var SysRq = check.Check{
	ID:    "con-sysrq",
	Title: "BREAK does not open SysRq",
	Clauses: baseline.PerChannel{
		baseline.Local: {nist8259a.LA1, en303645.V3("5.6-4A"), en18031.Code("GEC-5")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries},
	Budget: check.Budget{Case: time.Minute, Cleanup: time.Minute},
	Cases:  check.Planner(check.PerConsole).With(needsSpeech, needsSysRq, needsWay),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(t)
		t.Cleanup(leave)
		t.Note("that the receiver of the DUT took the BREAK cannot be seen from outside: shown is that the instrument sent it, and where the key behind it went")
		check.Refute(ctx, t, "the key h behind a BREAK goes to the login, and brings no help of SysRq", check.Negative[time.Duration]{
			Control: s.owner,
			Anti:    func(ctx context.Context) (dut.Answer, error) { return s.afterBreak(ctx, -1) },
			Probes:  []time.Duration{0, 200 * time.Millisecond},
			Try:     s.afterBreak,
			Name:    func(d time.Duration) string { return "BREAK, and h after " + d.String() },
			Refusal: []verdict.Kind{verdict.Refused},
		})
	},
}

// afterBreak sends a BREAK and, after a while, h: the one key of SysRq that does
// no harm. A negative time sends h alone. Refused means that h became the first
// letter of a user name, so that SysRq did not take it.
func (s *seat) afterBreak(ctx context.Context, wait time.Duration) (dut.Answer, error) {
	start := time.Now()
	if a, err := s.settle(ctx); err != nil || a.Kind != verdict.Refused {
		a.Kind = closed(a.Kind) // a shell that stands open is con-shell-noauth's to tell
		return a, err
	}
	if wait >= 0 {
		if err := s.con.Break(ctx, breakFor); err != nil {
			return dut.Answer{}, err
		}
		if err := s.t.Device().Wait(ctx, wait); err != nil {
			return dut.Answer{}, err
		}
	}
	from, err := s.con.Send(ctx, []byte("h"))
	if err != nil {
		return dut.Answer{}, err
	}
	help := []expect.Pattern{helpText}
	if p, ok := dut.Pattern("SysRq's help, as declared", s.con.Decl().SysRq.Help); ok {
		help = append(help, p)
	}
	m, err := s.con.Await(ctx, from, glance, help...)
	if err == nil {
		if e, err := s.con.Excerpted(from, m.To, visible); err == nil {
			s.t.Excerpt(e)
		}
		return s.said(from, verdict.Accepted, "%s came: %q", m.Pattern.Name(), m.Text)
	}
	if !late(ctx, err) {
		return dut.Answer{}, err
	}
	raw, err := s.con.Since(from)
	if err != nil {
		return dut.Answer{}, err
	}
	echoed := shows(profile.Pattern{Literal: "h"}, raw)
	a, err := s.outcome(ctx, from, promptQuiet)
	a.Took = time.Since(start)
	switch {
	case err != nil || a.Kind != verdict.Refused:
		a.Kind = closed(a.Kind)
	case !echoed:
		a.Kind, a.Detail = verdict.Unproven, "no help came, and h was taken by something that is not the login"
	default:
		a.Detail = "h was echoed as a key of the login; " + a.Detail
	}
	return a, err
}
