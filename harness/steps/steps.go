// Package steps carries out the one grammar of actions that serves ways,
// versions, markers, identity and set-ups, wherever a profile declares them.
package steps

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rigor/harness/console"
	"rigor/harness/console/expect"
	"rigor/harness/escape"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/wire"
)

// DefaultWithin is how long a step may take that does not say.
const DefaultWithin = 10 * time.Second

// Errors on which a caller decides.
var (
	// ErrNeedsHuman says that a person has to do or see something, and none is
	// there.
	ErrNeedsHuman = errors.New("a person is needed")
	// ErrName says that a text refers to a value that nobody gives.
	ErrName = errors.New("no such value")
)

// StepError says that a step did not show what it had to: the DUT's doing.
type StepError struct {
	At   string // file:line:column
	Verb string
	What string // what was expected
	Got  string // what came, escaped and cut
}

// Error says where, what was expected and what came.
func (e *StepError) Error() string {
	return fmt.Sprintf("%s: %s: want %s, got %s", e.At, e.Verb, e.What, e.Got)
}

// Target is what steps act on.
type Target interface {
	Line(name string) (wire.Line, error)
	// Talk gives a console, and the pattern that says that it has settled.
	Talk(name string) (console.Talker, error)
	// Access logs in as the owner and stays.
	Access(ctx context.Context, loginName string) (login.Access, error)
	// Web makes a request without a login, to the service of a login or to a
	// port of its own.
	Web(ctx context.Context, s *profile.Step, r login.Request) (login.Response, error)
	PowerOn(ctx context.Context) error
	PowerOff(ctx context.Context) error
	PowerCycle(ctx context.Context) error
	Wait(ctx context.Context, d time.Duration) error
	// Value gives ${name} of unit, secret and profile.
	Value(name string) (string, bool, error)
	Exec(ctx context.Context, argv []string, values map[string]string) (text string, got map[string]string, err error)
	Ask(ctx context.Context, question string) (string, error)
}

// Run carries the steps out in order. The values that it gives are vars and
// what was extracted. It ends at the first step that did not work: a *StepError
// where the DUT did not show what it had to, a *wire.Fault for the rig's
// trouble.
func Run(ctx context.Context, t Target, ss []profile.Step, vars map[string]string) (map[string]string, error) {
	r := &runner{t: t, vars: map[string]string{}}
	for k, v := range vars {
		r.vars[k] = v
	}
	defer r.close()
	if err := r.all(ctx, ss); err != nil {
		return r.vars, err
	}
	return r.vars, nil
}

type runner struct {
	t      Target
	vars   map[string]string
	access map[string]login.Access // sessions of this run of steps, by login
}

func (r *runner) close() {
	for _, a := range r.access {
		_ = a.Close() // the steps are over; how a session ends changes nothing
	}
}

func (r *runner) all(ctx context.Context, ss []profile.Step) error {
	for i := range ss {
		if err := r.step(ctx, &ss[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) step(ctx context.Context, s *profile.Step) error {
	within := s.Within
	if within == 0 {
		within = DefaultWithin + s.Wait
	}
	if s.Verb == "repeat" || s.Verb == "power" || s.Verb == "ask" { // they have times of their own
		within = max(within, 10*time.Minute)
	}
	stepCtx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("%s: %s took longer than %v", s.At, s.Verb, within))
	defer cancel()
	err := r.act(stepCtx, s)
	var se *StepError
	switch {
	case err == nil || errors.As(err, &se):
		return err
	case ctx.Err() == nil && stepCtx.Err() != nil && !isFault(err):
		return &StepError{s.At, s.Verb, "it to be done within " + within.String(), cut(err.Error())}
	}
	return fmt.Errorf("%s: %s: %w", s.At, s.Verb, err)
}

func isFault(err error) bool {
	_, ok := wire.AsFault(err)
	return ok
}

func (r *runner) act(ctx context.Context, s *profile.Step) error {
	switch s.Verb {
	case "http":
		return r.http(ctx, s)
	case "run":
		return r.command(ctx, s)
	case "console":
		return r.console(ctx, s)
	case "file":
		return r.file(s)
	case "assert", "release", "line":
		return r.line(ctx, s)
	case "power":
		switch s.Power {
		case "on":
			return r.t.PowerOn(ctx)
		case "off":
			return r.t.PowerOff(ctx)
		}
		return r.t.PowerCycle(ctx)
	case "wait":
		return r.t.Wait(ctx, s.Wait)
	case "exec":
		return r.exec(ctx, s)
	case "ask":
		return r.ask(ctx, s)
	case "repeat":
		for range s.Repeat {
			if err := r.all(ctx, s.Steps); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("no action %q", s.Verb)
}

func (r *runner) session(ctx context.Context, name string) (login.Access, error) {
	if a := r.access[name]; a != nil {
		return a, nil
	}
	a, err := r.t.Access(ctx, name)
	if err != nil {
		return nil, err
	}
	if r.access == nil {
		r.access = map[string]login.Access{}
	}
	r.access[name] = a
	return a, nil
}

func (r *runner) http(ctx context.Context, s *profile.Step) error {
	req, err := r.request(s)
	if err != nil {
		return err
	}
	do := func(ctx context.Context) (login.Response, error) {
		if s.As == "" {
			return r.t.Web(ctx, s, req)
		}
		a, err := r.session(ctx, s.Login)
		if err != nil {
			return login.Response{}, err
		}
		return a.Do(ctx, req)
	}
	if s.Interrupt > 0 {
		cutCtx, cancel := context.WithTimeout(ctx, s.Interrupt)
		defer cancel()
		_, err := do(cutCtx)
		if err != nil && (isFault(err) && cutCtx.Err() == nil || ctx.Err() != nil) {
			return err
		}
		return r.t.Wait(ctx, time.Until(deadline(cutCtx)))
	}
	resp, err := do(ctx)
	if err != nil {
		if isFault(err) || ctx.Err() != nil || errors.Is(err, login.ErrConfig) {
			return err
		}
		return &StepError{s.At, s.Verb, "an answer to " + s.HTTP, cut(err.Error())}
	}
	want := s.Expect.Status
	switch {
	case want != 0 && resp.Status != want:
		return &StepError{s.At, s.Verb, fmt.Sprintf("status %d from %s", want, s.HTTP), fmt.Sprintf("%d: %s", resp.Status, quote(resp.Body))}
	case want == 0 && (resp.Status < 200 || resp.Status > 299):
		return &StepError{s.At, s.Verb, "a status from 200 to 299 from " + s.HTTP, fmt.Sprintf("%d: %s", resp.Status, quote(resp.Body))}
	}
	return r.seen(s, resp.Body)
}

func deadline(ctx context.Context) time.Time {
	d, _ := ctx.Deadline()
	return d
}

// request makes the request with its values filled in. Values in JSON are
// filled in after parsing, so that none can change its form.
func (r *runner) request(s *profile.Step) (login.Request, error) {
	method, path, _ := strings.Cut(s.HTTP, " ")
	req := login.Request{Method: method, Header: map[string]string{}}
	var err error
	if req.Path, err = r.fill(path); err != nil {
		return req, err
	}
	for k, v := range s.Header {
		if req.Header[k], err = r.fill(v); err != nil {
			return req, err
		}
	}
	switch {
	case s.JSON != nil:
		v, err := r.fillAll(s.JSON)
		if err != nil {
			return req, err
		}
		if req.Body, err = json.Marshal(v); err != nil {
			return req, fmt.Errorf("the json of the request: %w", err)
		}
		setDefault(req.Header, "Content-Type", "application/json")
	case s.Form != nil:
		form, err := r.form(s.Form)
		if err != nil {
			return req, err
		}
		req.Body = []byte(form)
		setDefault(req.Header, "Content-Type", "application/x-www-form-urlencoded")
	case s.Body != "":
		body, err := r.fill(s.Body)
		if err != nil {
			return req, err
		}
		req.Body = []byte(body)
	}
	return req, nil
}

func setDefault(h map[string]string, k, v string) {
	if h[k] == "" {
		h[k] = v
	}
}

func (r *runner) command(ctx context.Context, s *profile.Step) error {
	cmd, err := r.fill(s.Run)
	if err != nil {
		return err
	}
	a, err := r.session(ctx, s.Login)
	if err != nil {
		return err
	}
	resp, err := a.Do(ctx, login.Request{Command: cmd})
	if err != nil {
		if isFault(err) || ctx.Err() != nil {
			return err
		}
		return &StepError{s.At, s.Verb, "the output of a command", cut(err.Error())}
	}
	want := 0
	if s.Expect.Exit != nil {
		want = *s.Expect.Exit
	}
	if resp.Status >= 0 && resp.Status != want {
		return &StepError{s.At, s.Verb, fmt.Sprintf("exit status %d of %q", want, s.Run), fmt.Sprintf("%d: %s", resp.Status, quote(resp.Body))}
	}
	return r.seen(s, resp.Body)
}

// console sends what the step says and waits for what it must show, from its
// own sending on.
func (r *runner) console(ctx context.Context, s *profile.Step) error {
	con, err := r.t.Talk(s.Console)
	if err != nil {
		return err
	}
	from := con.Mark()
	switch {
	case s.Break:
		if err := con.Break(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	case s.Send != "":
		line, err := r.fill(s.Send)
		if err != nil {
			return err
		}
		if from, err = con.SendLine(ctx, line); err != nil {
			return err
		}
	}
	want := s.Expect.Seen
	if want.Zero() {
		want = s.Expect.Match
	}
	if want.Zero() {
		return nil
	}
	ps := []expect.Pattern{pattern("what is expected", want)}
	if !s.Expect.Not.Zero() {
		ps = append(ps, pattern("what must not come", s.Expect.Not).Forbidden())
	}
	m, err := con.Expect(ctx, from, ps...)
	var timeout *console.TimeoutError
	var forbidden *console.ForbiddenError
	if errors.As(err, &timeout) || errors.As(err, &forbidden) {
		return &StepError{s.At, s.Verb, fmt.Sprintf("%s on console %s", ps[0], s.Console), cut(err.Error())}
	}
	if err != nil {
		return err
	}
	raw, err := con.Excerpt(from, m.To)
	if err != nil {
		return err
	}
	return r.extract(s, raw)
}

func pattern(name string, p profile.Pattern) expect.Pattern {
	var out expect.Pattern
	if p.Regexp != nil {
		out, _ = expect.Regexp(p.Regexp.String()) // the profile's decoder has compiled it
	} else {
		out, _ = expect.Text(p.Literal)
	}
	out = out.Named(name)
	if p.Quiet > 0 {
		out = out.Prompt(p.Quiet)
	}
	return out
}

// maxFile bounds what a file step reads.
const maxFile = 1 << 20

func (r *runner) file(s *profile.Step) error {
	path, err := r.fill(s.File)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return &wire.Fault{Part: "disk", Op: "read " + path, Err: err}
	}
	return r.seen(s, data[:min(len(data), maxFile)])
}

func (r *runner) line(ctx context.Context, s *profile.Step) error {
	name := s.Assert + s.Release + s.Read
	l, err := r.t.Line(name)
	if err != nil {
		return err
	}
	switch s.Verb {
	case "assert":
		return l.Assert(ctx)
	case "release":
		return l.Release(ctx)
	}
	on, err := l.Asserted(ctx)
	if err != nil {
		return err
	}
	if want := s.Expect.Asserted; want != nil && *want != on {
		return &StepError{s.At, s.Verb, fmt.Sprintf("line %s asserted: %t", name, *want), strconv.FormatBool(on)}
	}
	return nil
}

func (r *runner) exec(ctx context.Context, s *profile.Step) error {
	argv := make([]string, len(s.Exec))
	for i, a := range s.Exec {
		// No secret goes into an argument: process lists show them.
		if strings.Contains(a, "${secret.") {
			return fmt.Errorf("argument %d of exec holds a secret; the program is given the values on its input", i+1)
		}
		var err error
		if argv[i], err = r.fill(a); err != nil {
			return err
		}
	}
	text, got, err := r.t.Exec(ctx, argv, r.vars)
	if err != nil {
		return err
	}
	for k, v := range got {
		r.vars[k] = v
	}
	return r.seen(s, []byte(text))
}

func (r *runner) ask(ctx context.Context, s *profile.Step) error {
	q, err := r.fill(s.Ask)
	if err != nil {
		return err
	}
	answer, err := r.t.Ask(ctx, q)
	if err != nil {
		return err
	}
	return r.seen(s, []byte(answer))
}

// seen holds what came against the step's patterns and takes values out of it.
func (r *runner) seen(s *profile.Step, data []byte) error {
	if !s.Expect.Match.Zero() && !matches(s.Expect.Match, data) {
		return &StepError{s.At, s.Verb, "to see " + describe(s.Expect.Match), quote(data)}
	}
	if !s.Expect.Not.Zero() && matches(s.Expect.Not, data) {
		return &StepError{s.At, s.Verb, "not to see " + describe(s.Expect.Not), quote(data)}
	}
	return r.extract(s, data)
}

func matches(p profile.Pattern, data []byte) bool {
	if p.Regexp != nil {
		return p.Regexp.Match(data)
	}
	return bytes.Contains(data, []byte(p.Literal))
}

func describe(p profile.Pattern) string {
	if p.Regexp != nil {
		return "/" + p.Regexp.String() + "/"
	}
	return strconv.Quote(p.Literal)
}

func (r *runner) extract(s *profile.Step, data []byte) error {
	for name, how := range s.Extract {
		v, err := pick(how, data)
		if err != nil {
			return &StepError{s.At, s.Verb, fmt.Sprintf("to read %s by %s", name, how), fmt.Sprintf("%v: %s", err, quote(data))}
		}
		r.vars[name] = v
	}
	return nil
}

// pick takes a value out of an answer: "text", a JSON path, or /expression/.
func pick(how string, data []byte) (string, error) {
	switch {
	case how == "text":
		return string(data), nil
	case strings.HasPrefix(how, "$"):
		return jsonPath(how, data)
	case len(how) > 2 && how[0] == '/' && how[len(how)-1] == '/':
		re, err := regexp.Compile(how[1 : len(how)-1])
		if err != nil {
			return "", err
		}
		m := re.FindSubmatch(data)
		if m == nil {
			return "", errors.New("no match")
		}
		return string(m[len(m)-1]), nil
	}
	return "", errors.New(`it is neither "text", nor $.a.path, nor /an expression/`)
}

// quote shows foreign bytes in an error.
func quote(b []byte) string {
	if len(b) == 0 {
		return "nothing"
	}
	return cut(string(b))
}

func cut(s string) string { return escape.Excerpt(s, 300) }
