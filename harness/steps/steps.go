// Package steps carries out the one grammar of actions that serves ways,
// versions, markers, identity and set-ups, wherever a profile declares them.
package steps

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rigor/harness/console"
	"rigor/harness/escape"
	"rigor/harness/late"
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
	// ErrNotDone is what Exec gives when the program says that the DUT did not
	// do it.
	ErrNotDone = errors.New("the program says that it did not work")
)

// StepError says that a step did not show what it had to: the DUT's doing.
type StepError struct {
	At   string // file:line:column
	Verb string
	What string // what was expected
	Got  string // what came, escaped and cut
	// Status is that of an http answer, 0 where there is none.
	Status int
	// Unanswered says that no answer came at all, so that it is not shown that the
	// DUT was asked.
	Unanswered bool
	// Answer is what the DUT said, raw; empty where that is not an answer to this step.
	Answer []byte

	forbidden bool // it is what must not be seen
}

// Error says where, what was expected and what came.
func (e *StepError) Error() string {
	return fmt.Sprintf("%s: %s: want %s, got %s", e.At, e.Verb, e.What, e.Got)
}

// NotNow says that the DUT answered a request by a status that stands for a lock or a
// limit of how much it takes (RFC 6585 section 4, RFC 9110 section 15.6.4, RFC 4918
// section 11.3): what was asked decided nothing.
func (e *StepError) NotNow() bool {
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable || e.Status == http.StatusLocked
}

// Target is what steps act on.
type Target interface {
	Line(name string) (wire.Line, error)
	// Talk gives a console, and the pattern that says that it has settled.
	Talk(name string) (console.Talker, error)
	// Access logs in as the owner and stays. A password that is not empty
	// stands in for the declared one.
	Access(ctx context.Context, loginName, password string) (login.Access, error)
	// Visit makes requests without a login to the service of one, that keep the cookies
	// of those before.
	Visit(ctx context.Context, loginName string) (login.Access, error)
	// Web makes a request without a login, to the service of a login or to a
	// port of its own.
	Web(ctx context.Context, s *profile.Step, r login.Request) (login.Response, error)
	PowerOn(ctx context.Context) error
	PowerOff(ctx context.Context) error
	PowerCycle(ctx context.Context) error
	Wait(ctx context.Context, d time.Duration) error
	// WithinCause gives a context for what may take a time of its own, and for what its end
	// is told as: what the rig's computer is late with is given on top.
	WithinCause(ctx context.Context, d time.Duration, cause error) (context.Context, context.CancelFunc)
	// Value gives ${name} of unit, secret and profile.
	Value(name string) (string, bool, error)
	Exec(ctx context.Context, argv []string, values map[string]string) (text string, got map[string]string, err error)
	Ask(ctx context.Context, question string) (string, error)
	// Serve has the rig serve a file to the DUT, until stop is called.
	Serve(ctx context.Context, file []byte) (url string, stop func(), err error)
	// Carried is told of a file that went to the DUT, each time that one goes: how many bytes
	// of what carries it arrived there, of how many, and when the last of them went.
	Carried(file []byte, n, of int, last time.Time)
	// Ours says that an error is neither the DUT's doing nor a fault: a wire
	// that the rig has not, a session that was taken back.
	Ours(err error) bool
}

// Request gives the request of a step with its values filled in, and sends nothing.
func Request(t Target, s *profile.Step, vars map[string]string) (login.Request, error) {
	r := &runner{t: t, vars: vars, secrets: escape.NewRedactor()}
	req, err := r.request(s)
	if err != nil {
		return req, fmt.Errorf("%s: %s: %w", s.At, s.HTTP, err)
	}
	return req, nil
}

// longSecret is from which length on a value that the caller gives is taken
// for a secret: a temporary password, a marker. What is shorter is a weak
// password that is tried out, and a word of every second answer.
const longSecret = 12

type runner struct {
	t       Target
	vars    map[string]string
	access  map[string]login.Access   // sessions of this run of steps, by login
	at      map[string]console.Cursor // up to where each console was looked at
	secrets *escape.Redactor
	held    []string // lines that these steps asserted
	stops   []func() // of what is served
}

// failed says that the DUT did not show what it had to. What it said is foreign
// and may repeat what we sent.
func (r *runner) failed(s *profile.Step, what, got string) error {
	return &StepError{At: s.At, Verb: s.Verb, What: what, Got: r.cut(got), Answer: []byte(got)}
}

// notAnswered decides about an error of an exchange with the DUT: it is the
// DUT's, but for a fault, for what is ours, and for the end of the run.
func (r *runner) notAnswered(ctx context.Context, s *profile.Step, what string, err error) error {
	if isFault(err) || r.t.Ours(err) || errors.Is(ctx.Err(), context.Canceled) ||
		errors.Is(err, login.ErrConfig) || errors.Is(err, login.ErrRequest) || errors.Is(err, login.ErrIdentity) || errors.Is(err, ErrName) {
		return err
	}
	var no interface{ Answered() bool } // a login that was answered with a no
	return &StepError{At: s.At, Verb: s.Verb, What: what, Got: r.cut(err.Error()), Unanswered: !errors.As(err, &no) || !no.Answered()}
}

func (r *runner) close() {
	for _, stop := range r.stops {
		stop()
	}
	for _, a := range r.access {
		_ = a.Close() // the steps are over; how a session ends changes nothing
	}
	r.stops, r.access = nil, nil
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
	switch {
	case within > 0:
	case s.Verb == "repeat" || s.Verb == "power" || s.Verb == "ask", s.Verb == "transfer", s.Verb == "smp", s.Verb == "copy": // they have times of their own
		within = 10 * time.Minute
	default:
		within = DefaultWithin + s.Wait
	}
	stepCtx, cancel := r.t.WithinCause(ctx, within, fmt.Errorf("%s: %s took longer than %v", s.At, s.Verb, within))
	defer cancel()
	err := r.act(stepCtx, s)
	var se *StepError
	switch {
	case err != nil && !isFault(err) && errors.Is(stepCtx.Err(), late.ErrLate):
		// What did not come, or not whole, is not held against the DUT.
		return fmt.Errorf("%s: %s: %w: %v", s.At, s.Verb, stepCtx.Err(), err) //nolint:errorlint // what it was taken for does not hold
	case err == nil || errors.As(err, &se):
		return err
	case ctx.Err() == nil && stepCtx.Err() != nil && !isFault(err):
		return &StepError{At: s.At, Verb: s.Verb, What: "it to be done within " + within.String(), Got: r.cut(err.Error()), Unanswered: true}
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
		return r.again(ctx, s, func() error { return r.http(ctx, s) })
	case "serve":
		return r.serve(ctx, s)
	case "copy":
		return r.copy(ctx, s)
	case "transfer":
		return r.transfer(ctx, s)
	case "smp":
		return r.smp(ctx, s)
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

func (r *runner) session(ctx context.Context, s *profile.Step) (login.Access, error) {
	name := s.Login
	stranger := s.As == "stranger"
	if stranger {
		name += " without a login"
	}
	if a := r.access[name]; a != nil && s.Password == "" {
		return a, nil
	}
	password, err := r.fill(s.Password)
	if err != nil {
		return nil, err
	}
	var a login.Access
	if stranger {
		a, err = r.t.Visit(ctx, s.Login)
	} else {
		a, err = r.t.Access(ctx, s.Login, password)
	}
	if err != nil {
		return nil, err
	}
	if old := r.access[name]; old != nil {
		_ = old.Close() // it is replaced; how it ends changes nothing
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
		a, err := r.session(ctx, s)
		if err != nil {
			return login.Response{}, err
		}
		return a.Do(ctx, req)
	}
	if s.Interrupt > 0 {
		cutCtx, cancel := context.WithTimeout(ctx, s.Interrupt)
		defer cancel()
		_, err := do(cutCtx)
		if err != nil && (isFault(err) && cutCtx.Err() == nil || r.t.Ours(err) || ctx.Err() != nil) {
			return err
		}
		if errors.Is(err, syscall.ECONNREFUSED) { // nothing was begun that could be interrupted
			return r.notAnswered(ctx, s, "a connection for "+s.HTTP, err)
		}
		return r.t.Wait(ctx, time.Until(deadline(cutCtx)))
	}
	resp, err := do(ctx)
	if err != nil {
		return r.notAnswered(ctx, s, "an answer to "+s.HTTP, err)
	}
	want := s.Expect.Status
	switch {
	case want != 0 && resp.Status != want:
		err = r.failed(s, fmt.Sprintf("status %d from %s", want, s.HTTP), fmt.Sprintf("%d: %s", resp.Status, resp.Body))
	case want == 0 && (resp.Status < 200 || resp.Status > 299):
		err = r.failed(s, "a status from 200 to 299 from "+s.HTTP, fmt.Sprintf("%d: %s", resp.Status, resp.Body))
	default:
		err = r.seen(s, resp.Body)
	}
	var no *StepError
	if errors.As(err, &no) {
		no.Status, no.Answer = resp.Status, resp.Body
	}
	return err
}

func deadline(ctx context.Context) time.Time {
	d, _ := ctx.Deadline()
	return d
}

// request makes the request with its values filled in. Values in JSON are
// filled in after parsing, so that none can change its form.
func (r *runner) request(s *profile.Step) (login.Request, error) {
	method, path, _ := strings.Cut(s.HTTP, " ")
	req := login.Request{Method: method, Header: map[string]string{}, Within: s.Within}
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
	case s.Upload != (profile.Upload{}):
		if err := r.upload(s, &req); err != nil {
			return req, err
		}
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
	a, err := r.session(ctx, s)
	if err != nil {
		return r.notAnswered(ctx, s, "to be let in as the owner", err)
	}
	resp, err := a.Do(ctx, login.Request{Command: cmd, Within: s.Within})
	if err != nil {
		return r.notAnswered(ctx, s, "the output of a command", err)
	}
	want := 0
	if s.Expect.Exit != nil {
		want = *s.Expect.Exit
	}
	// A session that cannot tell the status shows nothing about one that is asked for.
	if resp.Status >= 0 && resp.Status != want || resp.Status < 0 && s.Expect.Exit != nil {
		return r.failed(s, fmt.Sprintf("exit status %d of %q", want, s.Run), fmt.Sprintf("%d: %s", resp.Status, resp.Body))
	}
	return r.seen(s, resp.Body)
}

// seen holds what came against the step's patterns and takes values out of it.
func (r *runner) seen(s *profile.Step, data []byte) error {
	if s.Every > 0 && !s.Expect.Not.Zero() && matches(s.Expect.Not, data) {
		return r.forbidden(s, data)
	}
	if !s.Expect.Match.Zero() && !matches(s.Expect.Match, data) {
		return r.failed(s, "to see "+describe(s.Expect.Match), string(data))
	}
	if !s.Expect.Not.Zero() && matches(s.Expect.Not, data) {
		return r.forbidden(s, data)
	}
	return r.extract(s, data)
}

// forbidden says that what must not be seen was.
func (r *runner) forbidden(s *profile.Step, data []byte) error {
	return &StepError{At: s.At, Verb: s.Verb, What: "not to see " + describe(s.Expect.Not), Got: r.cut(string(data)), Answer: data, forbidden: true}
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
	for _, name := range slices.Sorted(maps.Keys(s.Extract)) {
		how := s.Extract[name]
		v, err := Pick(how, data)
		if err != nil {
			return r.failed(s, fmt.Sprintf("to read %s by %s", name, how), fmt.Sprintf("%v: %s", err, data))
		}
		r.vars[name] = v
	}
	return nil
}

// Pick takes a value out of an answer: "text", a JSON path, or /expression/.
func Pick(how string, data []byte) (string, error) {
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

// cut shows foreign bytes in an error, without what we know to be secret.
func (r *runner) cut(got string) string {
	if got == "" {
		return "nothing"
	}
	return cut(r.secrets.String(got))
}

func cut(s string) string { return escape.Excerpt(s, 300) }
