package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/login/web"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// IntentRoute is the kind of intent of what is written by a route: its data has the
// route's request and what was there before.
const IntentRoute = "route"

// gate is the web service whose routes are tried: the owner is in, and a stranger
// stands before it.
type gate struct {
	t        *check.T
	login    string
	session  login.Access
	stranger *web.Stranger
	// nothing is what a stranger gets for a path that is not there, by method.
	nothing map[string]login.Response
	public  map[string]bool // words that any stranger gets to see
	cookies []string        // names of cookies that the service sets
	n       int
}

// enter has the owner log in, and looks at what strangers may see.
func enter(ctx context.Context, t *check.T) *gate {
	g := &gate{t: t, login: t.Profile().Routes.Login, nothing: map[string]login.Response{}, public: map[string]bool{}}
	door := t.Device().Login(g.login)
	own, err := door.Owner()
	t.OK(err)
	g.stranger, err = t.Device().Stranger(ctx, g.login)
	t.OK(err)
	session, a, err := door.Open(ctx, own)
	t.OK(err)
	if session == nil {
		defer g.leave()
		g.openToAll(ctx)
		t.Inconclusive(verdict.ReasonControlFailed, "the owner does not get in by %s: %s", g.login, a.Detail)
	}
	g.session = session
	g.survey(ctx)
	return g
}

func (g *gate) leave() {
	if g.session != nil {
		_ = g.session.Close() // our side of it; the DUT ends it in its own time
	}
	g.stranger.Close()
}

// openToAll looks, where nobody can be shown to be logged in, whether a stranger
// gets what is declared to be the owner's.
func (g *gate) openToAll(ctx context.Context) {
	for i := range g.t.Profile().Routes.Protected {
		r := &g.t.Profile().Routes.Protected[i]
		if r.Alters() || r.Match.Zero() {
			continue
		}
		a, err := g.look(ctx, disguise{what: "plainly", method: r.Method(), path: r.Path()}, &sight{match: r.Match})
		g.t.OK(err)
		if a.Kind == verdict.Accepted {
			ref := g.t.Keep("open.txt", "what a stranger got", a.Raw)
			g.t.Claim("nobody gets "+r.Request+" without a login", func(c *check.Claim) {
				c.Show(ref)
				c.Fail(verdict.ReasonOpenToAll, "a stranger gets it: %s", a.Detail)
			})
		}
	}
}

// survey learns what strangers get: on paths that are not there, and on open routes.
func (g *gate) survey(ctx context.Context) {
	ask := func(method, path string) login.Response {
		r, err := g.stranger.Do(ctx, login.Request{Method: method, Path: path})
		g.t.OK(ours(ctx, err))
		for w := range words(r.Body) {
			g.public[w] = true
		}
		for _, name := range cookieNames(r.Header["Set-Cookie"]) {
			if !slices.Contains(g.cookies, name) {
				g.cookies = append(g.cookies, name)
			}
		}
		return r
	}
	for _, method := range []string{"GET", "HEAD"} {
		g.nothing[method] = ask(method, g.nowhere().path)
	}
	for _, open := range g.t.Profile().Routes.Open {
		route := profile.Route{Request: open}
		if route.Method() == "GET" {
			ask("GET", route.Path())
		}
	}
}

// ours passes on what is the rig's trouble; that a stranger got no answer is none.
func ours(ctx context.Context, err error) error {
	if dut.IsFault(err) || errors.Is(err, dut.ErrRevoked) || errors.Is(err, dut.ErrLost) || ctx.Err() != nil {
		return err
	}
	return nil
}

// nowhere is a request for what is not there: a new path each time.
func (g *gate) nowhere() disguise {
	g.n++
	return disguise{what: "a path that is not there", method: "GET", path: "/" + g.t.Secret(fmt.Sprintf("no such path %d", g.n), 12)}
}

// ask makes a stranger's request.
func (g *gate) ask(ctx context.Context, d disguise) (login.Response, dut.Answer, error) {
	start := time.Now()
	r, err := g.stranger.Do(ctx, login.Request{Method: d.method, Path: d.path, Header: d.header, Body: d.body})
	a := dut.Answer{Took: time.Since(start), Raw: login.Cut(r.Body)}
	if err := ours(ctx, err); err != nil {
		return r, a, err
	}
	if err != nil {
		kind, why := login.Broken(err, true)
		a.Kind, a.Detail = kind, why
		return r, a, nil
	}
	a.Detail = fmt.Sprintf("answered %d with %d bytes", r.Status, len(r.Body))
	if r.Status == 429 || r.Status == 503 {
		a.Kind = verdict.Throttled
	}
	return r, a, nil
}

// look judges a stranger's request for what the owner sees: by what is in the
// answer, whatever its status.
func (g *gate) look(ctx context.Context, d disguise, s *sight) (dut.Answer, error) {
	r, a, err := g.ask(ctx, d)
	if err != nil || a.Kind != "" {
		return a, err
	}
	if d.method == "HEAD" {
		a.Kind, a.Detail = g.head(s, r, a.Detail)
		return a, nil
	}
	kind, why := s.in(r.Body)
	a.Kind, a.Detail = kind, a.Detail+"; "+why
	return a, nil
}

// head judges an answer without a body: by the length that it tells.
func (g *gate) head(s *sight, r login.Response, detail string) (verdict.Kind, string) {
	nothing := g.nothing["HEAD"]
	length := r.Header["Content-Length"]
	switch {
	case r.Status < 200 || r.Status > 299, r.Status == nothing.Status && length == nothing.Header["Content-Length"]:
		return verdict.Refused, detail
	case length != "" && length != "0" && length == s.length:
		return verdict.Accepted, fmt.Sprintf("%s; it tells the length of what the owner gets, %s", detail, length)
	}
	return verdict.Unproven, detail + "; whether that is what the owner gets is not shown"
}

// told judges a stranger's request that would do something: by what is in the answer
// where the profile says what only the owner is told, and else by its status alone.
func (g *gate) told(ctx context.Context, d disguise, match profile.Pattern) (dut.Answer, error) {
	r, a, err := g.ask(ctx, d)
	if err != nil || a.Kind != "" {
		return a, err
	}
	if !match.Zero() {
		if kind, why := (&sight{match: match}).in(r.Body); kind == verdict.Accepted {
			a.Kind, a.Detail = kind, a.Detail+"; it was taken in hand: "+why
			return a, nil
		}
	}
	nothing := g.nothing["GET"]
	same := web.Alike(r, nothing)
	get := d.method == "GET" || d.method == "HEAD"
	switch {
	case r.Status == 401 || r.Status == 403 || r.Status >= 300 && r.Status < 400:
		a.Kind = verdict.Refused
	case get && (r.Status == 404 || r.Status == 405 || same):
		a.Kind, a.Detail = verdict.Refused, a.Detail+"; there is nothing there by "+d.method
	case r.Status >= 200 && r.Status < 300 && !same:
		a.Kind, a.Detail = verdict.Accepted, a.Detail+", as to somebody who may"
	default:
		a.Kind, a.Detail = verdict.Unproven, a.Detail+", which says neither yes nor no; let the profile say what shows that it was done (shows), or what only the owner is told (match)"
	}
	return a, nil
}

// owner is the control of a route that tells something: the owner gets it.
func (g *gate) owner(ctx context.Context, r *profile.Route, s *sight) (dut.Answer, error) {
	start := time.Now()
	req, err := g.t.Device().Filled(r.Step(g.login, "owner"), nil)
	if err != nil {
		return dut.Answer{}, err
	}
	res, err := g.session.Do(ctx, req)
	a := dut.Answer{Took: time.Since(start), Raw: login.Cut(res.Body)}
	if err := ours(ctx, err); err != nil {
		return a, err
	}
	if err != nil {
		a.Kind, a.Detail = login.Broken(err, true)
		return a, nil
	}
	kind, why := s.in(res.Body)
	a.Kind, a.Detail = kind, fmt.Sprintf("the owner is answered %d; %s", res.Status, why)
	return a, nil
}

// ownerIsIn is the control of a route that is not tried as the owner.
func (g *gate) ownerIsIn(ctx context.Context) (dut.Answer, error) {
	o, err := g.session.Proof(ctx)
	return dut.Answer{Kind: o.Kind, Detail: "in the owner's session: " + o.Detail, Raw: o.Evidence, Took: o.Took}, err
}

// shown reads as the owner what a route has written.
func (g *gate) shown(ctx context.Context, r *profile.Route) (string, error) {
	vars, err := g.t.Device().StepsIn(ctx, map[string]login.Access{g.login: g.session}, []profile.Step{*r.Shows}, nil)
	return vars["marker"], err
}

// written says whether a marker was written.
func (g *gate) written(ctx context.Context, r *profile.Route, marker, detail string) (dut.Answer, error) {
	is, err := g.shown(ctx, r)
	if err != nil {
		return dut.Answer{}, err
	}
	if is == marker {
		return dut.Answer{Kind: verdict.Accepted, Detail: detail + "; the owner reads what was sent"}, nil
	}
	return dut.Answer{Kind: verdict.Refused, Detail: detail + "; the owner does not read what was sent"}, nil
}

// ownerWrites is the control of a route that writes.
func (g *gate) ownerWrites(ctx context.Context, r *profile.Route, marker string) (dut.Answer, error) {
	req, err := g.t.Device().Filled(r.Step(g.login, "owner"), map[string]string{"marker": marker})
	if err != nil {
		return dut.Answer{}, err
	}
	res, err := g.session.Do(ctx, req)
	if err := ours(ctx, err); err != nil {
		return dut.Answer{}, err
	}
	if err != nil {
		kind, why := login.Broken(err, true)
		return dut.Answer{Kind: kind, Detail: why}, nil
	}
	return g.written(ctx, r, marker, fmt.Sprintf("the owner is answered %d", res.Status))
}

// strangerWrites tries to write without a login, and looks as the owner.
func (g *gate) strangerWrites(ctx context.Context, r *profile.Route, d disguise, marker string) (dut.Answer, error) {
	d, err := g.dressed(r, d, marker)
	if err != nil {
		return dut.Answer{}, err
	}
	_, a, err := g.ask(ctx, d)
	if err != nil || a.Kind != "" {
		return a, err
	}
	w, err := g.written(ctx, r, marker, a.Detail)
	w.Raw, w.Took = a.Raw, a.Took
	return w, err
}

// dressed gives a disguise with what the route's request has to carry.
func (g *gate) dressed(r *profile.Route, d disguise, marker string) (disguise, error) {
	req, err := g.t.Device().Filled(r.Step(g.login, ""), map[string]string{"marker": marker})
	if err != nil {
		return d, err
	}
	header := map[string]string{}
	for _, h := range []map[string]string{req.Header, d.header} {
		for k, v := range h {
			header[k] = v
		}
	}
	d.header, d.body = header, req.Body
	return d, nil
}

// restore writes what was there before, as the owner.
func restore(ctx context.Context, d *dut.Device, r *profile.Route, old string) error {
	if _, err := d.Steps(ctx, []profile.Step{r.Step(d.Profile.Routes.Login, "owner")}, map[string]string{"marker": old}); err != nil {
		return fmt.Errorf("restore what %s wrote: %w", r.Request, err)
	}
	return nil
}

// Undo writes back what an earlier run left written by a route.
func Undo(ctx context.Context, d *dut.Device, data map[string]string, _ func(string, int) string) error {
	for i := range d.Profile.Routes.Protected {
		if r := &d.Profile.Routes.Protected[i]; r.Request == data["request"] && r.Shows != nil {
			return restore(ctx, d, r, data["marker"])
		}
	}
	return fmt.Errorf("restore what %s wrote: %w", data["request"], dut.ErrNotDeclared)
}
