package check

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"rigor/harness/dut"
	"rigor/harness/login"
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
	Anew          bool // a lock begins anew with the end of a boot
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
	return Pace{Known: true, After: o.After, Window: o.Window, Lasts: o.Lasts, Source: o.Scope == "source", SuccessClears: o.SuccessClears, Anew: o.Survives == profile.SurvivesAnew}
}

// Ledger holds the wrong tries of a whole run, and what they have shown of the
// lock-out. The channels of a DUT share their accounts, so what one case tried
// counts for the next.
type Ledger struct {
	mu     sync.Mutex
	count  map[string]*wrongs
	past   map[string]*wrongs // of the run before, by digest, until it is asked for
	any    *wrongs            // of a case in which the run before was killed, for each account
	killed bool               // the run before was, in such a case
	proofs map[string]shown
	done   map[string]bool // what one case does for all

	brackets map[string]openedBy // those of updates that were opened
	facts    map[string]any      // what one case found out for all
	later    later
}

// shown is what a case has shown of a channel's lock-out.
type shown struct {
	tries  int // on one account, as many as the proof is good for
	hold   time.Duration
	late   bool
	scoped bool
	in     string // the case
}

// NewLedger makes an empty one.
func NewLedger() *Ledger {
	return &Ledger{count: map[string]*wrongs{}, past: map[string]*wrongs{}, proofs: map[string]shown{}, done: map[string]bool{}, facts: map[string]any{}}
}

func proofKey(channel string, p Pace) string { return fmt.Sprintf("%s %+v", channel, p) }

// shown gives what an earlier case has shown, when it is good for this many
// tries on one account.
func (l *Ledger) shown(channel string, p Pace, tries int) (shown, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.proofs[proofKey(channel, p)]
	enough := s.tries >= tries || p.After > 0 && s.tries >= p.After
	return s, ok && enough
}

func (l *Ledger) show(channel string, p Pace, s shown) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proofs[proofKey(channel, p)] = s
}

// Try offers a credential at a door outside Refute, and counts it in the run's
// ledger: the channels of a DUT share their accounts, so that what follows has
// to know of it. The error is the rig's own trouble.
func (t *T) Try(ctx context.Context, door *dut.Door, c login.Credential) (dut.Answer, error) {
	a, err := door.Try(ctx, c)
	if t.cfg.Ledger != nil && err == nil && !Unheard(a) {
		newPacer(PaceOf(door.Decl()), "", t).after(c.User, a.Kind, Doubtful(c))
	}
	return a, err
}

// Unheard says of an answer that there was nobody, or no page, to say the credential to,
// so that nobody can have counted it.
func Unheard(a dut.Answer) bool {
	return a.Unsent && (a.Kind == verdict.Unreachable || a.Kind == verdict.Refused)
}

// TryAtOnce offers credentials at a door, all at the same time, and counts each as
// Try does. The error is the rig's own trouble.
func (t *T) TryAtOnce(ctx context.Context, door *dut.Door, cs []login.Credential) ([]dut.Answer, error) {
	as, err := door.TryAtOnce(ctx, cs)
	if t.cfg.Ledger == nil {
		return as, err
	}
	p := newPacer(PaceOf(door.Decl()), "", t)
	for i, c := range cs {
		if as[i].Kind != "" { // else it was not made, for trouble of the rig
			p.after(c.User, as[i].Kind, Doubtful(c))
		}
	}
	return as, err
}

// Spare waits until n more wrong tries of an account count, each of them: a lock-out
// as declared, and those of this run and as far as the ledger knows of the one before,
// would have the account locked before the last of them. Where nothing locks, it
// returns at once. The error is that of ctx.
func (t *T) Spare(ctx context.Context, pace Pace, account string, n int) error {
	if t.cfg.Ledger == nil || pace.After == 0 {
		return nil
	}
	p := newPacer(pace, account, t)
	var at time.Time
	look := func(w *wrongs) {
		if free := p.free(w); w.n > 0 && w.n+n > pace.After && free.After(at) {
			at = free
		}
	}
	p.each(account, look)
	if pace.Source {
		p.with(sourceKey, look)
	}
	if d := time.Until(at); d > 0 {
		if err := p.wait(ctx, d); err != nil {
			return err
		}
	}
	p.shed(account)
	return nil
}

// Once does what one case does for all of them, such as what costs a boot: the
// first that comes so far does it. One that is ended on the way leaves it to the
// next.
func (t *T) Once(what string, f func()) {
	l := t.cfg.Ledger
	l.mu.Lock()
	done := l.done[what]
	l.mu.Unlock()
	if done {
		return
	}
	f()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done[what] = true
}

// Shared gives what one case finds out for all that share it as planned, such as what a
// factory reset shows: the first that comes so far finds it out, by f, and the others are
// given the same. One that is ended on the way leaves it to the next. In names the case
// that did.
func Shared[V any](t *T, f func() V) (v V, in string) {
	what := t.cfg.Case.Shares
	if what == "" { // it might run on another unit than who leans on it
		panic("a case finds out what others share, and its plan does not say so")
	}
	type fact struct {
		v  V
		in string
	}
	l := t.cfg.Ledger
	l.mu.Lock()
	old, done := l.facts[what].(fact)
	l.mu.Unlock()
	if done {
		return old.v, old.in
	}
	v = f()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.facts[what] = fact{v, t.ID()}
	return v, t.ID()
}

// Done says whether a case before has done what is done once.
func (t *T) Done(what string) bool {
	l := t.cfg.Ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done[what]
}

// ShowLock notes that the case has shown the lock-out of its channel to be the
// declared one, on an account of its own: that it does not begin before After
// wrong tries, begins then, is over when it was waited out for hold, and counts
// anew then. The cases behind it need no lock of their own to know which tries
// count.
func (t *T) ShowLock(p Pace, hold time.Duration) {
	t.cfg.Ledger.show(t.cfg.Case.Channel, p, shown{tries: p.After, hold: max(hold, p.Lasts+paceMargin), in: t.ID()})
}

// LockShown gives the case that has shown the lock-out of this case's channel to be
// the declared one, with wrong tries that were made one after the other: "" where
// none has.
func (t *T) LockShown(p Pace) string {
	s, ok := t.cfg.Ledger.shown(t.cfg.Case.Channel, p, p.After)
	if !ok || s.late || s.tries < p.After {
		return ""
	}
	return s.in
}

// scoped notes that the channel's accounts are locked one by one.
func (l *Ledger) scoped(channel string, p Pace) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.proofs[proofKey(channel, p)]
	s.scoped = true
	l.proofs[proofKey(channel, p)] = s
}

// pacer counts wrong tries for each key and says when the next one counts.
type pacer struct {
	p      Pace
	owner  string // the account of the control: it must not be locked
	ledger *Ledger
	wait   func(context.Context, time.Duration) error
	// hold is how long a lock is waited out: as declared, or as long as it was
	// seen to last.
	hold time.Duration
	late bool // the lock was seen to come later than declared
	// starts gives how often the DUT was switched on, and booted when it was up then.
	starts func() int64
	booted func() time.Time
	// left is how many probes of an account are still to come in this claim.
	left map[string]int
}

// wrongs are the wrong tries that count against one key.
type wrongs struct {
	n        int
	last     time.Time
	until    time.Time // when the last of them counts no more, whatever it did
	total    int       // in the whole run
	unsure   bool      // one of them may not count
	counters []counter // what the device has counted, in each way that it may count
	of       *pacer    // whose claim the first of them was
	starts   int64     // of the DUT, when the first of them was made
}

// forget says that none of them counts any more.
func (w *wrongs) forget() { w.n, w.unsure, w.counters, w.of = 0, false, nil, nil }

// settled says whether in no way of counting any of them counts, beside the lock
// that they caused.
func (w *wrongs) settled() bool {
	for i := range w.counters {
		if len(w.counters[i].tries) > 0 {
			return false
		}
	}
	return !w.unsure
}

func newPacer(p Pace, owner string, t *T) *pacer {
	out := &pacer{p: p, owner: owner, ledger: t.cfg.Ledger, wait: sleep, hold: p.Lasts + paceMargin, left: map[string]int{}, starts: func() int64 { return 0 }, booted: func() time.Time { return time.Time{} }}
	if d := t.cfg.Device; d != nil {
		out.starts, out.booted = d.PowerOns, d.UpSince
		if d.Live() { // a declared wait, and counted as one
			out.wait = d.Wait
		}
	}
	return out
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

// sourceKey is the key under which the tries of all accounts count together.
const sourceKey = "*"

// keys gives what the tries of an account count against: the account as it is
// written, and what a DUT may take for one account, which has others' tries too.
func keys(account string) [2]string { return [2]string{"=" + account, "~" + fold(account)} }

// fold gives what accounts have in common that a DUT may take for one.
func fold(account string) string { return strings.ToLower(strings.TrimSpace(account)) }

// group names what the tries of an account count with.
func (p *pacer) group(account string) string {
	if p.p.Source {
		return sourceKey
	}
	return fold(account)
}

// owns says whether an account is the owner's, or may be taken for it.
func (p *pacer) owns(account string) bool { return fold(account) == fold(p.owner) }

// plan notes that n more probes of an account are to come, or have come.
func (p *pacer) plan(account string, n int) { p.left[fold(account)] += n }

// with calls f with the wrong tries of a key. A check that was given up may still
// be about to count one: the ledger is locked meanwhile.
func (p *pacer) with(key string, f func(w *wrongs)) {
	p.ledger.mu.Lock()
	defer p.ledger.mu.Unlock()
	w := p.ledger.count[key]
	if w == nil {
		w = &wrongs{}
		if was := p.ledger.past[keyDigest(key)]; was != nil {
			w = was
		}
		if any := p.ledger.any; any != nil && any.until.After(time.Now()) && any.until.After(w.until) {
			*w = wrongs{n: any.n, total: max(any.total, w.total), last: any.last, until: any.until, unsure: true}
		}
		p.ledger.count[key] = w
	}
	f(w)
}

// each calls f with the wrong tries of each key of an account.
func (p *pacer) each(account string, f func(w *wrongs)) {
	for _, key := range keys(account) {
		p.with(key, f)
	}
}

// counted gives how many wrong tries count against the account now.
func (p *pacer) counted(account string) (n int) {
	count := func(w *wrongs) {
		if time.Now().Before(p.free(w)) {
			n = max(n, w.n)
		}
	}
	if p.p.Source {
		p.with(sourceKey, count)
	} else {
		p.each(account, count)
	}
	return n
}

// forget notes that the lock of an account has been waited out.
func (p *pacer) forget(account string) {
	p.with(sourceKey, (*wrongs).forget)
	p.each(account, (*wrongs).forget)
}

// free gives when the tries do not count any more: when the lock that they
// caused has ended, or where they may not have caused one, the window of the
// last of them too.
func (p *pacer) free(w *wrongs) time.Time {
	if w.n >= p.p.After && w.settled() && !p.late {
		return p.again(w, w.last.Add(p.hold))
	}
	return p.again(w, w.last.Add(max(p.hold, p.p.Window+paceMargin)))
}

// again gives when a lock ends that was to end at a moment, with a boot behind it
// with which it may have begun anew.
func (p *pacer) again(w *wrongs, at time.Time) time.Time {
	if !p.p.Anew || w.n < p.p.After || w.starts == p.starts() {
		return at
	}
	if anew := p.booted().Add(p.hold); anew.After(at) {
		return anew
	}
	return at
}

// open gives when a try for an account that is not the owner's counts: when it is
// locked in none of the ways in which the device may count.
func (p *pacer) open(w *wrongs) (at time.Time) {
	if w.unsure || p.late {
		if w.n >= p.p.After {
			at = p.free(w)
		}
		return at
	}
	for i := range w.counters {
		l := w.counters[i].locked
		if !l.IsZero() {
			l = p.again(w, l)
		}
		if l.After(at) {
			at = l
		}
	}
	return at
}

// stale says whether tries of earlier claims may or may not count when so many
// more have locked the account: nobody could say then from when to when it was.
func (p *pacer) stale(w *wrongs, left int, now time.Time) bool {
	for i := range w.counters {
		c := &w.counters[i]
		c.age(now)
		if n := len(c.tries); n > 0 && n+left > p.p.After && now.Sub(c.tries[0]) > p.p.Window/2 {
			return p.free(w).Sub(now) <= 2*p.hold // else a lock costs less
		}
	}
	return false
}

// room says how long to wait before a try for the account counts. Skip says
// that none will count in this run any more. Where the source is declared to be
// counted, each account is held to the limit too: that it is not counted as
// well is not shown.
func (p *pacer) room(account string, now time.Time) (wait time.Duration, skip bool) {
	p.each(account, func(w *wrongs) {
		var at time.Time
		switch {
		case !p.p.Known:
			skip = skip || w.total >= unknownTries
		case p.p.After == 0:
		case !p.owns(account) && (w.of == p || !p.stale(w, p.left[fold(account)], now)):
			at = p.open(w)
		case !p.owns(account): // to begin anew costs less than locks at a time that nobody knows
			at = p.free(w)
		case w.n >= max(p.p.After-1, 1): // the control needs it
			at = p.free(w)
		}
		wait = max(wait, at.Sub(now))
	})
	if p.p.Known && p.p.Source {
		wait = max(wait, p.sourceRoom(now))
	}
	return wait, skip
}

// sourceRoom says how long to wait before a try from this source counts.
func (p *pacer) sourceRoom(now time.Time) (wait time.Duration) {
	p.with(sourceKey, func(w *wrongs) {
		if p.p.After > 0 && w.n >= max(p.p.After-1, 1) {
			wait = max(0, p.free(w).Sub(now))
		}
	})
	return wait
}

// before waits until a try for the account counts. Skip says that it never
// will.
func (p *pacer) before(ctx context.Context, account string) (skip bool, err error) {
	d, skip := p.room(account, time.Now())
	if skip {
		return true, nil
	}
	if d > 0 {
		if err := p.wait(ctx, d); err != nil {
			return false, err
		}
	}
	p.shed(account)
	return false, nil
}

// shed forgets the tries of an account that count no more.
func (p *pacer) shed(account string) {
	old := func(w *wrongs) {
		if w.n > 0 && !time.Now().Before(p.free(w)) {
			w.forget()
		}
	}
	p.each(account, old)
	p.with(sourceKey, old)
}

// after counts a try by its answer. One of which it cannot be said whether the
// DUT counted it counts, and makes the next wait the longer one: a doubtful one,
// and those before a start, with which a DUT may forget them.
func (p *pacer) after(account string, k verdict.Kind, doubtful bool) {
	p.each(account, func(w *wrongs) {
		p.count(w, k)
		// Which of a source's tries its accounts count as well is not shown.
		w.unsure = w.n > 0 && (w.unsure || doubtful || p.p.Source)
	})
	if p.p.Source {
		p.with(sourceKey, func(w *wrongs) {
			p.count(w, k)
			w.unsure = w.n > 0 && (w.unsure || doubtful)
		})
	}
}

// Doubtful says of a credential that a DUT may not count it as a wrong try: most
// look no blank password up.
func Doubtful(c login.Credential) bool { return c.NoPassword || c.User == "" || c.Password == "" }

func (p *pacer) count(w *wrongs, k verdict.Kind) {
	now := time.Now()
	switch k {
	case verdict.Accepted, verdict.Restricted:
		if p.p.SuccessClears {
			w.forget()
		}
		return
	case verdict.Incompatible: // no credential was sent
		return
	case verdict.LockedOut: // it is locked now, whatever was declared
		w.n = max(w.n, p.p.After-1)
	case verdict.Refused:
	default:
		w.unsure = true
	}
	if w.n == 0 {
		w.counters, w.of, w.starts = counters(p.p), p, p.starts()
	} else if w.starts != p.starts() {
		w.unsure = true
	}
	w.n++
	w.total++
	w.last, w.until = now, now.Add(max(p.hold, p.p.Window+paceMargin))
	if !p.p.Known {
		w.until = now.Add(unknownHold)
	}
	for i := range w.counters {
		if c := &w.counters[i]; k == verdict.LockedOut {
			c.lock(now.Add(p.hold))
		} else if !c.add(now, p.p.After, p.hold) {
			w.unsure = true
		}
	}
}
