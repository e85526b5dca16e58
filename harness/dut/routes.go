package dut

import (
	"context"
	"fmt"
	"strings"

	"rigor/harness/login"
	"rigor/harness/login/web"
	"rigor/harness/profile"
	"rigor/harness/steps"
)

// Stranger gives somebody who is not logged in at the web service of a login. The
// caller closes it.
func (d *Device) Stranger(ctx context.Context, loginName string) (*web.Stranger, error) {
	l := d.Profile.Logins.Items[loginName]
	if l == nil || !strings.HasPrefix(l.Protocol, "http") {
		return nil, fmt.Errorf("a web service by the name of login %q: %w", loginName, ErrNotDeclared)
	}
	addr, err := d.Address(ctx, l.Port)
	if err != nil {
		return nil, err
	}
	dial, err := d.Dialer()
	if err != nil {
		return nil, err
	}
	return web.NewStranger(web.Config{Dialer: dial, Address: addr, TLS: l.TLS, Timeout: l.Within, Waiting: d.page(addr)})
}

// Filled gives the request of a step with its values filled in: vars, and those of
// the unit, the secrets and the profile. Nothing is sent.
func (d *Device) Filled(s profile.Step, vars map[string]string) (login.Request, error) {
	return steps.Request(target{Device: d}, &s, vars)
}

// StepsIn carries steps out as Steps does. What the owner does in them over a login
// for which there is a session goes through that one, which stays open.
func (d *Device) StepsIn(ctx context.Context, sessions map[string]login.Access, ss []profile.Step, vars map[string]string) (map[string]string, error) {
	return steps.Run(ctx, inside{target{Device: d}, sessions}, ss, vars)
}

// inside is the device with sessions that stand already.
type inside struct {
	target
	sessions map[string]login.Access
}

// Access gives the session that stands, where there is one.
func (t inside) Access(ctx context.Context, name, password string) (login.Access, error) {
	if a := t.sessions[name]; a != nil && password == "" {
		return borrowed{a}, nil
	}
	return t.target.Access(ctx, name, password)
}

// borrowed is a session that is somebody else's to end.
type borrowed struct{ login.Access }

// Close leaves it open.
func (borrowed) Close() error { return nil }
