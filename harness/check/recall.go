package check

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"rigor/harness/profile"
)

// Tried is what a run leaves of the wrong tries of one account, for the next run
// on the same rig: a device does not care which of them it counts.
type Tried struct {
	Key string `json:"key"` // a digest of the ledger's name for the account
	// Any says that it is about each account: a case is at work that makes tries. Last
	// is when it has to be over. A run that is killed in it leaves nothing else.
	Any   bool      `json:"any,omitempty"`
	N     int       `json:"n"` // that may count
	Total int       `json:"total"`
	Last  time.Time `json:"last"`
	Until time.Time `json:"until"` // when none of them counts any more
}

// unknownHold is how long tries are remembered where no lock-out is declared: no
// usual policy counts for longer.
const unknownHold = 15 * time.Minute

// longestHold is the longest lock-out that a profile can declare.
const longestHold = 24 * time.Hour

// Leave gives what the next run has to know, as JSON.
func (l *Ledger) Leave(now time.Time) ([]byte, error) { return l.leave(now, Tried{}) }

// LeaveUnderway gives what the next run has to know if this one is killed now, or at
// any time until a case is over that makes tries: that nobody knows what it tried.
// Logins are those of the profile.
func (l *Ledger) LeaveUnderway(now, over time.Time, logins []*profile.Login) ([]byte, error) {
	u := Tried{Any: true, Last: over, Until: over}
	for _, o := range logins {
		p := PaceOf(o)
		hold := max(p.Lasts, p.Window) + paceMargin
		n := p.After
		if !p.Known {
			n, hold = unknownTries, unknownHold
		}
		if n == 0 {
			continue
		}
		u.N, u.Total = max(u.N, n), max(u.Total, n, unknownTries)
		if until := over.Add(hold); until.After(u.Until) {
			u.Until = until
		}
	}
	return l.leave(now, u)
}

func (l *Ledger) leave(now time.Time, underway Tried) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Tried{}
	all := maps.Clone(l.past)
	for key, w := range l.count {
		all[keyDigest(key)] = w
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if w := all[key]; w.total > 0 && w.until.After(now) {
			out = append(out, Tried{Key: key, N: w.n, Total: w.total, Last: w.last, Until: w.until})
		}
	}
	if w := l.any; w != nil && w.until.After(now) && !underway.Any {
		out = append(out, Tried{Any: true, N: w.n, Total: w.total, Last: w.last, Until: w.until})
	}
	if underway.N > 0 {
		out = append(out, underway)
	}
	data, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("what was tried: %w", err)
	}
	return data, nil
}

// keyDigest stands for an account in what is kept: names of accounts may be secrets.
func keyDigest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// Recall takes in what the run before left. What it tried may count or not, since
// nobody knows what became of the device since: it counts here, and makes waits the
// longer ones. It gives how many accounts that is about.
func (l *Ledger) Recall(data []byte, now time.Time) (int, error) {
	if len(data) == 0 {
		return 0, nil
	}
	var in []Tried
	if err := json.Unmarshal(data, &in); err != nil {
		return 0, fmt.Errorf("what the run before tried: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, t := range in {
		// A clock that was set back, as of a computer without one of its own, must
		// neither forget them nor have the rig wait for ever.
		if ahead := t.Last.Sub(now); ahead > 0 {
			t.Last, t.Until = now, t.Until.Add(-ahead)
		}
		if t.Until.Sub(now) > longestHold {
			t.Until = now.Add(longestHold)
		}
		l.killed = l.killed || t.Any
		if (t.Key == "") != t.Any || t.N < 0 || t.Total < 0 || !t.Until.After(now) {
			continue
		}
		w := &wrongs{n: t.N, total: t.Total, last: t.Last, until: t.Until, unsure: t.N > 0}
		if t.Any {
			l.any = w
		} else {
			l.past[t.Key] = w
		}
		n++
	}
	return n, nil
}

// Locked gives until when the owner of one of the logins may be locked by what the run
// before tried, as far as it was declared, on a device that was up at a moment: the
// zero time where nobody is. A lock that begins anew with each boot is there however
// long ago it began.
func (l *Ledger) Locked(logins []*profile.Login, up time.Time) (until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range logins {
		p := PaceOf(o)
		if p.After == 0 {
			continue
		}
		if at := up.Add(p.Lasts + paceMargin); p.Anew && l.killed && at.After(until) {
			until = at
		}
		mine := []*wrongs{l.any, l.past[keyDigest(sourceKey)]}
		for _, key := range keys(o.Owner.User) {
			mine = append(mine, l.past[keyDigest(key)])
		}
		for _, w := range mine {
			if w == nil || w.n < p.After {
				continue
			}
			if at := w.last.Add(max(p.Lasts, p.Window) + paceMargin); at.After(until) {
				until = at
			}
		}
	}
	return until
}
