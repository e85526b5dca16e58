package steps

import (
	"context"
	"maps"

	"rigor/harness/console"
	"rigor/harness/escape"
	"rigor/harness/profile"
)

// Run carries the steps out in order. The values that it gives are vars and
// what was extracted. A value of vars stands in for the target's of the same name. It ends at the first step that did not work: a *StepError
// where the DUT did not show what it had to, a *wire.Fault for the rig's
// trouble. What the steps up to there asserted is let go then.
func Run(ctx context.Context, t Target, ss []profile.Step, vars map[string]string) (map[string]string, error) {
	r := start(t, vars)
	defer r.close()
	r.mark(ss)
	err := r.all(ctx, ss)
	if err != nil {
		r.letGo(ctx)
	}
	return r.vars, err
}

// RunThen is Run of steps that do something, and then of those that show that it is done.
// What a console shows between the two is not missed, however late the second come: they
// look from where the first have looked to, at a console that those do not look at from
// before their last one. Between is called in the middle, where no session is open.
func RunThen(ctx context.Context, t Target, act []profile.Step, between func(), done []profile.Step, vars map[string]string) (map[string]string, error) {
	r := start(t, vars)
	defer func() { r.close() }()
	r.mark(act)
	last := max(len(act)-1, 0)
	err := r.all(ctx, act[:last])
	if err == nil {
		seen := maps.Clone(r.at)
		r.mark(done)
		maps.Copy(r.at, seen)
		err = r.all(ctx, act[last:])
	}
	if err == nil {
		r.close()
		between()
		err = r.all(ctx, done)
	}
	if err != nil {
		r.letGo(ctx)
	}
	return r.vars, err
}

// start is a runner with values that it is given.
func start(t Target, vars map[string]string) *runner {
	r := &runner{t: t, vars: map[string]string{}, at: map[string]console.Cursor{}, secrets: escape.NewRedactor()}
	for k, v := range vars {
		r.vars[k] = v
		if len(v) >= longSecret {
			r.secrets.Add(k, v)
		}
	}
	return r
}

// mark notes where the consoles of the steps stand before the first of them, so
// that nothing is missed that comes between an act and the wait for it.
func (r *runner) mark(ss []profile.Step) {
	for i := range ss {
		for _, name := range []string{ss[i].Console, ss[i].Transfer.Console} {
			if name == "" {
				continue
			}
			if con, err := r.t.Talk(name); err == nil { // the step itself tells of an error
				r.at[name] = con.Mark()
			}
		}
		r.mark(ss[i].Steps)
	}
}
