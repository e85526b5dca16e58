package check

import (
	"context"
	"fmt"
	"sync"
	"time"

	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// Pace says which tries count: by the declared lock-out, a try that is sent
// into a lock says nothing.
type Pace struct {
	After         int           // wrong tries that lock; 0: nothing locks
	Window        time.Duration // in which they count
	Lasts         time.Duration // of the lock
	Source        bool          // counted for the source, not for the account
	SuccessClears bool
	Known         bool // the profile says so; otherwise two tries for each account
}

// unknownTries is how many tries an account gets whose lock-out policy nobody
// declared: likeliest first, and few enough that no usual policy locks.
const unknownTries = 2

// paceMargin is added to each wait: clocks of two sides differ.
const paceMargin = 30 * time.Millisecond

// PaceOf gives the pace for a login as declared.
func PaceOf(l *profile.Login) Pace {
	switch {
	case l == nil:
		return Pace{}
	case l.Lockout.Declared():
		return Pace{Known: true}
	case l.Lockout.After == 0:
		return Pace{}
	}
	o := l.Lockout
	return Pace{Known: true, After: o.After, Window: o.Window, Lasts: o.Lasts, Source: o.Scope == "source", SuccessClears: o.SuccessClears}
}

// Ledger holds the wrong tries of a whole run. The channels of a DUT share
// their accounts, so what one case tried counts for the next.
type Ledger struct {
	mu    sync.Mutex
	count map[string]*wrongs
}

// NewLedger makes an empty one.
func NewLedger() *Ledger { return &Ledger{count: map[string]*wrongs{}} }

// pacer counts wrong tries for each key and says when the next one counts.
type pacer struct {
	p      Pace
	owner  string // the account of the control: it must not be locked
	ledger *Ledger
	wait   func(context.Context, time.Duration) error
}

type wrongs struct {
	n           int
	first, last time.Time
	total       int
}

func newPacer(p Pace, owner string, l *Ledger) *pacer {
	return &pacer{p: p, owner: owner, ledger: l, wait: sleep}
}

// sleep waits for d or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting %v for a lock-out to end: %w", d, context.Cause(ctx))
	}
}

func (p *pacer) key(account string) string {
	if p.p.Source {
		return ""
	}
	return account
}

func (p *pacer) of(account string) *wrongs {
	k := p.key(account)
	p.ledger.mu.Lock()
	defer p.ledger.mu.Unlock()
	w := p.ledger.count[k]
	if w == nil {
		w = &wrongs{}
		p.ledger.count[k] = w
	}
	return w
}

// room says whether a try for the account counts now, and how long to wait
// before it does. Skip says that none will count in this run any more.
func (p *pacer) room(account string, now time.Time) (wait time.Duration, skip bool) {
	w := p.of(account)
	if !p.p.Known {
		return 0, w.total >= unknownTries
	}
	if p.p.After == 0 {
		return 0, false
	}
	limit := p.p.After
	// One below the limit where the control needs the account, or the source.
	if p.p.Source || account == p.owner {
		limit--
	}
	if limit < 1 {
		limit = 1
	}
	switch {
	case w.n < limit, now.Sub(w.first) > p.p.Window+paceMargin && now.Sub(w.last) > p.p.Lasts+paceMargin:
		return 0, false
	case w.n >= p.p.After: // it is locked now, since the last try
		return w.last.Add(p.p.Lasts + paceMargin).Sub(now), false
	}
	// Not locked: the window has to pass.
	return w.first.Add(p.p.Window + paceMargin).Sub(now), false
}

// before waits until a try for the account counts. Skip says that it never
// will.
func (p *pacer) before(ctx context.Context, account string) (skip bool, err error) {
	d, skip := p.room(account, time.Now())
	if skip {
		return true, nil
	}
	w := p.of(account)
	if d > 0 {
		if err := p.wait(ctx, d); err != nil {
			return false, err
		}
	}
	now := time.Now()
	if d > 0 || p.p.Window > 0 && w.n > 0 && now.Sub(w.first) > p.p.Window+paceMargin {
		w.n = 0
	}
	return false, nil
}

// after counts a try by its answer.
func (p *pacer) after(account string, k verdict.Kind) {
	w := p.of(account)
	now := time.Now()
	if k.Opens() {
		if p.p.SuccessClears {
			w.n = 0
		}
		return
	}
	if k != verdict.Refused && k != verdict.LockedOut && k != verdict.Throttled {
		return
	}
	if w.n == 0 {
		w.first = now
	}
	w.n++
	w.total++
	w.last = now
}
