package console

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/check"
	"rigor/harness/console/expect"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// needsInjection: the profile names commands that take an argument, and the
// console has the login behind which they are.
var needsInjection = check.OfConsole(func(con *profile.Console) *verdict.Judgement {
	switch {
	case con.Injection.Declared():
		return check.DeclaredNone(con.Injection.None.None)
	case len(con.Injection.Commands) == 0:
		return check.NotDeclared("the profile names no command of the console that takes an argument (injection.commands)")
	case con.Shell.Zero():
		return check.NotDeclared("the console does not declare the prompt of who is in (shell)")
	}
	return nil
})

var needsLogin check.Need = func(in check.Input, c *check.Case) *verdict.Judgement {
	if loginOn(in.Profile, c.Channel) == "" {
		return check.NotDeclared("no login with an owner is declared on console %s", c.Channel)
	}
	return nil
}

// CmdInject: an argument of the restricted command line is an argument, and
// reaches no shell.
var CmdInject = check.Check{
	ID:    "con-cmd-inject",
	Title: "An argument of the command line reaches no shell",
	Clauses: baseline.PerChannel{
		baseline.Local: {en303645.V3("5.13-1"), en18031.Code("GEC-6")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries, check.Configure},
	Budget: check.Budget{Case: 3 * time.Minute, Cleanup: time.Minute},
	Cases:  check.Planner(check.PerConsole).With(needsSpeech, needsInjection, needsLogin, needsWay),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(t)
		t.Cleanup(leave)
		a, err := s.ready(ctx)
		t.OK(err)
		if a.Kind != verdict.Accepted {
			t.Inconclusive(verdict.ReasonControlFailed, "the console is not at its login: %s", a.Detail)
		}
		session, a, err := s.door.Open(ctx, s.own)
		t.OK(err)
		if session == nil {
			t.Inconclusive(verdict.ReasonControlFailed, "the owner does not get in: %s", a.Detail)
		}
		defer func() { _ = session.Close() }() // leave sees to the console
		cmd := s.con.Decl().Injection.Commands
		check.Refute(ctx, t, "nothing in an argument is run by a shell", check.Negative[injection]{
			// The session is the owner's, and a plain argument is answered.
			Control: func(ctx context.Context) (dut.Answer, error) { return s.plainArgument(ctx, session, cmd[0]) },
			// The same oracle on an argument in which nothing is to be run.
			Anti: func(ctx context.Context) (dut.Answer, error) {
				return s.inject(ctx, injection{cmd[0], "%s", plainWord})
			},
			Probes:  injections(cmd),
			Try:     s.inject,
			Name:    func(i injection) string { return fmt.Sprintf(i.command, fmt.Sprintf(i.around, i.inner.name)) },
			Refusal: []verdict.Kind{verdict.Refused},
		})
	},
}

// injection is one argument with a command hidden in it.
type injection struct {
	command string // with %s for the argument
	around  string // with %s for what a shell would have to run
	inner   inner
}

// inner is what a shell would have to run.
type inner struct{ name, text string }

// What a shell has to multiply: the product stands in no line that is typed, also
// where a command line takes quotes away or prints its argument.
const left, right = 4273, 6091

var (
	product = fmt.Sprintf("rg$((%d*%d))x", left, right)
	// inners are one command in three spellings. A command line that cuts its
	// argument at a blank leaves nothing of the first to run. The second is no
	// command: the shell that does not find it prints the product. Where such
	// errors do not come to the console, the third prints it.
	inners = []inner{{"COMMAND WORD", "echo " + product}, {"COMMAND", product}, {"COMMAND${IFS}WORD", "echo${IFS}" + product}}
	// plainWord stands in place of a command.
	plainWord = inner{"word", "rgword"}
)

// arounds are the ways out of an argument, by what a shell takes for an end of
// it or for a command within.
var arounds = []string{
	"localhost;%s", "localhost|%s", "localhost||%s", "localhost&&%s", "localhost&%s",
	"localhost`%s`", "$(%s)", "localhost\n%s", "localhost\\n%s", "localhost%%0a%s",
	"\";%s;\"", "';%s;'",
}

func injections(commands []string) []injection {
	var out []injection
	for _, c := range commands {
		for _, a := range arounds {
			for _, in := range inners {
				out = append(out, injection{c, a, in})
			}
		}
	}
	return out
}

// plainArgument is the control.
func (s *seat) plainArgument(ctx context.Context, session login.Access, command string) (dut.Answer, error) {
	o, err := session.Proof(ctx)
	if err != nil || o.Kind != verdict.Accepted {
		return dut.Answer{Kind: closed(o.Kind), Detail: o.Detail, Raw: o.Evidence}, err
	}
	text, a, err := s.line(ctx, fmt.Sprintf(command, "localhost"))
	if err != nil || a.Kind != verdict.Refused {
		return a, err
	}
	if len(strings.TrimSpace(text)) == 0 {
		return dut.Answer{Kind: verdict.Silent, Detail: "a plain argument brings no output"}, nil
	}
	return dut.Answer{Kind: verdict.Accepted, Detail: "the session is the owner's, and a plain argument is answered"}, nil
}

// inject sends one command line and looks for what only a shell could print.
func (s *seat) inject(ctx context.Context, i injection) (dut.Answer, error) {
	start := time.Now()
	text, a, err := s.line(ctx, fmt.Sprintf(i.command, fmt.Sprintf(i.around, i.inner.text)))
	if want := fmt.Sprintf("rg%dx", left*right); strings.Contains(text, want) {
		a.Kind, a.Detail = verdict.Accepted, fmt.Sprintf("a shell ran it and printed %s", want)
	}
	a.Took = time.Since(start)
	return a, err
}

// line sends a line in the owner's session and gives what came: Refused, in
// that the command line answers and asks for the next line.
func (s *seat) line(ctx context.Context, text string) (string, dut.Answer, error) {
	at, err := s.con.SendLine(ctx, text)
	if err != nil {
		return "", dut.Answer{}, err
	}
	shell, _ := dut.Pattern("the shell's prompt", s.con.Decl().Shell)
	_, err = s.con.Await(ctx, at, patience, waits(shell))
	if err != nil && !late(ctx, err) {
		return "", dut.Answer{}, err
	}
	gone := err != nil
	raw, err := s.con.Since(at)
	if err != nil {
		return "", dut.Answer{}, err
	}
	a := dut.Answer{Kind: verdict.Refused, Detail: "the command line answers", Raw: login.Cut(raw)}
	if gone {
		a.Kind, a.Detail = verdict.Silent, "the command line does not ask for the next line"
	}
	return string(expect.Plain(raw)), a, nil
}
