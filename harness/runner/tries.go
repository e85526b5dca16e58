package runner

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/profile"
)

// recall takes in what the run before tried at the logins. A run that does not know
// it cannot say which of its own tries count.
func (r *run) recall() error {
	n, err := r.ledger.Recall(r.cfg.Tried, time.Now())
	if err != nil {
		return fmt.Errorf("%w; wait out the lock-out of the logins, then remove tries.json from the state folder of rig %s", err, r.cfg.Rig)
	}
	if n > 0 {
		r.note("", "the run before tried %d accounts a short time ago: its tries count with those of this one", n)
	}
	return nil
}

// keepTries writes down after each case what was tried so far: the next run has to
// know, however this one ends.
func (r *run) keepTries() {
	if r.cfg.KeepTries == nil {
		return
	}
	r.keep(r.ledger.Leave(time.Now()))
}

// keepUnderway writes down that a case begins that makes tries at the logins: a run
// that is killed in it does not say which.
func (r *run) keepUnderway(p *Planned) {
	if r.cfg.KeepTries == nil || !slices.Contains(p.Check.Allow, check.LoginTries) {
		return
	}
	now := time.Now()
	r.keep(r.ledger.LeaveUnderway(now, now.Add(p.Check.Budget.Case+p.Check.Budget.Cleanup), r.logins()))
}

func (r *run) keep(data []byte, err error) {
	if err == nil && string(data) != r.kept {
		if err = r.cfg.KeepTries(data); err == nil {
			r.kept = string(data)
		}
	}
	if err != nil {
		slog.Error("What was tried at the logins is not kept for the next run", "error", err)
	}
}

// logins gives those that are declared, in order.
func (r *run) logins() (out []*profile.Login) {
	for _, name := range r.cfg.Profile.Logins.Order {
		if l := r.cfg.Profile.Logins.Items[name]; l != nil && !l.Declared() {
			out = append(out, l)
		}
	}
	return out
}

// calm waits until what the run before tried locks no owner any more, as declared. It
// is long over but where that run was killed a short time ago.
func (r *run) calm(ctx context.Context) {
	until := r.ledger.Locked(r.logins(), time.Now())
	d := time.Until(until)
	if d <= 0 {
		return
	}
	r.note("", "the run before may have locked the owner: waiting %v, until that is over", d.Round(time.Millisecond))
	r.waiting("a lock-out of the run before to end")
	s := dut.NewSession(r.life, r.heardFault)
	defer s.Revoke()
	if err := r.device.With(s).Wait(ctx, d); err != nil {
		r.note("", "waiting for a lock-out of the run before: %v", err)
	}
}
