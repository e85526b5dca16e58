package steps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strconv"
	"strings"
	"time"

	"rigor/harness/console"
	"rigor/harness/console/expect"
	"rigor/harness/profile"
	"rigor/harness/wire"
)

// console sends what the step says and waits for what it must show: from its
// own sending on, or else from where the steps before have looked to.
func (r *runner) console(ctx context.Context, s *profile.Step) error {
	con, err := r.t.Talk(s.Console)
	if err != nil {
		return err
	}
	from := r.at[s.Console]
	switch {
	case s.Break:
		from = con.Mark()
		if err := con.Break(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	case s.Send != "" || s.Enter:
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
		what := fmt.Sprintf("to see %s on console %s", describe(want), s.Console)
		no := &StepError{At: s.At, Verb: s.Verb, What: what, Got: r.cut(err.Error()), Unanswered: con.Mark() == from, forbidden: forbidden != nil}
		if forbidden != nil {
			no.Answer = forbidden.Match.Text
			r.at[s.Console] = forbidden.Match.To
		}
		return no
	}
	if err != nil {
		return err
	}
	r.at[s.Console] = m.To
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
	data, err := readFile(path, maxFile)
	if err != nil {
		return &wire.Fault{Part: "disk", Op: "read " + path, Err: err}
	}
	return r.seen(s, data)
}

func readFile(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // a pipe would never end
		return nil, errors.New("it is no regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, most))
}

func (r *runner) line(ctx context.Context, s *profile.Step) error {
	name := s.Assert + s.Release + s.Read
	l, err := r.t.Line(name)
	if err != nil {
		return err
	}
	switch s.Verb {
	case "assert":
		r.holds(name, true)
		return l.Assert(ctx)
	case "release":
		r.holds(name, false)
		return l.Release(ctx)
	}
	on, err := l.Asserted(ctx)
	if err != nil {
		return err
	}
	want := s.Expect.Asserted
	if want == nil || *want == on {
		return nil
	}
	if s.Within > 0 { // it is given time to change
		_, err := l.Wait(ctx, *want)
		if err == nil || ctx.Err() == nil || isFault(err) {
			return err
		}
	}
	return r.failed(s, fmt.Sprintf("line %s asserted: %t", name, *want), strconv.FormatBool(on))
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
	values := maps.Clone(r.vars)
	for k, v := range s.Give { // for this program alone
		var err error
		if values[k], err = r.fill(v); err != nil {
			return err
		}
	}
	text, got, err := r.t.Exec(ctx, argv, values)
	no := errors.Is(err, ErrNotDone)
	if err != nil && !no {
		return err
	}
	for k, v := range got {
		if !profile.IsValueName(k) { // it could pass for a unit's value or a secret
			return &wire.Fault{Part: "exec", Op: "run " + argv[0], Err: fmt.Errorf("its answer names a value %q: use small letters, digits, dashes and underscores", cut(k))}
		}
		r.vars[k] = v
	}
	if no {
		return r.failed(s, "the program to say that it is done", err.Error())
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
