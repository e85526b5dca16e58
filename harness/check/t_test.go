package check_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rigor/harness/check"
	"rigor/harness/console"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/late"
	"rigor/harness/login"
	"rigor/harness/steps"
	"rigor/harness/verdict"
	"rigor/harness/wire"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestClaims: what a case says, and what is made of it.
func TestClaims(t *testing.T) {
	shown := func(ct *check.T) journal.Ref { return ct.Keep("seen.txt", "what was seen", []byte("x")) }
	tests := []struct {
		name string
		run  func(ct *check.T)
		want string
	}{
		{"nothing claimed", func(*check.T) {}, "inconclusive.no-claim"},
		{"holds, with evidence", func(ct *check.T) {
			ct.Claim("one is one", func(c *check.Claim) { c.Show(shown(ct)); assert.Equal(c, 1, 1) })
		}, "pass"},
		{"holds, without evidence", func(ct *check.T) { ct.Claim("one is one", func(*check.Claim) {}) }, "inconclusive.no-evidence"},
		{"an assertion fails", func(ct *check.T) {
			ct.Claim("one is two", func(c *check.Claim) { c.Show(shown(ct)); assert.Equal(c, 1, 2) })
		}, "fail.expectation"},
		{"a requirement fails, and the rest is not reached", func(ct *check.T) {
			ct.Claim("one is two", func(c *check.Claim) { c.Show(shown(ct)); require.Equal(c, 1, 2); panic("reached") })
		}, "fail.expectation"},
		{"a reason of its own", func(ct *check.T) {
			ct.Claim("nothing leaks", func(c *check.Claim) { c.Show(shown(ct)); c.Fail(verdict.ReasonLeak, "a key") })
		}, "fail.leak"},
		{"it cannot be said", func(ct *check.T) {
			ct.Claim("it is so", func(c *check.Claim) { c.Show(shown(ct)); c.Unknown(verdict.ReasonNeedsHuman, "who knows") })
		}, "inconclusive.needs-human"},
		{"it rests on what did not come to a computer that was busy", func(ct *check.T) {
			ct.Claim("it comes back", func(c *check.Claim) {
				c.Show(shown(ct))
				c.Fail(verdict.ReasonAbsent, "it does not: %v", fmt.Errorf("no boot: %w", &late.Error{}))
			})
		}, "inconclusive.rig-late"},
		{"unknown, then failed", func(ct *check.T) {
			ct.Claim("it is so", func(c *check.Claim) {
				c.Unknown(verdict.ReasonNeedsHuman, "who knows")
				c.Fail(verdict.ReasonAccess, "it opened")
				c.Unknown(verdict.ReasonAmbiguous, "or not")
			})
		}, "fail.access"},
		{"left by rig trouble", func(ct *check.T) {
			ct.Claim("it is so", func(c *check.Claim) {
				c.Show(shown(ct))
				ct.OK(&wire.Fault{Part: "link", Op: "dial", Err: errOdd})
			})
		}, "error.fault"},
		{"failed, then left by rig trouble", func(ct *check.T) {
			ct.Claim("it is so", func(c *check.Claim) {
				c.Fail(verdict.ReasonAccess, "it opened")
				ct.OK(&wire.Fault{Part: "link", Op: "dial", Err: errOdd})
			})
		}, "fail.access"},
		{"left by a panic", func(ct *check.T) {
			ct.Claim("it is so", func(c *check.Claim) { c.Show(shown(ct)); panic("odd") })
		}, "error.panic"},
		{"one of two fails", func(ct *check.T) {
			ct.Claim("first", func(c *check.Claim) { c.Show(shown(ct)) })
			ct.Claim("second", func(c *check.Claim) { c.Show(shown(ct)); assert.True(c, false) })
		}, "fail.expectation"},
		{"a precondition does not hold after a claim that does", func(ct *check.T) {
			ct.Claim("first", func(c *check.Claim) { c.Show(shown(ct)) })
			assert.True(ct, false, "it is on")
		}, "inconclusive.precondition"},
		{"a precondition ends the case", func(ct *check.T) { require.True(ct, false, "it is on"); panic("reached") }, "inconclusive.precondition"},
		{"a precondition, then rig trouble", func(ct *check.T) {
			assert.True(ct, false)
			ct.OK(&wire.Fault{Part: "link", Op: "dial", Err: errOdd})
		}, "error.fault"},
		{"rig trouble, then a precondition", func(ct *check.T) {
			defer func() { assert.True(ct, false) }()
			ct.OK(&wire.Fault{Part: "link", Op: "dial", Err: errOdd})
		}, "error.fault"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newTrial(t).run(func(_ context.Context, ct *check.T) { tt.run(ct) })
			requireVerdict(t, tt.want, c)
		})
	}
}

// TestClaimText: what a reader is told has what was expected and what came,
// and no file names of the check's own source.
func TestClaimText(t *testing.T) {
	c := newTrial(t).run(func(_ context.Context, ct *check.T) {
		ct.Claim("the port is shut", func(c *check.Claim) {
			assert.Equal(c, "shut", "open", "port %d", 23)
			c.Expect("shut", "something else")
		})
	})
	require.Len(t, c.Claims, 1)
	got := c.Claims[0].Got
	assert.Contains(t, got, `expected: "shut"`)
	assert.Contains(t, got, `actual  : "open"`)
	assert.Contains(t, got, "port 23")
	assert.NotContains(t, got, "_test.go")
	assert.Equal(t, "shut", c.Claims[0].Expected)
}

// TestJudge: what an error means for the case that met it.
func TestJudge(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{&wire.Fault{Part: "link", Op: "dial", Err: errOdd}, "error.fault"},
		{fmt.Errorf("deep: %w", &wire.Fault{Part: "console.main", Op: "write", Err: context.DeadlineExceeded}), "error.fault"},
		{&wire.Fault{Part: check.PartDisk, Op: "write", Err: errOdd}, "error.disk"},
		{fmt.Errorf("x: %w", dut.ErrRevoked), "error.budget"},
		{context.Canceled, "error.budget"},
		{context.DeadlineExceeded, "error.budget"},
		{fmt.Errorf("%w: it says B", dut.ErrOtherUnit), "error.wrong-unit"},
		{login.ErrIdentity, "error.wrong-unit"},
		{steps.ErrNeedsHuman, "inconclusive.needs-human"},
		{dut.ErrNotWired, "inconclusive.rig-lacks"},
		{wire.ErrUnsupported, "inconclusive.rig-lacks"},
		{dut.ErrNotDeclared, "inconclusive.profile-missing"},
		{login.ErrConfig, "inconclusive.profile-missing"},
		{dut.ErrLost, "inconclusive.dut-lost"},
		{fmt.Errorf("%w: no boot: %w", dut.ErrLost, &console.TimeoutError{Cause: context.DeadlineExceeded}), "inconclusive.dut-lost"},
		{&console.TimeoutError{Cause: context.DeadlineExceeded}, "inconclusive.precondition"},
		{&steps.StepError{At: "f:1:1", Verb: "http", What: "status 200", Got: "500"}, "inconclusive.precondition"},
		{errOdd, "inconclusive.precondition"},
		{fmt.Errorf("no boot: %w", &console.TimeoutError{Cause: &late.Error{Within: time.Second, Took: 4 * time.Second, Lost: 4 * time.Second}}), "inconclusive.rig-late"},
	}
	for _, tt := range tests {
		j := check.Judge(tt.err)
		assert.Equal(t, tt.want, string(j.Verdict)+"."+string(j.Reason), "%v", tt.err)
		assert.Equal(t, tt.err.Error(), j.Detail)
		c := newTrial(t).run(func(_ context.Context, ct *check.T) {
			ct.OK(nil)
			ct.Claim("before", func(c *check.Claim) { c.Show(ct.Keep("a", "b", nil)) })
			ct.OK(tt.err)
			panic("reached")
		})
		requireVerdict(t, tt.want, c)
	}
}

// TestDiskFull: evidence that cannot be kept is an error of the rig, at each
// place where it can happen.
func TestDiskFull(t *testing.T) {
	holds := func(ct *check.T) {
		ct.Claim("it is so", func(c *check.Claim) { c.Show(ct.Keep("seen.txt", "what was seen", []byte("x"))) })
	}
	t.Run("the folder cannot be made", func(t *testing.T) {
		tr := newTrial(t)
		require.NoError(t, os.WriteFile(filepath.Join(tr.dir, "evidence"), nil, 0o600))
		requireVerdict(t, "error.disk", tr.run(func(_ context.Context, ct *check.T) { holds(ct) }))
	})
	t.Run("the journal cannot be written", func(t *testing.T) {
		tr := newTrial(t)
		c := tr.run(func(_ context.Context, ct *check.T) {
			holds(ct)
			tr.host.failing = errors.New("no space left on device")
			ct.Note("something")
		})
		requireVerdict(t, "error.disk", c)
	})
	t.Run("a file of evidence cannot be closed", func(t *testing.T) {
		tr := newTrial(t)
		c := tr.run(func(_ context.Context, ct *check.T) {
			holds(ct)
			ct.File("open.txt", "left open", "text/plain")
			tr.host.failing = errors.New("no space left on device")
		})
		requireVerdict(t, "error.disk", c)
	})
	t.Run("an intent cannot be written", func(t *testing.T) {
		tr := newTrial(t)
		c := tr.run(func(_ context.Context, ct *check.T) {
			holds(ct)
			tr.host.failing = &wire.Fault{Part: check.PartDisk, Op: "write an intent", Err: errOdd}
			ct.Intent("password", "the password is changed", nil)
			panic("the act was done without its intent")
		})
		requireVerdict(t, "error.disk", c)
	})
}

// TestGivenUp: a case that is over records nothing any more.
func TestGivenUp(t *testing.T) {
	tr := newTrial(t)
	var kept *check.T
	c := tr.run(func(_ context.Context, ct *check.T) { kept = ct })
	requireVerdict(t, "inconclusive.no-claim", c)
	before := tr.sink.Len()
	kept.Claim("late", func(*check.Claim) {})
	kept.Note("late")
	assert.Equal(t, before, tr.sink.Len())
}

// TestCleanups run last first, each once.
func TestCleanups(t *testing.T) {
	var order []string
	newTrial(t).run(func(ctx context.Context, ct *check.T) {
		for _, name := range []string{"a", "b", "c"} {
			ct.Cleanup(func(context.Context, *check.T) { order = append(order, name) })
		}
		for range 2 {
			for _, f := range ct.Cleanups() {
				f(ctx, ct)
			}
		}
	})
	assert.Equal(t, []string{"c", "b", "a"}, order)
}

// TestRand: the same seed and case give the same numbers.
func TestRand(t *testing.T) {
	draw := func(id string, seed uint64) int {
		return check.NewT(check.Config{ID: id, Seed: seed}).Rand().IntN(1 << 30)
	}
	assert.Equal(t, draw("a[x]", 1), draw("a[x]", 1))
	assert.NotEqual(t, draw("a[x]", 1), draw("a[y]", 1))
	assert.NotEqual(t, draw("a[x]", 1), draw("a[x]", 2))
}
