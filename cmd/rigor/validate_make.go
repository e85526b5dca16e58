package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"rigor/harness/matrix"
)

// longestFirst gives the groups of runs in the order in which they begin: those first of
// which the catalogue says that they take long, each beside one of the others; then those
// with many cases, and with many that end otherwise than by a pass, which are often waited
// for. What begins last is over soon, and the processors are not left to a single one. Of a
// bench's other faults most wait and work little: they are spread over the rest.
func longestFirst(b *bed, runs []matrix.Run, groups [][]int) [][]int {
	weights, takes := map[int]int{}, map[int]time.Duration{} // of each by its first run
	for _, of := range groups {
		n, odd := 0, 0
		for _, i := range of {
			cases, e := b.planned, b.cat.Entry(&runs[i])
			if e != nil && e.Cases != nil && !runs[i].Whole {
				cases = e.Of(b.planned)
			}
			if e != nil {
				takes[of[0]] = max(takes[of[0]], e.Takes)
			}
			cost := len(cases)
			for _, id := range cases {
				if b.cost != nil {
					cost += b.cost(id)
				}
			}
			n, odd = max(n, cost), odd+b.cat.Changed(&runs[i], b.planned)
		}
		weights[of[0]] = n + 2*odd
	}
	groups = slices.Clone(groups)
	slices.SortStableFunc(groups, func(g, h []int) int {
		return cmp.Or(cmp.Compare(takes[h[0]], takes[g[0]]), cmp.Compare(weights[h[0]], weights[g[0]]))
	})
	var long, wait, work [][]int
	for _, g := range groups {
		switch {
		case takes[g[0]] > 0:
			long = append(long, g)
		case runs[g[0]].Kind == matrix.Fault:
			wait = append(wait, g)
		default:
			work = append(work, g)
		}
	}
	out := make([][]int, 0, len(groups))
	next := func(from *[][]int, n int) {
		n = min(n, len(*from))
		out, *from = append(out, (*from)[:n]...), (*from)[n:]
	}
	// What takes long often waits: where few runs have room, the processors have work too.
	for len(long) > 0 {
		next(&long, 1)
		next(&work, 1)
	}
	every := max(1, len(work)/max(1, len(wait)))
	for len(out) < len(groups) {
		next(&wait, 1)
		next(&work, every)
	}
	return out
}

// oneOfMany has a run collect its few megabytes of heap a fifth as often: where many are
// made at the same time, that is work of all of them. It keeps all processors, though one
// for each run would save a tenth of their time: what comes at the same time would come one
// after the other, and weaknesses that only a race shows were missed, up to every second
// time.
func oneOfMany() { debug.SetGCPercent(400) }

// longest is how long a run may take before it counts as stuck: on a console that
// garbles each try waits out its patience.
const longest = 20 * time.Minute

// longestReal is the same of a device that takes seconds to boot, and has all cases
// tried on it.
const longestReal = 2 * time.Hour

// one makes a run in a process of its own, or its parts, each in one, at the same time:
// those wait more than they work.
func (c *validateCmd) one(ctx context.Context, b *bed, r *matrix.Run, dir string) {
	begin := time.Now()
	defer func() { r.Took = time.Since(begin) }()
	name := string(matrix.Hardened)
	if r.Kind != matrix.Hardened {
		name = strings.Join(append([]string{r.Name}, r.With...), "+")
	}
	if r.Only != nil {
		name += "-share"
	}
	if r.Second {
		name += "-again"
	}
	if c.Together > 1 && b.images == nil {
		if own := b.cat.Parts(r, b.planned, b.bracket); own != nil {
			inParts(r, own, func(i int, part *matrix.Run) {
				c.process(ctx, b, part, filepath.Join(dir, fmt.Sprintf("%s-part%d", name, i+1)), own[i])
			})
			return
		}
	}
	var cases []string
	if e := b.cat.Entry(r); b.images == nil && e != nil && (e.Cases != nil || r.Only != nil) && !r.Whole {
		cases = b.cat.Cases(r, b.planned)
	}
	began := c.process(ctx, b, r, filepath.Join(dir, name), cases)
	if !began.IsZero() {
		begin = began
	}
}

// inParts makes a run in parts, all at the same time, and puts together what they came to.
// own are the cases of each.
func inParts(r *matrix.Run, own [][]string, one func(i int, part *matrix.Run)) {
	parts := make([]matrix.Run, len(own))
	var wg sync.WaitGroup
	for i := range parts {
		parts[i] = matrix.Run{Kind: r.Kind, Name: r.Name, Whole: r.Whole, Only: r.Only, Second: r.Second}
		wg.Go(func() { one(i, &parts[i]) })
	}
	wg.Wait()
	r.Join(parts, own)
}

// process makes a run in a process of its own, of these cases, or of all where there are
// none. It gives when the checks began, zero where they did not.
func (c *validateCmd) process(ctx context.Context, b *bed, r *matrix.Run, dir string, cases []string) (began time.Time) {
	self, err := os.Executable()
	if err != nil {
		r.Broken = fmt.Sprintf("find our own program: %v", err)
		return began
	}
	args := []string{"matrix-run", "--seed", fmt.Sprint(c.Seed), "--out", dir}
	if r.Kind != matrix.Hardened {
		for _, planted := range append([]string{r.Name}, r.With...) {
			args = append(args, "--"+string(r.Kind), planted)
		}
	}
	for _, id := range cases {
		args = append(args, "--cases", id)
	}
	var env []string
	limit := longest
	if b.images != nil {
		more, place, done, err := b.images.row(ctx, b, r)
		if err != nil {
			r.Broken = err.Error()
			return began
		}
		defer done()
		args, env, limit = append(args, more...), place, longestReal
	}
	began = time.Now() // what is to be known is how long the checks take
	ctx, cancel := timeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, args...) //nolint:gosec // our own program, with names from our own lists
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 15 * time.Second
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	// It ends when this pipe does: with us, whatever ends us.
	pipe, err := cmd.StdinPipe()
	if err != nil {
		r.Broken = fmt.Sprintf("start the run: %v", err)
		return began
	}
	defer func() { _ = pipe.Close() }()
	if err := cmd.Run(); err != nil {
		r.Broken = fmt.Sprintf("the run ended with %v: %s", err, strings.TrimSpace(errs.String()))
		return began
	}
	var got matrix.Run
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		r.Broken = fmt.Sprintf("the run's answer is not readable: %v", err)
	}
	r.Cases, r.Struck, r.Again = got.Cases, got.Struck, got.Again
	return began
}
