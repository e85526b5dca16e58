package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"rigor/fixtures/credentials"
	"rigor/harness/journal"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/report"
	"rigor/harness/report/junit"
	"rigor/harness/report/terminal"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/verdict"
	"rigor/rigs"
	"rigor/suites"
)

type runCmd struct {
	Selectors []string `arg:"" optional:"" name:"selector" help:"A case, a check's id, a glob of ids, a suite or a clause. None: everything."`

	Rig         string   `required:"" help:"A rig file, or the name of a built-in rig."`
	Out         string   `help:"The run's own folder, in place of a new one under runs/."`
	JUnit       string   `name:"junit" help:"A further copy of the JUnit file."`
	Profile     string   `name:"junit-profile" enum:"rich,strict" default:"rich" help:"rich (default), or strict: valid against the common schemas."`
	Attachments string   `name:"junit-attachments" enum:"relative,absolute,off" default:"relative" help:"How evidence is named in the JUnit file."`
	Weakness    []string `help:"Plant these weaknesses into the built-in device."`
	Fault       []string `help:"Plant these faults into the built-in device's bench."`
	Credentials string   `help:"A file with further credentials to try: user:password lines, or CSV."`
	Waivers     string   `help:"A file of waivers. Default: waivers.yaml beside the rig file, if there is one."`
	Repeat      int      `default:"1" help:"Run so many times."`
	FailFast    bool     `help:"Stop at the first failure."`
	Hold        bool     `help:"Stop at the first failure with the device as it is. Runs on this rig alone."`
	Alone       bool     `help:"Run on this rig alone, also where its file names others beside it."`
	Seed        uint64   `help:"Choose what is chosen at random; the report says which seed a run had."`
	Format      string   `enum:"text,json" default:"text" help:"What goes to standard output."`

	list  *credentials.List  // all that are tried
	given []login.Credential // those of --credentials
	with  []*rig.File        // rigs that share the cases
}

// Run checks the device on a rig.
func (c *runCmd) Run(ctx context.Context, a *app) error {
	file, prof, err := rigs.Load(c.Rig)
	if err != nil {
		return usage(err)
	}
	if c.Repeat < 1 {
		return usage(fmt.Errorf("--repeat is %d; it must be at least 1", c.Repeat))
	}
	if c.Out != "" && c.Repeat > 1 {
		return usage(errors.New("--out names one run's folder; it cannot hold the runs of --repeat"))
	}
	if err := c.share(ctx, file, prof); err != nil {
		return usage(err)
	}
	if err := c.plant(file); err != nil {
		return usage(err)
	}
	if err := c.places(); err != nil {
		return usage(err)
	}
	if err := c.loadCredentials(); err != nil {
		return usage(err)
	}
	// Before the rig is taken: a plan that cannot be is not the rig's trouble.
	_, waivers, err := planned(c.Rig, file, prof, c.Waivers)
	if err != nil {
		return usage(err)
	}
	if _, err := c.job(file, prof).Plan(); err != nil {
		return planError(err)
	}
	worst := verdict.ExitPass
	for range c.Repeat {
		code, err := c.once(ctx, a, file, prof, waivers)
		if err != nil {
			return err
		}
		worst = worse(worst, code)
		if ctx.Err() != nil {
			break
		}
	}
	a.exit = worst
	return nil
}

// worse gives the worse of two runs' exit codes: by law 2, and a run that was
// interrupted says less than one that was not.
func worse(a, b int) int {
	order := []int{verdict.ExitFail, verdict.ExitRig, verdict.ExitInconclusive, verdict.ExitInterrupted, verdict.ExitPass}
	rank := func(code int) int {
		if i := slices.Index(order, code); i >= 0 {
			return i
		}
		return -1 // a bug of ours goes before all
	}
	if rank(b) < rank(a) {
		return b
	}
	return a
}

// loadCredentials reads what is to be tried besides the published logins.
func (c *runCmd) loadCredentials() error {
	c.list = credentials.Builtin()
	if c.Credentials == "" {
		return nil
	}
	more, err := credentials.Load(c.Credentials)
	if err != nil {
		return err
	}
	for _, e := range more.Entries {
		c.given = append(c.given, login.Credential{User: e.User, Password: e.Password})
	}
	c.list = c.list.With(more)
	return nil
}

// plant puts weaknesses and faults of the command line into the rig file, for
// a rig that drives the built-in device.
func (c *runCmd) plant(f *rig.File) error {
	if len(c.Weakness) == 0 && len(c.Fault) == 0 {
		return nil
	}
	if !rigs.UsesVirtual(f) {
		return fmt.Errorf("rig %s drives a real device; nothing can be planted into it", f.Name)
	}
	if f.Virtual == nil {
		f.Virtual = &rig.Virtual{}
	}
	for _, w := range c.Weakness {
		if err := rigs.Weakness(w); err != nil {
			return err
		}
	}
	for _, w := range c.Fault {
		if err := rigs.Fault(w); err != nil {
			return err
		}
	}
	f.Virtual.Faults = append(f.Virtual.Faults, c.Fault...)
	for _, f := range append([]*rig.File{f}, c.with...) { // a weakness is of the model
		if !rigs.UsesVirtual(f) {
			return fmt.Errorf("rig %s, beside it, drives a real device; nothing can be planted into it: use --alone", f.Name)
		}
		if f.Virtual == nil {
			f.Virtual = &rig.Virtual{}
		}
		f.Virtual.Weaknesses = append(f.Virtual.Weaknesses, c.Weakness...)
	}
	return nil
}

// share reads the rigs among which the cases are to be shared. What is asked of one bench,
// or is about how one device is left, is for the rig alone.
func (c *runCmd) share(ctx context.Context, f *rig.File, p *profile.Profile) (err error) {
	if c.Alone || c.Hold || len(c.Fault) > 0 || f.Virtual != nil && len(f.Virtual.Faults) > 0 {
		return nil
	}
	c.with, err = rigs.Beside(f, p)
	if err != nil || len(c.with) == 0 || !rigs.UsesVirtual(f) {
		return err
	}
	n := spareUnits(ctx, len(c.with), processorTimes)
	if n < len(c.with) {
		slog.InfoContext(ctx, "The computer is busy: fewer devices share the run", "devices", n+1, "of", len(c.with)+1)
	}
	c.with = c.with[:n]
	return nil
}

// places looks at where the run is to write before anything is touched.
func (c *runCmd) places() error {
	if err := writable("--junit", c.JUnit); err != nil {
		return err
	}
	if c.Out == "" {
		return nil
	}
	switch _, err := os.Lstat(c.Out); {
	case err == nil:
		return fmt.Errorf("--out %s: it is there already; a run has a new folder of its own", c.Out)
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("--out %s: %w; name a folder that can be made", c.Out, err)
	}
	return nil
}

// writable looks whether a file can be written at a path that a flag names, where
// it names one.
func writable(flag, path string) error {
	if path == "" {
		return nil
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s %s: its folder %s is not there; make it first", flag, path, dir)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s %s: it is a folder; name a file in it", flag, path)
	}
	// Files are written beside their place and moved there.
	f, err := os.CreateTemp(dir, ".rigor*")
	if err != nil {
		return fmt.Errorf("%s %s: nothing can be written to its folder %s: %w; name another place", flag, path, dir, errors.Unwrap(err))
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// rerun is the command that runs this again, without selectors: with what was chosen at
// random as it was.
func (c *runCmd) rerun(seed uint64) []string {
	args := []string{"rigor", "run", "--rig", c.Rig, "--seed", strconv.FormatUint(seed, 10)}
	for _, w := range c.Weakness {
		args = append(args, "--weakness", w)
	}
	for _, f := range c.Fault {
		args = append(args, "--fault", f)
	}
	if c.Credentials != "" {
		args = append(args, "--credentials", c.Credentials)
	}
	if c.Waivers != "" {
		args = append(args, "--waivers", c.Waivers)
	}
	if c.Alone {
		args = append(args, "--alone")
	}
	return args
}

// job is one run of the command's words.
func (c *runCmd) job(file *rig.File, prof *profile.Profile) *runner.Job {
	j := runner.NewJob(file, prof)
	if c.Out != "" {
		j.Dir = c.Out
	}
	j.Suites, j.Drivers, j.Undo, j.Exec, j.Program = suites.All(), rigs.Drivers(), suites.Undo(), rigs.Exec, rigs.Program
	j.Selectors, j.Credentials, j.Seed, j.FailFast, j.Hold = c.Selectors, c.given, cmp.Or(c.Seed, runner.NewSeed()), c.FailFast, c.Hold
	j.Writer, j.Rerun, j.Digests["credentials"], j.Beside = version(), c.rerun(j.Seed), c.list.Digest(), c.with
	return j
}

// once is one run: it gives the exit code.
func (c *runCmd) once(ctx context.Context, a *app, file *rig.File, prof *profile.Profile, waivers []journal.Waiver) (int, error) {
	job := c.job(file, prof)
	job.Waivers, job.Ask, job.AskSecret, job.AskHidden = waivers, asker(a), secretAsker(a), hiddenAsker(a)
	ob := terminal.NewObserver(a.err, screen(a.err))
	job.Observe, job.Waiting, job.Opened = ob.Event, ob.Waiting, watched(ob)
	obCtx, obEnd := context.WithCancel(context.WithoutCancel(ctx))
	go ob.Run(obCtx)
	err := onRig(ctx, job)
	obEnd()
	if cerr := ob.Close(); cerr != nil {
		slog.DebugContext(ctx, "Closing the live display", "error", cerr)
	}
	var place *os.PathError
	switch {
	case errors.Is(err, rig.ErrLeased):
		return 0, err
	case errors.Is(err, runner.ErrPlan), errors.Is(err, runner.ErrDevice), errors.Is(err, runner.ErrFolder) && errors.As(err, &place) && !errors.Is(err, syscall.ENOSPC):
		return 0, usage(err)
	case err != nil:
		return 0, mistake(err)
	}
	return c.finish(a, job.Dir)
}

// finish writes the reports of a run and shows its end.
func (c *runCmd) finish(a *app, dir string) (int, error) {
	res, err := runner.Load(dir)
	if err != nil {
		return 0, err
	}
	before := lastRun(dir, res)
	ro := report.Options{JUnit: junit.Options{Profile: junit.Profile(c.Profile), Attachments: junit.Attachments(c.Attachments), Folder: c.folder(dir)}}
	werr := report.Write(dir, res, before, ro)
	if c.JUnit != "" && werr == nil {
		werr = report.File(c.JUnit, func(w io.Writer) error { return junit.Write(w, res, ro.JUnit) })
	}
	link(dir)
	if err := c.show(a, dir, res, before); err != nil {
		slog.Info("Standard output is gone; the run is in its folder", "folder", dir, "error", err)
	}
	if werr != nil {
		return 0, fmt.Errorf("write the reports of %s: %w", dir, werr)
	}
	if len(res.Cases) == 0 && res.Worst == verdict.None {
		return verdict.ExitNothing, nil
	}
	return res.Exit, nil
}

// folder is the run's folder as the reader of the JUnit file sees it.
func (c *runCmd) folder(dir string) string {
	if c.Attachments != "absolute" {
		return dir
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return dir
	}
	return abs
}

// show writes the summary to standard output.
func (c *runCmd) show(a *app, dir string, res, before *journal.Result) error {
	if c.Format == "json" {
		data, err := os.ReadFile(filepath.Join(dir, report.JSON))
		if err != nil {
			return err
		}
		_, err = a.out.Write(data)
		return err
	}
	return terminal.Summary(a.out, res, before, filepath.Join(dir, report.HTML), screen(a.out))
}

// link points runs/latest at a run's folder.
func link(dir string) {
	latest := filepath.Join(filepath.Dir(dir), "latest")
	if filepath.Base(filepath.Dir(dir)) != "runs" {
		return
	}
	temp := latest + ".new"
	_ = os.Remove(temp) // what an earlier run left
	if err := os.Symlink(filepath.Base(dir), temp); err == nil {
		_ = os.Rename(temp, latest) // a convenience; the folder is there without it
	}
}

// lastRun gives the run to compare one with, of those beside it: the newest one
// before it of the same rig and device that ran to its end and that ran all of
// its cases; where there is none, the newest that ran some. Nil when there is
// none at all.
func lastRun(dir string, res *journal.Result) *journal.Result {
	var best *journal.Result
	most := 0
	for _, name := range beside(dir) {
		if most > 0 && most == common(res, res) {
			break // all of its cases: no older one is better
		}
		other, err := runner.Load(name)
		if err != nil || other.End == nil || other.Start.Run == res.Start.Run || other.Start.Rig != res.Start.Rig ||
			other.Start.Device != res.Start.Device || !other.At.Before(res.At) {
			continue
		}
		n := common(other, res)
		if n > most || n == most && n > 0 && other.At.After(best.At) {
			best, most = other, n
		}
	}
	return best
}

// lookBack is how many of the folders beside a run are looked at.
const lookBack = 50

// beside gives the folders beside one, the newest first.
func beside(dir string) (paths []string) {
	parent := filepath.Dir(dir)
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil
	}
	age := map[string]time.Time{}
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(parent, e.Name(), runner.JournalName))
		if err != nil || !e.IsDir() || e.Name() == filepath.Base(dir) {
			continue
		}
		path := filepath.Join(parent, e.Name())
		paths, age[path] = append(paths, path), info.ModTime()
	}
	slices.SortFunc(paths, func(a, b string) int { return age[b].Compare(age[a]) })
	return paths[:min(len(paths), lookBack)]
}

// common counts the cases of a run that another one ran too.
func common(other, res *journal.Result) (n int) {
	ran := map[string]bool{}
	for i := range other.Cases {
		ran[other.Cases[i].ID] = other.Cases[i].Ran || other.Cases[i].Skip != nil
	}
	for i := range res.Cases {
		if ran[res.Cases[i].ID] {
			n++
		}
	}
	return n
}
