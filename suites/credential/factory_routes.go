package credential

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/login/web"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// front is the web service of a device that nobody has set up, as a stranger sees it.
type front struct {
	t        *check.T
	stranger *web.Stranger
	public   []login.Response // what the profile says that anybody gets now
	n        int
}

// routes is the negative claim that none of the protected routes answers without a
// login. Nobody is there yet whose page could be held against a stranger's: what
// decides is what the profile says that only the owner gets to see, and else whether
// the answer is one that a stranger gets elsewhere too, whatever its status.
func routes(ctx context.Context, t *check.T, door *dut.Door, control check.Attempt) check.Negative[*profile.Route] {
	r := &t.Profile().Routes
	s, err := t.Device().Stranger(ctx, door.Name())
	t.OK(err)
	t.Cleanup(func(context.Context, *check.T) { s.Close() })
	f := &front{t: t, stranger: s}
	for _, request := range slices.Concat(r.Open, r.Setup) {
		if open := (profile.Route{Request: request}); open.Method() == "GET" {
			if res, a, err := f.ask(ctx, "GET", open.Path()); err == nil && a.Kind == "" {
				f.public = append(f.public, res)
			} else {
				t.OK(err)
			}
		}
	}
	var probes []*profile.Route
	for i := range r.Protected {
		probes = append(probes, &r.Protected[i])
	}
	return check.Negative[*profile.Route]{
		Control: control,
		Anti: func(ctx context.Context) (dut.Answer, error) {
			return f.look(ctx, &profile.Route{Request: "GET /" + t.Secret("no-such-route", 12)})
		},
		Probes:  probes,
		Try:     f.look,
		Name:    func(r *profile.Route) string { return r.Request },
		Refusal: []verdict.Kind{verdict.Refused},
	}
}

// ask makes a stranger's request. An answer of a kind that says nothing has it.
func (f *front) ask(ctx context.Context, method, at string) (login.Response, dut.Answer, error) {
	start := time.Now()
	res, err := f.stranger.Do(ctx, login.Request{Method: method, Path: at})
	a := dut.Answer{Took: time.Since(start), Raw: login.Cut(res.Body)}
	switch {
	case dut.IsFault(err), errors.Is(err, dut.ErrRevoked), errors.Is(err, dut.ErrLost), err != nil && ctx.Err() != nil:
		return res, a, err
	case err != nil:
		a.Kind, a.Detail = login.Broken(err, true)
		return res, a, nil
	}
	a.Detail = fmt.Sprintf("%s %s answers %d with %d bytes", method, at, res.Status, len(res.Body))
	if res.Status == 429 || res.Status == 503 {
		a.Kind = verdict.Throttled
	}
	return res, a, nil
}

// look asks for a route as a stranger, and for what is not there beside it.
func (f *front) look(ctx context.Context, r *profile.Route) (dut.Answer, error) {
	res, a, err := f.ask(ctx, r.Method(), r.Path())
	if err != nil || a.Kind != "" {
		return a, err
	}
	f.n++
	nothing, b, err := f.ask(ctx, r.Method(), beside(r.Path())+f.t.Secret(fmt.Sprintf("nothing %d", f.n), 12))
	if err != nil {
		return b, err
	}
	known := f.public
	if b.Kind == "" {
		known = append([]login.Response{nothing}, known...)
	}
	kind, why := factoryAnswer(r, res, known)
	a.Kind, a.Detail = kind, a.Detail+why
	return a, nil
}

// beside gives where a path's neighbours are.
func beside(at string) string {
	at, _, _ = strings.Cut(at, "?")
	return strings.TrimSuffix(path.Dir(at), "/") + "/"
}

// factoryAnswer judges a stranger's answer from a protected route, with those that a
// stranger gets where there is nothing to protect.
func factoryAnswer(r *profile.Route, res login.Response, known []login.Response) (verdict.Kind, string) {
	switch m := r.Match; {
	case m.Regexp != nil && m.Regexp.Match(res.Body), m.Literal != "" && strings.Contains(string(res.Body), m.Literal):
		return verdict.Accepted, ", with what only the owner gets to see"
	case slices.ContainsFunc(known, func(k login.Response) bool { return web.Alike(res, k) }):
		return verdict.Refused, ", as to a request for what is not protected"
	case res.Status >= 300 && res.Status < 500:
		return verdict.Refused, ""
	case res.Status < 200 || res.Status > 299:
		return verdict.Garbled, ""
	case !m.Zero():
		return verdict.Refused, ", without what only the owner gets to see"
	case r.Alters() && len(res.Body) == 0:
		return verdict.Accepted, ", as to somebody who may"
	}
	return verdict.Unproven, ", and whether that is a yes or a no nobody knows; let the profile say what only the owner gets to see (match)"
}
