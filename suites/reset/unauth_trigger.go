package reset

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/suites/credential"
)

// UnauthTrigger: who is not logged in cannot reset the device by what its owner resets it
// with. That the request is the right one is shown by the owner's, which did it.
var UnauthTrigger = check.Check{
	ID:    "rst-unauth-trigger",
	Title: "Nobody resets the device without a login",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.CFG2, en303645.V3("5.5-5"), en18031.Code("ACM-2")},
		baseline.Local:   {nist8259a.CFG2, en303645.V3("5.5-5"), en18031.Code("ACM-2")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  tourLeaves,
	Budget: check.Budget{Case: tourTime, Cleanup: cleanupTime},
	Cases:  check.Planner(check.PerLogin).With(needsOwnersWay, check.NeedsOwner, check.NeedsNetwork, needsReset),
	Run: func(ctx context.Context, t *check.T) {
		channel := t.Case().Channel
		for _, tr := range made(ctx, t).list {
			if slices.Contains(waysOver(t.Profile(), channel), tr.way.ID) {
				tr.claimOwners(ctx, t, channel)
			}
		}
	},
}

// waysOver gives the ways by which the owner resets the device over a login.
func waysOver(p *profile.Profile, channel string) (out []string) {
	for _, w := range p.Reset.Ways {
		if w.By == profile.ByOwner && slices.ContainsFunc(w.Steps, func(s profile.Step) bool { return s.Login == channel && (s.As != "" || s.Run != "") }) {
			out = append(out, w.ID)
		}
	}
	return out
}

// needsOwnersWay: a way to reset the device goes over the login.
func needsOwnersWay(in check.Input, c *check.Case) *verdict.Judgement {
	r := in.Profile.Reset
	switch {
	case r.Declared():
		return check.DeclaredNone(r.None.None)
	case len(r.Ways) == 0:
		return check.NotDeclared("the profile does not say how the device is reset (reset.ways)")
	case len(waysOver(in.Profile, c.Channel)) == 0:
		return check.DeclaredNone("no declared way to reset the device goes over this login")
	}
	return nil
}

// strangerWay is a way to ask for a reset without being the owner who is logged in.
type strangerWay struct {
	name string
	do   func(ctx context.Context) error
}

func (tr *tour) claimOwners(ctx context.Context, t *check.T, channel string) {
	text := "nobody but its owner, logged in, resets the device by way " + tr.way.ID
	if !tr.happened() || tr.factory.Kind != verdict.Accepted { // that the owner's request does it is not shown
		tr.whole(t, text)
		return
	}
	door := t.Device().Login(channel)
	own, err := door.Owner()
	t.OK(err)
	done := t.Intent(credential.IntentSetup, "a reset without a login is tried in "+t.ID(), map[string]string{"way": ""})
	check.Refute(ctx, t, text, check.Negative[strangerWay]{
		Control: door.With(own),
		Anti:    door.With(login.Credential{User: own.User, Password: t.Secret("nobody", 16)}),
		Probes:  strangers(t, tr.way.Steps, door, own),
		Try:     func(ctx context.Context, s strangerWay) (dut.Answer, error) { return tr.asks(ctx, t, s) },
		Name:    func(s strangerWay) string { return s.name },
		Refusal: []verdict.Kind{verdict.Refused},
		Every:   1,
	})
	tr.claimNotLater(ctx, t)
	done()
}

// claimNotLater claims that the device is not reset either when it starts the next time,
// where the rig can have it start: a request that is refused may be marked all the same.
func (tr *tour) claimNotLater(ctx context.Context, t *check.T) {
	in, d := t.Input(), t.Device()
	if !in.Power || !slices.Contains(in.Allow, check.Supply) {
		t.Note("whether the device is reset when it starts the next time was not looked at: the rig cannot have it start")
		return
	}
	t.OK(d.PowerCycle(ctx))
	used, err := credential.Holds(t, states.Onboarded.Name)(ctx)
	t.OK(err)
	fresh, err := credential.Holds(t, states.Factory.Name)(ctx)
	t.OK(err)
	ref := t.Keep("start-"+tr.way.ID+".txt", "in which state the device is behind the next start", fmt.Appendf(nil, "in use: %s: %s\nfactory state: %s: %s\n", used.Kind, used.Detail, fresh.Kind, fresh.Detail))
	t.Claim("behind the next start the device is in use as before, by way "+tr.way.ID, func(c *check.Claim) {
		c.Show(ref)
		c.Expect("it is in use", used.Detail)
		switch {
		case fresh.Kind == verdict.Accepted:
			d.In(states.Factory.Name)
			c.Fail(verdict.ReasonAccess, "somebody without a login asked for a reset, and was refused; the next start has reset the device: %s", fresh.Detail)
		case used.Kind != verdict.Accepted:
			c.Unknown(verdict.ReasonDUTChanged, "%s: %s", used.Kind, used.Detail)
		}
	})
}

// strangers gives the owner's own request as others make it.
func strangers(t *check.T, ss []profile.Step, door *dut.Door, own login.Credential) (out []strangerWay) {
	add := func(name string, ss []profile.Step, vars map[string]string) {
		out = append(out, strangerWay{name, func(ctx context.Context) error {
			_, err := t.Device().Steps(ctx, ss, vars)
			return err
		}})
	}
	add("without a login", bare(ss, nil), nil)
	add("with a token that nobody was given", bare(ss, map[string]string{"Authorization": "Bearer " + t.Secret("token", 32)}), nil)
	add("with a login of HTTP's own that nobody has", bare(ss, map[string]string{"Authorization": "Basic bm9ib2R5Om5vYm9keQ=="}), nil)
	if logout := door.Decl().Logout; logout != "" && len(out) > 0 {
		out = append(out, strangerWay{"in a session that was logged out", func(ctx context.Context) error {
			return loggedOut(ctx, t, door, own, logout, ss)
		}})
	}
	// A page of somebody else's can have the owner's browser send a form, and does not know
	// what the device has put into its own.
	if last := ss[len(ss)-1]; len(ss) > 1 && last.As != "" {
		vars := map[string]string{}
		for _, s := range ss[:len(ss)-1] {
			for name := range s.Extract {
				vars[name] = t.Secret("form/"+name, 32)
			}
		}
		if len(vars) > 0 {
			add("by the owner's browser, from a page of somebody else's", []profile.Step{last}, vars)
		}
	}
	return out
}

// bare gives steps as somebody makes them who is not logged in.
func bare(ss []profile.Step, header map[string]string) []profile.Step {
	out := slices.Clone(ss)
	for i := range out {
		if out[i].As == "" {
			continue
		}
		out[i].As, out[i].Password = "", ""
		h := maps.Clone(out[i].Header)
		if h == nil {
			h = map[string]string{}
		}
		maps.Copy(h, header)
		out[i].Header = h
	}
	return out
}

// loggedOut makes the owner's request in a session of his that he has ended.
func loggedOut(ctx context.Context, t *check.T, door *dut.Door, own login.Credential, logout string, ss []profile.Step) error {
	s, a, err := door.Open(ctx, own)
	if err != nil {
		return err
	}
	if s == nil {
		return &dut.NoEntryError{Login: door.Name(), Answer: a}
	}
	defer func() { _ = s.Close() }() // it was ended before
	method, path, ok := strings.Cut(logout, " ")
	if !ok {
		method, path = "GET", logout
	}
	if _, err := s.Do(ctx, login.Request{Method: method, Path: path}); err != nil {
		return err
	}
	if a, err = proof(ctx, s); err != nil {
		return err
	}
	if a.Kind.Opens() {
		return fmt.Errorf("the session shows what only the owner sees, though it was logged out: %s", a.Detail)
	}
	_, err = t.Device().StepsOver(ctx, map[string]login.Access{door.Name(): s}, ss, nil)
	return err
}

// asks asks for a reset, and looks whether there is one.
func (tr *tour) asks(ctx context.Context, t *check.T, s strangerWay) (dut.Answer, error) {
	d := t.Device()
	watch, err := d.WatchSigns(ctx, tr.way.Sign)
	if err != nil {
		return dut.Answer{}, err
	}
	defer watch.Close()
	a, err := tell(t, func() error { return s.do(ctx) })
	if err != nil {
		return a, err
	}
	if err := d.Wait(ctx, max(watchLeast, 2*tr.latency)); err != nil {
		return a, err
	}
	seen, err := watch.Look()
	if err != nil {
		return a, err
	}
	for _, o := range seen {
		if o.Seen {
			return dut.Answer{Kind: verdict.Accepted, Detail: fmt.Sprintf("it is reset: %s, %s after it was asked", dut.SignText(o.Sign), time.Since(o.At).Round(time.Millisecond))}, nil
		}
	}
	fresh, err := credential.Holds(t, states.Factory.Name)(ctx)
	switch {
	case err != nil:
		return a, err
	case fresh.Kind == verdict.Accepted:
		return dut.Answer{Kind: verdict.Accepted, Detail: "it is in its factory state"}, nil
	case a.Kind == verdict.Accepted:
		return dut.Answer{Kind: verdict.Refused, Detail: "it said yes, and did nothing"}, nil
	}
	return a, nil
}
