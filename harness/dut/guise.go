package dut

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"rigor/harness/login"
	"rigor/harness/profile"
)

// Guise is how somebody comes who is not logged in, and would be taken for who is.
type Guise struct {
	Name string
	// Header is sent along with each request; nil for none.
	Header map[string]string
	// Over is a session that was the owner's and is over, by the login that it was opened
	// at; nil for none.
	Over map[string]login.Access
}

// Stranger is who comes with nothing at all.
var Stranger = Guise{Name: "without a login"}

// strange gives the steps of somebody without a login: those that are declared, or the
// owner's without his.
func (u *Update) strange() ([]profile.Step, bool) {
	if ss := u.decl.Stranger.Steps; len(ss) > 0 {
		return ss, true
	}
	return profile.WithoutLogin(u.decl.Steps)
}

// Guises gives the ways in which somebody without a login can bring an image over the
// channel: with nothing, and where that is by requests, with credentials that nobody was
// given (one of them the token), and in a session of the owner's that was logged out.
// Whoever gets sessions closes them. One that cannot be had, or that the DUT does not end,
// is in gaps.
func (u *Update) Guises(ctx context.Context, token string) (out []Guise, gaps []string, err error) {
	if u.decl == nil {
		return nil, nil, fmt.Errorf("update channel %s: %w", u.name, ErrNotDeclared)
	}
	ss, _ := u.strange()
	return u.d.guises(ctx, ss, token)
}

// ReturnGuises are those of the way back to the version from before.
func (d *Device) ReturnGuises(ctx context.Context, token string) (out []Guise, gaps []string, err error) {
	ss, _ := d.strangeReturn()
	return d.guises(ctx, ss, token)
}

// strangeReturn gives the steps of somebody without a login.
func (d *Device) strangeReturn() ([]profile.Step, bool) {
	r := d.Profile.Images.ReturnTo
	if len(r.Stranger) > 0 {
		return r.Stranger, true
	}
	return profile.WithoutLogin(r.Steps)
}

// ReturnIn walks the way back as somebody who is not logged in, in a guise. What is Taken
// says that the steps went as the owner's do.
func (d *Device) ReturnIn(ctx context.Context, g Guise) (Delivery, error) {
	ss, ok := d.strangeReturn()
	if !ok {
		return Delivery{}, fmt.Errorf("the way back without a login: %w", ErrNotDeclared)
	}
	return d.walked(ctx, g.dressed(ss), d.Profile.Images.ReturnTo.Refused, g.Over)
}

func (d *Device) guises(ctx context.Context, ss []profile.Step, token string) (out []Guise, gaps []string, err error) {
	out = []Guise{Stranger}
	logins := map[string]bool{}
	if requests(ss, logins); len(logins) == 0 {
		return out, nil, nil
	}
	out = append(out,
		Guise{Name: "with a token that nobody was given", Header: map[string]string{"Authorization": "Bearer " + token}},
		Guise{Name: "with a login of HTTP's own that nobody has", Header: map[string]string{"Authorization": "Basic bm9ib2R5Om5vYm9keQ=="}})
	for _, name := range d.Profile.Logins.Order {
		if l := d.Profile.Logins.Items[name]; !logins[name] || l == nil || l.Logout == "" {
			continue
		}
		s, gap, err := d.loggedOut(ctx, name)
		if err != nil {
			return out, gaps, err
		}
		if s == nil {
			gaps = append(gaps, gap)
			continue
		}
		out = append(out, Guise{Name: "in a session of " + name + " that was logged out", Over: map[string]login.Access{name: s}})
	}
	return out, gaps, nil
}

// loggedOut opens a session as the owner and ends it; none where the DUT does not let him
// in, or the session is not over.
func (d *Device) loggedOut(ctx context.Context, name string) (s login.Access, gap string, err error) {
	door := d.Login(name)
	own, err := door.Owner()
	if err != nil {
		return nil, "", err
	}
	s, a, err := door.Open(ctx, own)
	if err != nil {
		return nil, "", err
	}
	if s == nil {
		return nil, fmt.Sprintf("the owner is not let in at %s: %s: %s", name, a.Kind, a.Detail), nil
	}
	method, path, ok := strings.Cut(door.Decl().Logout, " ")
	if !ok {
		method, path = "GET", door.Decl().Logout
	}
	if _, err = s.Do(ctx, login.Request{Method: method, Path: path}); err == nil {
		var o login.Outcome
		if o, err = s.Proof(ctx); err == nil && !o.Kind.Opens() {
			return s, "", nil
		}
		gap = "a session of " + name + " is not over when it is logged out: " + o.Detail
	}
	_ = s.Close() // nobody needs it
	return nil, gap, err
}

// requests notes the logins whose service gets requests by steps.
func requests(ss []profile.Step, logins map[string]bool) {
	for _, s := range ss {
		if s.Verb == "http" && s.Login != "" {
			logins[s.Login] = true
		}
		requests(s.Steps, logins)
	}
}

// dressed gives steps as they are made in a guise: all requests to a login's service keep
// the cookies of the ones before, as of one visitor.
func (g Guise) dressed(ss []profile.Step) []profile.Step {
	out := make([]profile.Step, len(ss))
	for i, s := range ss {
		if s.Verb == "http" && s.Login != "" {
			if g.Over[s.Login] != nil {
				s.As = "stranger"
			}
			if g.Header != nil {
				h := maps.Clone(s.Header)
				if h == nil {
					h = map[string]string{}
				}
				maps.Copy(h, g.Header)
				s.Header = h
			}
		}
		s.Steps = g.dressed(s.Steps)
		out[i] = s
	}
	return out
}

// guised is a target to which who is nobody comes in a session that is over, or the owner
// in one that is open already.
type guised struct {
	target
	over, own sessions
}

// sessions are open ones, or such that are over, by login.
type sessions map[string]login.Access

// Access gives the owner's session that is open already, where there is one.
func (t guised) Access(ctx context.Context, name, password string) (login.Access, error) {
	if s := t.own[name]; s != nil && password == "" {
		return keptOpen{s}, nil
	}
	return t.target.Access(ctx, name, password)
}

// Visit gives the session that is over, where there is one.
func (t guised) Visit(ctx context.Context, name string) (login.Access, error) {
	if s := t.over[name]; s != nil {
		return keptOpen{s}, nil
	}
	return t.target.Visit(ctx, name)
}

// In carries the image to the DUT as somebody without a login does it, in a guise. It
// gives ErrNotDeclared where that cannot be said.
func (u *Update) In(ctx context.Context, g Guise, img Image) (Delivery, error) {
	if u.decl == nil {
		return Delivery{}, fmt.Errorf("update channel %s: %w", u.name, ErrNotDeclared)
	}
	ss, ok := u.strange()
	if !ok {
		return Delivery{}, fmt.Errorf("update channel %s without a login: %w", u.name, ErrNotDeclared)
	}
	d, err := u.deliver(ctx, img, g.dressed(ss), u.decl.Stranger.Refused, guised{over: g.Over})
	d.Early = true // who is nobody is told so before anything is taken
	return d, err
}
