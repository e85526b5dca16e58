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
func (d *Device) StepsIn(ctx context.Context, own map[string]login.Access, ss []profile.Step, vars map[string]string) (map[string]string, error) {
	return steps.Run(ctx, guised{target: target{Device: d}, own: own}, ss, vars)
}
