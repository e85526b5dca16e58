package check_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/harness/wire"

	"github.com/stretchr/testify/require"
)

// memory is a journal's sink.
type memory struct{ bytes.Buffer }

func (*memory) Sync() error { return nil }

// host is a run as a case needs it.
type host struct {
	*journal.Writer
	intents []string
	failing error
}

func (h *host) Append(e *journal.Event) error {
	if h.failing != nil {
		return h.failing
	}
	return h.Writer.Append(e)
}

func (h *host) Intent(_, what string, _ map[string]string) (string, func() error, error) {
	if h.failing != nil {
		return "", nil, h.failing
	}
	h.intents = append(h.intents, what)
	return "i1", func() error { h.intents = nil; return nil }, nil
}

func (*host) Secret(label string, length int) string {
	return strings.Repeat(string('a'+rune(len(label)%26)), length)
}

func (h *host) Draw(label, _ string, length int) string { return h.Secret(label, length) }

// steady is a power switch that does as it is told.
type steady struct{}

func (steady) On(context.Context) error                       { return nil }
func (steady) Off(context.Context) error                      { return nil }
func (steady) State(context.Context) (wire.PowerState, error) { return wire.PowerOn, nil }
func (steady) Close() error                                   { return nil }

// trial is a run of one case in memory, whose journal the fold judges.
type trial struct {
	t       *testing.T
	host    *host
	sink    *memory
	dir     string
	cabinet *journal.Cabinet
	ledger  *check.Ledger
	id      string
	bracket string // of the case
	close   bool   // somebody closes it when the case is over
}

func newTrial(t *testing.T) *trial {
	t.Helper()
	tr := &trial{t: t, sink: &memory{}, dir: t.TempDir(), ledger: check.NewLedger(), id: "test[door]"}
	tr.host = &host{Writer: journal.NewWriter(tr.sink, nil, nil)}
	tr.cabinet = journal.NewCabinet(tr.dir, tr.host, nil)
	require.NoError(t, tr.host.Append(&journal.Event{Kind: journal.KindStart, Start: &journal.Start{Format: journal.Format, Run: "r", Rig: "bench", Device: "dut"}}))
	require.NoError(t, tr.host.Append(&journal.Event{Kind: journal.KindPlan, Case: tr.id, Plan: &journal.Plan{Check: "test", Channel: "door", Suite: "s", Title: "a case"}}))
	return tr
}

// run runs the case in a goroutine of its own, as a runner does, and gives what
// the fold makes of the journal.
func (tr *trial) run(f func(ctx context.Context, t *check.T)) *journal.Case {
	tr.t.Helper()
	require.NoError(tr.t, tr.host.Append(&journal.Event{Kind: journal.KindCase, Case: tr.id, Begin: &journal.Begin{Try: 1}}))
	p := &profile.Profile{}
	t := check.NewT(check.Config{ID: tr.id, Check: &check.Check{ID: "test"}, Case: check.Case{Channel: "door", Bracket: tr.bracket, Shares: "a reset"}, Device: dut.New(p, dut.Unit{}, &dut.Bench{Power: steady{}}).With(dut.NewSession(tr.t.Context(), nil)),
		Host: tr.host, Cabinet: tr.cabinet, Seed: 1, Ledger: tr.ledger})
	done := make(chan any)
	go func() {
		var panicked any
		defer func() { done <- panicked }()
		defer func() { panicked = recover() }()
		f(tr.t.Context(), t)
	}()
	panicked := <-done
	end := t.End()
	if panicked != nil {
		end = &verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonPanic}
	}
	tr.host.failing = nil
	require.NoError(tr.t, tr.host.Append(&journal.Event{Kind: journal.KindCaseEnd, Case: tr.id, CaseEnd: &journal.CaseEnd{Judgement: end}}))
	if tr.close {
		require.NoError(tr.t, tr.host.Append(&journal.Event{Kind: journal.KindBracket, Bracket: &journal.Bracket{ID: tr.bracket, Phase: "close", OK: true}}))
	}
	require.NoError(tr.t, tr.host.Append(&journal.Event{Kind: journal.KindEnd, End: &journal.End{How: journal.EndFinished, Safe: true}}))
	require.NoError(tr.t, tr.host.Close())
	res, err := journal.Load(bytes.NewReader(tr.sink.Bytes()))
	require.NoError(tr.t, err)
	require.Empty(tr.t, res.Damage)
	c := res.Case(tr.id)
	require.NotNil(tr.t, c)
	return c
}

// requireVerdict holds a case against "pass" or "inconclusive.control-failed".
func requireVerdict(t *testing.T, want string, c *journal.Case) {
	t.Helper()
	got := string(c.Judgement.Verdict)
	if c.Judgement.Reason != "" {
		got += "." + string(c.Judgement.Reason)
	}
	require.Equal(t, want, got, "%s", c.Judgement)
}

// policy is how a device locks.
type policy struct {
	after         int // 0: never
	window, lasts time.Duration
	source        bool // it counts all accounts together
	successClears bool
	remembers     bool         // the count outlives the lock: one more wrong try locks again
	counts        string       // "": those of the last window; idle: all, until a window without one; anchored: those since the first
	answer        verdict.Kind // of a locked account
	ignoresBlank  bool         // a try without a password does not count
	foldsCase     bool         // ADMIN is admin
}

// pace is the policy as a profile declares it.
func (p policy) pace() check.Pace {
	return check.Pace{Known: true, After: p.after, Window: p.window, Lasts: p.lasts, Source: p.source, SuccessClears: p.successClears}
}

type account struct {
	wrong  []time.Time
	locked time.Time // until
}

// device is one with logins and a lock. A try takes time.
type device struct {
	policy
	passwords map[string]string
	took      time.Duration
	accounts  map[string]*account

	tries  int
	unseen map[string]int // probes that were sent into a lock, by account
	down   bool           // answers nothing
}

func newDevice(p policy) *device {
	return &device{policy: p, passwords: map[string]string{"owner": "correct"}, took: 5 * time.Millisecond, accounts: map[string]*account{}, unseen: map[string]int{}}
}

// pass lets time go by.
func pass(d time.Duration) { <-time.NewTimer(d).C }

type pair struct{ user, password string }

func (d *device) try(p pair) dut.Answer {
	pass(d.took)
	d.tries++
	if d.down {
		return dut.Answer{Kind: verdict.Unreachable, Detail: "nothing answers"}
	}
	key := p.user
	if d.foldsCase {
		key = strings.ToLower(key)
	}
	if d.source {
		key = ""
	}
	a := d.accounts[key]
	if a == nil {
		a = &account{}
		d.accounts[key] = a
	}
	now := time.Now()
	right, known := d.passwords[p.user]
	right = map[bool]string{true: right, false: "\x00"}[known]
	if now.Before(a.locked) {
		d.unseen[p.user]++
		return dut.Answer{Kind: cmpKind(d.answer), Detail: "no"}
	}
	if p.password == right {
		if d.successClears {
			a.wrong = nil
		}
		return dut.Answer{Kind: verdict.Accepted, Detail: "the page is there"}
	}
	if d.ignoresBlank && p.password == "" {
		return dut.Answer{Kind: verdict.Refused, Detail: "wrong"}
	}
	kept := a.wrong[:0:0]
	for i, at := range a.wrong {
		age := map[string]time.Time{"": at, "idle": a.wrong[len(a.wrong)-1], "anchored": a.wrong[0]}[d.counts]
		if now.Sub(age) < d.window {
			kept = append(kept, a.wrong[i])
		}
	}
	a.wrong = append(kept, now)
	if d.after > 0 && len(a.wrong) >= d.after {
		a.locked = now.Add(d.lasts)
		if !d.remembers {
			a.wrong = nil
		}
	}
	return dut.Answer{Kind: verdict.Refused, Detail: "wrong"}
}

func cmpKind(k verdict.Kind) verdict.Kind {
	if k == "" {
		return verdict.Refused
	}
	return k
}

// attempt is a way in with a pair.
func (d *device) attempt(p pair) check.Attempt {
	return func(context.Context) (dut.Answer, error) { return d.try(p), nil }
}

// negative is the whole claim that none of the probes opens the device, as it
// is declared to be.
func (d *device) negative(pace check.Pace, probes ...pair) check.Negative[pair] {
	return check.Negative[pair]{
		Control:  d.attempt(pair{"owner", "correct"}),
		Anti:     d.attempt(pair{"nobody", "nothing"}),
		Wrong:    d.attempt(pair{"owner", "not this"}),
		Probes:   probes,
		Try:      func(_ context.Context, p pair) (dut.Answer, error) { return d.try(p), nil },
		Name:     func(p pair) string { return p.user + ":" + p.password },
		Account:  func(p pair) string { return p.user },
		Doubtful: func(p pair) bool { return p.password == "" },
		Owner:    "owner",
		Refusal:  []verdict.Kind{verdict.Refused},
		Pace:     pace,
		Same:     func(context.Context) (string, error) { return "unit 1, 1 boot", nil },
	}
}

// guesses are n probes on one account.
func guesses(user string, n int) []pair {
	out := make([]pair, n)
	for i := range out {
		out[i] = pair{user, "guess" + strings.Repeat("x", i)}
	}
	return out
}

var errOdd = errors.New("something odd")
