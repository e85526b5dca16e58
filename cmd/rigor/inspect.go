package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"rigor/harness/baseline"
	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/matrix"
	"rigor/harness/profile"
	"rigor/harness/report"
	"rigor/harness/report/junit"
	"rigor/harness/report/terminal"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/shelf"
	"rigor/harness/strictyaml"
	"rigor/harness/verdict"
	"rigor/rigs"
	"rigor/suites"
	updates "rigor/suites/update"
)

type listCmd struct {
	Rig    string `help:"A rig file, or the name of a built-in rig: lists its cases."`
	Format string `enum:"text,json" default:"text" help:"What goes to standard output."`
}

// Run lists checks or cases.
func (c *listCmd) Run(a *app) error {
	if c.Rig != "" {
		plan, err := planOf(c.Rig, nil)
		if err != nil {
			return err
		}
		if c.Format == "json" {
			return printPlanJSON(a, plan)
		}
		for _, p := range plan {
			if _, err := fmt.Fprintln(a.out, p.ID); err != nil {
				return err
			}
		}
		return nil
	}
	if c.Format == "json" {
		return printChecksJSON(a)
	}
	w := tabwriter.NewWriter(a.out, 2, 0, 2, ' ', 0)
	for _, s := range suites.All() {
		for _, ch := range s.Checks {
			if _, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Name, ch.ID, ch.Title, clauseList(ch.Clauses.All())); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}

func printChecksJSON(a *app) error {
	type row struct {
		Check   string   `json:"check"`
		Suite   string   `json:"suite"`
		Title   string   `json:"title"`
		Effect  string   `json:"effect"`
		Clauses []string `json:"clauses"`
	}
	rows := []row{}
	for _, s := range suites.All() {
		for _, ch := range s.Checks {
			r := row{Check: ch.ID, Suite: s.Name, Title: ch.Title, Effect: ch.Effect.String(), Clauses: []string{}}
			for _, cl := range ch.Clauses.All() {
				r.Clauses = append(r.Clauses, cl.String())
			}
			rows = append(rows, r)
		}
	}
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	return enc.Encode(rows)
}

func clauseList(cs []baseline.Clause) string {
	names := make([]string, len(cs))
	for i, c := range cs {
		names[i] = c.String()
	}
	return strings.Join(names, ", ")
}

// planOf plans a rig's cases, without touching the rig.
func planOf(name string, selectors []string) ([]runner.Planned, error) {
	f, p, err := rigs.Load(name)
	if err != nil {
		return nil, usage(err)
	}
	plan, _, err := planned(name, f, p, "")
	if err != nil {
		return nil, usage(err)
	}
	if _, err := rigs.Beside(f, p); err != nil {
		return nil, usage(err)
	}
	if err := runner.Select(plan, selectors); err != nil {
		return nil, planError(err)
	}
	return plan, nil
}

// planned plans every case of a rig, reads its waivers, and holds every name of a
// case in them and in the rig file against the plan. A built-in rig has no
// folder to look into for waivers.
func planned(name string, f *rig.File, p *profile.Profile, file string) (plan []runner.Planned, waivers []journal.Waiver, err error) {
	if plan, err = runner.Plan(suites.All(), runner.PlanInput(f, p), f.Lacks); err != nil {
		return nil, nil, err
	}
	cases := make([]string, len(plan))
	for i := range plan {
		cases[i] = plan[i].ID
	}
	if file != "" || !slices.Contains(rigs.Names(), name) {
		waivers, err = runner.LoadWaivers(file, f, plan)
	}
	var all strictyaml.Errors
	for _, err := range []error{runner.CheckLacks(f, plan), runner.CheckImages(f, p, rigs.Drivers()), matrix.CheckExpect(f.Source, f.Expect, cases), err} {
		var errs strictyaml.Errors
		if err != nil && !errors.As(err, &errs) {
			return nil, nil, err
		}
		all = append(all, errs...)
	}
	if len(all) > 0 {
		return nil, nil, all.Arrange()
	}
	return plan, waivers, nil
}

// planError gives an error of planning the code that it ends the program with.
func planError(err error) error {
	if errors.Is(err, runner.ErrNothing) {
		return &codeError{verdict.ExitNothing, err}
	}
	return usage(err)
}

type planCmd struct {
	Selectors []string `arg:"" optional:"" name:"selector" help:"A case, a check's id, a glob of ids, a suite or a clause."`
	Rig       string   `required:"" help:"A rig file, or the name of a built-in rig."`
	Format    string   `enum:"text,json" default:"text" help:"What goes to standard output."`
}

// Run says what would run.
func (c *planCmd) Run(a *app) error {
	plan, err := planOf(c.Rig, c.Selectors)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return printPlanJSON(a, plan)
	}
	w := tabwriter.NewWriter(a.out, 2, 0, 2, ' ', 0)
	runs := 0
	for _, p := range plan {
		what, why := "runs", p.Check.Effect.String()
		if len(p.Check.Allow) > 0 {
			why += ", by leave of " + fmt.Sprint(p.Check.Allow)
		}
		switch {
		case p.Unselected:
			what, why = "left out", "no selector names it"
		case p.Skip != nil:
			what, why = string(p.Skip.Verdict), fmt.Sprintf("%s: %s", p.Skip.Reason, p.Skip.Detail)
		default:
			runs++
		}
		state := "any state"
		if p.Check.From != nil {
			state = p.Check.From.Name
		}
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", p.ID, what, state, escape.Terminal(why)); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if _, err = fmt.Fprintf(a.out, "\n%d of %d cases would run.\n", runs, len(plan)); err != nil {
		return err
	}
	if err := c.shared(a); err != nil {
		return err
	}
	return c.ladder(a, plan)
}

// shared says among which rigs the cases would be shared, where there are several.
func (c *planCmd) shared(a *app) error {
	f, p, err := rigs.Load(c.Rig)
	if err != nil {
		return usage(err)
	}
	others, err := rigs.Beside(f, p)
	if err != nil {
		return usage(err)
	}
	j := runner.NewJob(f, p)
	j.Suites, j.Selectors, j.Beside = suites.All(), c.Selectors, others
	_, with, err := j.Share()
	if err != nil {
		return planError(err)
	}
	names := []string{f.Name}
	for _, o := range with {
		names = append(names, o.Name)
	}
	if len(names) > 1 {
		_, err = fmt.Fprintf(a.out, "They would be shared among the rigs %s.\n", strings.Join(names, ", "))
	}
	return err
}

// ladder says for how many runs the maker's images last.
func (c *planCmd) ladder(a *app, plan []runner.Planned) error {
	f, p, err := rigs.Load(c.Rig)
	if err != nil || p.Images.Current == "" {
		return err
	}
	images, err := shelf.Load(&p.Images, runner.ImageReader(f, p, rigs.Drivers()))
	if err != nil {
		return usage(err)
	}
	var cases []string
	for _, x := range plan {
		if x.Skip == nil && !x.Unselected {
			cases = append(cases, x.ID)
		}
	}
	if text := updates.Lasts(p, images, cases); text != "" {
		_, err = fmt.Fprintln(a.out, text)
	}
	return err
}

func printPlanJSON(a *app, plan []runner.Planned) error {
	type row struct {
		Case    string             `json:"case"`
		Suite   string             `json:"suite"`
		Title   string             `json:"title"`
		State   string             `json:"state,omitempty"`
		Effect  string             `json:"effect"`
		Clauses []string           `json:"clauses"`
		Skip    *verdict.Judgement `json:"skip,omitempty"`
		Left    bool               `json:"unselected,omitempty"`
	}
	rows := make([]row, 0, len(plan))
	for _, p := range plan {
		r := row{Case: p.ID, Suite: p.Suite, Title: p.Check.Title, Effect: p.Check.Effect.String(), Skip: p.Skip, Left: p.Unselected}
		if p.Check.From != nil {
			r.State = p.Check.From.Name
		}
		for _, c := range p.Clauses {
			r.Clauses = append(r.Clauses, c.String())
		}
		rows = append(rows, r)
	}
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	return enc.Encode(rows)
}

type lintCmd struct {
	Rigs []string `arg:"" name:"rig" help:"Rig files, or names of built-in rigs."`
}

// Run says which checks a rig and its profile feed, and what is missing for
// the others.
func (c *lintCmd) Run(a *app) error {
	bad := false
	for _, name := range c.Rigs {
		plan, err := planOf(name, nil)
		if err != nil {
			if _, werr := fmt.Fprintln(a.err, escape.Terminal(err.Error())); werr != nil {
				return werr
			}
			bad = true
			continue
		}
		if err := feeds(a.out, name, plan); err != nil {
			return err
		}
		if err := unwired(a.out, name); err != nil {
			return err
		}
	}
	if bad {
		return &exitError{verdict.ExitUsage}
	}
	return nil
}

// feeds lists the cases that lack something, and those that do not apply: those that
// say the same together.
func feeds(out io.Writer, name string, plan []runner.Planned) error {
	var lack, none []*unfed
	fed := 0
	for _, p := range plan {
		switch {
		case p.Skip == nil:
			fed++
		case p.Skip.Verdict == verdict.NotApplicable:
			none = withCase(none, p)
		default:
			lack = withCase(lack, p)
		}
	}
	if _, err := fmt.Fprintf(out, "%s: no mistakes; %d of %d cases have what they need.\n", name, fed, len(plan)); err != nil {
		return err
	}
	for _, part := range []struct {
		of   []*unfed
		what string
	}{{lack, "lack something"}, {none, "do not apply"}} {
		if err := tell(out, part.of, part.what); err != nil {
			return err
		}
	}
	return nil
}

// unfed are cases that do not run, all for one reason.
type unfed struct {
	why   verdict.Judgement
	cases []string
}

func withCase(all []*unfed, p runner.Planned) []*unfed {
	i := slices.IndexFunc(all, func(u *unfed) bool { return u.why == *p.Skip })
	if i < 0 {
		i, all = len(all), append(all, &unfed{why: *p.Skip})
	}
	all[i].cases = append(all[i].cases, p.ID)
	return all
}

// tell writes the cases of each reason below it, those that are many first.
func tell(out io.Writer, all []*unfed, what string) error {
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b *unfed) int { return len(b.cases) - len(a.cases) })
	n := 0
	for _, u := range all {
		n += len(u.cases)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s:\n", n, what)
	for _, u := range all {
		fmt.Fprintf(&b, "  %s: %s\n", u.why.Reason, escape.Terminal(u.why.Detail))
		width := 0
		for i, id := range u.cases {
			switch {
			case i == 0 || width+1+len(id) > 110:
				if i > 0 {
					b.WriteByte('\n')
				}
				b.WriteString("      " + id)
				width = 6 + len(id)
			default:
				b.WriteString(" " + id)
				width += 1 + len(id)
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// unwired lists what the profile uses and the rig has no wire for, each with the
// place where it is used.
func unwired(out io.Writer, name string) error {
	f, p, err := rigs.Load(name)
	if err != nil {
		return usage(err)
	}
	for _, k := range rig.Lacking(f, p) {
		if _, err := fmt.Fprintf(out, "  %s\n", escape.Terminal(k.String())); err != nil {
			return err
		}
	}
	return nil
}

type reportCmd struct {
	Dir         string `arg:"" help:"A run's folder."`
	Profile     string `name:"junit-profile" enum:"rich,strict" default:"rich" help:"rich (default), or strict."`
	Attachments string `name:"junit-attachments" enum:"relative,absolute,off" default:"relative" help:"How evidence is named in the JUnit file."`
}

// Run makes a run's reports again; its exit code is the run's.
func (c *reportCmd) Run(_ context.Context, a *app) error {
	dir := c.Dir
	if real, err := filepath.EvalSymlinks(dir); err == nil { // runs/latest is a link
		dir = real
	}
	res, err := runner.Load(dir)
	if err != nil {
		return usage(err)
	}
	rc := runCmd{Attachments: c.Attachments}
	before := lastRun(dir, res)
	ro := report.Options{JUnit: junit.Options{Profile: junit.Profile(c.Profile), Attachments: junit.Attachments(c.Attachments), Folder: rc.folder(dir)}}
	werr := report.Write(dir, res, before, ro)
	if err := terminal.Summary(a.out, res, before, filepath.Join(dir, report.HTML), screen(a.out)); err != nil {
		return err
	}
	a.exit = res.Exit
	return werr
}

// timeout gives a context with a deadline for a command of a person.
func timeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("it took longer than %v", d))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
