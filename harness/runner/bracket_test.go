package runner

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// closing gives a check of one case in a bracket of its own, which show closes.
func closing(id string, show func(ctx context.Context, ct *check.T) dut.Answer) *check.Check {
	c := checkOn(id, "good", func(_ context.Context, ct *check.T) { holds(ct) })
	c.Budget.Cleanup = 10 * time.Second
	c.Cases = func(check.Input) []check.Case {
		return []check.Case{{Bracket: "of " + id, Closer: &check.Closer{State: "home", Show: show}, Parts: []wire.Part{"line.good"}}}
	}
	return c
}

// TestCleanupOfCloser: what a closer does to the DUT is undone before the next one looks,
// however it ended, and its files end with it.
func TestCleanupOfCloser(t *testing.T) {
	accepted := dut.Answer{Kind: verdict.Accepted, Detail: "it is there"}
	for _, tt := range []struct {
		name  string
		show  func(ctx context.Context, ct *check.T) dut.Answer // after it altered the DUT
		undo  func(ctx context.Context, ct *check.T)            // in its place; nil for one that works
		first string
		next  string
	}{
		{"shown", func(context.Context, *check.T) dut.Answer { return accepted }, nil, "pass", "pass"},
		{"not shown", func(context.Context, *check.T) dut.Answer { return dut.Answer{Kind: verdict.Refused, Detail: "no"} }, nil, "inconclusive.bracket", "pass"},
		{"a step that did not work", func(_ context.Context, ct *check.T) dut.Answer {
			ct.OK(fmt.Errorf("%w: it is gone", dut.ErrLost))
			return accepted
		}, nil, "inconclusive.bracket", "pass"},
		{"a panic", func(context.Context, *check.T) dut.Answer { panic("odd") }, nil, "inconclusive.bracket", "pass"},
		{"its time", func(ctx context.Context, ct *check.T) dut.Answer {
			ct.OK(ct.Device().Wait(ctx, 24*time.Hour))
			return accepted
		}, nil, "inconclusive.bracket", "pass"},
		{"given up", func(context.Context, *check.T) dut.Answer {
			time.Sleep(24 * time.Hour) // whatever its context says
			return accepted
		}, nil, "inconclusive.bracket", "pass"},
		{"a cleanup that fails", func(context.Context, *check.T) dut.Answer { return accepted }, func(_ context.Context, ct *check.T) {
			ct.OK(errors.New("it stays so"))
		}, "inconclusive.bracket", "pass"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var undone, clean bool
				first := closing("first", func(ctx context.Context, ct *check.T) dut.Answer {
					ct.Cleanup(func(ctx context.Context, ct *check.T) {
						undone = true
						if tt.undo != nil {
							tt.undo(ctx, ct)
						}
						ct.OK(use(ctx, ct, "other")) // its session is not the one that ended
					})
					_, err := ct.File("part.txt", "what was seen so far", "text/plain").Write([]byte("x"))
					ct.OK(err)
					return tt.show(ctx, ct)
				})
				next := closing("next", func(context.Context, *check.T) dut.Answer {
					clean = undone
					return accepted
				})
				r, _ := lose(t, func() bool { return true }, first, next)
				res := r.run(t.Context())
				time.Sleep(48 * time.Hour) // what was given up is back
				assert.Equal(t, tt.first, words(res.Case("first").Judgement), "%s", res.Case("first").Judgement.Detail)
				assert.Equal(t, tt.next, words(res.Case("next").Judgement), "%s", res.Case("next").Judgement.Detail)
				assert.True(t, clean, "it is undone before the next one looks")
				if tt.undo == nil {
					assert.Contains(t, r.d.all(), "other assert")
				}
				var files []string
				for _, f := range res.Files {
					files = append(files, f.Path)
				}
				assert.Contains(t, files, "evidence/first/part.txt")
			})
		})
	}
}

// TestLostByCloser: a DUT that a closer put out of service is lost after that case, and
// after no other.
func TestLostByCloser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, lost := lose(t, func() bool { return false })
		accepted := dut.Answer{Kind: verdict.Accepted, Detail: "it is there"}
		breaks := closing("breaks", func(context.Context, *check.T) dut.Answer {
			lost.Store(true)
			return accepted
		})
		next := closing("next", func(context.Context, *check.T) dut.Answer { return accepted })
		last := well()
		for _, c := range []*check.Check{breaks, next, last} {
			c.From = home.State
		}
		plan, err := Plan([]check.Suite{{Name: "s", Checks: []*check.Check{breaks, next, last}}}, check.Input{Profile: r.prof}, nil)
		require.NoError(t, err)
		r.cfg.Plan = plan
		res := r.run(t.Context())
		assert.Equal(t, "fail.dut-disabled", words(res.Case("breaks").Judgement))
		assert.Equal(t, "inconclusive.bracket", words(res.Case("next").Judgement))
		assert.Equal(t, "pass", words(res.Case("well").Judgement), "%s", res.Case("well").Judgement.Detail)
	})
}
