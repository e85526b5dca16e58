package runner

import (
	"context"
	"fmt"
	"strings"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/verdict"
)

// tidy brings the consoles on which the case leans back to their login prompt.
// A case before may have found a way in and been left in it: a shell that was
// opened by a finding would make every later case on the console unclear. What
// cannot be tidied is left: the case's own control says so. A console that gave
// no answer to an Enter before several cases in a row is not fed on.
func (r *run) tidy(ctx context.Context, d *dut.Device, p *Planned) *verdict.Judgement {
	for _, part := range p.Case.Parts {
		name, ok := strings.CutPrefix(string(part), "console.")
		if !ok || r.isUntidy(name) {
			continue
		}
		door := r.doorOn(d, name)
		if door == nil {
			continue
		}
		a, err := door.Knock(ctx)
		if ctx.Err() != nil { // what was met since says nothing of the console
			return nil
		}
		if n := r.fellSilent(name, err == nil && a.Kind == verdict.Silent); n > silentCases {
			return &verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonControlFailed,
				Detail: fmt.Sprintf("console %s has given no answer to an Enter before %d cases in a row", name, n)}
		} else if n > 0 {
			continue
		}
		if err != nil || a.Kind == verdict.Refused {
			continue
		}
		r.note(p.ID, "console %s was not at its login prompt (%s): ending what is open there", name, a.Detail)
		if r.tidied(ctx, d, door) {
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		r.setUntidy(name)
		r.note(p.ID, "console %s cannot be brought to its login prompt", name)
	}
	return nil
}

// silentCases is before how many cases in a row a console may stay silent
// before those that lean on it are not tried any more.
const silentCases = 2

// fellSilent counts the cases in a row before which a console gave no answer; one that
// gives one is counted anew. A preparation that was given up may be at it too.
func (r *run) fellSilent(console string, silent bool) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if silent {
		r.silent[console]++
	} else {
		r.silent[console] = 0
	}
	return r.silent[console]
}

func (r *run) isUntidy(console string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.untidy[console]
}

func (r *run) setUntidy(console string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.untidy[console] = true
}

// tidied logs out, and where that does not help and the rig may, switches the
// power off and on.
func (r *run) tidied(ctx context.Context, d *dut.Device, door *dut.Door) bool {
	con, err := d.Console(door.Decl().Console)
	if err != nil {
		return false
	}
	if logout := con.Decl().Logout; logout != "" {
		if _, err := con.SendLine(ctx, logout); err == nil {
			if a, err := door.Knock(ctx); err == nil && a.Kind == verdict.Refused {
				return true
			}
		}
	}
	if !r.allows(check.Supply) || d.PowerCycle(ctx) != nil {
		return false
	}
	a, err := door.Knock(ctx)
	return err == nil && a.Kind == verdict.Refused
}

// doorOn gives the login on a console, nil where none is declared.
func (r *run) doorOn(d *dut.Device, console string) *dut.Door {
	for _, name := range r.cfg.Profile.Logins.Order {
		l := r.cfg.Profile.Logins.Items[name]
		if l != nil && !l.Declared() && l.Protocol == "console" && l.Console == console {
			return d.Login(name)
		}
	}
	return nil
}

// allows says whether the rig allows something for this unit.
func (r *run) allows(what check.Leave) bool {
	for _, a := range r.cfg.Allow {
		if a == string(what) {
			return true
		}
	}
	return false
}
