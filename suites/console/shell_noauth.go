package console

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	hc "rigor/harness/console"
	"rigor/harness/dut"
	"rigor/harness/verdict"
)

// ShellNoAuth: no key and no word opens a shell, a menu or a boot prompt.
var ShellNoAuth = check.Check{
	ID:    "con-shell-noauth",
	Title: "No key and no word opens a shell or a menu",
	Clauses: baseline.PerChannel{
		baseline.Local: {nist8259a.LA1, en303645.V3("5.6-4A"), en303645.V3("5.5-5"), en18031.Code("ACM-2")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries},
	Budget: check.Budget{Case: 3 * time.Minute, Cleanup: time.Minute},
	Cases:  check.Planner(check.PerConsole).With(needsWay),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(t)
		t.Cleanup(leave)
		n := check.Negative[key]{
			Control: s.owner,
			Anti:    s.settle, // the declared prompt, at which the oracle has to say no
			Probes:  keys(s.con.Decl().Magic),
			Try:     s.try,
			Name:    func(k key) string { return k.name },
			Refusal: []verdict.Kind{verdict.Refused},
		}
		if !s.login.Valid() {
			n.Anti = func(ctx context.Context) (dut.Answer, error) { return s.quietly(ctx, key{wait: glance}) }
			n.Try = s.quietly
			n.Probes = append(n.Probes, key{name: "nothing, to hear what is late", wait: 2 * glance})
			if s.con.Decl().Silent {
				n.Refusal = []verdict.Kind{verdict.Silent} // as declared
			}
		}
		check.Refute(ctx, t, "nothing that is typed opens a shell, a menu or a boot prompt", n)
	},
}

// magicWords are those that makers of many devices leave in, beside the declared ones.
var magicWords = []string{"help", "?", "menu", "debug", "shell", "sh", "root", "admin", "su", "enable", "service", "factory"}

// keys gives what is typed at the prompt, likeliest first.
func keys(magic []string) []key {
	out := []key{
		{"CR", "\r", false, patience}, {"LF", "\n", false, patience}, {"CR LF", "\r\n", false, patience},
		{"Ctrl-C", ctrlC, false, glance}, {"Ctrl-D", "\x04", false, glance}, {"Ctrl-Z", "\x1a", false, glance}, {"ESC", "\x1b", false, glance},
		{"? alone", "?", false, glance},
	}
	words := slices.Clone(magic)
	for _, w := range magicWords {
		if !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	for _, w := range words {
		out = append(out, key{fmt.Sprintf("the word %q", w), w, true, patience})
	}
	return out
}

// hush is how long a console without a login prompt is listened to after each
// key; what is later than that falls to the next one.
const hush = 40 * time.Millisecond

// quietly types a key at a console that asks nobody who they are. On one that
// is declared silent not a byte may come: Silent. One that speaks has to go on
// answering as it is declared to: Refused.
func (s *seat) quietly(ctx context.Context, k key) (dut.Answer, error) {
	start := time.Now()
	from := s.con.Mark()
	if k.bytes != "" || k.enter {
		var err error
		if from, err = s.typed(ctx, k); err != nil {
			return dut.Answer{}, err
		}
	}
	wait := hush
	if k.bytes == "" {
		wait = k.wait
	}
	m, err := s.con.Await(ctx, from, wait, s.inside...)
	if late(ctx, err) && s.con.Mark() > from {
		m, err = s.con.Await(ctx, from, glance, s.inside...) // something has begun to come
	}
	if err == nil {
		if a, sure, err := s.confirmed(ctx, from, m); sure || err != nil {
			return a, err
		}
	} else if !late(ctx, err) {
		return dut.Answer{}, err
	}
	return s.unopened(ctx, from, start)
}

func (s *seat) unopened(ctx context.Context, from hc.Cursor, start time.Time) (dut.Answer, error) {
	if s.con.Decl().Silent {
		if s.con.Mark() > from {
			return s.said(from, verdict.Garbled, "it is declared silent, and says something that is no prompt")
		}
		return dut.Answer{Kind: verdict.Silent, Detail: "not a byte came", Took: time.Since(start)}, nil
	}
	a, err := s.answer(ctx)
	if err == nil && a.Kind == verdict.Accepted {
		a.Kind, a.Detail = verdict.Refused, "no prompt came; it goes on as declared: "+a.Detail
	}
	return a, err
}
