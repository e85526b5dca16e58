package reset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rigor/fixtures/credentials"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/steps"
	"rigor/harness/verdict"
)

// held is what opened a login before a reset.
type held struct {
	login string
	name  string // "the old password", "a session from before"
	try   func(ctx context.Context) (dut.Answer, error)
	end   func() error
	early func(ctx context.Context) (dut.Answer, error) // it is tried before the next set-up by this; nil for not
	given *profile.Given
	vars  map[string]string // what a credential's making gave
}

// doorFacts is what was tried at one login behind the set-up, in its order.
type doorFacts struct {
	control [2]dut.Answer // the next owner's way in, before and behind the others
	anti    dut.Answer
	probes  []tried
	early   []tried  // before the next set-up
	gaps    []string // what could not be tried
}

type tried struct {
	name    string
	a       dut.Answer
	session bool
	// control is what of the same kind the next owner opens it with, and anti what nobody
	// was given; without a Kind where it is the password.
	control, anti dut.Answer
}

// owned gives the logins that have an owner and that the rig reaches.
func (g *guide) owned() (out []*dut.Door) {
	for _, name := range check.LoginChannels(g.Profile()) {
		l := g.Profile().Logins.Items[name]
		if l == nil || l.Declared() || l.Owner.User+l.Owner.Password == "" || l.Protocol == "console" && !slices.Contains(g.Input().Consoles, l.Console) {
			continue
		}
		out = append(out, g.Device().Login(name))
	}
	return out
}

// hold opens what can be kept over a reset: sessions of the web, tokens, keys of an API, and
// connections over the network that somebody is logged in on.
func (g *guide) hold(ctx context.Context, tr *tour) {
	g.held = nil
	for _, door := range g.owned() {
		own, err := door.Owner()
		g.OK(err)
		if !stays(door.Protocol()) {
			continue // its session is the password itself, or the one console's
		}
		facts := tr.door(door.Name())
		s, a, err := door.Open(ctx, own)
		g.OK(err)
		if s == nil {
			facts.gaps = append(facts.gaps, "the owner was not let in before the reset: "+a.Detail)
			continue
		}
		if a, err = proof(ctx, s); err != nil || a.Kind != verdict.Accepted {
			g.OK(err)
			facts.gaps = append(facts.gaps, "a session did not show itself before the reset: "+a.Detail)
			continue
		}
		h := &held{login: door.Name(), name: "a session from before the reset", end: s.Close,
			try: func(ctx context.Context) (dut.Answer, error) { return proof(ctx, s) }}
		if isConnection(door.Protocol()) { // what is asked of it changes nothing of it
			h.name, h.early = "a connection from before the reset", h.try
		} else {
			g.holdEarly(ctx, tr, door, own, h)
		}
		g.held = append(g.held, h)
	}
	for _, c := range g.Profile().Reset.Credentials {
		vars, a := g.make(ctx, c)
		if a.Kind != verdict.Accepted {
			f := tr.door(c.Login)
			f.gaps = append(f.gaps, c.ID+" was not made, or opens nothing, before the reset: "+a.Detail)
			continue
		}
		g.held = append(g.held, &held{login: c.Login, name: c.ID + " from before the reset", given: &c, vars: vars,
			early: func(ctx context.Context) (dut.Answer, error) { return g.use(ctx, c, vars["credential"]) },
			try:   func(ctx context.Context) (dut.Answer, error) { return g.use(ctx, c, vars["credential"]) }})
	}
}

// holdEarly opens a second session, to be tried before the next set-up: what is answered
// there may change what a session sends from then on. An account that has one session at a
// time keeps the first, and a device that ends that with the second gets no such try.
func (g *guide) holdEarly(ctx context.Context, tr *tour, door *dut.Door, own login.Credential, h *held) {
	s, _, err := door.Open(ctx, own)
	g.OK(err)
	if s == nil {
		return
	}
	both := true
	for _, try := range []func(context.Context) (dut.Answer, error){func(ctx context.Context) (dut.Answer, error) { return proof(ctx, s) }, h.try} {
		a, err := try(ctx)
		g.OK(err)
		both = both && a.Kind == verdict.Accepted
	}
	end := h.end
	if !both {
		// The first one is over: the second is the one that is held.
		tr.say("login %s has one session at a time", door.Name())
		h.try = func(ctx context.Context) (dut.Answer, error) { return proof(ctx, s) }
		h.end = func() error { return errors.Join(end(), s.Close()) }
		return
	}
	h.early = func(ctx context.Context) (dut.Answer, error) { return proof(ctx, s) }
	h.end = func() error { return errors.Join(end(), s.Close()) }
}

// tryEarly tries before the next set-up what opened the device before the reset.
func (g *guide) tryEarly(ctx context.Context, tr *tour) {
	for _, h := range g.held {
		if h.early == nil {
			continue
		}
		a, err := h.early(ctx)
		g.OK(err)
		f := tr.door(h.login)
		f.early = append(f.early, tried{name: h.name, a: a, session: h.given == nil})
		tr.say("before the set-up %s at %s: %s: %s", h.name, h.login, a.Kind, a.Detail)
	}
}

// isConnection says whether a session of a protocol is a connection that stays open.
func isConnection(protocol string) bool { return protocol == "ssh" || protocol == "telnet" }

// stays says whether a session of a protocol is something that could outlive a reset.
func stays(protocol string) bool {
	return isConnection(protocol) || strings.HasPrefix(protocol, "http") && !isPassword(protocol)
}

// isPassword says whether what a protocol calls a session is the password itself, in each
// of its requests: it opens what that opens.
func isPassword(protocol string) bool {
	switch protocol {
	case "http-basic", "http-digest", "rtsp", "snmp":
		return true
	}
	return false
}

func (tr *tour) door(name string) *doorFacts {
	if tr.doors[name] == nil {
		tr.doors[name] = &doorFacts{}
	}
	return tr.doors[name]
}

func proof(ctx context.Context, s login.Access) (dut.Answer, error) {
	o, err := s.Proof(ctx)
	return dut.Answer{Kind: o.Kind, Detail: o.Detail, Raw: o.Evidence, Took: o.Took}, err
}

// make has the owner make a credential, and uses it.
func (g *guide) make(ctx context.Context, c profile.Given) (map[string]string, dut.Answer) {
	vars, err := g.Device().Steps(ctx, c.Make, nil)
	if err != nil {
		g.OK(ours(err))
		return nil, dut.Answer{Kind: verdict.Refused, Detail: err.Error()}
	}
	a, err := g.use(ctx, c, vars["credential"])
	g.OK(err)
	return vars, a
}

// use does what only who has the credential can do.
func (g *guide) use(ctx context.Context, c profile.Given, value string) (dut.Answer, error) {
	return tell(g.T, func() error {
		_, err := g.Device().Steps(ctx, c.Use, map[string]string{"credential": value})
		return err
	})
}

// knock tries at each login what opened it before the reset, between two tries of the
// next owner.
func (g *guide) knock(ctx context.Context, tr *tour, password string) {
	for _, door := range g.owned() {
		old, err := door.Owner()
		g.OK(err)
		f := tr.door(door.Name())
		try := func(c login.Credential) dut.Answer { return g.asked(ctx, door, c) }
		next := login.Credential{User: old.User, Password: password}
		f.control[0] = try(next)
		f.anti = try(login.Credential{User: old.User, Password: g.Secret(fmt.Sprintf("nobody/%d", tr.n), 16)})
		f.probes = append(f.probes, tried{name: "the old password", a: try(old)})
		for _, h := range g.held {
			if h.login != door.Name() || h.given != nil {
				continue
			}
			a, err := h.try(ctx)
			g.OK(err)
			f.probes = append(f.probes, tried{name: h.name, a: a, session: true})
		}
		f.control[1] = try(next)
		tr.say("login %s: the next owner %s and %s, nobody %s, %d tries from before", door.Name(), f.control[0].Kind, f.control[1].Kind, f.anti.Kind, len(f.probes))
		for _, p := range f.probes {
			tr.say("login %s: %s: %s: %s", door.Name(), p.name, p.a.Kind, p.a.Detail)
		}
	}
}

// given tries the credentials from before the reset, beside new ones of the next owner,
// who has the declared password by now.
func (g *guide) given(ctx context.Context, tr *tour) {
	for _, h := range g.held {
		if h.given == nil {
			continue
		}
		c := *h.given
		p := tried{name: h.name}
		var vars map[string]string
		vars, p.control = g.make(ctx, c)
		var err error
		p.anti, err = g.use(ctx, c, madeUp(h.vars["credential"]))
		g.OK(err)
		p.a, err = h.try(ctx)
		g.OK(err)
		g.drop(ctx, tr, c, vars)
		tr.say("login %s: %s: %s; a new one: %s; a made-up one: %s", h.login, p.name, p.a.Kind, p.control.Kind, p.anti.Kind)
		f := tr.door(h.login)
		f.probes = append(f.probes, p)
	}
}

// drop has the owner take back what was made.
func (g *guide) drop(ctx context.Context, tr *tour, c profile.Given, vars map[string]string) {
	if len(c.Drop) == 0 || vars == nil {
		return
	}
	if _, err := g.Device().Steps(ctx, c.Drop, vars); err != nil {
		g.OK(ours(err))
		tr.say("%s is not taken back: %v", c.ID, err)
	}
}

// madeUp gives a credential of the same shape that nobody was given.
func madeUp(c string) string {
	b := []byte(c)
	for i := range b {
		switch {
		case b[i] >= '0' && b[i] <= '9':
			b[i] = '0' + (b[i]-'0'+3)%10
		case b[i] >= 'a' && b[i] <= 'f':
			b[i] = 'a' + (b[i]-'a'+2)%6
		case b[i] >= 'g' && b[i] <= 'z':
			b[i] = 'g' + (b[i]-'g'+5)%20
		case b[i] >= 'A' && b[i] <= 'F':
			b[i] = 'A' + (b[i]-'A'+2)%6
		case b[i] >= 'G' && b[i] <= 'Z':
			b[i] = 'G' + (b[i]-'G'+5)%20
		}
	}
	return string(b)
}

// unanswered says whether steps ended since no answer came: neither a yes nor a no.
func unanswered(err error) bool {
	var no *steps.StepError
	return errors.As(err, &no) && no.Unanswered
}

// tell carries steps out and gives what became of them as an answer.
func tell(t *check.T, do func() error) (dut.Answer, error) {
	err := do()
	var no *steps.StepError
	var shut *dut.NoEntryError
	switch {
	case err == nil:
		return dut.Answer{Kind: verdict.Accepted, Detail: "the steps worked"}, nil
	case unanswered(err), errors.As(err, &shut) && !shut.Answered():
		return dut.Answer{Kind: verdict.Silent, Detail: err.Error()}, nil
	case errors.As(err, &no) && no.NotNow():
		return dut.Answer{Kind: verdict.Throttled, Detail: err.Error()}, nil
	case errors.As(err, &no), errors.As(err, &shut):
		return dut.Answer{Kind: verdict.Refused, Detail: err.Error()}, nil
	}
	t.OK(ours(err))
	return dut.Answer{Kind: verdict.Unproven, Detail: err.Error()}, nil
}

// mostPublished is how many published logins are tried behind a set-up, the likeliest:
// cred-known-list tries them all, of a device that may never have been reset.
const mostPublished = 6

// published tries whether a reset brought a published login back.
func (g *guide) published(ctx context.Context, tr *tour) {
	door := g.ownDoor()
	vendor := cmp.Or(door.Decl().Vendor, g.Profile().Maker)
	p := check.PaceOf(door.Decl())
	most := mostPublished
	if !p.Known {
		most = 2
	} else if p.After > 0 {
		most = min(most, p.After-1)
	}
	list := []login.Credential{{User: "admin", Password: "admin"}}
	for _, e := range credentials.For(door.Protocol(), vendor) {
		if c := (login.Credential{User: e.User, Password: e.Password}); !slices.Contains(list, c) && e.Password != "" {
			list = append(list, c)
		}
	}
	tr.knownAt = door.Name()
	for _, c := range list[:min(most, len(list))] {
		g.OK(g.Spare(ctx, p, c.User, 1))
		a, err := g.Try(ctx, door, c)
		g.OK(err)
		tr.known = append(tr.known, tried{name: fmt.Sprintf("%q with %q", c.User, c.Password), a: a})
	}
}
