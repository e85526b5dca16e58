package check_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/verdict"
	"rigor/harness/wire"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var usual = policy{after: 5, window: 60 * time.Second, lasts: 60 * time.Second, successClears: true}

// nth gives an attempt that answers as well does, but from its nth call on as
// ill does.
func nth(n int, well, ill check.Attempt) check.Attempt {
	calls := 0
	return func(ctx context.Context) (dut.Answer, error) {
		if calls++; calls >= n {
			return ill(ctx)
		}
		return well(ctx)
	}
}

func answers(k verdict.Kind) check.Attempt {
	return func(context.Context) (dut.Answer, error) { return dut.Answer{Kind: k, Detail: "so"}, nil }
}

func errs(err error) check.Attempt {
	return func(context.Context) (dut.Answer, error) { return dut.Answer{}, err }
}

// silent makes silence the declared refusal, and every probe's answer.
func silent(anti check.Attempt, change func(n *check.Negative[pair])) func(*device, *check.Negative[pair]) {
	return func(_ *device, n *check.Negative[pair]) {
		n.Refusal, n.Pace, n.Mute = []verdict.Kind{verdict.Refused, verdict.Silent}, check.Pace{Known: true}, true
		n.Try = func(context.Context, pair) (dut.Answer, error) { return dut.Answer{Kind: verdict.Silent}, nil }
		if anti != nil {
			n.Anti = anti
		}
		if change != nil {
			change(n)
		}
	}
}

// TestRefute goes through every way in which a negative claim could pass
// without being shown.
func TestRefute(t *testing.T) {
	fault := &wire.Fault{Part: "link", Op: "dial", Err: errOdd}
	tests := []struct {
		name   string
		probes []pair
		change func(d *device, n *check.Negative[pair])
		want   string
	}{
		{"all refused", guesses("root", 3), nil, "pass"},
		{"first opens", []pair{{"owner", "correct"}, {"root", "a"}}, nil, "fail.access"},
		{"last opens", append(guesses("root", 3), pair{"owner", "correct"}), nil, "fail.access"},
		{"one is let in to set a password", guesses("root", 2), func(_ *device, n *check.Negative[pair]) {
			n.Try = func(context.Context, pair) (dut.Answer, error) { return dut.Answer{Kind: verdict.Restricted}, nil }
		}, "fail.access"},
		{"no probes", nil, nil, "inconclusive.no-probes"},
		{"no control", guesses("root", 1), func(_ *device, n *check.Negative[pair]) { n.Control = nil }, "inconclusive.no-control"},
		{"no anti-control", guesses("root", 1), func(_ *device, n *check.Negative[pair]) { n.Anti = nil }, "inconclusive.no-control"},
		{"control fails before", guesses("root", 1), func(_ *device, n *check.Negative[pair]) { n.Control = answers(verdict.Refused) }, "inconclusive.control-failed"},
		{"control only restricted", guesses("root", 1), func(_ *device, n *check.Negative[pair]) { n.Control = answers(verdict.Restricted) }, "inconclusive.control-failed"},
		{"control fails in between", guesses("root", 2), func(_ *device, n *check.Negative[pair]) {
			n.Every, n.Pace, n.Control = 1, check.Pace{Known: true}, nth(3, n.Control, answers(verdict.Unreachable))
		}, "inconclusive.control-failed"},
		{"control fails after", guesses("root", 1), func(_ *device, n *check.Negative[pair]) { n.Control = nth(2, n.Control, answers(verdict.Silent)) }, "inconclusive.control-failed"},
		{"anti-control opens", guesses("root", 1), func(d *device, n *check.Negative[pair]) { n.Anti = d.attempt(pair{"owner", "correct"}) }, "fail.open-to-all"},
		{"everything opens, but the owner's way", guesses("root", 1), func(_ *device, n *check.Negative[pair]) {
			n.Control, n.Anti = answers(verdict.Refused), answers(verdict.Accepted)
		}, "fail.open-to-all"},
		{"anti-control is not answered", guesses("root", 1), func(_ *device, n *check.Negative[pair]) { n.Anti = answers(verdict.Unreachable) }, "inconclusive.anti-control"},
		{"refused in words of its own", guesses("root", 2), func(_ *device, n *check.Negative[pair]) {
			n.Try, n.Refusal = func(context.Context, pair) (dut.Answer, error) { return dut.Answer{Kind: verdict.LockedOut}, nil }, []verdict.Kind{verdict.LockedOut}
			n.Account, n.Anti, n.Denies = nil, answers(verdict.Refused), []verdict.Kind{verdict.Refused}
		}, "pass"},
		{"and the anti-control in neither", guesses("root", 2), func(_ *device, n *check.Negative[pair]) {
			n.Refusal, n.Denies = []verdict.Kind{verdict.Refused}, []verdict.Kind{verdict.LockedOut}
		}, "inconclusive.anti-control"},
		{"and the anti-control opens", guesses("root", 2), func(d *device, n *check.Negative[pair]) {
			n.Anti, n.Denies = d.attempt(pair{"owner", "correct"}), []verdict.Kind{verdict.Refused}
		}, "fail.open-to-all"},
		{"probes not answered", guesses("root", 2), tried(verdict.Unreachable), "inconclusive.ineffective"},
		{"probes swallowed", guesses("root", 2), tried(verdict.Silent), "inconclusive.ineffective"},
		{"silence is the declared refusal", guesses("root", 2), silent(nil, nil), "pass"},
		{"silence, and the way in is shut behind the first of it", guesses("root", 2), silent(nil, func(n *check.Negative[pair]) {
			n.Control = nth(4, n.Control, answers(verdict.Unreachable)) // before, for the lock-out, and between
		}), "inconclusive.control-failed"},
		{"silence of the anti-control, and the way in is shut behind it", guesses("root", 1), silent(answers(verdict.Silent), func(n *check.Negative[pair]) {
			n.Control = nth(3, n.Control, answers(verdict.Unreachable)) // before, and behind the anti-control
		}), "inconclusive.control-failed"},
		{"probes garbled", guesses("root", 2), tried(verdict.Garbled), "inconclusive.ineffective"},
		{"probes taken, and nothing shown", guesses("root", 2), tried(verdict.Unproven), "inconclusive.ineffective"},
		{"probes locked out", guesses("root", 2), tried(verdict.LockedOut), "inconclusive.ineffective"},
		{"probes throttled", guesses("root", 2), tried(verdict.Throttled), "inconclusive.ineffective"},
		{"probes incompatible", guesses("root", 2), tried(verdict.Incompatible), "inconclusive.ineffective"},
		{"one of many garbled", guesses("root", 4), func(d *device, n *check.Negative[pair]) {
			n.Try = func(_ context.Context, p pair) (dut.Answer, error) {
				if p == guesses("root", 4)[1] {
					return dut.Answer{Kind: verdict.Garbled}, nil
				}
				return d.try(p), nil
			}
		}, "inconclusive.ineffective"},
		{"garbled once, then clear", guesses("root", 2), func(d *device, n *check.Negative[pair]) {
			calls := 0
			n.Try = func(_ context.Context, p pair) (dut.Answer, error) {
				if calls++; calls == 1 {
					return dut.Answer{Kind: verdict.Garbled}, nil
				}
				return d.try(p), nil
			}
		}, "pass"},
		{"garbled once, then open", guesses("root", 2), func(_ *device, n *check.Negative[pair]) {
			calls := 0
			n.Try = func(context.Context, pair) (dut.Answer, error) {
				if calls++; calls == 1 {
					return dut.Answer{Kind: verdict.Garbled}, nil
				}
				return dut.Answer{Kind: verdict.Accepted}, nil
			}
		}, "fail.access"},
		{"a kind that is declared a refusal", guesses("root", 2), func(d *device, n *check.Negative[pair]) {
			n.Refusal = append(n.Refusal, verdict.Unreachable)
			tried(verdict.Unreachable)(d, n)
		}, "pass"},
		{"the DUT goes down", guesses("root", 4), func(d *device, n *check.Negative[pair]) {
			n.Try = func(_ context.Context, p pair) (dut.Answer, error) {
				d.down = d.tries > 6
				return d.try(p), nil
			}
		}, "inconclusive.control-failed"},
		{"the DUT reboots", guesses("root", 1), func(_ *device, n *check.Negative[pair]) {
			boots := 0
			n.Same = func(context.Context) (string, error) { boots++; return fmt.Sprint(boots, " boots"), nil }
		}, "inconclusive.dut-changed"},
		{"whether it is the same is not known", guesses("root", 1), func(_ *device, n *check.Negative[pair]) {
			n.Same = func(context.Context) (string, error) { return "", dut.ErrNotDeclared }
		}, "inconclusive.profile-missing"},
		{"afterwards it is lost", guesses("root", 1), func(_ *device, n *check.Negative[pair]) {
			calls := 0
			n.Same = func(context.Context) (string, error) {
				if calls++; calls > 1 {
					return "", fmt.Errorf("%w: gone", dut.ErrLost)
				}
				return "x", nil
			}
		}, "inconclusive.dut-lost"},
		{"rig trouble in the control", guesses("root", 1), func(_ *device, n *check.Negative[pair]) { n.Control = errs(fault) }, "error.fault"},
		{"rig trouble in the anti-control", guesses("root", 1), func(_ *device, n *check.Negative[pair]) { n.Anti = errs(fault) }, "error.fault"},
		{"rig trouble in mid-way", guesses("root", 3), func(d *device, n *check.Negative[pair]) {
			n.Try = func(_ context.Context, p pair) (dut.Answer, error) {
				if p.password == "guessx" {
					return dut.Answer{}, fmt.Errorf("probe: %w", fault)
				}
				return d.try(p), nil
			}
		}, "error.fault"},
		{"the session is taken back", guesses("root", 1), func(_ *device, n *check.Negative[pair]) {
			n.Try = func(context.Context, pair) (dut.Answer, error) { return dut.Answer{}, dut.ErrRevoked }
		}, "error.budget"},
		{"a probe ends the goroutine", guesses("root", 1), func(_ *device, n *check.Negative[pair]) {
			n.Try = func(context.Context, pair) (dut.Answer, error) { runtime.Goexit(); panic("not reached") }
		}, "inconclusive.precondition"},
		{"a probe panics", guesses("root", 1), func(_ *device, n *check.Negative[pair]) {
			n.Try = func(context.Context, pair) (dut.Answer, error) { panic("odd") }
		}, "error.panic"},
		{"a wrong password opens it", guesses("root", 3), func(d *device, n *check.Negative[pair]) { n.Wrong = d.attempt(pair{"owner", "correct"}) }, "fail.access"},
		{"the lock cannot be proven", guesses("root", 3), func(_ *device, n *check.Negative[pair]) { n.Wrong = nil }, "inconclusive.ineffective"},
		{"one probe for each account needs no proof", []pair{{"root", "a"}, {"admin", "a"}}, func(_ *device, n *check.Negative[pair]) { n.Wrong = nil }, "pass"},
		{"nobody declared the lock", guesses("root", 2), func(_ *device, n *check.Negative[pair]) { n.Pace = check.Pace{} }, "pass"},
		{"nobody declared the lock, and there is more to try", guesses("root", 3), func(_ *device, n *check.Negative[pair]) { n.Pace = check.Pace{} }, "inconclusive.coverage-gap"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDevice(usual)
				n := d.negative(usual.pace(), tt.probes...)
				if tt.change != nil {
					tt.change(d, &n)
				}
				var held bool
				c := newTrial(t).run(func(ctx context.Context, ct *check.T) { held = check.Refute(ctx, ct, "nothing opens it", n) })
				requireVerdict(t, tt.want, c)
				assert.Equal(t, tt.want == "pass", held)
			})
		})
	}
}

func tried(k verdict.Kind) func(*device, *check.Negative[pair]) {
	return func(_ *device, n *check.Negative[pair]) {
		n.Try = func(context.Context, pair) (dut.Answer, error) { return dut.Answer{Kind: k, Detail: "so"}, nil }
	}
}

// TestRefuteRecord looks at what a passed claim leaves behind.
func TestRefuteRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice(usual)
		c := newTrial(t).run(func(ctx context.Context, ct *check.T) {
			check.Refute(ctx, ct, "nothing opens it", d.negative(usual.pace(), guesses("root", 12)...))
		})
		requireVerdict(t, "pass", c)
		require.Len(t, c.Claims, 1)
		cl := c.Claims[0]
		assert.Equal(t, 12, cl.Probes.Tried)
		assert.Equal(t, 12, cl.Probes.Effective)
		assert.Equal(t, map[verdict.Kind]int{verdict.Refused: 12}, cl.Probes.Kinds)
		assert.NotEmpty(t, cl.Claim.Evidence)
		assert.Zero(t, d.unseen["root"], "no probe was sent into a lock")
	})
}

// TestRefuteSparesOpened: what opened is not tried again, and the rest is not
// tried at all.
func TestRefuteSparesOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice(policy{})
		var sent []pair
		n := d.negative(check.Pace{Known: true}, pair{"root", "a"}, pair{"owner", "correct"}, pair{"root", "b"})
		n.Try = func(_ context.Context, p pair) (dut.Answer, error) { sent = append(sent, p); return d.try(p), nil }
		c := newTrial(t).run(func(ctx context.Context, ct *check.T) { check.Refute(ctx, ct, "nothing opens it", n) })
		requireVerdict(t, "fail.access", c)
		assert.Equal(t, []pair{{"root", "a"}, {"owner", "correct"}}, sent)
		assert.Contains(t, c.Judgement.Detail, "owner:correct")
	})
}

// TestPaceProven: a lock that is not the declared one is noticed, also where a
// locked account answers as a wrong password does.
func TestPaceProven(t *testing.T) {
	with := func(change func(p *policy)) policy {
		p := usual
		change(&p)
		return p
	}
	tests := []struct {
		name   string
		real   policy
		probes []pair
		want   string
	}{
		{"as declared", usual, guesses("root", 12), "pass"},
		{"as declared, on the owner's account", usual, guesses("owner", 12), "pass"},
		{"earlier", with(func(p *policy) { p.after = 3 }), guesses("root", 12), "inconclusive.control-failed"},
		{"earlier, few probes", with(func(p *policy) { p.after = 3 }), guesses("root", 4), "inconclusive.control-failed"},
		{"longer", with(func(p *policy) { p.lasts = 5 * time.Minute }), guesses("root", 12), "inconclusive.control-failed"},
		{"a little longer", with(func(p *policy) { p.lasts += 100 * time.Millisecond }), guesses("root", 12), "inconclusive.control-failed"},
		{"not forgotten at its end", with(func(p *policy) { p.remembers, p.window = true, time.Hour }), guesses("root", 12), "inconclusive.control-failed"},
		{"for the source", with(func(p *policy) { p.source = true }), append(guesses("root", 4), guesses("admin", 4)...), "inconclusive.control-failed"},
		{"shows itself", with(func(p *policy) { p.answer = verdict.LockedOut }), guesses("root", 12), "pass"},
		{"none at all", policy{}, guesses("root", 12), "pass"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDevice(tt.real)
				c := newTrial(t).run(func(ctx context.Context, ct *check.T) {
					check.Refute(ctx, ct, "nothing opens it", d.negative(usual.pace(), tt.probes...))
				})
				requireVerdict(t, tt.want, c)
			})
		})
	}
	t.Run("declared never to lock", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := newDevice(usual)
			c := newTrial(t).run(func(ctx context.Context, ct *check.T) {
				check.Refute(ctx, ct, "nothing opens it", d.negative(check.Pace{Known: true}, guesses("root", 12)...))
			})
			requireVerdict(t, "inconclusive.control-failed", c)
		})
	})
}

// TestPaceNeverBlind: whatever a device really does, a claim that passes had no
// probe in a lock.
func TestPaceNeverBlind(t *testing.T) {
	rounds := 400
	if testing.Short() {
		rounds = 80
	}
	passed := 0
	for seed := range rounds {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(seed), 7)) //nolint:gosec // only to be reproducible
			draw := func() policy {
				return policy{after: 1 + rng.IntN(6), window: time.Duration(1+rng.IntN(20)) * time.Second, lasts: time.Duration(1+rng.IntN(20)) * time.Second,
					source: rng.IntN(4) == 0, successClears: rng.IntN(2) == 0, counts: []string{"", "idle", "anchored"}[rng.IntN(3)]}
			}
			declared := draw()
			real := declared
			if rng.IntN(2) == 0 { // wrong in one thing; a window that is longer than declared cannot be told
				other := draw()
				switch rng.IntN(4) {
				case 0:
					real.after = other.after
				case 1:
					real.lasts = other.lasts
				case 2:
					real.source = other.source
				case 3:
					real.remembers = true
					real.window = time.Hour
				}
			}
			real.ignoresBlank, real.foldsCase = rng.IntN(2) == 0, rng.IntN(3) == 0
			d := newDevice(real)
			d.took = time.Duration(1+rng.IntN(2000)) * time.Millisecond
			var probes []pair
			for _, user := range []string{"root", "admin", "owner", "Root", "guest"}[:1+rng.IntN(5)] {
				probes = append(probes, guesses(user, 1+rng.IntN(9))...)
				for range rng.IntN(3) {
					probes = append(probes, pair{user, ""})
				}
			}
			rng.Shuffle(len(probes), func(i, j int) { probes[i], probes[j] = probes[j], probes[i] })
			blind := 0
			n := d.negative(declared.pace(), probes...)
			n.Every = 1 + rng.IntN(25)
			n.Try = func(_ context.Context, p pair) (dut.Answer, error) {
				before := d.unseen[p.user]
				a := d.try(p)
				blind += d.unseen[p.user] - before
				return a, nil
			}
			// A second run a short time after the first one has to know of it.
			var left []byte
			for again := range 1 + rng.IntN(2) {
				if again > 0 {
					time.Sleep(time.Duration(rng.IntN(15)) * time.Second) //nolint:forbidigo // the clock is the test's own
				}
				blind = 0
				tr := newTrial(t)
				_, err := tr.ledger.Recall(left, time.Now())
				require.NoError(t, err)
				c := tr.run(func(ctx context.Context, ct *check.T) { check.Refute(ctx, ct, "nothing opens it", n) })
				left, err = tr.ledger.Leave(time.Now())
				require.NoError(t, err)
				if c.Judgement.Verdict != verdict.Pass {
					assert.Equal(t, verdict.Inconclusive, c.Judgement.Verdict, "seed %d", seed)
					r := real
					r.ignoresBlank, r.foldsCase = false, false // nobody declares these
					if r == declared && declared.after > 1 && declared.successClears {
						assert.Fail(t, "a device as declared is not shown to be well", "seed %d, run %d: %+v took %v: %s", seed, again, declared, d.took, c.Judgement)
					}
					continue
				}
				passed++
				assert.Zero(t, blind, "seed %d, run %d: declared %+v, real %+v, tries take %v", seed, again, declared, real, d.took)
			}
		})
	}
	assert.Greater(t, passed, rounds/4)
}

// TestPaceWaitsLittle: many accounts by turns, whose tries come slower than the
// window counts them, wait for no lock that is not there.
func TestPaceWaitsLittle(t *testing.T) {
	for _, counts := range []string{"", "idle", "anchored"} {
		synctest.Test(t, func(t *testing.T) {
			p := policy{after: 5, window: time.Second, lasts: 250 * time.Millisecond, successClears: true, counts: counts}
			d := newDevice(p)
			d.took = 90 * time.Millisecond // four accounts by turns: each three times in a window
			var probes []pair
			for i := range 20 {
				for _, user := range []string{"root", "admin", "guest", "user"} {
					probes = append(probes, pair{user, guesses(user, i+1)[i].password})
				}
			}
			begin := time.Now()
			c := newTrial(t).run(func(ctx context.Context, ct *check.T) {
				check.Refute(ctx, ct, "nothing opens it", d.negative(p.pace(), probes...))
			})
			requireVerdict(t, "pass", c)
			assert.Zero(t, d.unseen["root"]+d.unseen["admin"]+d.unseen["guest"]+d.unseen["user"])
			waited := time.Since(begin) - time.Duration(d.tries)*d.took
			assert.Less(t, waited, 2*time.Second, "counts %q: %d tries", counts, d.tries)
		})
	}
}

// TestLedgerIsShared: what one case tried counts for the next.
func TestLedgerIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice(usual)
		ledger := check.NewLedger()
		for range 3 {
			tr := newTrial(t)
			tr.ledger = ledger
			c := tr.run(func(ctx context.Context, ct *check.T) {
				check.Refute(ctx, ct, "nothing opens it", d.negative(usual.pace(), guesses("root", 3)...))
			})
			requireVerdict(t, "pass", c)
		}
		assert.Zero(t, d.unseen["root"])
	})
}

// TestShowLock: a lock-out that an earlier case has shown needs no lock of its
// own, on the same channel and as it is declared there; another declaration does.
func TestShowLock(t *testing.T) {
	other := usual
	other.after = 4
	tests := []struct {
		name  string
		shown check.Pace
		want  int // wrong tries on the owner's account
	}{
		{"not shown", check.Pace{}, 2 * usual.after},
		{"shown", usual.pace(), 0},
		{"shown of another lock-out", other.pace(), 2 * usual.after},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDevice(usual)
				wrong := 0
				c := newTrial(t).run(func(ctx context.Context, ct *check.T) {
					if tt.shown.Known {
						ct.ShowLock(tt.shown, 0)
					}
					n := d.negative(usual.pace(), guesses("root", 12)...)
					try := n.Wrong
					n.Wrong = func(ctx context.Context) (dut.Answer, error) {
						wrong++
						return try(ctx)
					}
					check.Refute(ctx, ct, "nothing opens it", n)
				})
				requireVerdict(t, "pass", c)
				assert.Equal(t, tt.want, wrong)
				assert.Zero(t, d.unseen["root"], "a probe was sent into a lock")
			})
		})
	}
}

// TestLedgerOverRestart: whether a DUT still counts what was tried before it was
// switched on again, nobody knows.
func TestLedgerOverRestart(t *testing.T) {
	real := policy{after: 5, window: 10 * time.Minute, lasts: time.Minute, successClears: true}
	for _, forgets := range []bool{true, false} {
		t.Run(fmt.Sprintf("it forgets: %v", forgets), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDevice(real)
				c := newTrial(t).run(func(ctx context.Context, ct *check.T) {
					check.Refute(ctx, ct, "nothing opens it", d.negative(real.pace(), guesses("root", 3)...))
					ct.OK(ct.Device().PowerOn(ctx))
					if forgets {
						clear(d.accounts)
					}
					check.Refute(ctx, ct, "nothing opens it now", d.negative(real.pace(), guesses("root", 9)...))
				})
				requireVerdict(t, "pass", c)
				assert.Zero(t, d.unseen["root"])
			})
		})
	}
}

// TestOnce: a case that is ended on the way leaves what it does for all to the
// next one.
func TestOnce(t *testing.T) {
	ledger := check.NewLedger()
	did := []string{}
	run := func(name string, ends bool) {
		tr := newTrial(t)
		tr.ledger = ledger
		tr.run(func(_ context.Context, ct *check.T) {
			ct.Once("a boot", func() {
				if ends {
					ct.Inconclusive(verdict.ReasonPrecondition, "on the way")
				}
				did = append(did, name)
			})
		})
	}
	run("first", true)
	run("second", false)
	run("third", false)
	assert.Equal(t, []string{"second"}, did)
}

// TestSpare: tries are made when they count: beside those that were made, whatever
// check made them, and never into a lock.
func TestSpare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		newTrial(t).run(func(ctx context.Context, ct *check.T) {
			d := newDevice(usual)
			spare := func(p check.Pace, n int) time.Duration {
				begin := time.Now()
				assert.NoError(t, ct.Spare(ctx, p, "root", n))
				return time.Since(begin)
			}
			assert.Zero(t, spare(usual.pace(), 1), "nothing was tried")
			check.Refute(ctx, ct, "nothing opens it", d.negative(usual.pace(), guesses("root", usual.after)...))
			assert.Zero(t, spare(usual.pace(), 0), "the last of them was one that counts")
			assert.Zero(t, spare(check.Pace{Known: true}, 1), "nothing locks")
			took := spare(usual.pace(), 1)
			assert.Greater(t, took, usual.lasts/2, "they have locked it")
			assert.Less(t, took, usual.window+usual.lasts)
			assert.Zero(t, spare(usual.pace(), 1), "it was waited for")
		})
	})
}

// TestShared: what one case finds out is given to the others, and a case that is ended
// on the way leaves it to the next.
func TestShared(t *testing.T) {
	tr := newTrial(t)
	n := 0
	tr.run(func(_ context.Context, ct *check.T) {
		func() {
			defer func() { _ = recover() }()
			check.Shared(ct, func() int { panic("ended") })
		}()
		for range 3 {
			got, in := check.Shared(ct, func() int { n++; return 41 + n })
			require.Equal(t, 42, got)
			require.Equal(t, ct.ID(), in)
		}
	})
	require.Equal(t, 1, n)
}
