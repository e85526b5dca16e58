package dut

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"rigor/harness/login"
	"rigor/harness/login/web"
	"rigor/harness/verdict"
)

// webNotes is what a run has learned of its web logins.
type webNotes struct {
	mu    sync.Mutex
	known map[string]*web.Known
	fresh map[string]verdict.Kind // what nobody was answered with before anybody had logged in
}

func newWebNotes() *webNotes {
	return &webNotes{known: map[string]*web.Known{}, fresh: map[string]verdict.Kind{}}
}

// of gives what is known of the wrong logins at one place.
func (n *webNotes) of(place string) *web.Known {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known[place] == nil {
		n.known[place] = web.NewKnown()
	}
	return n.known[place]
}

// before gives what nobody was answered with at first; "" where that is not known.
func (n *webNotes) before(place string) verdict.Kind {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fresh[place]
}

// first notes what nobody is answered with, unless that is known or says nothing. Once
// somebody may be logged in it is Unproven.
func (n *webNotes) first(place string, k verdict.Kind) {
	if k == verdict.Unreachable || k == verdict.Silent || k == verdict.Throttled {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fresh[place] == "" {
		n.fresh[place] = k
	}
}

// webPlace names the service of a web login; "" for a login of another kind.
func (o *Door) webPlace() string {
	if !strings.HasPrefix(o.Protocol(), "http-") {
		return ""
	}
	return fmt.Sprintf("%s %d", o.name, o.decl.Port)
}

// askFirst asks a web service, before anybody is logged in, what it answers to nobody. It
// is for services whose sessions nothing ends.
func (o *Door) askFirst(ctx context.Context, p prober) error {
	place := o.webPlace()
	if place == "" || o.decl.Logout != "" || o.d.webs.before(place) != "" {
		return nil
	}
	out, err := p.Try(ctx, login.Nobody)
	if err != nil {
		return fmt.Errorf("login %s, before the first login: %w", o.name, err)
	}
	o.d.webs.first(place, out.Kind)
	return nil
}

// alone judges a web page that opened for nobody. A service may know by the address who
// is logged in, and the owner came from ours: his session is ended. Where nobody can say
// how, the page opened for everybody only if it did before the first login of the run.
func (o *Door) alone(ctx context.Context, p prober, out *login.Outcome) error {
	place := o.webPlace()
	if place == "" || out.Kind != verdict.Accepted {
		return nil
	}
	if o.decl.Logout == "" {
		if first := o.d.webs.before(place); first != "" && first != verdict.Accepted {
			out.Set(verdict.Unproven, "%s; this may be in the session of a login of ours, of the same address: before the first one it was %s, and the profile declares no logout", out.Detail, first)
		}
		return nil
	}
	s, err := target{Device: o.d}.Visit(ctx, o.name)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }() // it holds a connection at most
	method, path, ok := strings.Cut(o.decl.Logout, " ")
	if !ok {
		method, path = "GET", o.decl.Logout
	}
	if _, err = s.Do(ctx, login.Request{Method: method, Path: path}); err != nil {
		if rig := login.Rig(ctx, err); rig != nil {
			return fmt.Errorf("log out of %s: %w", o.name, rig)
		}
		out.Set(verdict.Unproven, "%s; whether in a session of our address is not shown, since the logout was not answered: %v", out.Detail, err)
		return nil
	}
	again, err := p.Try(ctx, login.Nobody)
	if err != nil {
		return fmt.Errorf("login %s as nobody, after the logout: %w", o.name, err)
	}
	if again.Kind != verdict.Accepted {
		again.Detail = "it opened as long as the owner's session from our address was not logged out; then: " + again.Detail
	}
	*out = again
	return nil
}
