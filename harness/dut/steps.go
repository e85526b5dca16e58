package dut

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/harness/console"
	"rigor/harness/login"
	"rigor/harness/login/web"
	"rigor/harness/profile"
	"rigor/harness/steps"
	"rigor/harness/verdict"
)

// Steps carries declared steps out on the DUT and gives the values: vars and
// what the steps took out of the answers.
func (d *Device) Steps(ctx context.Context, ss []profile.Step, vars map[string]string) (map[string]string, error) {
	return steps.Run(ctx, target{Device: d}, ss, vars)
}

// Walk walks a declared way: its steps, and those that show that it is done, of which
// nothing is missed that comes early. There is called between the two, and says that the
// DUT is in the state that the way leads to.
func (d *Device) Walk(ctx context.Context, w *profile.Way, there func()) error {
	_, err := steps.RunThen(ctx, target{Device: d}, w.Steps, there, w.Done, nil)
	return err
}

// StepsOver is Steps with sessions that are open already in the place of logins of the
// owner: whatever became of them. They stay open.
func (d *Device) StepsOver(ctx context.Context, open map[string]login.Access, ss []profile.Step, vars map[string]string) (map[string]string, error) {
	return steps.Run(ctx, over{target{Device: d}, open}, ss, vars)
}

// over is a target on which the owner is logged in already.
type over struct {
	target
	open map[string]login.Access
}

// Access gives the session that is open on a login.
func (o over) Access(_ context.Context, name, _ string) (login.Access, error) {
	a := o.open[name]
	if a == nil {
		return nil, &NoEntryError{Login: name, Answer: Answer{Kind: verdict.Refused, Detail: "no session is open there"}}
	}
	return keptOpen{a}, nil
}

// keptOpen is a session that others close.
type keptOpen struct{ login.Access }

// Close leaves it open.
func (keptOpen) Close() error { return nil }

// target is the device as steps act on it.
type target struct {
	*Device
	c *carrying // where an image is delivered; nil else
}

// Talk gives a console.
func (t target) Talk(name string) (console.Talker, error) { return t.Console(name) }

// Access logs in as the owner. A login that does not open is an error that says
// what the DUT answered.
func (t target) Access(ctx context.Context, name, password string) (login.Access, error) {
	door := t.Login(name)
	own, err := door.Owner()
	if err != nil {
		return nil, err
	}
	if password != "" {
		own.Password = password
	}
	a, ans, err := door.Open(ctx, own)
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, &NoEntryError{Login: name, Answer: ans}
	}
	return a, nil
}

// NoEntryError says that the owner was not let in.
type NoEntryError struct {
	Login  string
	Answer Answer
}

// Error says what the DUT answered.
func (e *NoEntryError) Error() string {
	return fmt.Sprintf("log in to %s as the owner: %s: %s", e.Login, e.Answer.Kind, e.Answer.Detail)
}

// Answered says whether the DUT said no. One that did not answer has not.
func (e *NoEntryError) Answered() bool {
	return e.Answer.Kind != verdict.Unreachable && e.Answer.Kind != verdict.Silent
}

// Ours says that an error says nothing about the DUT: the rig has no such wire,
// the profile does not say, the session was taken back.
func (t target) Ours(err error) bool {
	return errors.Is(err, ErrNotWired) || errors.Is(err, ErrNotDeclared) || errors.Is(err, ErrRevoked)
}

// Web makes a request without a login.
func (t target) Web(ctx context.Context, s *profile.Step, r login.Request) (login.Response, error) {
	port, tls := s.Port, s.TLS
	if l := t.Profile.Logins.Items[s.Login]; s.Login != "" {
		if l == nil {
			return login.Response{}, fmt.Errorf("login %s: %w", s.Login, ErrNotDeclared)
		}
		port, tls = l.Port, l.TLS
	}
	addr, err := t.Address(ctx, port)
	if err != nil {
		return login.Response{}, err
	}
	dial, err := t.Dialer()
	if err != nil {
		return login.Response{}, err
	}
	return web.Do(ctx, web.Config{Dialer: dial, Address: addr, TLS: tls, Waiting: t.page(addr)}, r)
}

// page notes the waits for the pages of a service.
func (d *Device) page(addr string) func() (done func()) {
	return func() func() { return d.waiting("a page of " + addr) }
}

// Value gives ${unit.…}, ${secret.…}, ${profile.…}.
func (t target) Value(name string) (string, bool, error) {
	switch name {
	case "unit.serial":
		return t.unit.Serial, t.unit.Serial != "", nil
	case "unit.mac":
		return t.unit.MAC, t.unit.MAC != "", nil
	case "unit.label-password":
		return t.unit.Label, t.unit.Label != "", nil
	case "profile.model":
		return t.Profile.Model, true, nil
	}
	if rest, ok := strings.CutPrefix(name, "secret."); ok {
		v, err := t.Secret("secret:" + rest)
		return v, err == nil, err
	}
	if rest, ok := strings.CutPrefix(name, "unit."); ok {
		v, ok := t.unit.Values[rest]
		return v, ok, nil
	}
	return "", false, nil
}

// Exec runs a program of the user.
func (t target) Exec(ctx context.Context, argv []string, values map[string]string) (text string, got map[string]string, err error) {
	if t.bench.Exec == nil {
		return "", nil, fmt.Errorf("exec: %w", ErrNotWired)
	}
	err = t.s.Do(ctx, "exec", func(ctx context.Context) error {
		text, got, err = t.bench.Exec(ctx, argv, values)
		return err
	})
	return text, got, err
}

// Ask asks a person.
func (t target) Ask(ctx context.Context, question string) (answer string, err error) {
	if t.bench.Ask == nil {
		return "", fmt.Errorf("%w: %s", steps.ErrNeedsHuman, question)
	}
	err = t.s.Do(ctx, "person", func(ctx context.Context) error {
		answer, err = t.bench.Ask(ctx, question)
		return err
	})
	return answer, err
}

func (d *Device) request(ctx context.Context, at *profile.Step, method, path string) (Answer, error) {
	start := time.Now()
	resp, err := target{Device: d}.Web(ctx, at, login.Request{Method: method, Path: path})
	a := Answer{Took: time.Since(start)}
	switch {
	case IsFault(err), errors.Is(err, ErrNotDeclared), errors.Is(err, ErrNotWired), errors.Is(err, ErrRevoked), ctx.Err() != nil:
		return a, err
	case err != nil:
		a.Kind, a.Detail = verdict.Unreachable, err.Error()
		return a, nil
	}
	a.Kind, a.Raw = answered(resp.Status), login.Cut(resp.Body)
	a.Detail = fmt.Sprintf("%s %s answers %d", method, path, resp.Status)
	return a, nil
}

// Disclosed gives what a service tells before any login: its greeting, for SSH
// the banner too that who asks to be let in is sent, and for a web service the
// head and the body of its front page and of its open routes. What was heard
// until an error is given with it.
func (d *Device) Disclosed(ctx context.Context, loginName string) ([]byte, error) {
	l := d.Profile.Logins.Items[loginName]
	if l == nil {
		return nil, fmt.Errorf("login %s: %w", loginName, ErrNotDeclared)
	}
	switch l.Protocol {
	case "mqtt", "ftp", "snmp", "rtsp", "redis":
		return d.told(ctx, loginName)
	}
	if l.Protocol == "ssh" {
		return d.toldBySSH(ctx, loginName, l)
	}
	if !strings.HasPrefix(l.Protocol, "http") {
		return d.greeting(ctx, l)
	}
	paths := []string{"/"}
	if d.Profile.Routes.Login == loginName {
		for _, r := range d.Profile.Routes.Open {
			if method, path, ok := strings.Cut(r, " "); ok && method == "GET" {
				paths = append(paths, path)
			}
		}
	}
	var seen []byte
	for _, p := range paths {
		resp, err := target{Device: d}.Web(ctx, &profile.Step{Login: loginName}, login.Request{Method: "GET", Path: p})
		if err != nil {
			return nil, err
		}
		seen = fmt.Appendf(seen, "GET %s\nHTTP/1.1 %d\n", p, resp.Status)
		for k, v := range resp.Header {
			seen = fmt.Appendf(seen, "%s: %s\n", k, v)
		}
		seen = append(append(seen, '\n'), resp.Body...)
		seen = append(seen, '\n')
	}
	return seen, nil
}

// told gives what a service answers to who asks for the protected resource without
// a login: most of these say nothing before they are asked. That nothing was
// answered is told where the profile declares it.
func (d *Device) told(ctx context.Context, loginName string) ([]byte, error) {
	door := d.Login(loginName)
	o, err := door.Outcome(ctx, login.Nobody)
	switch {
	case err != nil:
		return nil, err
	case o.Kind == verdict.Unreachable:
		return nil, fmt.Errorf("ask login %s: %s", loginName, o.Detail)
	case o.Kind == verdict.Silent && slices.Contains(door.Refusals(), verdict.Silent):
		return []byte("asked without a login: no answer, as is declared\n"), nil
	}
	return o.Evidence, nil
}
