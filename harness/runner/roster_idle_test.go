package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// TestHolderWaitsFirst: a unit that is fit for nothing any more, and holds what it has
// begun, has the rest of it also where the others are done after it.
func TestHolderWaitsFirst(t *testing.T) {
	for _, n := range []int{2, 3} {
		for _, way := range []string{"bracket", "shares"} {
			t.Run(fmt.Sprintf("%d rigs, %s", n, way), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var held []check.Case
					for i := range 3 {
						k := check.Case{Channel: fmt.Sprint(i), Bracket: "x", Parts: []wire.Part{"line.bad"}}
						if way == "shares" {
							k.Bracket, k.Shares = "", "x"
						}
						held = append(held, k)
					}
					b := checkOn("b", "bad", func(ctx context.Context, ct *check.T) {
						ct.OK(use(ctx, ct, "bad"))
						holds(ct)
					})
					b.Cases = func(check.Input) []check.Case { return held }
					checks := []*check.Check{b}
					for i := 1; i < n; i++ { // each ends long after the first rig has nothing more
						c := checkOn(fmt.Sprintf("slow%d", i), "good", func(ctx context.Context, ct *check.T) {
							ct.OK(ct.Device().Wait(ctx, time.Duration(i)*time.Hour))
							holds(ct)
						})
						c.Budget.Case = 24 * time.Hour
						checks = append(checks, c)
					}
					crew := newCrew(t, n, checks...)
					for _, r := range crew.rigs {
						r.lines["bad"] = &fakeLine{name: "bad", d: r.d, err: &wire.Fault{Part: "line.bad", Op: "assert", Err: errors.New("no such chip")}}
					}
					res := crew.run(t.Context())
					for i := 1; i < n; i++ {
						assert.Equal(t, "pass", words(res.Case(fmt.Sprintf("slow%d", i)).Judgement))
					}
					for i := range held {
						k := res.Case(CaseID("b", fmt.Sprint(i)))
						assert.Equal(t, res.Case("b[0]").Rig, k.Rig)
						assert.Equal(t, verdict.Error, k.Judgement.Verdict, "%s: %s", k.ID, k.Judgement.Detail)
					}
				})
			})
		}
	}
}

// TestTwoHolders: of two such units each has the rest of its own.
func TestTwoHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newRoster(3)
		of := func(bracket string, parts ...wire.Part) (out []*Planned) {
			for i := range 3 {
				out = append(out, &Planned{ID: fmt.Sprint(bracket, i), Check: &check.Check{ID: bracket}, Case: check.Case{Bracket: bracket, Closer: &check.Closer{}, Parts: parts}})
			}
			return out
		}
		x, y := of("x", "line.bad"), of("y", "line.bad")
		order := slices.Concat(x, y)
		var runs []*run
		for range 3 {
			runs = append(runs, seatOf(t.Context(), Config{Profile: &profile.Profile{}, Device: dut.New(&profile.Profile{}, dut.Unit{}, &dut.Bench{})}, q))
		}
		ran := make([][]string, 3)
		take := func(i int, p *Planned) {
			ran[i] = append(ran[i], p.ID)
			runs[i].broken["line.bad"] = "no such chip"
		}
		take(0, q.next(t.Context(), runs[0], x, false))
		take(1, q.next(t.Context(), runs[1], y, false))
		runs[2].broken["line.bad"] = "no such chip"
		for _, i := range []int{0, 1, 2} { // the one that holds nothing is idle last
			go func() {
				for p := q.next(t.Context(), runs[i], order, true); p != nil; p = q.next(t.Context(), runs[i], order, true) {
					take(i, p)
				}
				q.leave(runs[i])
			}()
			synctest.Wait()
		}
		assert.Equal(t, [][]string{{"x0", "x1", "x2"}, {"y0", "y1", "y2"}, nil}, ran)
	})
}
