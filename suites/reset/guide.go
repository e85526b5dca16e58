package reset

import (
	"context"
	"fmt"
	"slices"

	"rigor/harness/canary"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/profile"
)

// keep remembers the key that the next reset is to destroy.
func (g *guide) keep(tr *tour) {
	if slot := tr.before.slot; !blank(slot) {
		g.keys = append(g.keys, canary.Marker{Name: keyOf(tr.n), Value: string(slot), Piece: keyPiece, Bits: 8})
	}
}

// keyPiece is how many bytes in a row of a key are no accident.
const keyPiece = 8

// keySet is what is looked for of keys that were destroyed; nil for none.
func (g *guide) keySet() *canary.Set {
	if len(g.keys) == 0 {
		return nil
	}
	return canary.NewSet(g.keys...)
}

// failToLogIn makes a wrong try in a name that nobody else has: a log that tells of it has
// something that can be told from all that comes behind the reset.
func (g *guide) failToLogIn(ctx context.Context, tr *tour, door *dut.Door) {
	if len(g.Profile().Log.Read) == 0 {
		return
	}
	user := g.marked.names[tr.n-1]
	g.OK(g.Spare(ctx, check.PaceOf(door.Decl()), user, 1))
	a, err := g.Try(ctx, door, login.Credential{User: user, Password: g.Secret(fmt.Sprintf("logged/%d", tr.n), 16)})
	g.OK(err)
	tr.say("somebody whom nobody knows fails to log in at %s: %s: %s", door.Name(), a.Kind, a.Detail)
}

// listen begins to look out for the signs of a reset while nothing asks for one.
func (g *guide) listen(ctx context.Context) {
	var signs []profile.Sign
	for _, w := range g.Profile().Reset.Ways {
		signs = append(signs, g.signsOf(w)...)
	}
	signs = append(signs, g.Profile().Reset.Confirm.Sign...)
	var err error
	g.quiet, err = g.Device().WatchSigns(ctx, signs)
	g.OK(err)
}

// signsOf gives what shows that a way resets the device.
func (g *guide) signsOf(w profile.ResetWay) []profile.Sign {
	if p := g.Profile().Press(w.Press); p != nil {
		return slices.Concat(w.Sign, p.Sign)
	}
	return w.Sign
}

// heard ends that, and gives the signs that were seen: they show no reset.
func (g *guide) heard(tr *tour) map[string]bool {
	if g.quiet == nil {
		return nil
	}
	seen, err := g.quiet.Look()
	g.quiet.Close()
	g.quiet = nil
	if err != nil { // more has come than is kept
		g.OK(ours(err))
		tr.say("whether signs of a reset are seen without one is not known: %v", err)
		return nil
	}
	out := map[string]bool{}
	for _, s := range seen {
		if s.Seen {
			out[dut.SignText(s.Sign)] = true
			tr.say("without a reset, too: %s", dut.SignText(s.Sign))
		}
	}
	return out
}
