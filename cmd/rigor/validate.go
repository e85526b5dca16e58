package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"rigor/fixtures/virtual"
	"rigor/harness/journal"
	"rigor/harness/matrix"
	"rigor/harness/report"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/verdict"
	"rigor/rigs"
	"rigor/suites"
)

type validateCmd struct {
	Rig      string   `help:"gateway: the emulated device, each of its weaknesses built into an image of its own. Else a physical golden unit's rig, whose file says under expect what is to be seen. Default: the built-in device."`
	Only     []string `help:"Only these weaknesses and bench faults; hardened is the device with nothing planted, traps are the models of chips that the looks at debug ports are tried on."`
	Family   []string `help:"Only weaknesses and faults of these families. Of the gateway: ${families}; of the built-in device: the suites that look for them."`
	List     bool     `help:"Only list what can be planted: of the built-in device, or with --rig gateway of that."`
	Whole    bool     `help:"All cases with each weakness and fault, also where the catalogue names those that are enough."`
	Parallel int      `help:"Runs at the same time. Default: three for each CPU, and up to eighteen as long as the CPUs are idle, since a run waits more than it works; of the gateway two."`
	Together int      `default:"1" help:"Plant up to so many weaknesses in one device where no case is about two of them. Where one of these runs is not as it should be, each of its weaknesses has a run of its own. Bench faults that make the cases wait for minutes have them tried in parts then, each on a device of its own. 1: one run for each of all."`
	Share    string   `placeholder:"N/OF" help:"Of the cases that are to stay as they are with what is planted try the Nth of so many shares, 1 the first: a look that is over sooner, and complete when each had its turn. Default: all of them."`
	Images   string   `placeholder:"DIR" help:"Keep the gateway's images here, and take those that this program has built before."`
	Seed     uint64   `default:"1" help:"Of every run."`
	Out      string   `help:"Also write the table to this file: Markdown, or JSON where its name ends in .json."`
	Runs     string   `help:"Keep the folders of the runs here."`
	Format   string   `enum:"text,json,markdown" default:"text" help:"What goes to standard output."`
}

// Run compares what runs show with what the catalogue, or the rig file of a
// golden unit, says.
func (c *validateCmd) Run(ctx context.Context, a *app) error {
	if err := writable("--out", c.Out); err != nil {
		return usage(err)
	}
	if c.Together < 1 {
		return usage(fmt.Errorf("--together %d: a run has at least one weakness; 1 is a run for each", c.Together))
	}
	if c.Parallel < 0 {
		return usage(fmt.Errorf("--parallel %d: name how many runs there may be at the same time, or leave it out", c.Parallel))
	}
	share, err := c.share()
	if err != nil {
		return usage(err)
	}
	if c.Rig != "" && c.Rig != gatewayRig {
		if c.List {
			return usage(fmt.Errorf("--list: nothing is planted in a golden unit; what its rig file expects stands under expect in %s", c.Rig))
		}
		return c.golden(ctx, a)
	}
	b, err := c.bed()
	if err != nil {
		return usage(err)
	}
	b.share = share
	runs, err := c.choose(b)
	if err != nil {
		return usage(err)
	}
	if c.List {
		return b.list(a.out, runs)
	}
	begin := time.Now()
	fell, err := c.all(ctx, a, b, runs)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	res := b.cat.Judge(runs, b.planned, c.Seed)
	res.Apart, res.Share = fell, c.Share
	if c.Rig == "" && (c.Only == nil && c.Family == nil || slices.Contains(c.Only, trapsWord)) {
		res.Fell(lookInto(ctx))
	}
	res.Took = time.Since(begin)
	if !res.OK {
		a.exit = verdict.ExitFail
	}
	return c.write(a, res)
}

// share reads --share: the first number counts from 0 then, the second is 0 where all cases
// are tried.
func (c *validateCmd) share() (s [2]int, err error) {
	if c.Share == "" {
		return s, nil
	}
	nth, of, _ := strings.Cut(c.Share, "/")
	n, err1 := strconv.Atoi(nth)
	m, err2 := strconv.Atoi(of)
	switch {
	case err1 != nil || err2 != nil || n < 1 || m < 2 || n > m:
		return s, fmt.Errorf("--share %s: write which of how many shares, such as 2/5", strconv.Quote(c.Share))
	case c.Rig != "":
		return s, errors.New("--share is for the built-in device: of others each run has few cases, or it is one run")
	case c.Whole:
		return s, errors.New("--share leaves cases out, and --whole wants all of them: leave one of the two out")
	}
	return [2]int{n - 1, m}, nil
}

// bed is a device that can be planted in, with what is to be seen then.
type bed struct {
	cat     *matrix.Catalogue
	planned []string
	faults  []string
	weak    []string
	room    *room // runs at the same time
	images  *images
	does    map[string]string   // what each of them is
	bracket map[string]string   // by case: the name of what it leans on with others
	share   [2]int              // which of how many shares of the cases that stay as they are is tried
	cost    func(id string) int // how much longer than others a case takes, in cases; nil: no case does
}

// list writes what can be planted, a line each.
func (b *bed) list(to io.Writer, runs []matrix.Run) error {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, r := range runs {
		if r.Kind == matrix.Hardened {
			continue
		}
		if _, err := fmt.Fprintf(t, "%s\t%s\t%s\n", r.Kind, r.Name, b.does[r.Name]); err != nil {
			return err
		}
	}
	return t.Flush()
}

// bed gives the device that the command is about.
func (c *validateCmd) bed() (*bed, error) {
	if c.Rig == gatewayRig {
		return gatewayBed()
	}
	return virtualBed()
}

// virtualBed reads and lints the catalogue of the built-in device, and gives the
// cases that its runs have.
func virtualBed() (*bed, error) {
	cat, err := rigs.Matrix()
	if err != nil {
		return nil, err
	}
	known, does := matrix.Known{Checks: map[string]string{}}, map[string]string{}
	var bracket map[string]string
	if known.Cases, bracket, err = cases("virtual"); err != nil {
		return nil, err
	}
	for _, s := range suites.All() {
		for _, ch := range s.Checks {
			known.Checks[ch.ID] = s.Name
		}
	}
	for _, w := range virtual.Weaknesses() {
		known.Weaknesses = append(known.Weaknesses, w.Name)
		does[w.Name] = w.Title
	}
	for _, f := range virtual.Faults() {
		known.Faults = append(known.Faults, f.Name)
		does[f.Name] = f.Title
		if f.Counts {
			known.Counted = append(known.Counted, f.Name)
		}
	}
	return &bed{cat: cat, planned: known.Cases, faults: known.Faults, weak: known.Weaknesses, room: idleRoom(), does: does, bracket: bracket}, cat.Lint(known)
}

// cases lists the cases of a built-in rig, and the brackets of those that have one. Its
// images are not looked at: they are not those that a validation has built.
func cases(name string) (ids []string, bracket map[string]string, err error) {
	f, p, err := rigs.Load(name)
	if err != nil {
		return nil, nil, usage(err)
	}
	plan, err := runner.Plan(suites.All(), runner.PlanInput(f, p), f.Lacks)
	bracket = map[string]string{}
	for i := range plan {
		ids = append(ids, plan[i].ID)
		if name := plan[i].Case.Bracket; name != "" {
			bracket[plan[i].ID] = name
		}
	}
	return ids, bracket, err
}

// choose lists the runs to make.
func (c *validateCmd) choose(b *bed) ([]matrix.Run, error) {
	all := []matrix.Run{{Kind: matrix.Hardened}}
	for _, name := range b.faults {
		all = append(all, matrix.Run{Kind: matrix.Fault, Name: name})
	}
	for _, name := range b.weak {
		all = append(all, matrix.Run{Kind: matrix.Weakness, Name: name})
	}
	for i := range all {
		all[i].Whole = c.Whole
	}
	if c.Family != nil {
		all = slices.DeleteFunc(all, func(r matrix.Run) bool { return !b.cat.Belongs(&r, c.Family) })
		if len(all) == 0 {
			return nil, fmt.Errorf("--family %s: no weakness and no bench fault of this device belongs to it; there are %s", strings.Join(c.Family, ","), strings.Join(b.cat.Families(), ", "))
		}
	}
	switch {
	case c.Only == nil:
		return all, nil
	case len(c.Only) == 0:
		return nil, errors.New("--only names nothing; name a weakness or a bench fault, or leave it out")
	}
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = cmp.Or(r.Name, string(r.Kind))
	}
	var out []matrix.Run
	taken := map[int]bool{}
	for _, name := range c.Only {
		i := slices.Index(names, name)
		if name == trapsWord && c.Rig == "" {
			continue // which are no runs
		}
		if i < 0 {
			return nil, fmt.Errorf("--only: no weakness and no bench fault is called %q; %s", name, rigs.Meant(name, names, "rigor validate --list"))
		}
		if !taken[i] {
			out = append(out, all[i])
		}
		taken[i] = true
	}
	return out, nil
}

// all makes the runs, some at a time, each in a process and a folder of its
// own.
func (c *validateCmd) all(ctx context.Context, a *app, b *bed, runs []matrix.Run) (fell []matrix.Apart, err error) {
	dir := c.Runs
	if dir == "" {
		temp, err := os.MkdirTemp("", "rigor-validate-")
		if err != nil {
			return nil, fmt.Errorf("make a folder for the runs: %w", err)
		}
		defer func() { _ = os.RemoveAll(temp) }() // a folder of ours for temporary files
		dir = temp
	} else if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, usage(fmt.Errorf("make a folder for the runs: %w", err))
	}
	room := b.room
	if c.Parallel > 0 {
		room = fixedRoom(c.Parallel)
	}
	if c.Rig == gatewayRig {
		img, err := newImages(c.Images)
		if err != nil {
			return nil, err
		}
		defer img.close()
		b.images = img
	}
	groups := [][]int{}
	for i := range runs {
		groups = append(groups, []int{i})
	}
	if c.Together > 1 {
		groups = b.cat.Together(runs, b.planned, c.Together)
	}
	one := func(r *matrix.Run) { c.one(ctx, b, r, dir) }
	turn := map[int]int{} // of each group by its first run: all shares have theirs in one validation
	for n, g := range groups {
		turn[g[0]] = n
	}
	var wg sync.WaitGroup
	tell := &progress{to: a.err, all: len(runs)}
	for _, g := range longestFirst(b, runs, groups) {
		if room.enter(ctx) != nil {
			break // it was interrupted
		}
		wg.Go(func() {
			defer room.leave()
			b.group(ctx, runs, g, turn[g[0]], tell, one)
		})
	}
	wg.Wait()
	b.again(ctx, runs, tell, one)
	slices.SortFunc(tell.fell, func(x, y matrix.Apart) int { return slices.Compare(x.Names, y.Names) })
	return tell.fell, nil
}

// group makes one run of several weaknesses, or of a share of the cases, or a run of each
// with all its cases where that is not as it should be: which of them it is, and whether it
// is one of them alone, only that tells.
func (b *bed) group(ctx context.Context, runs []matrix.Run, of []int, turn int, tell *progress, one func(*matrix.Run)) {
	r := runs[of[0]]
	for _, i := range of[1:] {
		r.With = append(r.With, runs[i].Name)
	}
	r.Only = b.cat.Share(&r, b.planned, b.bracket, b.share[0]+turn, b.share[1])
	if len(of) > 1 || r.Only != nil {
		one(&r)
		if ctx.Err() != nil && r.Broken != "" {
			return // it was cut, and shows nothing
		}
		diffs := b.cat.Compare(&r, b.planned)
		tell.ended(&r, diffs)
		names := append([]string{r.Name}, r.With...)
		if len(diffs) == 0 {
			for n, i := range of {
				name := runs[i].Name
				runs[i] = r
				runs[i].Name, runs[i].With = name, slices.Delete(slices.Clone(names), n, n+1)
			}
			return
		}
		tell.apart(matrix.Apart{Names: names, Share: r.Only != nil, Diffs: diffs})
	}
	for _, i := range of {
		r := &runs[i]
		one(r)
		if ctx.Err() != nil && r.Broken != "" {
			return
		}
		tell.ended(r, b.cat.Compare(r, b.planned))
	}
}

// again makes those runs once more, one after the other, that showed less than they should
// and nothing wrong, where these are few: beside others a device, or the rig, may be late
// for what it has to do within a second. A verdict that is wrong stays, whatever would come
// of another try.
func (b *bed) again(ctx context.Context, runs []matrix.Run, tell *progress, one func(*matrix.Run)) {
	var less []int
	for i := range runs {
		diffs := b.cat.Compare(&runs[i], b.planned)
		if len(diffs) > 0 && !slices.ContainsFunc(diffs, func(d matrix.Difference) bool { return !d.Less }) {
			less = append(less, i)
		}
	}
	if len(runs) == 1 || len(less) > max(3, len(runs)/20) {
		return
	}
	for _, i := range less {
		r := matrix.Run{Kind: runs[i].Kind, Name: runs[i].Name, Whole: runs[i].Whole, Second: true}
		one(&r)
		if ctx.Err() != nil {
			return
		}
		tell.apart(matrix.Apart{Names: []string{cmp.Or(r.Name, string(r.Kind))}, Diffs: b.cat.Compare(&runs[i], b.planned)})
		runs[i] = r
		tell.ended(&r, b.cat.Compare(&r, b.planned))
	}
}

// progress is what is known of the runs so far. What it writes is only a sign of life:
// nobody needs to read it.
type progress struct {
	mu        sync.Mutex
	to        io.Writer
	done, all int
	fell      []matrix.Apart
}

// apart notes a group that was not as it should be.
func (p *progress) apart(a matrix.Apart) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fell = append(p.fell, a)
}

// ended says what a run came to.
func (p *progress) ended(r *matrix.Run, diffs []matrix.Difference) {
	p.mu.Lock()
	defer p.mu.Unlock()
	word, names := "as expected", strings.Join(append([]string{r.Name}, r.With...), " ")
	switch {
	case r.Second:
		word = fmt.Sprintf("once more, alone: %d differences", len(diffs))
	case len(diffs) == 0:
		p.done += 1 + len(r.With)
	case len(r.With) > 0 || r.Only != nil:
		word = fmt.Sprintf("%d differences: each is looked at alone, with all its cases", len(diffs))
	default:
		p.done++
		word = fmt.Sprintf("%d differences", len(diffs))
	}
	_, _ = fmt.Fprintf(p.to, "%3d/%d  %-9s %-28s %-16s %v\n", p.done, p.all, r.Kind, names, word, r.Took.Round(100*time.Millisecond))
}

// write shows the table, and writes it to a file too. Either is done whatever
// comes of the other: the runs took long.
func (c *validateCmd) write(a *app, res *matrix.Result) error {
	show := map[string]func(io.Writer) error{"json": res.JSON, "markdown": res.Markdown, "text": res.Text}[c.Format]
	err := show(a.out)
	if c.Out == "" {
		return err
	}
	write := res.Markdown
	if strings.HasSuffix(c.Out, ".json") {
		write = res.JSON
	}
	if werr := report.File(c.Out, write); werr != nil {
		err = errors.Join(err, fmt.Errorf("write the table: %w", werr))
	}
	return err
}

// golden runs a physical unit once.
func (c *validateCmd) golden(ctx context.Context, a *app) error {
	file, _, err := rigs.Load(c.Rig)
	if err != nil {
		return usage(err)
	}
	if len(file.Expect) == 0 {
		return usage(fmt.Errorf("rig %s does not say what its golden unit must show; write expect: {CASE: VERDICT}", file.Name))
	}
	dir := c.Runs
	if dir == "" {
		dir = filepath.Join("runs", runner.RunID(file.Name))
	}
	rc := runCmd{Rig: c.Rig, Alone: true, Repeat: 1, Out: dir, Seed: c.Seed, Profile: "rich", Attachments: "relative", Format: "text"}
	if err := rc.Run(ctx, &app{out: a.err, err: a.err}); err != nil {
		return err
	}
	result, err := runner.Load(dir)
	if err != nil {
		return err
	}
	if ctx.Err() != nil || result.Signal != "" {
		a.exit = verdict.ExitInterrupted
		_, err := fmt.Fprintf(a.err, "rigor: the run was interrupted, so that it is not compared: %s\n", dir)
		return err
	}
	res := &matrix.Result{Matrix: file.Name, Seed: c.Seed, Cases: len(result.Cases), OK: true, Took: result.Took}
	cases := outcomes(result)
	res.Add(matrix.Run{Kind: matrix.Golden, Name: file.Unit.Serial, Cases: cases, Took: result.Took}, matrix.Against(file.Expect, cases))
	if !res.OK {
		a.exit = verdict.ExitFail
	}
	return c.write(a, res)
}

// matrixRunCmd is one run of the matrix, in a process of its own.
type matrixRunCmd struct {
	Rig      string   `default:"virtual"`
	Device   string   // folder of the gateway's images
	Other    string   // and of another unit's
	Label2   string   `name:"label-2"` // file with the label of a second unit
	Cases    []string `sep:"none"`
	Weakness []string
	Fault    []string
	Seed     uint64
	Out      string `required:""`
}

// Run writes what it came to, as JSON, to standard output.
func (c *matrixRunCmd) Run(ctx context.Context, a *app) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // whatever ends it
		cancel(errors.New("the validation that this run is of has ended"))
	}()
	if c.Rig == gatewayRig {
		return c.onGateway(ctx, a)
	}
	oneOfMany()
	file, prof, err := rigs.Load("virtual")
	if err != nil {
		return usage(err)
	}
	file.Virtual = &rig.Virtual{Weaknesses: c.Weakness, Faults: c.Fault}
	v, err := rigs.NewVirtual(file, c.Seed)
	if err != nil {
		return usage(err)
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	job := &runner.Job{File: file, Profile: prof, Suites: suites.All(), Drivers: v.Drivers(), Dir: c.Out, RunID: filepath.Base(c.Out), Selectors: c.Cases,
		Env:  rig.Env{Dir: filepath.Dir(file.Path), Given: map[string]func(string) (string, error){"virtual": v.Given}},
		Seed: c.Seed, Writer: version(), Undo: suites.Undo(), Exec: rigs.Exec, Program: rigs.Program, Planted: slices.Concat(c.Weakness, c.Fault), Disk: v.Disk, Lost: v.Bench.Lost()}
	if err := job.Run(ctx); err != nil {
		return err
	}
	r, err := c.came()
	if err != nil {
		return err
	}
	for _, s := range v.Bench.Struck() {
		r.Struck, r.Again = append(r.Struck, s.At), s.Again
	}
	return json.NewEncoder(a.out).Encode(r)
}

// came reads what the run came to.
func (c *matrixRunCmd) came() (r matrix.Run, err error) {
	res, err := runner.Load(c.Out)
	if err != nil {
		return r, err
	}
	if res.Signal != "" {
		return r, fmt.Errorf("interrupted by %s", res.Signal)
	}
	r.Cases = outcomes(res)
	return r, nil
}

// outcomes gives what a run came to. Trouble of the run as a whole is an
// outcome too: no catalogue expects it.
func outcomes(res *journal.Result) []matrix.Outcome {
	var out []matrix.Outcome
	for i := range res.Cases {
		c := &res.Cases[i]
		o := matrix.Outcome{Case: c.ID, Verdict: c.Judgement.Verdict, Reason: c.Judgement.Reason, Detail: c.Judgement.Detail}
		if c.Ran {
			o.From, o.To = res.At.Add(c.At), res.At.Add(c.At+c.Took)
		}
		out = append(out, o)
	}
	return out
}
