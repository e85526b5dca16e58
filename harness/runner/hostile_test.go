package runner

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/state"
	"rigor/harness/verdict"
	"rigor/harness/wire"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHostileChecks: whatever a check does, the run goes on, its case passes
// not, and after its end the instruments hear nothing of it any more.
func TestHostileChecks(t *testing.T) {
	touch := func(ctx context.Context, ct *check.T) error { return use(ctx, ct, "bad") }
	tests := []struct {
		name string
		run  func(ctx context.Context, ct *check.T, release chan struct{})
		hang bool // the driver hangs
		want string
		next string // of the case after it
	}{
		{"returns", func(ctx context.Context, ct *check.T, _ chan struct{}) { ct.OK(touch(ctx, ct)); holds(ct) }, false, "pass", "pass"},
		{"panics", func(ctx context.Context, ct *check.T, _ chan struct{}) { holds(ct); panic("odd") }, false, "error.panic", "pass"},
		{"panics with nothing", func(ctx context.Context, ct *check.T, _ chan struct{}) { holds(ct); panic(error(nil)) }, false, "error.panic", "pass"},
		{"ends its goroutine", func(ctx context.Context, ct *check.T, _ chan struct{}) { holds(ct); runtime.Goexit() }, false, "error.bug", "pass"},
		{"waits for its context", func(ctx context.Context, ct *check.T, _ chan struct{}) { holds(ct); <-ctx.Done() }, false, "error.budget", "pass"},
		{"waits in a driver", func(ctx context.Context, ct *check.T, _ chan struct{}) {
			holds(ct)
			l, err := ct.Device().Line("bad")
			ct.OK(err)
			_, err = l.Wait(ctx, true)
			ct.OK(err)
		}, false, "error.budget", "pass"},
		{"finds something once its time is over", func(ctx context.Context, ct *check.T, _ chan struct{}) {
			holds(ct)
			<-ctx.Done()
			ct.Inconclusive(verdict.ReasonPrecondition, "it did not come")
		}, false, "error.budget", "pass"},
		{"hangs and ignores its context", func(ctx context.Context, ct *check.T, release chan struct{}) {
			holds(ct)
			<-release
			for range 3 {
				_ = touch(context.WithoutCancel(ctx), ct)
			}
			ct.Claim("late", func(c *check.Claim) { c.Fail(verdict.ReasonAccess, "late") })
		}, false, "error.budget", "pass"},
		{"goes on after its time", func(ctx context.Context, ct *check.T, release chan struct{}) {
			holds(ct)
			for {
				select {
				case <-release:
					return
				case <-time.NewTimer(50 * time.Millisecond).C:
					_ = touch(context.WithoutCancel(ctx), ct)
				}
			}
		}, false, "error.budget", "pass"},
		{"returns late", func(ctx context.Context, ct *check.T, _ chan struct{}) {
			holds(ct)
			<-time.NewTimer(2 * time.Second).C
		}, false, "error.budget", "pass"},
		{"leaves a goroutine", func(ctx context.Context, ct *check.T, release chan struct{}) {
			holds(ct)
			go func() {
				<-release
				_ = touch(context.WithoutCancel(ctx), ct)
			}()
		}, false, "error.leak-routine", "pass"},
		{"leaves a goroutine and a precondition", func(ctx context.Context, ct *check.T, release chan struct{}) {
			go func() { <-release }()
			ct.Inconclusive(verdict.ReasonPrecondition, "not so")
		}, false, "error.leak-routine", "pass"},
		{"uses its device later", func(ctx context.Context, ct *check.T, release chan struct{}) {
			holds(ct)
			ctx = context.WithoutCancel(ctx)
			context.AfterFunc(ctx, func() {})
			dev := ct.Device()
			go func() {
				<-release
				if l, err := dev.Line("bad"); err == nil {
					_ = l.Assert(ctx)
				}
			}()
		}, false, "error.leak-routine", "pass"},
		{"hangs in a driver", func(ctx context.Context, ct *check.T, _ chan struct{}) { holds(ct); _ = touch(ctx, ct) }, true, "error.fault", "pass"},
		{"closes a claim after a panic inside it", func(ctx context.Context, ct *check.T, _ chan struct{}) {
			ct.Claim("so", func(*check.Claim) { panic("odd") })
		}, false, "error.panic", "pass"},
		{"hides rig trouble", func(ctx context.Context, ct *check.T, _ chan struct{}) {
			dev := ct.Device()
			l, err := dev.Line("broken")
			ct.OK(err)
			_ = l.Assert(ctx)
			holds(ct)
		}, false, "error.fault", "pass"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				r := newRun(t, checkOn("hostile", "bad", func(ctx context.Context, ct *check.T) { tt.run(ctx, ct, release) }), well())
				r.lines["broken"] = &fakeLine{name: "broken", d: r.d, err: &wire.Fault{Part: "line.bad", Op: "assert", Err: errors.New("no chip")}}
				if tt.hang {
					r.lines["bad"] = &fakeLine{name: "bad", d: r.d, hang: release}
				}
				res := r.run(t.Context())
				close(release)
				synctest.Wait()
				assert.Equal(t, tt.want, words(res.Case("hostile").Judgement), "%s", res.Case("hostile").Judgement)
				assert.Equal(t, tt.next, words(res.Case("well").Judgement), "%s", res.Case("well").Judgement)
				for _, op := range r.d.after("begin of well") {
					assert.False(t, strings.HasPrefix(op, "bad "), "%s after the end of its case: %v", op, r.d.all())
				}
			})
		})
	}
}

// TestSpin: a check that spins is left behind.
func TestSpin(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the grace in real time")
	}
	var stop atomic.Bool
	defer stop.Store(true)
	c := checkOn("spin", "bad", func(context.Context, *check.T) {
		for !stop.Load() { //nolint:revive // it is to spin
		}
	})
	c.Budget.Case = 50 * time.Millisecond
	res := newRun(t, c, well()).run(t.Context())
	assert.Equal(t, "error.budget", words(res.Case("spin").Judgement))
	assert.Equal(t, "pass", words(res.Case("well").Judgement))
}

// TestDriverThatHangs: the part is broken, and what leans on it is an error at
// once.
func TestDriverThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		ran := 0
		first := checkOn("first", "bad", func(ctx context.Context, ct *check.T) { ct.OK(use(ctx, ct, "bad")) })
		second := checkOn("second", "bad", func(context.Context, *check.T) { ran++ })
		r := newRun(t, first, second, well())
		r.lines["bad"] = &fakeLine{name: "bad", d: r.d, hang: release}
		res := r.run(t.Context())
		close(release)
		synctest.Wait()
		assert.Equal(t, "error.fault", words(res.Case("first").Judgement))
		assert.Equal(t, "error.broken-part", words(res.Case("second").Judgement))
		assert.Equal(t, "pass", words(res.Case("well").Judgement))
		assert.Zero(t, ran)
		assert.Equal(t, 1, res.Case("first").Tries, "a driver that hangs is not tried again")
		assert.Equal(t, []string{"line.bad"}, res.Broken)
	})
}

// TestRetry: rig trouble is tried again, once; a part that has it twice is not
// fed on, and a failure is not retried at all.
func TestRetry(t *testing.T) {
	fault := &wire.Fault{Part: "line.bad", Op: "assert", Err: errors.New("busy")}
	flaky := func(times int) *check.Check {
		n := 0
		return checkOn("flaky", "bad", func(_ context.Context, ct *check.T) {
			if n++; n <= times {
				ct.OK(fault)
			}
			holds(ct)
		})
	}
	tests := []struct {
		name, want string
		tries      int
		c          *check.Check
	}{
		{"trouble once", "pass", 2, flaky(1)},
		{"trouble twice", "error.fault", 2, flaky(2)},
		{"a failure is for good", "fail.expectation", 1, checkOn("flaky", "bad", func(_ context.Context, ct *check.T) {
			ct.Claim("one is two", func(c *check.Claim) { assert.Equal(c, 1, 2) })
		})},
		{"a failure, then trouble, then well", "fail.access", 2, func() *check.Check {
			n := 0
			return checkOn("flaky", "bad", func(_ context.Context, ct *check.T) {
				if n++; n == 1 {
					ct.Claim("nothing opens", func(c *check.Claim) { c.Fail(verdict.ReasonAccess, "it opened") })
					ct.OK(fault)
				}
				holds(ct)
			})
		}()},
		{"unclear is not retried", "inconclusive.precondition", 1, checkOn("flaky", "bad", func(_ context.Context, ct *check.T) { require.True(ct, false) })},
		{"a panic is not retried", "error.panic", 1, checkOn("flaky", "bad", func(context.Context, *check.T) { panic("x") })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := newRun(t, tt.c, well()).run(t.Context())
			assert.Equal(t, tt.want, words(res.Case("flaky").Judgement))
			assert.Equal(t, tt.tries, res.Case("flaky").Tries)
			assert.Equal(t, "pass", words(res.Case("well").Judgement))
		})
	}
}

// TestBrokenTwice: trouble twice in a row breaks the part for those that come.
func TestBrokenTwice(t *testing.T) {
	dead := func(id string) *check.Check {
		return checkOn(id, "bad", func(ctx context.Context, ct *check.T) { ct.OK(use(ctx, ct, "bad")); holds(ct) })
	}
	r := newRun(t, dead("first"), dead("second"), dead("third"))
	r.lines["bad"] = &fakeLine{name: "bad", d: r.d, err: &wire.Fault{Part: "line.bad", Op: "assert", Err: errors.New("no such chip")}}
	res := r.run(t.Context())
	assert.Contains(t, []string{"error.fault", "error.broken-part"}, words(res.Case("first").Judgement))
	assert.Equal(t, "error.broken-part", words(res.Case("second").Judgement))
	assert.Equal(t, "error.broken-part", words(res.Case("third").Judgement))
	assert.NotEmpty(t, res.Case("first").Faults)
	n := 0
	for _, l := range r.d.all() {
		if l == "bad assert" {
			n++
		}
	}
	assert.Equal(t, 2, n, "%v", r.d.all())
}

// TestCleanups run with a session and a budget of their own, however the case
// ended.
func TestCleanups(t *testing.T) {
	tests := []struct {
		name string
		run  func(ctx context.Context, ct *check.T, release chan struct{})
		want string
	}{
		{"after a return", func(_ context.Context, ct *check.T, _ chan struct{}) { holds(ct) }, "pass"},
		{"after a panic", func(context.Context, *check.T, chan struct{}) { panic("odd") }, "error.panic"},
		{"after its time", func(ctx context.Context, _ *check.T, _ chan struct{}) { <-ctx.Done() }, "error.budget"},
		{"after it was given up", func(_ context.Context, _ *check.T, release chan struct{}) { <-release }, "error.budget"},
		{"after a failure", func(_ context.Context, ct *check.T, _ chan struct{}) {
			ct.Claim("so", func(c *check.Claim) { c.Fail(verdict.ReasonLeak, "seen") })
		}, "fail.leak"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				r := newRun(t, checkOn("case", "bad", func(ctx context.Context, ct *check.T) {
					ct.Cleanup(func(ctx context.Context, ct *check.T) {
						ct.OK(use(ctx, ct, "other"))
						ct.Cleanup(func(ctx context.Context, ct *check.T) { ct.OK(use(ctx, ct, "good")) })
					})
					tt.run(ctx, ct, release)
				}))
				res := r.run(t.Context())
				close(release)
				synctest.Wait()
				assert.Equal(t, tt.want, words(res.Case("case").Judgement))
				assert.Contains(t, r.d.all(), "other assert")
				assert.Contains(t, r.d.all(), "good assert", "a cleanup that a cleanup asked for")
			})
		})
	}
}

// TestCleanupTrouble: what a cleanup cannot undo is no pass, and every cleanup
// is tried and heard.
func TestCleanupTrouble(t *testing.T) {
	tests := []struct {
		name    string
		cleanup func(ctx context.Context, ct *check.T)
		want    string
	}{
		{"panics", func(context.Context, *check.T) { panic("odd") }, "error.panic"},
		{"takes too long", func(ctx context.Context, _ *check.T) { <-ctx.Done() }, "error.budget"},
		{"cannot", func(_ context.Context, ct *check.T) { ct.OK(dut.ErrLost) }, "inconclusive.dut-lost"},
		{"finds something", func(_ context.Context, ct *check.T) {
			ct.Claim("it is as before", func(c *check.Claim) { c.Fail(verdict.ReasonExpectation, "it is not") })
		}, "fail.expectation"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRun(t, checkOn("case", "bad", func(_ context.Context, ct *check.T) {
					ct.Cleanup(tt.cleanup)
					ct.Cleanup(func(ctx context.Context, ct *check.T) { ct.OK(use(ctx, ct, "other")) })
					holds(ct)
				}))
				res := r.run(t.Context())
				assert.Equal(t, tt.want, words(res.Case("case").Judgement))
				assert.Contains(t, r.d.all(), "other assert")
			})
		})
	}
}

// TestSignal: a check has ten seconds to unwind, then its session is taken
// back; the rest is not run, and no case of it passes.
func TestSignal(t *testing.T) {
	for name, stubborn := range map[string]bool{"unwinds": false, "does not": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				release := make(chan struct{})
				var unwound time.Duration
				long := checkOn("long", "bad", func(ctx context.Context, ct *check.T) {
					holds(ct)
					<-ctx.Done()
					if stubborn {
						<-release
						_ = use(context.WithoutCancel(ctx), ct, "bad")
						return
					}
					<-time.NewTimer(9 * time.Second).C
					ct.OK(use(context.WithoutCancel(ctx), ct, "other")) // still its own
					unwound = 9 * time.Second
				})
				long.Budget.Case = time.Minute
				r := newRun(t, long, well())
				start := time.Now()
				time.AfterFunc(time.Second, cancel)
				res := r.run(ctx)
				took := time.Since(start)
				close(release)
				synctest.Wait()
				assert.Less(t, took, 18*time.Second)
				assert.Equal(t, "error.interrupted", words(res.Case("long").Judgement))
				assert.Equal(t, "error.interrupted", words(res.Case("well").Judgement))
				assert.Equal(t, verdict.ExitInterrupted, res.Exit)
				assert.NotContains(t, r.d.all(), "bad assert")
				if !stubborn {
					assert.Equal(t, 9*time.Second, unwound)
					assert.Contains(t, r.d.all(), "other assert")
				}
			})
		})
	}
}

// TestLeaseLost: the session is taken back at once, no cleanup touches the rig,
// and no further case is run.
func TestLeaseLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := make(chan struct{})
		c := checkOn("case", "bad", func(ctx context.Context, ct *check.T) {
			ct.Cleanup(func(ctx context.Context, ct *check.T) { ct.OK(use(ctx, ct, "other")) })
			holds(ct)
			<-ctx.Done()
			<-time.NewTimer(500 * time.Millisecond).C
			_ = use(context.WithoutCancel(ctx), ct, "bad")
		})
		c.Budget.Case = time.Minute
		r := newRun(t, c, well())
		r.cfg.Lost = lost
		time.AfterFunc(time.Second, func() { close(lost) })
		res := r.run(t.Context())
		synctest.Wait()
		assert.Equal(t, "error.lease-lost", words(res.Case("case").Judgement))
		assert.Equal(t, "error.lease-lost", words(res.Case("well").Judgement))
		for _, op := range r.d.all() {
			assert.NotContains(t, op, "assert")
		}
	})
}

// TestStop: fail-fast and hold end the run at the first failure, not at less.
func TestStop(t *testing.T) {
	failing := checkOn("fails", "bad", func(_ context.Context, ct *check.T) {
		ct.Claim("so", func(c *check.Claim) { c.Fail(verdict.ReasonAccess, "it opened") })
	})
	unclear := checkOn("unclear", "bad", func(context.Context, *check.T) {})
	for _, tt := range []struct {
		name     string
		cfg      func(*Config)
		last     string
		ran      bool
		settling bool
	}{
		{"neither", func(*Config) {}, "pass", true, true},
		{"fail-fast", func(c *Config) { c.FailFast = true }, "inconclusive.coverage-gap", false, true},
		{"hold", func(c *Config) { c.Hold = true }, "inconclusive.coverage-gap", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRun(t, unclear, failing, well())
			tt.cfg(&r.cfg)
			var phases []string
			r.cfg.Doctor = func(_ context.Context, phase string) []journal.Doctor {
				phases = append(phases, phase)
				return nil
			}
			res := r.run(t.Context())
			assert.Equal(t, "fail.access", words(res.Case("fails").Judgement))
			assert.Equal(t, tt.last, words(res.Case("well").Judgement))
			assert.Equal(t, tt.settling, len(phases) == 2, "%v", phases)
			assert.Equal(t, 3, res.Planned)
		})
	}
}

// TestDoctorFindsBroken: what leans on a broken part is an error without a try,
// and a bench on which nothing can run is not powered up.
func TestDoctorFindsBroken(t *testing.T) {
	broken := func(parts ...string) func(context.Context, string) []journal.Doctor {
		return func(_ context.Context, phase string) (ds []journal.Doctor) {
			for _, p := range parts {
				ds = append(ds, journal.Doctor{Phase: phase, Item: "is it there", Part: p, Status: "broken", Detail: "no"})
			}
			return ds
		}
	}
	bad := checkOn("leans", "bad", func(_ context.Context, ct *check.T) { holds(ct) })
	t.Run("one part", func(t *testing.T) {
		r := newRun(t, bad, well())
		r.cfg.Doctor = broken("line.bad")
		res := r.run(t.Context())
		assert.Equal(t, "error.broken-part", words(res.Case("leans").Judgement))
		assert.Equal(t, "pass", words(res.Case("well").Judgement))
	})
	t.Run("every part", func(t *testing.T) {
		r := newRun(t, bad, well())
		r.bench.Power = &fakePower{d: r.d}
		r.cfg.Doctor = broken("line.bad", "line.good")
		res := r.run(t.Context())
		assert.Equal(t, "error.broken-part", words(res.Case("leans").Judgement))
		assert.Equal(t, "error.broken-part", words(res.Case("well").Judgement))
		assert.NotContains(t, r.d.all(), "power on")
	})
	t.Run("afterwards", func(t *testing.T) {
		r := newRun(t, bad, well())
		r.cfg.Doctor = func(ctx context.Context, phase string) []journal.Doctor {
			if phase == "before" {
				return nil
			}
			return broken("line.bad")(ctx, phase)
		}
		res := r.run(t.Context())
		assert.Equal(t, "error.broken-part", words(res.Case("leans").Judgement))
		assert.Equal(t, "pass", words(res.Case("well").Judgement))
	})
}

// identityOf gives a bench whose DUT says these serials in turn, the last one
// for ever; "" is no answer.
func (r *rigRun) identityOf(serials ...string) {
	n := 0
	r.prof.Identity = profile.Identity{Equals: "unit.serial", Steps: []profile.Step{{Verb: "exec", Exec: []string{"id"}, Extract: map[string]string{"serial": "text"}}}}
	r.bench.Exec = func(context.Context, []string, map[string]string) (string, map[string]string, error) {
		s := serials[min(n, len(serials)-1)]
		n++
		if s == "" {
			return "", nil, errors.New("no answer")
		}
		return s, nil, nil
	}
}

// TestUnit: nothing runs on another unit, and nothing is altered on one that
// nobody knows.
func TestUnit(t *testing.T) {
	altering := checkOn("alters", "bad", func(_ context.Context, ct *check.T) { holds(ct) })
	altering.Effect = check.Disturbs
	tests := []struct {
		name          string
		says          []string
		reads, alters string
	}{
		{"the right one", []string{"A1"}, "pass", "pass"},
		{"another one", []string{"B2"}, "error.wrong-unit", "error.wrong-unit"},
		{"no answer", []string{""}, "pass", "inconclusive.precondition"},
		{"an answer at the second time", []string{"", "A1"}, "pass", "pass"},
		{"no answer, then another one", []string{"", "B2"}, "pass", "error.wrong-unit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRun(t, well(), altering)
			r.identityOf(tt.says...)
			res := r.run(t.Context())
			assert.Equal(t, tt.reads, words(res.Case("well").Judgement), "%s", res.Case("well").Judgement)
			assert.Equal(t, tt.alters, words(res.Case("alters").Judgement), "%s", res.Case("alters").Judgement)
		})
	}
}

// home is the state that the tests of a lost DUT use.
var home = state.New("home", "at home", nil, func(*dut.Device) (struct{}, error) { return struct{}{}, nil })

// lose gives a run whose DUT shows its state until it is lost, and takes
// connections on the network while up. Recovery calls back.
func lose(t *testing.T, back func() bool, checks ...*check.Check) (r *rigRun, lost *atomic.Bool) {
	t.Helper()
	lost = &atomic.Bool{}
	r = newRun(t)
	r.prof.States = profile.Section[*profile.State]{Given: true, Order: []string{"home"}, Items: map[string]*profile.State{
		"home": {Holds: []profile.Step{{Verb: "exec", Exec: []string{"state"}, Expect: profile.Expect{Match: profile.Pattern{Literal: "home"}}}}}}}
	r.prof.Logins = profile.Section[*profile.Login]{Given: true, Order: []string{"ssh"}, Items: map[string]*profile.Login{"ssh": {Protocol: "ssh", Port: 22}}}
	r.prof.Recovery.Steps = []profile.Step{{Verb: "exec", Exec: []string{"recover"}, Expect: profile.Expect{Match: profile.Pattern{Literal: "done"}}}}
	r.prof.Recovery.Within = 5 * time.Second
	power := &fakePower{d: r.d}
	link := &fakeLink{up: true, d: r.d, p: power}
	r.bench.Link, r.bench.Address, r.bench.Power = link, "192.0.2.1", power
	r.bench.Exec = func(_ context.Context, argv []string, _ map[string]string) (string, map[string]string, error) {
		link.set(!lost.Load())
		switch {
		case argv[0] == "recover":
			r.d.note("recover")
			if back() {
				lost.Store(false)
				link.set(true)
			}
			return "done", nil, nil
		case lost.Load():
			return "", nil, nil
		}
		return "home", nil, nil
	}
	r.cfg.Doctor = func(context.Context, string) []journal.Doctor { return nil }
	for _, c := range checks {
		c.From = home.State
	}
	plan, err := Plan([]check.Suite{{Name: "s", Checks: checks}}, check.Input{Profile: r.prof}, nil)
	require.NoError(t, err)
	r.cfg.Plan = plan
	return r, lost
}

// TestLost: a DUT that goes away is diagnosed and brought back; one that does
// not come back after our own probe was disabled by it.
func TestLost(t *testing.T) {
	var lost *atomic.Bool
	breaks := func() *check.Check {
		return checkOn("breaks", "bad", func(_ context.Context, ct *check.T) { holds(ct); lost.Store(true) })
	}
	t.Run("comes back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var r *rigRun
			r, lost = lose(t, func() bool { return true }, breaks(), well())
			res := r.run(t.Context())
			assert.Equal(t, "pass", words(res.Case("breaks").Judgement))
			assert.Equal(t, "pass", words(res.Case("well").Judgement))
			require.Len(t, res.Losses, 1)
			assert.True(t, res.Losses[0].What.Returned)
			assert.False(t, res.Losses[0].What.Disabled)
		})
	})
	t.Run("does not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var r *rigRun
			ran := 0
			third := checkOn("third", "good", func(context.Context, *check.T) { ran++ })
			r, lost = lose(t, func() bool { return false }, breaks(), well(), third)
			res := r.run(t.Context())
			assert.Equal(t, "fail.dut-disabled", words(res.Case("breaks").Judgement))
			assert.Equal(t, "inconclusive.dut-lost", words(res.Case("well").Judgement))
			assert.Equal(t, "inconclusive.dut-lost", words(res.Case("third").Judgement))
			assert.Zero(t, ran)
			require.Len(t, res.Losses, 1, "it is diagnosed once, not for each case")
			n := 0
			for _, l := range r.d.all() {
				if l == "recover" {
					n++
				}
			}
			assert.Equal(t, 1, n)
		})
	})
	t.Run("does not, on a rig that is ill", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var r *rigRun
			r, lost = lose(t, func() bool { return false }, breaks(), well())
			r.cfg.Doctor = func(_ context.Context, phase string) []journal.Doctor {
				if phase == "during" {
					return []journal.Doctor{{Phase: phase, Item: "link", Part: "link", Status: "broken"}}
				}
				return nil
			}
			res := r.run(t.Context())
			assert.Equal(t, "pass", words(res.Case("breaks").Judgement))
			assert.Equal(t, "inconclusive.dut-lost", words(res.Case("well").Judgement))
		})
	})
	t.Run("by the last case", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var r *rigRun
			c := breaks()
			run := c.Run
			c.Run = func(ctx context.Context, ct *check.T) { run(ctx, ct); require.True(ct, false) }
			r, lost = lose(t, func() bool { return false }, c)
			res := r.run(t.Context())
			assert.Equal(t, "fail.dut-disabled", words(res.Case("breaks").Judgement))
		})
	})
}

// TestPrepareHangs: a driver that hangs while the DUT is brought to a state is
// given up too.
func TestPrepareHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var r *rigRun
		r, _ = lose(t, func() bool { return true }, well())
		r.prof.States.Items["home"].Holds = []profile.Step{{Verb: "assert", Assert: "bad"}}
		r.lines["bad"] = &fakeLine{name: "bad", d: r.d, hang: release}
		res := r.run(t.Context())
		close(release)
		synctest.Wait()
		assert.Equal(t, verdict.Error, res.Case("well").Judgement.Verdict)
		assert.Contains(t, res.Broken, "line.bad")
	})
}
