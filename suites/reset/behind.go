package reset

import (
	"context"
	"fmt"
	"slices"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
)

// What a reset took may come back with the next start, out of a copy that nothing erased:
// what was tried behind the set-up is tried again behind a restart.

// restarts says whether the rig can restart the device, and may.
func (g *guide) restarts() bool {
	return g.Input().Power && slices.Contains(g.Input().Allow, check.Supply)
}

// passwordsAgain tries the old owner's password behind a restart, while the next owner has
// another one. The restart is one more boot: it is made behind one of the resets.
func (g *guide) passwordsAgain(ctx context.Context, tr *tour, password string) {
	if !g.restarts() {
		tr.say("whether the old password opens again behind a restart is not looked at: the rig does not restart the device, or may not")
		return
	}
	g.OK(g.Device().PowerCycle(ctx))
	for _, door := range g.owned() {
		old, err := door.Owner()
		g.OK(err)
		next := login.Credential{User: old.User, Password: password}
		p := tried{name: "the old password, behind a restart,", control: g.asked(ctx, door, next)}
		p.anti = g.asked(ctx, door, login.Credential{User: old.User, Password: g.Secret(fmt.Sprintf("nobody/%d/again", tr.n), 16)})
		p.a = g.asked(ctx, door, old)
		tr.say("behind a restart, login %s: the next owner %s, nobody %s, the old password %s: %s", door.Name(), p.control.Kind, p.anti.Kind, p.a.Kind, p.a.Detail)
		f := tr.door(door.Name())
		f.probes = append(f.probes, p)
	}
}

// heldAgain tries what else opened the device before the reset behind the restart that the
// device has had since the set-up, or else behind one of its own.
func (g *guide) heldAgain(ctx context.Context, tr *tour) {
	defer func() {
		for _, h := range g.held {
			if h.end != nil {
				_ = h.end() // its connection is long gone
			}
		}
	}()
	if len(g.held) == 0 {
		return
	}
	if !g.restarts() {
		tr.say("whether sessions and keys open again behind a restart is not looked at: the rig does not restart the device, or may not")
		return
	}
	if len(partsOf(g.T, viewStorage)) == 0 { // else its memory was read, and it was off for that
		g.OK(g.Device().PowerCycle(ctx))
	}
	for _, h := range g.held {
		p := tried{name: h.name + ", behind a restart,", session: h.given == nil}
		var err error
		var vars map[string]string
		if h.given != nil {
			vars, p.control = g.make(ctx, *h.given)
			p.anti, err = g.use(ctx, *h.given, madeUp(h.vars["credential"]))
			g.OK(err)
		} else {
			door := g.Device().Login(h.login)
			own, err := door.Owner()
			g.OK(err)
			p.control = g.asked(ctx, door, own)
			p.anti = g.asked(ctx, door, login.Credential{User: own.User, Password: g.Secret(fmt.Sprintf("nobody/%d/session", tr.n), 16)})
		}
		p.a, err = h.try(ctx)
		g.OK(err)
		if h.given != nil {
			g.drop(ctx, tr, *h.given, vars)
		}
		tr.say("behind a restart, login %s: %s: %s; what is the next owner's: %s; what is nobody's: %s", h.login, p.name, p.a.Kind, p.control.Kind, p.anti.Kind)
		f := tr.door(h.login)
		f.probes = append(f.probes, p)
	}
}

// asked tries a login, once that cannot fall into a lock.
func (g *guide) asked(ctx context.Context, door *dut.Door, c login.Credential) dut.Answer {
	g.OK(g.Spare(ctx, check.PaceOf(door.Decl()), c.User, 1))
	a, err := g.Try(ctx, door, c)
	g.OK(err)
	return a
}
